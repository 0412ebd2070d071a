/**
 * How objects travel: as where they are. Each kind of object registers how it is made again from that.
 *
 * A process knows the kinds whose modules it has loaded. Every receiver calls {@link load} (or {@link loaded}) with a message
 * before it decodes the message, so that a handle of any other kind makes the process load that kind.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Link } from "../rpc/link.ts";
import * as Codec from "../codec/codec.ts";
import type { Hook } from "../codec/codec.ts";
import { hooks as effectHooks } from "../codec/effect.ts";
import { EncodeError } from "../codec/errors.ts";
import { loaderOf } from "./on_demand.ts";

/** Marks what can be sent as a handle. */
export const HandleId = "~multiprocessing/Handle";

/** The mark says how it is sent. */
export interface Handle {
  readonly [HandleId]: {
    /** The kind under which it is made again. */
    readonly kind: string;
    /**
     * What it is made from. `onSend` registers what is to happen when the message leaves; it is given the link over which it does, if
     * it leaves this process: whoever is at the other end has it then, to decode it or to keep it for others.
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

/** The hook by which all of them travel. */
export const handles: ObjectHook = hook((kind, data) => {
  const make = kinds.get(kind);
  if (make === undefined) throw new TypeError(`this process knows no handle of the kind "${kind}"`);
  return make(data, true);
});

/** The hooks for what is put into an object: no Streams, which live and die with a request. */
export const hooks: ReadonlyArray<ObjectHook> = [handles, ...effectHooks];

/** The hooks for a receiver that may refuse a message after decoding it: `took` is given each object that was made, and its kind. */
export const taking = (took: (made: object, kind: string) => void): ReadonlyArray<ObjectHook> => [
  {
    ...handles,
    decode: (data, link) => {
      const made = handles.decode(data, link) as object;
      took(made, (data as [kind: string])[0]);
      return made;
    },
  },
  ...effectHooks,
];

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

/**
 * The hooks for a process that looks at a message which another process will receive. A handle of a kind that is not loaded here
 * is an empty object: nothing can be done with the handle anyway.
 */
export const looking: ReadonlyArray<ObjectHook> = [
  hook((kind, data) => kinds.get(kind)?.(data, false) ?? {}),
  ...effectHooks,
];

/** The hooks for who is to be told of the handles in a message, and does not need what they stand for. */
export const finding = (found: (kind: string, data: unknown) => void): ReadonlyArray<ObjectHook> => [
  hook((kind, data) => {
    found(kind, data);
    return {};
  }),
  ...effectHooks,
];

/** An encoded value that has arrived. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
}

/** Loads the kinds of the handles in a message that this process does not know yet; `undefined` if there are none. */
export const load = ({ attachments, bytes }: Body): Promise<void> | undefined => {
  const missing = new Set<() => Promise<unknown>>();
  try {
    if (!Codec.requires(bytes).includes("handle")) return undefined;
    const hooks = finding((kind) => {
      const module = kinds.has(kind) ? undefined : loaderOf(kind);
      if (module !== undefined) missing.add(module);
    });
    Codec.decode(bytes, { attachments, hooks, link: undefined });
  } catch {
    // Decoding the message says what is wrong with the message.
  }
  if (missing.size === 0) return undefined;
  // A module that fails to load leaves its kind unknown, which decoding reports.
  return Promise.allSettled(Array.from(missing, (module) => module())).then(() => {});
};

/** Runs `next` once this process knows the kinds of all handles in the messages: at once if it does already. */
export const loaded = <A, E, R>(
  messages: ReadonlyArray<Body>,
  next: () => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> => {
  const loading = messages.flatMap((message) => load(message) ?? []);
  return loading.length === 0 ? next() : Effect.flatMap(Effect.promise(() => Promise.all(loading)), next);
};
