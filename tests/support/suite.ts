/**
 * How the tests run a program: scoped, watched for leaks, and never for ever.
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
import { storming } from "./chance.ts";
import { noLeaks, type Watched } from "./leaks.ts";

// The doorbell is kept until the last arena of others has been collected: here, so that it is nobody's leak.
if (unsupported() === undefined) doorbell("memory").hold();

/** No test takes this long, on however busy a machine: one that does is one that hangs. */
const HANGS = "120 seconds";

/** Runs a program without a log, and fails if it hangs. */
const watched = <A, E>(name: string, program: Effect.Effect<A, E>): Promise<A> =>
  program.pipe(
    Effect.disconnect,
    Effect.timeoutFail({ duration: HANGS, onTimeout: () => new Error(`hangs: ${name}`) }),
    Effect.provide(Logger.remove(Logger.defaultLogger)),
    Effect.runPromise,
  );

/** Runs a program in a scope of its own, and fails if it hangs or leaves something behind. */
const runTest = <E>(
  name: string,
  program: Effect.Effect<unknown, E, Scope.Scope>,
  watch: Watched = "everything",
): Promise<void> => noLeaks(() => watched(name, Effect.scoped(program)), undefined, watch);

/** Registers a test that runs a program. */
export const test = <E>(name: string, program: Effect.Effect<unknown, E, Scope.Scope>): void =>
  Deno.test({ name, sanitizeOps: true, sanitizeResources: true, fn: () => runTest(name, program) });

/** One test of a group: its name, and what it runs. */
export type Step<R> = readonly [name: string, program: Effect.Effect<unknown, unknown, R>];

/**
 * Registers tests that share what `setup` makes, such as processes: steps of one test. Each step has a scope of its own, and
 * fails if it leaves a process or a thread behind; the group fails if it leaves anything behind.
 */
export const group = <R, E>(
  name: string,
  setup: Effect.Effect<Context.Context<Exclude<R, Scope.Scope>>, E, Scope.Scope>,
  steps: ReadonlyArray<Step<R>>,
): void => {
  // `deno test --filter` sees the names of groups only.
  const chosen = storming ? steps.filter(([title]) => title.includes("(storm)")) : steps;
  if (chosen.length === 0) return;
  Deno.test({
    name: storming ? `${name} (storm)` : name,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: (context) =>
      noLeaks(async () => {
        const scope = await Effect.runPromise(Scope.make());
        try {
          const shared = await watched(name, Scope.extend(setup, scope));
          for (const [title, program] of chosen) {
            // What is shared may use descriptors and operations of the runtime at any time: the group watches these.
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
 * The first process and the first worker of a program make Deno open descriptors that it keeps: done once before anything
 * is counted.
 */
export const warmUp = <E>(program: Effect.Effect<unknown, E, Scope.Scope>): Promise<unknown> =>
  Effect.runPromise(Effect.scoped(program));

/** Waits until something is so, asking again and again. */
export const when = <A, E, R>(ask: Effect.Effect<A, E, R>, holds: (value: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.repeat(Effect.zipLeft(ask, Effect.sleep("1 millis")), { until: holds });

/** A stream to give to a task, and the news that the task has run it. */
export const signal: Effect.Effect<{
  readonly stream: Stream.Stream<never>;
  /** Waits for the news. */
  readonly fired: Effect.Effect<void>;
  /** Whether it has come. */
  readonly seen: Effect.Effect<boolean>;
}> = Effect.map(Deferred.make<void>(), (deferred) => ({
  stream: Stream.execute(Deferred.succeed(deferred, undefined)),
  fired: Deferred.await(deferred),
  seen: Deferred.isDone(deferred),
}));

/** A stream to give to a task, which ends when this side says so. */
export const gateway: Effect.Effect<{
  readonly stream: Stream.Stream<never>;
  readonly open: Effect.Effect<void>;
}> = Effect.map(Deferred.make<void>(), (deferred) => ({
  stream: Stream.execute(Deferred.await(deferred)),
  open: Effect.asVoid(Deferred.succeed(deferred, undefined)),
}));

/** The path of an empty file that goes with the test. */
export const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempFileSync()),
  (path) => Effect.sync(() => Deno.removeSync(path)),
);
