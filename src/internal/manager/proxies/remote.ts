/**
 * The base of all proxies: a reference to an object, which travels as a handle.
 *
 * @module
 */
import * as Equal from "effect/Equal";
import * as Hash from "effect/Hash";
import { HandleId } from "../../objects/handles.ts";
import type { ObjectRef } from "../calls.ts";
import { type Proxy, TypeId } from "../typed.ts";
import { inspectable } from "../../os/inspect.ts";

export { type Proxy, TypeId };

/** The base class of proxies. Proxies of the same object are equal. */
export abstract class Remote implements Proxy {
  readonly [TypeId]: ObjectRef;

  constructor(ref: ObjectRef) {
    this[TypeId] = ref;
  }

  get [HandleId]() {
    return { kind: "proxy", encode: () => ({ ...this[TypeId] }) };
  }

  [Equal.symbol](that: unknown): boolean {
    if (!isProxy(that)) return false;
    const [a, b] = [this[TypeId], that[TypeId]];
    return a.number === b.number && a.server === b.server && a.address === b.address;
  }

  [Hash.symbol](): number {
    const { address, number, server } = this[TypeId];
    return Hash.string(`${address}/${server}/${number}`);
  }

  toJSON(): object {
    const { host, number, type } = this[TypeId];
    return { _id: "Proxy", type, host, number };
  }

  toString(): string {
    const { host, number, type } = this[TypeId];
    return `${type}(${host}#${number})`;
  }
}
inspectable(Remote);

/** Whether a value is a proxy. */
export const isProxy = (value: unknown): value is Proxy =>
  typeof value === "object" && value !== null && TypeId in value;
