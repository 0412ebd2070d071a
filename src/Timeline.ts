/**
 * A record of what the workers of pools did when, as a picture for a browser, or as a trace for the developer tools of Chrome and for
 * Perfetto.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const wait = Mp.Task.make(import.meta, "wait", (millis: number) => Effect.as(Effect.sleep(millis), millis));
 *
 * const program = Effect.gen(function* () {
 *   const timeline = yield* Mp.Timeline.make();
 *   const pool = yield* Mp.Pool.make({ size: 2, timeline });
 *   yield* pool.map(wait, [30, 10, 10, 10], { chunkSize: 1 });
 *   const entries = yield* timeline.entries;
 *   console.log(entries.map(({ task }) => task));
 *   // Deno.writeTextFileSync("timeline.svg", yield* timeline.svg);
 *   // Deno.writeTextFileSync("trace.json", yield* timeline.chromeTrace);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ "wait", "wait", "wait", "wait" ]
 * ```
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Arguments from "./internal/os/arguments.ts";
import { lazily } from "./internal/os/lazy.ts";
import { PoolError } from "./internal/pool/errors.ts";

const implementation = lazily(() => import("./internal/pool/timeline.ts"));

/** Marks every timeline. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Timeline";
/** Type of the mark of every timeline. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Timeline";

/**
 * One attempt of a task, or of a chunk of items. Times are in milliseconds since the timeline was made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  /** Name of the worker. */
  readonly worker: string;
  /** Name of the task. */
  readonly task: string;
  /** When the worker took it up. */
  readonly start: number;
  /** When its answer arrived, or its worker died. */
  readonly end: number;
  /** Whether it failed. */
  readonly failed: boolean;
}

/**
 * The record of the pools that were made with it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timeline {
  /** Marks the value as a timeline. */
  readonly [TypeId]: TypeId;
  /** The latest entries, in the order of their ends. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>;
  /** Number of entries that were dropped, because there were more than `capacity`. */
  readonly dropped: Effect.Effect<number>;
  /** An SVG file with a row for each worker and a bar for each task, red if it failed. The pointer shows names and times. */
  readonly svg: Effect.Effect<string>;
  /** A JSON file for `chrome://tracing` and ui.perfetto.dev, with a thread for each worker. */
  readonly chromeTrace: Effect.Effect<string>;
}

/** Options of a timeline. @since 0.1.0 @category models */
export interface Options {
  /** Number of entries to keep. @default 100000 */
  readonly capacity?: number | undefined;
}

const checks: Arguments.Checks = { capacity: Arguments.optional(Arguments.positive) };

/**
 * Makes a timeline, to be given to pools as the option `timeline`. Fails with the `PoolError` `InvalidOption` if an option is invalid.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Timeline, PoolError> =>
  Effect.suspend((): Effect.Effect<Timeline, PoolError> => {
    const wrong = Arguments.wrongOptions(options, checks);
    return wrong === undefined
      ? implementation(({ Timeline }) => Effect.sync(() => new Timeline(options.capacity ?? 100_000)))
      : Effect.fail(new PoolError({ reason: "InvalidOption", message: Arguments.invalidOption("timeline", wrong) }));
  });
