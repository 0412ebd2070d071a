/**
 * When two values are the same to an object that has received both: by what they say, not by where they are.
 *
 * @module
 */
import { hooks, type ObjectHook } from "../../objects/handles.ts";
import * as Codec from "../../codec/codec.ts";
import { ManagerError } from "../errors.ts";

const latin1 = new TextDecoder("latin1");

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const written = (value: object): Codec.Encoded<never> => Codec.encode(value, { hooks });

/** The text of an object, the same for what says the same. Large binaries are not compared: each is itself. */
const text = (value: object): string | undefined => {
  const { attachments, bytes } = written(value);
  return attachments.length > 0 ? undefined : latin1.decode(bytes);
};

/** Begins the keys of objects, and those of texts that begin so. */
const MARK = "\0";

/** What a Map finds a key by: itself, or, of an object, its text. */
export const keyOf = (key: unknown): unknown => {
  if (typeof key === "string") return key.startsWith(MARK) ? `${MARK}"${key}` : key;
  if (!isObject(key)) return key;
  const what = text(key);
  if (what === undefined) throw new ManagerError("InvalidArguments", "Cannot use the key: it has large binaries in it");
  return `${MARK}{${what}`;
};

/** Whether two values are the same. */
export const same = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b)) return a !== a && b !== b;
  const ours = text(a);
  return ours !== undefined && ours === text(b);
};

/**
 * A value that is changed is a copy: if the change fails, the value is as it was. What a handle in it stands for is not copied:
 * the copy has the same one, and an end of a pipe stays where it is.
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
