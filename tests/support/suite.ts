/**
 * Runs the program of a test in a scope, checks it for leaks, and limits its time.
 *
 * @module
 */
import type * as Context from "effect/Context";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Logger from "effect/Logger";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { unsupported } from "../../src/internal/os/linux.ts";
import { doorbell } from "../../src/internal/sync/protocol/doorbell.ts";
import { noLeaks, type Watched } from "./leaks.ts";
import { chosen, groupName, titled } from "./tier.ts";

// Holds the doorbell, because it otherwise lives until the last foreign arena is collected, and would count as a leak
// of some test.
if (unsupported() === undefined) doorbell("memory").hold();

/** Longer than any test takes on a busy machine: a test that exceeds it hangs. */
const HANGS = "120 seconds";

/** Runs a program without a log, and fails if it hangs. */
const watched = <A, E>(name: string, program: Effect.Effect<A, E>): Promise<A> =>
  program.pipe(
    Effect.disconnect,
    Effect.timeoutFail({ duration: HANGS, onTimeout: () => new Error(`hangs: ${name}`) }),
    Effect.provide(Logger.remove(Logger.defaultLogger)),
    Effect.runPromise,
  );

/** Runs a program in a new scope, and fails if it hangs or leaks. */
const runTest = <E>(
  name: string,
  program: Effect.Effect<unknown, E, Scope.Scope>,
  watch: Watched = "everything",
): Promise<void> => noLeaks(() => watched(name, Effect.scoped(program)), undefined, watch);

/** Registers a test that runs a program. */
export const test = <E>(name: string, program: Effect.Effect<unknown, E, Scope.Scope>): void => {
  const title = titled(name);
  if (!chosen(title)) return;
  Deno.test({ name: title, sanitizeOps: true, sanitizeResources: true, fn: () => runTest(title, program) });
};

/** One test of a group: its name and its program. */
export type Step<R> = readonly [name: string, program: Effect.Effect<unknown, unknown, R>];

/**
 * Registers tests as steps of one test that share the result of `setup`, such as processes. Each step has its own
 * scope, and fails if it leaks a process or a thread; the group fails if it leaks any resource.
 */
export const group = <R, E>(
  name: string,
  setup: Effect.Effect<Context.Context<Exclude<R, Scope.Scope>>, E, Scope.Scope>,
  steps: ReadonlyArray<Step<R>>,
): void => {
  const members = steps.flatMap(([title, program]) => {
    // Each step of a group with such a name repeats something.
    const full = titled(name.includes("(full)") ? `${title} (full)` : title);
    return chosen(full) ? [[full, program] as const] : [];
  });
  if (members.length === 0) return;
  Deno.test({
    name: groupName(name),
    sanitizeOps: true,
    sanitizeResources: true,
    fn: (context) =>
      noLeaks(async () => {
        const scope = await Effect.runPromise(Scope.make());
        try {
          const shared = await watched(name, Scope.extend(setup, scope));
          for (const [title, program] of members) {
            // Shared objects may use descriptors and operations of the runtime at any time. The group checks these.
            await context.step({
              name: title,
              sanitizeOps: false,
              sanitizeResources: false,
              fn: () =>
                runTest(
                  title,
                  Effect.provide(program, shared) as Effect.Effect<unknown, unknown, Scope.Scope>,
                  "processes",
                ),
            });
          }
        } finally {
          await watched(name, Scope.close(scope, Exit.void));
        }
      }),
  });
};

/**
 * Runs a program with the first process or worker before the first count, because Deno keeps the descriptors that it
 * opens for the first of each.
 */
export const warmUp = <E>(program: Effect.Effect<unknown, E, Scope.Scope>): Promise<unknown> =>
  Effect.runPromise(Effect.scoped(program));

/** Waits until a condition holds, by polling. */
export const when = <A, E, R>(ask: Effect.Effect<A, E, R>, holds: (value: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.flatMap(ask, (value) => holds(value) ? Effect.succeed(value) : Effect.delay(when(ask, holds), "1 millis"));

/** A stream for a task, and the signal that the task has run it. */
export const signal: Effect.Effect<{
  readonly stream: Stream.Stream<never>;
  /** Waits for the signal. */
  readonly fired: Effect.Effect<void>;
  /** Whether the signal has arrived. */
  readonly seen: Effect.Effect<boolean>;
}> = Effect.map(Deferred.make<void>(), (deferred) => ({
  stream: Stream.execute(Deferred.succeed(deferred, undefined)),
  fired: Deferred.await(deferred),
  seen: Deferred.isDone(deferred),
}));

/** A stream for a task, which ends when this side decides. */
export const gateway: Effect.Effect<{
  readonly stream: Stream.Stream<never>;
  readonly open: Effect.Effect<void>;
}> = Effect.map(Deferred.make<void>(), (deferred) => ({
  stream: Stream.execute(Deferred.await(deferred)),
  open: Effect.asVoid(Deferred.succeed(deferred, undefined)),
}));

/** The path of an empty file that the test removes at its end. */
export const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempFileSync()),
  (path) => Effect.sync(() => Deno.removeSync(path)),
);
