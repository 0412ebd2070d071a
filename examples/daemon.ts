/** A daemon, which ends with its scope, and a join with a time limit: `deno task example:daemon`. */
import { Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Deferred, Effect, Stream } from "effect";

/** Pulls from a stream to report that it has started, then serves for ever. */
const serve = Task.make(import.meta, "serve", (up: Stream.Stream<unknown>) =>
  Stream.runDrain(up).pipe(
    Effect.zipRight(Effect.never),
    Effect.onInterrupt(() => Console.log("the daemon tidies up")),
  ));

/** Waits until the stream ends. */
const work = Task.make(import.meta, "work", (gate: Stream.Stream<unknown>) => Stream.runDrain(gate));

const program = Effect.gen(function* () {
  const up = yield* Deferred.make<void>();
  const gate = yield* Deferred.make<void>();

  yield* Effect.scoped(Effect.gen(function* () {
    yield* Process.spawnWith(serve, [Stream.fromEffect(Deferred.succeed(up, undefined))], { daemon: true });
    const worker = yield* Process.spawn(work, Stream.fromEffect(Deferred.await(gate)));
    yield* Deferred.await(up);

    // A time limit ends the waiting, not the process.
    const late = yield* Effect.flip(Effect.timeout(worker.join, "50 millis"));
    yield* Console.log(`joining ${worker.name}: ${late._tag}, and it is alive: ${yield* worker.isAlive}`);

    yield* Deferred.succeed(gate, undefined);
    yield* Console.log("the scope closes");
  })); // with success: the worker is joined, the daemon ended

  yield* Console.log(`children left: ${(yield* Process.activeChildren).length}`);
}).pipe(Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
