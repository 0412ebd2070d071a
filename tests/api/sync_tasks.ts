/**
 * A process that performs operations on shared objects on request, and processes that are killed while they use them.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Barrier from "../../src/Barrier.ts";
import * as Condition from "../../src/Condition.ts";
import * as Event from "../../src/Event.ts";
import * as Lock from "../../src/Lock.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as RLock from "../../src/RLock.ts";
import * as ReadWriteLock from "../../src/ReadWriteLock.ts";
import * as Semaphore from "../../src/Semaphore.ts";
import * as Task from "../../src/Task.ts";
import * as Value from "../../src/Value.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";

/** A request for an operation of an object, by name, such as `"write.take"`. */
export interface Order {
  readonly id: number;
  readonly object: unknown;
  readonly operation: string;
  readonly args: ReadonlyArray<unknown>;
  /** Whether the operation runs in its own fiber, which can be interrupted, or in the fiber that takes the requests. */
  readonly forked: boolean;
}

export interface Answer {
  readonly id: number;
  readonly outcome: Outcome;
}

export type Outcome =
  | { readonly _tag: "Success"; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly error: string }
  | { readonly _tag: "Interrupt" };

/** The tag of an error, and its reason if it has one. */
export const described = (error: unknown): string => {
  const { _tag, reason } = error as { readonly _tag?: string; readonly reason?: string };
  return _tag === undefined ? String(error) : reason === undefined ? _tag : `${_tag} ${reason}`;
};

/** The operation of an object. */
export const operation = (
  object: unknown,
  path: string,
  args: ReadonlyArray<unknown>,
): Effect.Effect<unknown, unknown> => {
  let self: unknown = undefined;
  let found = object as Record<string, unknown>;
  for (const name of path.split(".")) [self, found] = [found, found[name] as Record<string, unknown>];
  if (Effect.isEffect(found)) return found as unknown as Effect.Effect<unknown, unknown>;
  return Effect.suspend(() => {
    const result = Reflect.apply(found as unknown as () => unknown, self, args);
    return Effect.isEffect(result) ? result as Effect.Effect<unknown, unknown> : Effect.succeed(result);
  });
};

/** Performs the requested operations until it is ended. */
export const agent = Task.make(
  import.meta,
  "agent",
  (orders: Queue.Queue<Order>, answers: Queue.Queue<Answer>) => {
    const running = new Map<number, Fiber.RuntimeFiber<unknown, unknown>>();
    const run = ({ args, id, object, operation: name }: Order): Effect.Effect<unknown, unknown> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.exit(restore(operation(object, name, args))), (exit) => {
          const outcome: Outcome = exit._tag === "Success"
            ? { _tag: "Success", value: exit.value }
            : exit.cause._tag === "Fail"
            ? { _tag: "Failure", error: described(exit.cause.error) }
            : exit.cause._tag === "Die"
            ? { _tag: "Failure", error: String(exit.cause.defect) }
            : { _tag: "Interrupt" };
          return answers.put({ id, outcome });
        })
      );
    const take = Effect.flatMap(orders.get, (order) => {
      if (order.operation === "interrupt") {
        const fiber = running.get(order.args[0] as number);
        return fiber === undefined ? Effect.void : Effect.fork(Fiber.interrupt(fiber));
      }
      if (!order.forked) return run(order);
      return Effect.map(
        Effect.forkDaemon(Effect.interruptible(run(order))),
        (fiber) => void running.set(order.id, fiber),
      );
    });
    return Effect.forever(take);
  },
);

/** Makes objects, sends them away, and keeps them until it is told to end. */
export const maker = Task.make(
  import.meta,
  "maker",
  (made: Queue.Queue<unknown>, end: Event.Event, carrier: Lock.Carrier) =>
    Effect.scoped(Effect.gen(function* () {
      const lock = yield* Lock.make({ carrier });
      yield* made.put([
        lock,
        yield* RLock.make({ carrier }),
        yield* Semaphore.bounded({ permits: 2, carrier }),
        yield* Condition.make({ lock, carrier }),
        yield* Event.make({ carrier }),
        yield* Barrier.make({ parties: 2, carrier }),
        yield* ReadWriteLock.make({ carrier }),
      ]);
      yield* end.wait;
    })),
);

