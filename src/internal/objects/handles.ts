/**
 * Handles: an object travels as data that says where it is. Each kind of object registers how it is rebuilt from this data.
 *
 * A process knows the kinds whose modules it has loaded. A receiver calls {@link load} (or {@link loaded}) with a message before it
 * decodes the message, which loads the modules of the other kinds.
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

/** Key of the property that an object with a handle has. */
export const HandleId = "~multiprocessing/Handle";

/** An object that can be sent. */
export interface Handle {
  readonly [HandleId]: {
    /** The kind of object, which says how it is rebuilt. */
    readonly kind: string;
    /**
     * The data from which it is rebuilt. `onSend` registers an action for the moment at which the message leaves. The action is
     * given the link over which the message leaves, or `undefined` if it stays in this process. The process at the other end then
     * has the message, to decode it or to store it for others.
     */
    readonly encode: (onSend: (action: (link: Link | undefined) => void) => void) => unknown;
    /** Why the object cannot be sent at all. */
    readonly refusal?: string;
  };
}

/** How an object that has a handle is sent. */
export const handleOf = (object: object): Handle[typeof HandleId] => (object as Handle)[HandleId];

/** A hook of the codec for values in a message that goes straight over a link, or into an object. */
export type ObjectHook = Hook<Link | undefined>;

/**
 * Rebuilds an object from its data. If `use` is false, the receiver only inspects the message, and must not take over objects that
 * move with it.
 */
type Rebuild = (data: unknown, use: boolean) => object;

const kinds = new Map<string, Rebuild>();

/** Registers how the objects of a kind are rebuilt. */
export const register = (kind: string, rebuild: Rebuild): void => {
  kinds.set(kind, rebuild);
};

const hook = (rebuild: (kind: string, data: unknown) => object): ObjectHook => ({
  name: "handle",
  is: (value) => HandleId in value,
  encode: (value, onSend) => {
    const { encode, kind, refusal } = (value as Handle)[HandleId];
    if (refusal !== undefined) throw new EncodeError(refusal);
    return [kind, encode(onSend)];
  },
  decode: (data) => {
    const [kind, from] = data as [string, unknown];
    return rebuild(kind, from);
  },
});

/** The hook for all handles. */
export const handles: ObjectHook = hook((kind, data) => {
  const rebuild = kinds.get(kind);
  if (rebuild === undefined) throw new TypeError(`this process knows no handle of the kind "${kind}"`);
  return rebuild(data, true);
});

/** The hooks for a value that is put into an object. Streams are not among them, since they end with a request. */
export const hooks: ReadonlyArray<ObjectHook> = [handles, ...effectHooks];

/** The hooks for a receiver that may refuse a message after decoding it. Passes each object that was rebuilt to `took`, with its kind. */
export const taking = (took: (object: object, kind: string) => void): ReadonlyArray<ObjectHook> => [
  {
    ...handles,
    decode: (data, link) => {
      const object = handles.decode(data, link) as object;
      took(object, (data as [kind: string])[0]);
      return object;
    },
  },
  ...effectHooks,
];

/** For messages between programs: a handle does not leave its family, and another program cannot make one. */
const refusing: ObjectHook = {
  name: "handle",
  is: (value) => HandleId in value,
  encode: (value) => {
    const { kind, refusal } = (value as Handle)[HandleId];
    throw new EncodeError(
      refusal ?? `a ${kind} cannot be sent to another program: only processes of one family share it`,
    );
  },
  decode: () => {
    throw new TypeError("another program has sent a handle, which only processes of this family can do");
  },
};

/** The hooks for a value that is sent to another program. */
export const foreign: ReadonlyArray<ObjectHook> = [refusing, ...effectHooks];

/**
 * The hooks for a process that inspects a message which another process will receive. A handle of a kind that is not loaded
 * becomes an empty object, since the handle may not be used anyway.
 */
export const looking: ReadonlyArray<ObjectHook> = [
  hook((kind, data) => kinds.get(kind)?.(data, false) ?? {}),
  ...effectHooks,
];

/** The hooks that pass the kind and data of each handle in a message to `found`, without rebuilding any object. */
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

/** Loads the modules of the kinds in a message that this process does not know yet. `undefined` if it knows all of them. */
export const load = ({ attachments, bytes }: Body): Promise<void> | undefined => {
  let missing: Set<() => Promise<unknown>> | undefined;
  try {
    if (!Codec.requires(bytes).includes("handle")) return undefined;
    const modules = missing = new Set();
    const hooks = finding((kind) => {
      const module = kinds.has(kind) ? undefined : loaderOf(kind);
      if (module !== undefined) modules.add(module);
    });
    Codec.decode(bytes, { attachments, hooks, link: undefined });
  } catch {
    // Decoding the message will report the error.
  }
  if (missing === undefined || missing.size === 0) return undefined;
  // A module that fails to load leaves its kind unknown, which decoding the message will report.
  return Promise.allSettled(Array.from(missing, (module) => module())).then(() => {});
};

/** {@link load} for several messages. */
export const loadAll = (messages: ReadonlyArray<Body>): Promise<unknown> | undefined => {
  let loading: Array<Promise<void>> | undefined;
  for (const message of messages) {
    const one = load(message);
    if (one !== undefined) (loading ??= []).push(one);
  }
  return loading && Promise.all(loading);
};

/** Runs `next` once this process knows the kinds of all handles in the messages: at once if it does already. */
export const loaded = <A, E, R>(
  messages: ReadonlyArray<Body>,
  next: () => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> => {
  const loading = loadAll(messages);
  return loading === undefined ? next() : Effect.flatMap(Effect.promise(() => loading), next);
};
