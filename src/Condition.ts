/**
 * Waiting, with a lock, until another process says that something has changed; in shared memory.
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
 * - A wait gives up the lock as a whole. It has taken the lock again when it ends, however it ends.
 * - A notification goes to one waiting fiber. If that fiber is interrupted, or its process dies, before it has heard
 *   the notification, the notification goes to another one.
 * - `notify` waits for nobody.
 *
 * The documentation of `Lock` says what holds for all objects of this kind. The memory is shared with subprocesses over
 * FFI, on Linux: with `--allow-ffi`, here and in the child, which has it if this program has all of it. Without it, and
 * on other systems, the object is shared among workers, and a subprocess that is given it fails with `Unsupported`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Condition(lock)` | `Condition.make({ lock })`; without one, with a `Lock` of its own |
 * | `wait()`, `wait(1)`, `wait_for(predicate)` | `condition.wait`, `condition.waitWithin("1 second")`, `condition.waitFor(predicate)` |
 * | `notify(n)`, `notify_all()` | `condition.notify(n)`, `condition.notifyAll`: how many were notified |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type * as Lock from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { RLock } from "./RLock.ts";
import { SyncError } from "./internal/sync/errors.ts";
import type { Failure } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Failure, Unsupported };

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
 * What is known of a condition at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Waiting fibers that were not notified, in all processes. */
  readonly waiting: number;
  /** Fibers of this process that wait. */
  readonly waitingHere: number;
}

/**
 * A condition. It can be sent to any process that can see the memory; each copy denotes the same condition, with the same lock.
 *
 * - `wait`, `waitFor` and `notify` need its lock; without it they fail with the `SyncError` `NotOwner`.
 * - A wait gives the lock up, as a whole, and has taken it again as it was when it ends, however it ends.
 * - A notification goes to one waiting fiber. If that fiber is interrupted, or its process dies, first, it goes to another one.
 * - `notify` waits for nobody.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`; a wait has then not taken the lock again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition {
  /** Marks it as a condition. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** Its lock. */
  readonly lock: Lock.Lock | RLock;
  /** Runs an effect while holding its lock. *Interruption:* gives it back, however the effect ends. */
  readonly withLock: Lock.Lock["withLock"];
  /**
   * Gives up the lock, waits for a notification, and takes the lock again. *Interruption:* takes the lock again first; a notification
   * that it had is passed on.
   */
  readonly wait: Effect.Effect<void, Failure>;
  /** The same within this time; whether it was notified. *Interruption:* as with `wait`. */
  readonly waitWithin: (duration: Duration.DurationInput) => Effect.Effect<boolean, Failure>;
  /** Waits until this holds: looks at once, and after each notification, with the lock. *Interruption:* as with `wait`. */
  readonly waitFor: <E = never, R = never>(
    predicate: Effect.Effect<boolean, E, R> | (() => boolean),
  ) => Effect.Effect<void, E | Failure, R>;
  /** Wakes `count` waiting fibers, one by default; gives how many it has woken. */
  readonly notify: (count?: number) => Effect.Effect<number, Failure>;
  /** Wakes all waiting fibers; gives how many they were. */
  readonly notifyAll: Effect.Effect<number, Failure>;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
}

/**
 * Options of a condition.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * The lock to use, which others may use as well. A wait gives up an `RLock` as a whole, with all holds that the fiber is in.
   *
   * @default a `Lock` of its own
   */
  readonly lock?: Lock.Lock | RLock | undefined;
}

/**
 * Makes a condition. Fails as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
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
export const make = (options: Options = {}): Effect.Effect<Condition, Failure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a condition.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCondition = (value: unknown): value is Condition =>
  typeof value === "object" && value !== null && TypeId in value;
