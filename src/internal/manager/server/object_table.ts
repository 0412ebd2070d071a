/**
 * The objects of a server, and how long they live.
 *
 * An object is held by its maker, until the maker's scope closes or its process dies, and in the same way by each scope that
 * retains it. Names and leases hold objects as well. An object without holds is freed, even if handles refer to it: a handle
 * in a message or in another object does not hold the object. Nothing is therefore kept for dead processes, cycles need no
 * collector, and a use of a freed object fails. A sender that does not wait until a handle has arrived keeps the object with a
 * lease.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { HandleId } from "../../objects/handles.ts";
import { after } from "../../os/timer.ts";
import { QueueClient } from "../../queue/client.ts";
import type { ObjectRef } from "../calls.ts";
import { ManagerError } from "../errors.ts";
import { isSameServer, proxy, type ProxyShape } from "../proxies/make.ts";
import { isProxy, TypeId } from "../proxies/remote.ts";
import type * as Types from "../types.ts";
import { Freed } from "./results.ts";

/** One object of a server. */
export interface ManagedObject {
  readonly number: number;
  readonly type: string;
  /** The object whose methods are called. */
  readonly target: object;
  /** Data of the handle that depends on the type. */
  readonly shape: ProxyShape | undefined;
  /** The methods that other processes may call. */
  readonly exposed: ReadonlySet<string>;
  /** Types of results that stay at the server. */
  readonly returns: Types.TypeDefinition["returns"];
  /** Whether the type is one of the user's. */
  readonly custom: boolean;
  /** The value that is sent to a process that holds the object. */
  readonly handle: unknown;
  /** Releases the object's own resources. */
  readonly close: () => Effect.Effect<unknown>;
  /** The number of holds. */
  holds: number;
}

/** The place of a server, for the handles of its objects. */
export interface ServerRef {
  /** Address of the server's process. */
  readonly address: string;
  /** Number of the server in that process. */
  readonly server: number;
  /** Name of that process. */
  readonly host: string;
}

/** The objects of a server. */
export class ObjectTable {
  readonly #byNumber = new Map<number, ManagedObject>();
  readonly #byTarget = new WeakMap<object, ManagedObject>();
  /** Queues, by the number under which the process hosts them. */
  readonly #queues = new Map<number, ManagedObject>();
  readonly #published = new Map<string, ManagedObject>();
  /** Functions that cancel the timers of leases. */
  readonly #leases = new Set<() => void>();
  /** Frees an object, without waiting for it. */
  readonly #free: (object: ManagedObject) => void;
  #self: ManagedObject | undefined;
  #ref: ServerRef = { address: "", server: 0, host: "" };
  #lastNumber = 0;
  #made = 0;

  constructor(free: (object: ManagedObject) => void) {
    this.#free = free;
  }

  /** Makes the server known by its place, and reachable as its own object 0. */
  settle(ref: ServerRef, self: Omit<ManagedObject, "handle" | "holds" | "number">): void {
    this.#ref = ref;
    const handle = proxy({ ...ref, number: 0, type: self.type, shape: undefined });
    this.#self = { ...self, number: 0, handle, holds: 1 };
  }

  /** The number for a new object. */
  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /** Adds an object. It is freed with its last hold. */
  add(object: Omit<ManagedObject, "holds">): ManagedObject {
    const { number, shape, type } = object;
    const handle = object.handle ?? proxy({ ...this.#ref, number, type, shape });
    const added = { ...object, handle, holds: 0 };
    this.#byNumber.set(number, added);
    if (object.custom) this.#byTarget.set(object.target, added);
    if (handle instanceof QueueClient) this.#queues.set(queueNumber(handle), added);
    this.#made++;
    return added;
  }

  /** Finds an object by its number. Throws {@link Freed}. */
  get(number: number): ManagedObject {
    const object = this.find(number);
    if (object === undefined) throw new Freed();
    return object;
  }

  /** Finds an object by its number. */
  find(number: number): ManagedObject | undefined {
    return number === 0 ? this.#self : this.#byNumber.get(number);
  }

  /** Finds the object of this type that was made of a value of the user. */
  findTarget(target: object, type: string): ManagedObject | undefined {
    const object = this.#byTarget.get(target);
    return object?.type === type && this.#byNumber.has(object.number) ? object : undefined;
  }

  /** Finds the object that a handle denotes; `undefined` if it is not an object of this server. */
  findHandle(value: unknown): ManagedObject | undefined {
    if (isProxy(value)) {
      const ref = value[TypeId];
      return isSameServer(ref, this.#ref) ? this.find(ref.number) : undefined;
    }
    if (!(value instanceof QueueClient)) return undefined;
    const { address, object } = value[HandleId].encode();
    return address === this.#ref.address ? this.#queues.get(object) : undefined;
  }

  /** Holds an object for another one; `undefined` if it is not an object of this server. Throws {@link Freed}. */
  hold(ref: ObjectRef): ManagedObject | undefined {
    if (!isSameServer(ref, this.#ref)) return undefined;
    const object = this.get(ref.number);
    object.holds++;
    return object;
  }

  /** Gives a hold back. The last one frees the object. */
  release(object: ManagedObject): void {
    if (--object.holds > 0 || !this.#byNumber.delete(object.number)) return;
    if (object.handle instanceof QueueClient) this.#queues.delete(queueNumber(object.handle));
    this.#free(object);
  }

  /** Holds an object for a time, in milliseconds. */
  lease(object: ManagedObject, millis: number): void {
    if (!(millis > 0)) throw new ManagerError("InvalidArguments", "Cannot lease the object: the time must be positive");
    object.holds++;
    const stop = after(millis, () => {
      this.#leases.delete(stop);
      this.release(object);
    });
    this.#leases.add(stop);
  }

  /** Holds an object under a name, in place of the object that had the name before. */
  publish(name: string, value: unknown): void {
    const object = value === undefined ? undefined : this.findHandle(value);
    if (typeof name !== "string" || (value !== undefined && (object === undefined || object.number === 0))) {
      throw new ManagerError("InvalidArguments", "Cannot publish the value: it must be an object of this manager");
    }
    const before = this.#published.get(name);
    this.#published.delete(name);
    if (object !== undefined) {
      object.holds++;
      this.#published.set(name, object);
    }
    if (before !== undefined) this.release(before);
  }

  /** Finds an object by its name. */
  published(name: string): ManagedObject | undefined {
    return this.#published.get(name);
  }

  /** The objects, for diagnosis. */
  list(): ReadonlyArray<unknown> {
    return Array.from(this.#byNumber.values(), ({ holds, number, type }) => ({ object: number, type, holds }));
  }

  get statistics() {
    const types: Record<string, number> = {};
    let holds = 0;
    for (const object of this.#byNumber.values()) {
      types[object.type] = (types[object.type] ?? 0) + 1;
      holds += object.holds;
    }
    return { objects: this.#byNumber.size, types, holds, made: this.#made };
  }

  /** Frees all objects, and waits for it. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    for (const stop of this.#leases) stop();
    const objects = [...this.#byNumber.values()];
    this.#byNumber.clear();
    return Effect.forEach(objects, ({ close }) => close(), { discard: true });
  });
}

const queueNumber = (queue: QueueClient<unknown>): number => queue[HandleId].encode().object;
