/**
 * Threads that cannot be stopped: their callers continue, other workers take their slots, and the threads are counted.
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Logger from "effect/Logger";
import * as Backend from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { logging } from "../support/logs.ts";

const [first, second, third] = Deno.args;

const busy = (path: string) =>
  Effect.repeat(Effect.sleep("2 millis"), { until: () => Deno.readTextFileSync(path) !== "" });

/** Waits until `count` threads are stuck. */
const stuck = (count: number) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), WorkerBackend.quarantined), { until: (n) => n === count });

const program = logging((lines) =>
  Effect.gen(function* () {
    console.log(`before ${yield* WorkerBackend.quarantined}`);
    yield* Effect.scoped(Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis", timeout: "1 hour" });

      const interrupted = yield* Effect.fork(pool.apply(Tasks.spin, first));
      yield* busy(first);
      yield* Fiber.interrupt(interrupted);
      console.log(`interrupted ${yield* pool.apply(Tasks.echo, 1)}`);
      yield* stuck(1);

      const late = yield* Effect.fork(Effect.flip(
        Effect.flatMap(
          pool.submitWith(Tasks.spin, [second], { timeout: "20 millis" }),
          (submission) => submission.await,
        ),
      ));
      const error = yield* Fiber.join(late);
      console.log(`late ${(error as Pool.PoolError).reason} ${yield* pool.apply(Tasks.echo, 2)}`);
      const { alive, replaced, size } = yield* pool.statistics;
      console.log(`statistics ${alive} of ${size}, ${replaced} replaced`);
    }));

    yield* Effect.scoped(Effect.gen(function* () {
      const child = yield* Process.spawnWith(Tasks.spin, [third], { name: "spinner" });
      yield* busy(third);
      yield* child.terminate;
      console.log(`killed ${yield* child.exitCode} ${(yield* child.exit)._tag}`);
    }));
    // The second thread may have been stopped before it was busy.
    const begun = (): number => [first, second, third].filter((path) => Deno.readTextFileSync(path) !== "").length;
    const count = yield* Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), WorkerBackend.quarantined), {
      until: (count) => count === begun(),
    });
    console.log(`stuck ${count >= 2}`);
    const capped = Effect.flatMap(
      WorkerBackend.make({ maxQuarantined: count }),
      (backend) => Effect.provideService(Pool.make({ size: 1 }), Backend.Backend, backend),
    );
    const refusal = yield* Effect.flip(Effect.scoped(capped));
    console.log(`capped ${refusal._tag} ${(refusal as Backend.SpawnError).reason}`);
    const warnings = lines.filter((line) => line.startsWith("WARN") && line.includes("cannot be stopped"));
    console.log(`warnings ${warnings.length === count} ${warnings.some((line) => line.includes("spinner"))}`);
  })
).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)));

if (import.meta.main) runMain(Effect.provide(program, WorkerBackend.layer()));
