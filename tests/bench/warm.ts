/**
 * A backend with one standby child that reports when it is warm, so that a row measures taking over a child, not
 * waiting for one.
 */

import * as Effect from "effect/Effect";
import * as Queue from "effect/Queue";
import type { Backend } from "../../src/Backend.ts";
import { standby } from "../../src/internal/child/backends/standby.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";

/**
 * The backend, and an Effect that waits until its next child is warm and returns the pid of that child. Run it once for
 * each child that is taken over.
 */
export interface Warm {
  readonly backend: Backend;
  readonly spare: Effect.Effect<number>;
}

/** Does the same as `SubprocessBackend` with its option `standby`. */
export const withWarm = <A>(use: (warm: Warm) => Promise<A>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const cold = yield* SubprocessBackend.make();
    const warm = yield* Queue.unbounded<number>();
    const observed: Backend = {
      ...cold,
      spawn: (command) =>
        Effect.tap(
          cold.spawn(command),
          (child) =>
            command.preload === true
              ? Effect.forkDaemon(Effect.zipRight(child.ready, Queue.offer(warm, child.pid)))
              : Effect.void,
        ),
    };
    const backend = yield* standby(observed, { size: 1, modules: [] });
    // `standby` learns of it some turns later.
    const spare = Effect.zipLeft(Queue.take(warm), Effect.sleep("2 millis"));
    return yield* Effect.promise(() => use({ backend, spare }));
  })));
