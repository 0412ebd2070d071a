/**
 * A flag that any process can set, and wait for, in shared memory.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const runner = Mp.Task.make(
 *   import.meta,
 *   "runner",
 *   (start: Mp.Event.Event) => Effect.zipRight(start.wait, Effect.sync(() => console.log("started"))),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const start = yield* Mp.Event.make();
 *   const child = yield* Mp.Process.spawn(runner, start);
 *   console.log("set:", yield* start.isSet);
 *   yield* start.set;
 *   yield* child.join;
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * set: false
 * started
 * ```
 *
 * `set` wakes all waiting fibers of all processes, and waits for none of them. `wait` of the library can wait for an
 * event together with queues and processes.
 *
 * The documentation of `Lock` says what holds for all objects of this kind. The memory is shared with subprocesses over
 * FFI, on Linux: with `--allow-ffi`, here and in the child, which has it if this program has all of it. Without it, and
 * on other systems, the object is shared among workers, and a subprocess that is given it fails with `Unsupported`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Event()`, `is_set`, `set`, `clear`, `wait` | `Event.make()`, `event.isSet`, `event.set`, `event.clear`, `event.wait` |
 * | `wait(timeout=1)` | `Effect.timeout(event.wait, "1 second")` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError } from "./internal/sync/errors.ts";
import type { Failure } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Failure, Unsupported };

const implementation = lazily(() => import("./internal/sync/event.ts"));

/**
 * Marks events.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Event" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * What is known of an event at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Whether it is set. */
  readonly isSet: boolean;
  /** Fibers of this process that wait. */
  readonly waiting: number;
  /** Processes and workers that wait. */
  readonly waitingProcesses: number;
}

/**
 * An event. It can be sent to any process that can see the memory; each copy denotes the same event.
 *
 * - `set` wakes all waiting fibers, also if the event is cleared at once.
 * - `set` returns at once: it does not wait for waiting fibers, nor for dead processes.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends Waitable {
  /** Marks it as an event. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** Whether it is set. */
  readonly isSet: Effect.Effect<boolean, Failure>;
  /** Sets it. Nothing happens if it is set. */
  readonly set: Effect.Effect<void, Failure>;
  /** Clears it. Nothing happens if it is not set. */
  readonly clear: Effect.Effect<void, Failure>;
  /** Waits until it is set, or was since. *Interruption:* stops waiting. */
  readonly wait: Effect.Effect<void, Failure>;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
  /** `isSet` as a plain function, for hot loops. Throws a {@link Failure}. */
  readonly unsafeIsSet: () => boolean;
  /** `set` as a plain function. Throws a {@link Failure}. */
  readonly unsafeSet: () => void;
  /** `clear` as a plain function. Throws a {@link Failure}. */
  readonly unsafeClear: () => void;
}

/**
 * Makes an event that is not set. Fails as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const wait = Mp.Task.make(import.meta, "wait", (event: Mp.Event.Event) => Effect.as(event.wait, "it is set"));
 *
 * const program = Effect.gen(function* () {
 *   const event = yield* Mp.Event.make();
 *   const child = yield* Mp.Process.spawn(wait, event);
 *   yield* event.set;
 *   console.log(yield* child.join);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Effect.Effect<Event, Failure, Scope.Scope> => implementation(({ make }) => make);

/**
 * Whether a value is an event.
 *
 * @since 0.1.0
 * @category guards
 */
export const isEvent = (value: unknown): value is Event =>
  typeof value === "object" && value !== null && TypeId in value;