/** Increments the number in a file, each time under the lock. */
export const counts = Task.make(
  import.meta,
  "counts",
  (lock: Lock.Lock, path: string, times: number) =>
    Effect.repeatN(
      lock.withLock(Effect.sync(() => Deno.writeTextFileSync(path, `${Number(Deno.readTextFileSync(path)) + 1}`))),
      times - 1,
    ),
);

/** Arrives at the barrier `times` times, and returns its places. */
export const meets = Task.make(
  import.meta,
  "meets",
  (barrier: Barrier.Barrier, times: number) => Effect.replicateEffect(barrier.wait, times),
);

/** Waits with many fibers, and reports when all of them wait. */
export const crowd = Task.make(
  import.meta,
  "crowd",
  (event: Event.Event, count: number, ready: Event.Event) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>();
      const fibers: Array<Fiber.RuntimeFiber<void, unknown>> = [];
      for (let i = 0; i < count; i++) fibers.push(yield* Effect.fork(event.wait));
      while ((yield* event.statistics).waiting < count) yield* Effect.sleep("1 millis");
      yield* ready.set;
      yield* Deferred.succeed(gate, undefined);
      for (const fiber of fibers) yield* Fiber.join(fiber);
      return fibers.length;
    }),
);

/** Arrives at all barriers, again and again. */
export const meetsAll = Task.make(
  import.meta,
  "meetsAll",
  (barriers: ReadonlyArray<Barrier.Barrier>, begun: Event.Event) =>
    Effect.forEach(barriers, (barrier) => Effect.forever(Effect.zipRight(barrier.wait, begun.set)), {
      concurrency: "unbounded",
    }),
);

/** Adds one in two steps under the lock, `times` times. */
export const increments = Task.make(
  import.meta,
  "increments",
  (lock: Lock.Lock, value: Value.Value<number>, times: number) =>
    Effect.replicateEffect(
      lock.withLock(Effect.sync(() => void (value.raw.value = value.raw.value + 1))),
      times,
      { discard: true },
    ),
);

/** Uses a lock once. */
export const usesOnce = Task.make(import.meta, "usesOnce", (lock: Lock.Lock) => lock.tryTake);

/** Takes everything, reports so, and keeps it. */
export const hoards = Task.make(
  import.meta,
  "hoards",
  (lock: Lock.Lock, semaphore: Semaphore.Semaphore, begun: Event.Event) =>
    Effect.gen(function* () {
      yield* lock.take;
      yield* semaphore.take(2);
      yield* begun.set;
      return yield* Effect.never;
    }),
);

/** For a process without --allow-ffi: its workers share objects, and some are killed while they hold them. */
export const aloneWithWorkers = Task.make(import.meta, "aloneWithWorkers", (rounds: number) =>
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const semaphore = yield* Semaphore.make({ permits: 3 });
    const value = yield* Value.make("i32", 0);
    const children = yield* Effect.replicateEffect(Process.spawn(increments, lock, value, 300), 3);
    for (const child of children) yield* child.join;
    let abandoned = 0;
    for (let round = 0; round < rounds; round++) {
      const begun = yield* Event.make();
      const child = yield* Process.spawnWith(hoards, [lock, semaphore, begun], { daemon: true });
      yield* begun.wait;
      yield* child.kill;
      if ((yield* lock.take).abandoned) abandoned++;
      yield* lock.release;
      yield* semaphore.take(3);
      yield* semaphore.release(3);
    }
    const barrier = yield* Barrier.make({ parties: 2 });
    const other = yield* Process.spawn(meets, barrier, 50);
    yield* Effect.replicateEffect(barrier.wait, 50);
    yield* other.join;
    const ffi = (yield* Effect.promise(() => Deno.permissions.query({ name: "ffi" }))).state;
    return { count: yield* value.get, abandoned, ffi };
  }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())));
