/**
 * Locks, semaphores and other objects of that kind at a server: the objects of `Lock`, `Semaphore` and so on, which this process uses
 * by messages, and which are proxies as well.
 *
 * @module
 */
import type { Lock } from "../../../Lock.ts";
import type { RLock } from "../../../RLock.ts";
import { BarrierClient } from "../../sync/barrier.ts";
import { ConditionClient } from "../../sync/condition.ts";
import { BarrierSession } from "../../sync/messages/barrier.ts";
import { ConditionSession } from "../../sync/messages/condition.ts";
import { EventMessages } from "../../sync/messages/event.ts";
import { LockMessages } from "../../sync/messages/lock.ts";
import { RLockSession } from "../../sync/messages/rlock.ts";
import { SemaphoreMessages } from "../../sync/messages/semaphore.ts";
import type { Descriptor } from "../../sync/object.ts";
import type { SemaphoreShape } from "../../sync/protocol/semaphore.ts";
import { RLockClient } from "../../sync/rlock.ts";
import type { ObjectRef } from "../calls.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/** Data of the handle of a condition: the number of its lock at the server, and whether the lock is recursive. */
export interface ConditionShape {
  readonly lock: number;
  readonly recursive: boolean;
}

/** Data of the handle of a barrier. */
export interface BarrierShape {
  readonly parties: number;
}

/** Data of a handle that depends on the type of the object. */
export type SyncShape = ConditionShape | BarrierShape | SemaphoreShape;

/** The reference to an object, and the data of its handle that depends on its type. */
interface SyncRef extends ObjectRef {
  readonly shape?: unknown;
}

const { constructor: _, ...inherited } = Object.getOwnPropertyDescriptors(Remote.prototype);

/** Makes a proxy of an object. */
const asProxy = <A extends object>(object: A, ref: ObjectRef): A & Proxy =>
  Object.defineProperties(object, { ...inherited, [TypeId]: { value: ref } }) as A & Proxy;

const descriptorOf = ({ address, host, number, server }: ObjectRef): Descriptor => ({
  host,
  location: { address, object: server, number },
});

const demand = <S>({ shape, type }: SyncRef, key: keyof S): S => {
  if (typeof shape !== "object" || shape === null || !(key in shape)) {
    throw new TypeError(`the handle of a ${type} is malformed`);
  }
  return shape as S;
};

const lock = (ref: ObjectRef): Lock & Proxy => asProxy(new LockMessages(descriptorOf(ref)), ref);

const rlock = (ref: ObjectRef): RLock & Proxy => asProxy(new RLockClient(new RLockSession(descriptorOf(ref))), ref);

const semaphore = (ref: SyncRef): Proxy => {
  const { bound, reclaim } = demand<SemaphoreShape>(ref, "bound");
  return asProxy(new SemaphoreMessages({ ...descriptorOf(ref), bound, reclaim }), ref);
};

/** Makes the proxy of an object of these types. */
export const syncProxies: Readonly<Record<string, (ref: SyncRef) => Proxy>> = {
  Lock: lock,
  RLock: rlock,
  Semaphore: semaphore,
  BoundedSemaphore: semaphore,
  Condition: (ref) => {
    const { lock: number, recursive } = demand<ConditionShape>(ref, "recursive");
    const { shape: _, ...server } = ref;
    const guard = recursive ? rlock({ ...server, number, type: "RLock" }) : lock({ ...server, number, type: "Lock" });
    return asProxy(new ConditionClient(new ConditionSession({ ...descriptorOf(ref), lock: guard }), guard), ref);
  },
  Event: (ref) => asProxy(new EventMessages(descriptorOf(ref)), ref),
  Barrier: (ref) => {
    const { parties } = demand<BarrierShape>(ref, "parties");
    return asProxy(new BarrierClient(new BarrierSession({ ...descriptorOf(ref), parties }), parties), ref);
  },
};
