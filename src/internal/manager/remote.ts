/**
 * What every proxy is: where its object is, and a handle that can be sent anywhere.
 *
 * @module
 */
import * as Equal from "effect/Equal";
import * as Hash from "effect/Hash";
import { HandleId } from "../objects/handles.ts";
import type { Place } from "./calls.ts";
import { type Proxy, TypeId } from "./typed.ts";

export { type Proxy, TypeId };

/** Proxies of the same object are equal. */
export abstract class Remote implements Proxy {
  readonly [TypeId]: Place;

  constructor(place: Place) {
    this[TypeId] = place;
  }

  get [HandleId]() {
    return { kind: "proxy", encode: () => ({ ...this[TypeId] }) };
  }

  [Equal.symbol](that: unknown): boolean {
    if (!isProxy(that)) return false;
    const [ours, others] = [this[TypeId], that[TypeId]];
    return ours.number === others.number && ours.gate === others.gate && ours.address === others.address;
  }

  [Hash.symbol](): number {
    const { address, gate, number } = this[TypeId];
    return Hash.string(`${address}/${gate}/${number}`);
  }

  toString(): string {
    const { host, number, type } = this[TypeId];
    return `${type}(${host}#${number})`;
  }
}

/** Whether a value is a proxy. */
export const isProxy = (value: unknown): value is Proxy =>
  typeof value === "object" && value !== null && TypeId in value;
