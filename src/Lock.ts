/**
 * A lock that one process holds at a time, and the guide to all objects of this kind.
 *
 * `Lock`, `RLock`, `Semaphore`, `Condition`, `Event`, `Barrier` and `ReadWriteLock` live in memory of the process that makes
 * them, their host. Processes that can map this memory use them there, without a message; the host serves all other processes
 * by messages. Each object is made in a scope, and can be sent to any process at any time. When the scope closes, later uses
 * and current waits fail with `Unreachable`, in every process.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const work = Mp.Task.make(
 *   import.meta,
 *   "work",
 *   (start: Mp.Event.Event, lock: Mp.Lock.Lock, slots: Mp.Semaphore.Semaphore) =>
 *     Effect.gen(function* () {
 *       yield* start.wait;
 *       yield* slots.withPermits(Effect.sleep("10 millis")); // two at once
 *       yield* lock.withLock(Effect.sync(() => console.log("done"))); // one at a time
 *     }),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const start = yield* Mp.Event.make();
 *   const lock = yield* Mp.Lock.make();
 *   const slots = yield* Mp.Semaphore.make({ permits: 2 });
 *   const workers = yield* Effect.replicateEffect(Mp.Process.spawn(work, start, lock, slots), 3);
 *   yield* start.set;
 *   for (const worker of workers) yield* worker.join;
 *   console.log("available", yield* slots.available, "locked", yield* lock.isLocked);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * done
 * done
 * done
 * available 2 locked false
 * ```
 *
 * ## Memory and messages
 *
 * An object has two carriers. Each process uses the one that it can, and sees no other difference:
 *
 * - **Memory.** The workers of the host's program always use it. A subprocess uses it on Linux, if both programs have
 *   `--allow-ffi`; a child has that permission if its parent has it without a list of paths. An operation takes about a
 *   microsecond.
 * - **Messages.** All other subprocesses use them. An operation takes a message to the host and back, and needs the host:
 *   if the host ends, later uses and current waits fail with `Unreachable`.
 *
 * `object.carrier` says which one this process uses. The option `carrier` of each constructor insists: with `"messages"`,
 * no other process uses the memory; with `"memory"`, the use fails with `Unsupported` in a process that cannot map it. Only
 * an object that was made with `carrier: "memory"` has plain functions for hot loops, such as `unsafeTryTake`.
 *
 * Programs on several machines, without a common parent, share locks, semaphores and events of the same types by `NatsShared`.
 *
 * ## When a process dies
 *
 * - A lock whose holder is killed goes to the next process within a second. In the result of `take`, `abandoned` is then
 *   true, since the data that the lock protects may be half written. `withLock(effect, { onAbandoned: repair })` runs
 *   `repair` first.
 * - The permits of a dead process come back. Use `reclaim: false` for a semaphore by which one process signals work to
 *   another.
 * - A notification for a dead process goes to another waiting process. `set` and `notify` do not wait.
 * - A party that dies while it waits at a barrier breaks the barrier: the other parties fail with `BrokenBarrier`, with the
 *   reason `PartyDied`. The death of a party that has not arrived yet goes unnoticed: put a time limit around `wait`.
 * - The thread of a worker that was terminated runs to the end of its turn. Other processes go on after 300 ms at most. A
 *   worker whose event loop never turns can still write the data that the lock protected.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Schedule } from "effect";
 *
 * const hold = Mp.Task.make(import.meta, "hold", (lock: Mp.Lock.Lock) => Effect.zipRight(lock.take, Effect.never));
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.Lock.make();
 *   const child = yield* Mp.Process.spawn(hold, lock);
 *   yield* Effect.repeat(lock.isLocked, { until: (locked) => locked, schedule: Schedule.spaced("10 millis") });
 *   yield* child.kill;
 *   console.log(yield* lock.take);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * { abandoned: true }
 * ```
 *
 * ## Owners and turns
 *
 * - A `Lock` belongs to a process, and any fiber of that process may release it. An `RLock` belongs to the fiber that took
 *   it; the documentation of `RLock` says which fibers are inside.
 * - A release by a process that is not the owner, or a wait for a condition whose lock the caller does not hold, fails with
 *   a `SyncError` and changes nothing.
 * - Processes take turns, and the fibers of one process are served in order: no process and no fiber starves. A turn of a
 *   `Lock` or an `RLock` lasts 0.2 ms: until then, a process that has released the lock may take it again before a waiting
 *   process has woken up. Readers and writers go in phases.
 * - An interrupted `take` holds nothing, and neither does a `take` whose `Effect.timeout` is over. An interrupted `wait` of
 *   a condition takes the lock again before it ends, and passes on a notification that it has received.
 * - A wait never blocks the event loop, however many fibers wait. A process that takes a contended lock in a loop still
 *   serves its sockets and timers.
 * - By messages, a release waits until the host has it. If the release is interrupted, the lock is released all the same.
 *
 * `deno test -A tests/model/model_test.ts` runs the protocols in all orders of their steps, with a death before each step.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Lock()` | `Lock.make()` |
 * | `with lock` | `lock.withLock(effect)`, or `lock.acquire` in a scope |
 * | `acquire()`, `release()` | `lock.take`, `lock.release` |
 * | `acquire(timeout=1)` | `Effect.timeout(lock.take, "1 second")` |
 * | `acquire(block=False)` | `lock.tryTake`: whether it was taken |
 * | `locked()` (3.14), the owner in `repr` | `lock.isLocked`, `lock.owner`, `lock.statistics` |
 * | `ValueError`, asserts | `SyncError`, with a `reason` |
 * | (not possible) | sending a lock at any time; `abandoned`, after the death of a holder |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";
import type { Owner } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Owner, SyncFailure, Unsupported };

const implementation = lazily(() => import("./internal/sync/lock.ts"));

/**
 * Marks locks.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Lock" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * How a process uses an object: in memory that it shares with the object's host, or by messages to the host.
 *
 * @since 0.1.0
 * @category models
 */
