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
 * What both sides have to know: bytes, at least one, better 32 random ones. `false` does without: then whoever reaches the
 * address is welcome.
 *
 * @since 0.1.0
 * @category models
 */
export type AuthKey = Redacted.Redacted<Uint8Array> | Uint8Array | false;

/** The key itself, none, or what is wrong with it. */
export const toKey = (key: AuthKey | undefined): Promise<CryptoKey> | undefined | string => {
  if (key === false) return undefined;
  const bytes: unknown = key === undefined ? familyKey() : Redacted.isRedacted(key) ? Redacted.value(key) : key;
  return bytes instanceof Uint8Array && bytes.length > 0
    ? importKey(bytes)
    : `the authKey must be a Uint8Array of at least one byte, or false to do without, received ${
      bytes instanceof Uint8Array ? "an empty one" : show(bytes)
    }; encode texts with TextEncoder`;
};
