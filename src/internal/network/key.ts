/**
 * The key that both sides of a connection have.
 *
 * @module
 */
import * as Redacted from "effect/Redacted";
import { authKey as familyKey } from "../rpc/identity.ts";
import { show } from "../os/arguments.ts";
import { importKey } from "./handshake.ts";

/**
 * The key that both sides must have: at least one byte, better 32 random bytes. `false` turns authentication off: every
 * program that reaches the address is accepted.
 *
 * @since 0.1.0
 * @category models
 */
export type AuthKey = Redacted.Redacted<Uint8Array> | Uint8Array | false;

/** Imports a key; `undefined` if there is none, or the reason as text if it is invalid. */
export const toKey = (key: AuthKey | undefined): Promise<CryptoKey> | undefined | string => {
  if (key === false) return undefined;
  const bytes: unknown = key === undefined ? familyKey() : Redacted.isRedacted(key) ? Redacted.value(key) : key;
  return bytes instanceof Uint8Array && bytes.length > 0
    ? importKey(bytes)
    : `the authKey must be a Uint8Array of at least one byte, or false for none, received ${
      bytes instanceof Uint8Array ? "an empty one" : show(bytes)
    }; encode texts with TextEncoder`;
};
