/**
 * A condition: waiting, with a lock, until another process announces a change.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const increment = Mp.Task.make(
 *   import.meta,
 *   "increment",
 *   (condition: Mp.Condition.Condition, count: Mp.Value.Of<"u32">) =>
 *     condition.withLock(Effect.zipRight(count.add(1), condition.notify())),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const condition = yield* Mp.Condition.make();
 *   const count = yield* Mp.Value.make("u32");
 *   const child = yield* Mp.Process.spawn(increment, condition, count);
 *   yield* condition.withLock(condition.waitFor(Effect.map(count.get, (n) => n > 0)));
 *   console.log(yield* count.get);
 *   yield* child.join;
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 1
 * ```
 *
 * - `wait`, `waitFor` and `notify` need the lock of the condition; without it they fail with the `SyncError`
 *   `NotOwner`.
 * - A wait releases all holds of the lock. It has taken the lock again when it ends, however it ends.
 * - A notification goes to one waiting fiber. If that fiber is interrupted, or its process dies, before it has received
 *   the notification, the notification goes to another fiber.
 * - `notify` does not wait.
 *
 * The documentation of `Lock` describes the guarantees of all objects of this kind, and the two ways in which processes use
 * them, by memory and by messages.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Condition(lock)` | `Condition.make({ lock })`; without one, with an `RLock` of its own, as there |
 * | `wait()`, `wait(1)`, `wait_for(predicate)` | `condition.wait`, `condition.waitWithin("1 second")`, `condition.waitFor(predicate)` |
 * | `notify(n)`, `notify_all()` | `condition.notify(n)`, `condition.notifyAll`, which return the number of notified fibers |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type * as Lock from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { RLock } from "./RLock.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";

export { SyncError, Unreachable };
export type { SyncFailure, Unsupported };

const implementation = lazily(() => import("./internal/sync/condition.ts"));

/**
 * Marks conditions.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Condition" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * The state of a condition at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Waiting fibers that were not notified, in all processes. */
  readonly waiting: number;
  /** Waiting fibers of this process. */
  readonly waitingHere: number;
}

/**
 * A condition. It can be sent to any process; each copy refers to the same condition, with the same lock.
 *
 * - `wait`, `waitFor` and `notify` need its lock; without it they fail with the `SyncError` `NotOwner`.
 * - A wait releases all holds of the lock, and has taken them again when it ends, however it ends.
 * - A notification goes to one waiting fiber. If that fiber is interrupted, or its process dies, before it has received the notification,
 *   the notification goes to another fiber.
 * - `notify` does not wait.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`; a wait that fails so has not taken the lock again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition extends Pipeable {
  /** Marks a condition. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the object. */
  readonly carrier: Lock.Carrier;
  /** The lock of the condition. */
  readonly lock: Lock.Lock | RLock;
  /** Runs an effect while holding the lock. *Interruption:* interrupts the effect; the lock is released however the effect ends. */
  readonly withLock: Lock.Lock["withLock"];
  /**
   * Releases the lock, waits for a notification, and takes the lock again. *Interruption:* takes the lock again first, and passes on a
   * notification that it has received.
   */
  readonly wait: Effect.Effect<void, SyncFailure>;
  /** Like `wait`, for at most this time. Returns false if the time is over. *Interruption:* as for `wait`. */
  readonly waitWithin: (duration: Duration.DurationInput) => Effect.Effect<boolean, SyncFailure>;
  /** Waits until a predicate holds. Evaluates it at once and after each notification, with the lock. *Interruption:* as for `wait`. */
  readonly waitFor: <E = never, R = never>(
    predicate: Effect.Effect<boolean, E, R> | (() => boolean),
  ) => Effect.Effect<void, E | SyncFailure, R>;
  /** Notifies `count` waiting fibers, one by default. Returns the number of notified fibers. */
  readonly notify: (count?: number) => Effect.Effect<number, SyncFailure>;
  /** Notifies all waiting fibers. Returns their number. */
  readonly notifyAll: Effect.Effect<number, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * Options of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Lock.CarrierOptions {
  /**
   * The lock to use, which may serve other purposes as well. A wait releases all holds of an `RLock`.
   *
   * @default an `RLock` of its own
   */
  readonly lock?: Lock.Lock | RLock | undefined;
}

/**
 * Makes a condition. Fails as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Fiber } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const condition = yield* Mp.Condition.make();
 *   const things: Array<string> = [];
 *   const consumer = yield* Effect.fork(condition.withLock(
 *     Effect.map(condition.waitFor(() => things.length > 0), () => things.shift()),
 *   ));
 *   yield* condition.withLock(Effect.suspend(() => {
 *     things.push("a thing");
 *     return condition.notify();
 *   }));
 *   console.log(yield* Fiber.join(consumer)); // a thing
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Condition, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a condition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCondition = (value: unknown): value is Condition =>
  typeof value === "object" && value !== null && TypeId in value;
