/**
 * Workers of `@effect/platform` as processes: the side that works.
 *
 * @module
 */
import type { WorkerError } from "@effect/platform/WorkerError";
import * as WorkerRunner from "@effect/platform/WorkerRunner";
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as FiberSet from "effect/FiberSet";
import type * as Scope from "effect/Scope";
import { detach, type Port } from "./transfer.ts";

/** A worker has one client, the process that has started it. */
const CLIENT = 0;

/** Errors of a connection whose other end was closed: this process is about to end. */
const gone = new Set(["BrokenPipe", "Unreachable", "PipeError"]);

/** The runner of this process. */
export const makeRunner = (port: Port): WorkerRunner.PlatformRunner => {
  // The runner reports the defect of a message that cannot be encoded.
  const send = (message: unknown): Effect.Effect<void> =>
    Effect.catchAll(port.send(message), (error) => gone.has(error._tag) ? Effect.void : Effect.die(error));
  const run = <I, A, E, R>(
    closeLatch: Deferred.Deferred<void, WorkerError>,
    handler: (portId: number, message: I) => Effect.Effect<A, E, R> | void,
  ): Effect.Effect<void, never, R | Scope.Scope> =>
    Effect.gen(function* () {
      const handlers = yield* FiberSet.make<unknown, E>();
      const fork = yield* FiberSet.runtime(handlers)<R>();
      const receive = Effect.forever(Effect.map(port.recv, (message) => {
        const effect = handler(CLIENT, message as I);
        if (Effect.isEffect(effect)) fork(effect);
      }));
      yield* Effect.raceFirst(receive, FiberSet.join(handlers)).pipe(
        Effect.catchAllCause((cause) => {
          const error = Cause.failureOption(cause);
          return error._tag === "Some" && (error.value as { readonly _tag?: unknown } | null)?._tag === "EndOfFile"
            ? Deferred.succeed(closeLatch, undefined)
            : Deferred.failCause(closeLatch, cause as Cause.Cause<WorkerError>);
        }),
        Effect.interruptible,
        Effect.forkScoped,
      );
      yield* send([0]);
    });
  return {
    [WorkerRunner.PlatformRunnerTypeId]: WorkerRunner.PlatformRunnerTypeId,
    start: <I, O>(closeLatch: Deferred.Deferred<void, WorkerError>) =>
      Effect.succeed<WorkerRunner.BackingRunner<I, O>>({
        run: (handler) => run(closeLatch, handler),
        send: (_client, message, transfers = []) =>
          Effect.zipRight(send([1, message]), Effect.sync(() => detach(transfers))),
      }),
  };
};
