/**
 * The entries of a dict as messages: each key has a subject of its own, and its last message is its value.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import type { Incoming } from "../../codec/message.ts";
import { ManagerError } from "../../manager/errors.ts";
import { foreign } from "../../objects/handles.ts";
import { hashOf } from "../protocol.ts";
import type { Version } from "./record.ts";

/** The longest key, in characters of base64, that stands in its subject. Of a longer one its hash stands there. */
const LONGEST = 200;

/** The state of a key. The body of its message is the value. */
export interface Entry {
  /** The sequence number of the message that has set the key first; 0 for this one. */
  readonly born: number;
  /** Whether the key was deleted. */
  readonly gone?: true;
  /** The key, if its subject has only its hash. */
  readonly key?: string;
}

/** A key. */
export interface Key {
  /** The last part of its subject. */
  readonly token: string;
  /** The key in base64, if the token has only its hash. */
  readonly text: string | undefined;
}

const base64url = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const fromBase64url = (text: string): Uint8Array =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

/** The key of a value. Keys with equal content are equal. Throws an `EncodeError`, or a {@link ManagerError}. */
export const keyOf = (key: unknown): Key | Promise<Key> => {
  // As in a Map, 0 and -0 are one key.
  const { attachments, bytes } = Codec.encode(key === 0 ? 0 : key, { hooks: foreign, root: "key" });
  if (attachments.length > 0) {
    throw new ManagerError("InvalidArguments", "Cannot use the key: it contains large binaries");
  }
  const text = base64url(bytes);
  if (text.length <= LONGEST) return { token: `k${text}`, text: undefined };
  return hashOf(bytes.slice()).then((hash) => ({ token: `h${hash}`, text }));
};

/** The value of a key, from its token or its state. */
export const decodeKey = (token: string, { key }: Entry): unknown =>
  Codec.decode(fromBase64url(key ?? token.slice(1)), { hooks: foreign, link: undefined });

/** Encodes a value. Throws an `EncodeError`. */
export const encodeValue = (value: unknown): Incoming => Codec.encode(value, { hooks: foreign });

/** Decodes a value, which gets the memory of the attachments. Throws a `DecodeError`. */
export const decodeValue = ({ attachments, bytes }: Incoming): unknown =>
  Codec.decode(bytes, { attachments, hooks: foreign, link: undefined });

/** Whether a version has a value. */
export const isThere = ({ state }: Version<Entry>): boolean => state !== undefined && state.gone === undefined;

/** The state of a key that is set after a version. */
export const setAfter = (before: Version<Entry>, { text }: Key): Entry => ({
  born: isThere(before) ? before.state!.born || before.sequence : 0,
  ...(text === undefined ? {} : { key: text }),
});

/** The state of a key that is deleted. */
export const gone = ({ text }: Key): Entry => ({ born: 0, gone: true, ...(text === undefined ? {} : { key: text }) });
