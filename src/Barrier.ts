/**
 * A meeting point, in shared memory: no party goes on until a given number of parties have come.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const barrier = yield* Mp.Barrier.make({ parties: 3 });
 *   const party = barrier.waitWith(Effect.sync(() => console.log("all are here")));
 *   const places = yield* Effect.all([party, party, party], { concurrency: "unbounded" });
 *   console.log(places.toSorted());
 *
 *   yield* barrier.abort;
 *   console.log((yield* Effect.flip(barrier.wait))._tag);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * all are here
 * [ 0, 1, 2 ]
 * BrokenBarrier
 * ```
 *
 * - In each round `parties` parties come, and go on together. Later arrivals wait for the next round.
 * - A party that stops waiting, by an interruption or a timeout, breaks the barrier: current waiters and later arrivals
 *   fail with `BrokenBarrier`, until `reset`.
 * - A party that is killed while it waits, or while it runs the action, breaks the barrier within a second. No process
 *   knows of a party that dies before it comes: put a time limit around `wait`.
 *
 * The documentation of `Lock` says what holds for all objects of this kind. The memory is shared with subprocesses over
 * FFI, on Linux: with `--allow-ffi`, here and in the child, which has it if this program has all of it. Without it, and
 * on other systems, the object is shared among workers, and a subprocess that is given it fails with `Unsupported`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Barrier(n, action)`, `wait()` | `Barrier.make({ parties: n })`, `barrier.wait`, `barrier.waitWith(action)` |
 * | `abort`, `reset`, `broken`, `n_waiting` | `barrier.abort`, `barrier.reset`, `barrier.broken`, `barrier.waiting` |
 * | `BrokenBarrierError` | `BrokenBarrier` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import { BrokenBarrier, type BrokenReason, SyncError } from "./internal/sync/errors.ts";
import type { Failure } from "./internal/sync/object.ts";

export { BrokenBarrier, SyncError, Unreachable };
export type { BrokenReason, Failure, Unsupported };

const implementation = lazily(() => import("./internal/sync/barrier.ts"));

/**
 * Marks barriers.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Barrier" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * What is known of a barrier at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of parties. */
  readonly parties: number;
  /** Parties that have come and wait, in all processes. Python's `n_waiting`. */
  readonly waiting: number;
  /** Fibers of this process that wait. */
  readonly waitingHere: number;
  /** Why it is broken, if it is. */
  readonly broken: Option.Option<BrokenReason>;
}

/**
 * A barrier. It can be sent to any process that can see the memory; each copy denotes the same barrier.
 *
 * - In each round as many fibers as there are parties come, and go on together. Later arrivals wait for the next round.
 * - A party that stops waiting, by an interruption or a timeout, breaks the barrier: current waiters and later arrivals fail
 *   with `BrokenBarrier`, until `reset`.
 * - A party that is killed while it waits, or while it runs the action, breaks it within a second as well.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier {
  /** Marks it as a barrier. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** Number of parties. */
  readonly parties: number;
  /**
   * Comes, waits for the others, and gives this party's place in the round: 0 for the first, `parties - 1` for the last.
   * *Interruption:* breaks the barrier, unless the round is complete.
   */
  readonly wait: Effect.Effect<number, BrokenBarrier | Failure>;
  /**
   * The same with an action, which the last party runs before any goes on. When it fails, that party fails with it, and the barrier
   * is broken. Python's `action`. *Interruption:* as with `wait`; the action is interrupted.
   */
  readonly waitWith: <A, E, R>(action: Effect.Effect<A, E, R>) => Effect.Effect<number, E | BrokenBarrier | Failure, R>;
  /** Breaks it. Nothing happens if it is broken. */
  readonly abort: Effect.Effect<void, Failure>;
  /** Starts a new round, also if it is broken. Current waiters fail with `BrokenBarrier`. */
  readonly reset: Effect.Effect<void, Failure>;
  /** Parties that have come and wait. Python's `n_waiting`. */
  readonly waiting: Effect.Effect<number, Failure>;
  /** Why it is broken, if it is. */
  readonly broken: Effect.Effect<Option.Option<BrokenReason>, Failure>;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
}

/**
 * Options of a barrier.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Number of parties: 1 or more. */
  readonly parties: number;
}

/**
 * Makes a barrier.
 *
 * Fails with the `SyncError` `InvalidArgument` if `parties` is not an integer in range, and otherwise as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const barrier = yield* Mp.Barrier.make({ parties: 3 });
 *   const party = barrier.waitWith(Effect.sync(() => console.log("all are here")));
 *   const places = yield* Effect.all([party, party, party], { concurrency: "unbounded" });
 *   console.log(places.toSorted()); // [0, 1, 2]
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Barrier, Failure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a barrier.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBarrier = (value: unknown): value is Barrier =>
  typeof value === "object" && value !== null && TypeId in value;