export type Carrier = "memory" | "messages";

/**
 * Options of an object that can be used by memory and by messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface CarrierOptions {
  /**
   * `"memory"`: no process uses the object by messages. In a process that cannot map the memory, its use fails with `Unsupported`.
   * `"messages"`: all other processes use the object by messages. By default, each process uses memory if it can map it, and messages
   * otherwise.
   */
  readonly carrier?: Carrier | undefined;
}

/**
 * The result of taking a lock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Held {
  /**
   * Whether the last holder has died with the lock, so that the data that the lock protects may be half written. Only the next
   * holder learns of it (and the one after it, if that holder dies as well). It should inspect the data, and repair them or give up.
   */
  readonly abandoned: boolean;
}

/**
 * The state of a lock at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** The holder. Python shows it in the `repr` of a lock. */
  readonly owner: Option.Option<Owner>;
  /** Whether the present holder has the lock from a holder that died. */
  readonly abandoned: boolean;
  /** Waiting fibers of this process. */
  readonly waiting: number;
  /** Waiting processes and workers. */
  readonly waitingProcesses: number;
}

/**
 * Options of `withLock`.
 *
 * @since 0.1.0
 * @category models
 */
export interface WithOptions<E, R> {
  /** Runs first if the last holder has died with the lock, to repair data that may be half written. @default nothing */
  readonly onAbandoned?: Effect.Effect<unknown, E, R> | undefined;
}

/**
 * A lock. It can be sent to any process: as an argument or result of a task, in an item of a queue. Each copy refers to the same lock.
 *
 * - One process or worker holds it at a time, and any of its fibers may release it.
 * - When its holder is killed, the next process has it within a second, and learns of the death.
 * - Processes take turns, and the fibers of one process are served in order: none starves.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends Pipeable {
  /** Marks a lock. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the lock. */
  readonly carrier: Carrier;
  /** Takes the lock, waiting until it is free. *Interruption:* the lock is not taken. */
  readonly take: Effect.Effect<Held, SyncFailure>;
  /** Takes the lock if it is free now, or its holder is dead. Returns whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, SyncFailure>;
  /** Releases the lock. Fails with the `SyncError` `NotOwner` if this process does not hold it. */
  readonly release: Effect.Effect<void, SyncFailure>;
  /** Takes the lock until the scope closes. *Interruption:* of the wait: the lock is not taken. *Release:* releases the lock. */
  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope>;
  /** Runs an effect while holding the lock. *Interruption:* interrupts the effect; the lock is released however the effect ends. */
  readonly withLock: <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: WithOptions<E2, R2>,
  ) => Effect.Effect<A, E | NoInfer<E2> | SyncFailure, R | NoInfer<R2>>;
  /** Whether any process holds the lock. Python's `locked`. */
  readonly isLocked: Effect.Effect<boolean, SyncFailure>;
  /** Whether this process holds the lock. */
  readonly isMine: Effect.Effect<boolean, SyncFailure>;
  /** The process that holds the lock. */
  readonly owner: Effect.Effect<Option.Option<Owner>, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * A lock that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryLock extends Lock {
  /** `tryTake` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeTryTake: () => boolean;
  /** `release` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeRelease: () => void;
}

/**
 * Makes a lock.
 *
 * Fails with the `SyncError` `TooMany` if there is no memory for it, and with `InvalidArgument` if an option is not valid. With
 * `carrier: "memory"`, its use fails with `Unsupported` in a process that cannot map the memory: a subprocess without `--allow-ffi`,
 * or of a program without it, or on a system other than Linux.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const append = Mp.Task.make(
 *   import.meta,
 *   "append",
 *   (lock: Mp.Lock.Lock, path: string) =>
 *     lock.withLock(Effect.promise(() => Deno.writeTextFile(path, "one line\n", { append: true }))),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.Lock.make();
 *   const path = yield* Effect.promise(() => Deno.makeTempFile());
 *   yield* Effect.all([Mp.Process.run(append, lock, path), Mp.Process.run(append, lock, path)], { concurrency: 2 });
 *   console.log(Deno.readTextFileSync(path));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (options: CarrierOptions & { readonly carrier: "memory" }): Effect.Effect<MemoryLock, SyncFailure, Scope.Scope>;
  (options?: CarrierOptions): Effect.Effect<Lock, SyncFailure, Scope.Scope>;
} = (options?: CarrierOptions): Effect.Effect<MemoryLock, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a lock.
 *
 * @since 0.1.0
 * @category guards
 */
export const isLock = (value: unknown): value is Lock => typeof value === "object" && value !== null && TypeId in value;
