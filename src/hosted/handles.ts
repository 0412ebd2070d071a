/**
 * How objects travel: as where they are. Each kind of object registers how it is made again from that.
 *
 * @module
 */
import type { Link } from "../link/link.ts";
import type { Hook } from "../wire/codec.ts";
import { hooks as effectHooks } from "../wire/effect.ts";
import { EncodeError } from "../wire/errors.ts";

/** Marks what can be sent as a handle. */
export const HandleId = "~multiprocessing/Handle";

/** The mark says how it is sent. */
export interface Handle {
  readonly [HandleId]: {
    /** The kind under which it is made again. */
    readonly kind: string;
    /**
     * What it is made from. `onSend` registers what is to happen when the message leaves; it is given the link to whoever will
     * decode the message, if it goes straight there.
     */
    readonly encode: (onSend: (action: (link: Link | undefined) => void) => void) => unknown;
  };
}

/** How they travel: with a message that goes straight over a link, or into an object. */
export type ObjectHook = Hook<Link | undefined>;

/** Makes one again: to use it, or for somebody who only looks at the message, and must not take over what moves with it. */
type Make = (data: unknown, use: boolean) => object;

const kinds = new Map<string, Make>();

/** Says how a kind is made again. */
export const register = (kind: string, make: Make): void => {
  kinds.set(kind, make);
};

const hook = (remake: (kind: string, data: unknown) => object): ObjectHook => ({
  name: "handle",
  is: (value) => HandleId in value,
  encode: (value, onSend) => {
    const { encode, kind } = (value as Handle)[HandleId];
    return [kind, encode(onSend)];
  },
  decode: (data) => {
    const [kind, from] = data as [string, unknown];
    return remake(kind, from);
  },
});

const made = (use: boolean): ObjectHook =>
  hook((kind, data) => {
    const make = kinds.get(kind);
    if (make === undefined) throw new TypeError(`this process knows no handle of the kind "${kind}"`);
    return make(data, use);
  });

/** The hook by which all of them travel. */
export const handles: ObjectHook = made(true);

/** The hooks for what is put into an object: no Streams, which live and die with a request. */
export const hooks: ReadonlyArray<ObjectHook> = [handles, ...effectHooks];

/** For messages to and from other programs: neither can a handle leave the family, nor can a stranger make one. */
const refusing: ObjectHook = {
  name: "handle",
  is: (value) => HandleId in value,
  encode: (value) => {
    const { kind } = (value as Handle)[HandleId];
    throw new EncodeError(`a ${kind} cannot be sent to another program: only processes of one family share it`);
  },
  decode: () => {
    throw new TypeError("another program has sent a handle, which only processes of this family can");
  },
};

/** The hooks for what is sent to another program. */
export const foreign: ReadonlyArray<ObjectHook> = [refusing, ...effectHooks];

/** The hooks for who looks at a message that somebody else will receive. */
export const looking: ReadonlyArray<ObjectHook> = [made(false), ...effectHooks];

/** The hooks for who is to be told of the handles in a message, and does not need what they stand for. */
export const finding = (found: (kind: string, data: unknown) => void): ReadonlyArray<ObjectHook> => [
  hook((kind, data) => {
    found(kind, data);
    return {};
  }),
  ...effectHooks,
];
