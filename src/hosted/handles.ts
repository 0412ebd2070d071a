/**
 * How objects travel: as where they are. Each kind of object registers how it is made again from that.
 *
 * @module
 */
import type { Link } from "../link/link.ts";
import type { Hook } from "../wire/codec.ts";
import { hooks as effectHooks } from "../wire/effect.ts";

/** Marks what can be sent as a handle. */
export const HandleId = "~multiprocessing/Handle";

/** The mark says how it is sent. */
export interface Handle {
  readonly [HandleId]: {
    /** The kind under which it is made again. */
    readonly kind: string;
    /** What it is made from. `onSend` registers what is to happen when the message leaves. */
    readonly encode: (onSend: (action: () => void) => void) => unknown;
  };
}

const kinds = new Map<string, (data: unknown) => object>();

/** Says how a kind is made again. */
export const register = (kind: string, make: (data: unknown) => object): void => {
  kinds.set(kind, make);
};

/** The hook by which all of them travel. */
export const handles: Hook<Link> = {
  name: "handle",
  is: (value) => HandleId in value,
  encode: (value, onSend) => {
    const { encode, kind } = (value as Handle)[HandleId];
    return [kind, encode((action) => onSend(action))];
  },
  decode: (data) => {
    const [kind, from] = data as [string, unknown];
    const make = kinds.get(kind);
    if (make === undefined) throw new TypeError(`this process knows no handle of the kind "${kind}"`);
    return make(from);
  },
};

/** The hooks for what is put into an object: no Streams, which live and die with a request. */
export const hooks: ReadonlyArray<Hook<Link>> = [handles, ...effectHooks];
