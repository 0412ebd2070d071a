/**
 * A backend for tests: its children live in this process, and fail as a script says. With it, the tests of a program show what the program
 * does when workers die, hang, run out of memory or cannot be started, without processes, and in the same way each time.
 *
 * - Tasks run in this process, after their arguments, and before their results, were encoded and decoded as for any child.
 * - Time is that of the `Clock` of the fiber that makes the backend: with `TestContext` a test decides when a limit has passed, a
 *   delay is over, or a sleeping task goes on.
 * - Children share the modules and the memory of the program, so global state is not apart. A task that never yields blocks the test.
 *   `Process.current` describes the program, not the child.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as TestBackend from "@effect-deno/multiprocessing/TestBackend";
 * import { Effect, Schedule } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (n: number) => n * n, { idempotent: true });
 *
 * // Kills the first worker with its second task, and lets the next one run out of memory.
 * const faults = [
 *   { worker: 1, nth: 2, action: TestBackend.kill() },
 *   { worker: 2, nth: 1, action: TestBackend.outOfMemory },
 * ];
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 1, retry: Schedule.recurs(1) });
 *   console.log(yield* pool.map(square, [1, 2, 3], { chunkSize: 1 }));
 *   const { replaced, retried } = yield* pool.statistics;
 *   console.log({ replaced, retried });
 * }).pipe(Effect.scoped, Effect.provide(TestBackend.layer({ faults })));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * { replaced: 2, retried: 2 }
 * ```
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { Backend, type Signal } from "./Backend.ts";
import { lazily } from "./internal/os/lazy.ts";

const implementation = lazily(() => import("./internal/testing/backend.ts"));

/**
 * What happens to a child.
 *
 * @since 0.1.0
 * @category models
 */
export type Action =
  | { readonly _tag: "Kill"; readonly signal: Signal }
  | { readonly _tag: "Exit"; readonly code: number }
  | { readonly _tag: "Crash"; readonly message: string }
  | { readonly _tag: "OutOfMemory" }
  | { readonly _tag: "Delay"; readonly duration: Duration.DurationInput }
  | { readonly _tag: "Hang" };

/** The child is killed by a signal. @since 0.1.0 @category faults */
export const kill = (signal: Signal = "SIGKILL"): Action => ({ _tag: "Kill", signal });

/** The child exits with a code. @since 0.1.0 @category faults */
export const exit = (code: number): Action => ({ _tag: "Exit", code });

/** The child crashes with the message of an uncaught error. @since 0.1.0 @category faults */
export const crash = (message: string): Action => ({ _tag: "Crash", message });

/** The child runs out of memory: its `ProcessDied` has `outOfMemory`. @since 0.1.0 @category faults */
export const outOfMemory: Action = { _tag: "OutOfMemory" };

/** The child goes on after a time. @since 0.1.0 @category faults */
export const delay = (duration: Duration.DurationInput): Action => ({ _tag: "Delay", duration });

/** The child does not go on with the task, and cannot be interrupted there, only killed. @since 0.1.0 @category faults */
export const hang: Action = { _tag: "Hang" };

/**
 * A fault, and when it happens. A field that is left out matches everything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault {
  /** What happens. */
  readonly action: Action;
  /** The number of the child, from 1, in the order in which the backend has started them. */
  readonly worker?: number | undefined;
  /** Name of the task. */
  readonly task?: string | undefined;
  /** Which of the matching requests, from 1. A chunk is one request. @default each */
  readonly nth?: number | undefined;
  /** Whether it happens before the task runs, or when it has run and before its answer is sent. @default "received" */
  readonly when?: "received" | "answered" | undefined;
}

/** Options of the backend. @since 0.1.0 @category models */
export interface Options {
  /** The faults. Several may happen at one request, in their order. */
  readonly faults?: ReadonlyArray<Fault> | undefined;
  /** Numbers of the children, from 1, that cannot be started. */
  readonly unstartable?: ReadonlyArray<number> | undefined;
}

/**
 * Makes the backend, for programs that build their own layers.
 *
 * If an option is invalid, each start fails with the `SpawnError` `InvalidArgument`, which names the option.
 *
 * *Release:* nothing; each child ends with its own scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Backend, never, Scope.Scope> =>
  implementation(({ make }) => make(options));

/** Provides the backend. @since 0.1.0 @category layers */
export const layer = (options: Options = {}): Layer.Layer<Backend> => Layer.scoped(Backend, make(options));
