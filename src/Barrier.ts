/**
 * A barrier: no party goes on until a given number of parties have arrived.
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
 * - In each round `parties` parties arrive, and go on together. Later arrivals wait for the next round.
 * - A party that stops waiting, by an interruption or a timeout, breaks the barrier: current waiters and later arrivals
 *   fail with `BrokenBarrier`, until `reset`.
 * - A party that is killed while it waits, or while it runs the action, breaks the barrier within a second. The death of a
 *   party that has not arrived yet goes unnoticed: put a time limit around `wait`.
 *
 * The documentation of `Lock` describes the guarantees of all objects of this kind, and the two ways in which processes use
 * them, by memory and by messages.
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
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Carrier, CarrierOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { BrokenBarrier, type BrokenReason, SyncError, type SyncFailure } from "./internal/sync/errors.ts";

export { BrokenBarrier, SyncError, Unreachable };
export type { BrokenReason, Carrier, SyncFailure, Unsupported };

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
 * The state of a barrier at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of parties in each round. */
  readonly parties: number;
  /** Parties that have arrived and wait, in all processes. Python's `n_waiting`. */
  readonly waiting: number;
  /** Waiting fibers of this process. */
  readonly waitingHere: number;
  /** Why the barrier is broken, if it is. */
  readonly broken: Option.Option<BrokenReason>;
}

/**
 * A barrier. It can be sent to any process; each copy refers to the same barrier.
 *
 * - In each round `parties` fibers arrive, and go on together. Later arrivals wait for the next round.
 * - A party that stops waiting, by an interruption or a timeout, breaks the barrier: current waiters and later arrivals fail
 *   with `BrokenBarrier`, until `reset`.
 * - A party that is killed while it waits, or while it runs the action, breaks it within a second as well.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier extends Pipeable {
  /** Marks a barrier. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the object. */
  readonly carrier: Carrier;
  /** Number of parties in each round. */
  readonly parties: number;
  /**
   * Arrives, waits for the other parties, and returns the position of this party in the round: 0 for the first, `parties - 1` for the
   * last. *Interruption:* breaks the barrier, unless the round is complete.
   */
  readonly wait: Effect.Effect<number, BrokenBarrier | SyncFailure>;
  /**
   * Like `wait`, with an action that the last party runs before any party goes on. If the action fails, that party fails with its error,
   * and the barrier is broken. Python's `action`. *Interruption:* as for `wait`; the action is interrupted.
   */
  readonly waitWith: <A, E, R>(
    action: Effect.Effect<A, E, R>,
  ) => Effect.Effect<number, E | BrokenBarrier | SyncFailure, R>;
  /** Breaks the barrier. Does nothing if it is broken. */
  readonly abort: Effect.Effect<void, SyncFailure>;
  /** Starts a new round, also if the barrier is broken. Current waiters fail with `BrokenBarrier`. */
  readonly reset: Effect.Effect<void, SyncFailure>;
  /** Parties that have arrived and wait. Python's `n_waiting`. */
  readonly waiting: Effect.Effect<number, SyncFailure>;
  /** Why the barrier is broken, if it is. */
  readonly broken: Effect.Effect<Option.Option<BrokenReason>, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * Options of a barrier.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CarrierOptions {
  /** Number of parties: 1 or more. */
  readonly parties: number;
}

/**
 * Makes a barrier.
 *
 * Fails with the `SyncError` `InvalidArgument` if `parties` is not an integer in range, and otherwise as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
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
export const make = (options: Options): Effect.Effect<Barrier, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a barrier.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBarrier = (value: unknown): value is Barrier =>
  typeof value === "object" && value !== null && TypeId in value;
