/**
 * Tasks that find handles in managed objects. This module imports no kind of object, so that the first handle has to
 * load it.
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as SharedArray from "../../src/Array.ts";
import type * as Barrier from "../../src/Barrier.ts";
import type * as Condition from "../../src/Condition.ts";
import type * as Event from "../../src/Event.ts";
import type * as Lock from "../../src/Lock.ts";
import type * as Manager from "../../src/Manager.ts";
import type * as Pipe from "../../src/Pipe.ts";
import type * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import type * as RLock from "../../src/RLock.ts";
import type * as ReadWriteLock from "../../src/ReadWriteLock.ts";
import type * as Semaphore from "../../src/Semaphore.ts";
import type * as ShareableList from "../../src/ShareableList.ts";
import type * as SharedMemory from "../../src/SharedMemory.ts";
import type * as Value from "../../src/Value.ts";
import * as Task from "../../src/Task.ts";

/** The operation of the finder on an object of each kind, and its report. */
export const uses: Readonly<
  Record<string, (found: never) => Effect.Effect<unknown, unknown, Scope.Scope>>
> = {
  queue: (found: Queue.Queue<string>) => found.put("used"),
  pipe: (found: Pipe.Connection<never, string>) => found.send("used"),
  process: (found: Process.Handle<unknown>) => Effect.map(found.isAlive, (alive) => `${found.name} ${alive}`),
  lock: (found: Lock.Lock) => found.withLock(Effect.map(found.isMine, String)),
  rlock: (found: RLock.RLock) => found.withLock(found.withLock(Effect.map(found.depth, String))),
  semaphore: (found: Semaphore.Semaphore) => found.withPermits(Effect.map(found.available, String), 2),
  condition: (found: Condition.Condition) => found.withLock(found.notifyAll),
  event: (found: Event.Event) => found.set,
  barrier: (found: Barrier.Barrier) => found.wait,
  readwritelock: (found: ReadWriteLock.ReadWriteLock) => found.write.withLock(Effect.succeed("written")),
  value: (found: Value.Numeric<number>) => found.add(5),
  array: (found: SharedArray.Numeric<number>) => found.add(1, 5),
  memory: (found: SharedMemory.SharedMemory) => Effect.map(found.attached, (bytes) => bytes[3] = 7),
  list: (found: ShareableList.ShareableList<string | number>) => found.set(0, "used"),
  struct: (found: Value.Struct<{ readonly x: "f64" }>) => found.set({ x: 5 }),
  bytes: (found: Value.Bytes) => found.set(new Uint8Array([5])),
  dict: (found: Manager.Dict<string, number>) => found.set("used", 1),
  managedLock: (found: Lock.Lock) => found.withLock(Effect.succeed("held")),
  managedQueue: (found: Queue.Queue<string>) => found.put("used"),
};

/** The way to read the object from each container. */
export const finds: Readonly<Record<string, (container: never) => Effect.Effect<unknown, unknown>>> = {
  dict: (dict: Manager.Dict<string, unknown>) => dict.get("it"),
  list: (list: Manager.List<unknown>) => list.pop(),
  namespace: (namespace: Manager.Namespace<{ it: unknown }>) => namespace.get("it"),
  queue: (queue: Queue.Queue<unknown>) => queue.get,
  value: (value: Manager.Value<unknown>) => value.get,
};

/** Finds an object in a container, nested in a value, and uses the object. */
export const finder = Task.make(
  import.meta,
  "finder",
  (where: string, container: unknown, kind: string) =>
    Effect.scoped(Effect.gen(function* () {
      const { deep: [found] } = (yield* finds[where](container as never)) as { readonly deep: ReadonlyArray<unknown> };
      const seen = yield* uses[kind](found as never);
      return seen === undefined ? "done" : String(seen);
    })),
);

/** Changes a value that contains handles. */
export const more = Task.make(
  import.meta,
  "more",
  ({ deep }: { readonly deep: ReadonlyArray<unknown> }) => ({ deep: [...deep, "more"] }),
);

/** The failure of the first use of an object from a queue, which comes too late. */
export const late = Task.make(
  import.meta,
  "late",
  (queue: Queue.Queue<unknown>, kind: string) => lateUse(queue.get, kind),
);

/** The failure of a use: its tag, and its reason if it has one. */
export const lateUse = (find: Effect.Effect<unknown, unknown>, kind: string): Effect.Effect<string, unknown> =>
  Effect.map(
    Effect.flip(Effect.scoped(Effect.flatMap(find, (found) => uses[kind](found as never)))),
    (error) => {
      const { _tag, reason } = error as { readonly _tag: string; readonly reason?: string };
      return reason === undefined ? _tag : `${_tag} ${reason}`;
    },
  );
