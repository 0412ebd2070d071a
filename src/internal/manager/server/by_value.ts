/**
 * Comparing and copying values by their content. A managed object receives each value as a new copy, so that identity means
 * nothing.
 *
 * @module
 */
import { hooks, type ObjectHook } from "../../objects/handles.ts";
import * as Codec from "../../codec/codec.ts";
import { ManagerError } from "../errors.ts";

const latin1 = new TextDecoder("latin1");

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The encoding of an object as text, or `undefined` if it contains large binaries, which are not compared. */
const encodedText = (value: object): string | undefined => {
  const { attachments, bytes } = Codec.encode(value, { hooks });
  return attachments.length > 0 ? undefined : latin1.decode(bytes);
};

/** Prefix of the keys of objects, and of strings that begin with it. */
const MARK = "\0";

/** The key of a value in a Map: the value itself, or the encoded text of an object. */
export const keyOf = (key: unknown): unknown => {
  if (typeof key === "string") return key.startsWith(MARK) ? `${MARK}"${key}` : key;
  if (!isObject(key)) return key;
  const text = encodedText(key);
  if (text === undefined) {
    throw new ManagerError("InvalidArguments", "Cannot use the key: it contains large binaries");
  }
  return `${MARK}{${text}`;
};

/** Whether two values have the same content. */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b)) return a !== a && b !== b;
  const text = encodedText(a);
  return text !== undefined && text === encodedText(b);
};

/**
 * Copies a value, so that a change that fails leaves the original untouched. The copy contains the same handles: an end of a
 * pipe does not move.
 */
export const copy = <A>(value: A): A => {
  if (!isObject(value)) return value;
  const [handles, ...others] = hooks;
  const kept: Array<object> = [];
  const keeping: ReadonlyArray<ObjectHook> = [{
    ...handles,
    encode: (handle) => kept.push(handle) - 1,
    decode: (index) => kept[index as number],
  }, ...others];
  const { attachments, bytes } = Codec.encode(value, { hooks: keeping });
  const parts = attachments.map((part) => part.slice());
  return Codec.decode(bytes, { attachments: parts, hooks: keeping, link: undefined }) as A;
};
