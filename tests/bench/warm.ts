/** A backend with one standby child that says when it is warm: what is measured is taking over, not waiting for somebody to be taken over. */

import * as Effect from "effect/Effect";
import * as Queue from "effect/Queue";
import type { Backend } from "../../src/Backend.ts";
import { standby } from "../../src/internal/child/standby.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";

/** The backend, and what waits until its next child is warm and gives that one's process id; to be used once for each that is taken. */
export interface Warm {
  readonly backend: Backend;
  readonly spare: Effect.Effect<number>;
}

/** Does what `SubprocessBackend` does with its option `standby`. */
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
    // `standby` has heard of it some turns later.
    const spare = Effect.zipLeft(Queue.take(warm), Effect.sleep("2 millis"));
    return yield* Effect.promise(() => use({ backend, spare }));
  })));
