/**
 * An event: a flag that any process can set, clear and wait for.
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
 * `set` wakes all waiting fibers of all processes, and returns at once. The function `wait` of the library waits for an
 * event together with queues and processes.
 *
 * The documentation of `Lock` describes the guarantees of all objects of this kind, and the two ways in which processes use
 * them, by memory and by messages.
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
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Carrier, CarrierOptions } from "./Lock.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";

export { SyncError, Unreachable };
export type { Carrier, CarrierOptions, SyncFailure, Unsupported };

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
 * The state of an event at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Whether the event is set. */
  readonly isSet: boolean;
  /** Waiting fibers of this process. */
  readonly waiting: number;
  /** Waiting processes and workers. */
  readonly waitingProcesses: number;
}

/**
 * An event. It can be sent to any process; each copy refers to the same event.
 *
 * - `set` wakes all waiting fibers, even if the event is cleared at once.
 * - `set` returns at once: it does not wait for waiting fibers, nor for dead processes.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends Waitable, Pipeable {
  /** Marks an event. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the object. */
  readonly carrier: Carrier;
  /** Whether the event is set. */
  readonly isSet: Effect.Effect<boolean, SyncFailure>;
  /** Sets the event. Does nothing if it is set. */
  readonly set: Effect.Effect<void, SyncFailure>;
  /** Clears the event. Does nothing if it is not set. */
  readonly clear: Effect.Effect<void, SyncFailure>;
  /** Waits until the event is set, or was set since the wait began. *Interruption:* stops waiting. */
  readonly wait: Effect.Effect<void, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * An event that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryEvent extends Event {
  /** `isSet` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeIsSet: () => boolean;
  /** `set` as a plain function. Throws a {@link SyncFailure}. */
  readonly unsafeSet: () => void;
  /** `clear` as a plain function. Throws a {@link SyncFailure}. */
  readonly unsafeClear: () => void;
}

/**
 * Makes an event that is not set. Fails as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
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
export const make: {
  (options: CarrierOptions & { readonly carrier: "memory" }): Effect.Effect<MemoryEvent, SyncFailure, Scope.Scope>;
  (options?: CarrierOptions): Effect.Effect<Event, SyncFailure, Scope.Scope>;
} = (options?: CarrierOptions): Effect.Effect<MemoryEvent, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is an event.
 *
 * @since 0.1.0
 * @category guards
 */
export const isEvent = (value: unknown): value is Event =>
  typeof value === "object" && value !== null && TypeId in value;
