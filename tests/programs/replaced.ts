/**
 * Starts children while the executable of this program is replaced, and after it was removed. Prints the outcome.
 *
 * @module
 */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/tasks.ts";

const path = Deno.execPath();

const describe = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
  Effect.match(effect, { onFailure: (error) => `${error}`.split(":")[0], onSuccess: (value) => `${value}` });

const sum = describe(Process.run(Tasks.add, 1, 2).pipe(Effect.provide(SubprocessBackend.layer())));

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 1 });
  const inPool = describe(pool.apply(Tasks.add, 2, 3));
  const death = describe(pool.apply(Tasks.exitWith, 7));
  yield* Console.log(yield* sum, yield* inPool);
  yield* Effect.sync(() => Deno.removeSync(path));
  yield* Effect.sync(() => Deno.linkSync(`${path}.new`, path));
  yield* Console.log("replaced", yield* sum, yield* death, yield* inPool);
  yield* Effect.sync(() => Deno.removeSync(path));
  yield* Console.log("removed", yield* sum, yield* death, yield* inPool, yield* inPool);
  yield* Console.log(yield* Effect.flip(Pool.make({ size: 2 })));
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
