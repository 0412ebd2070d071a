/**
 * Uses shared objects until it is killed: `nats_shared_program.ts SERVERS MODE LEASE [FILE]`, with a lease in milliseconds.
 *
 * - `hold` takes the lock, and prints its fence; prints `lost` when the lease is lost.
 * - `count` adds lines to the file under the lock: the fence of the holder, and a number that is larger by one than that of the last line.
 */
import * as Effect from "effect/Effect";
import { runMain } from "../../mod.ts";
import * as NatsShared from "../../src/NatsShared.ts";

const say = (...words: ReadonlyArray<unknown>) => Effect.sync(() => console.log(...words));

if (import.meta.main) {
  const [servers, mode, lease, file] = Deno.args;
  const program = Effect.gen(function* () {
    const shared = yield* NatsShared.make({ servers, name: "faults" });
    const lock = yield* shared.lock("lock", { lease: Number(lease) });
    const gate = yield* shared.semaphore("gate", { permits: 2, lease: Number(lease) });
    if (mode === "hold") {
      yield* gate.take();
      const holding = lock.withLock(Effect.zipRight(say("held"), Effect.never)).pipe(
        Effect.onExit(() => say("interrupted")),
      );
      const { reason } = yield* Effect.flip(holding as Effect.Effect<never, NatsShared.SyncError>);
      yield* say("lost", reason);
      const { reason: released } = yield* Effect.flip(gate.release() as Effect.Effect<void, NatsShared.SyncError>);
      yield* say("permit", released);
      yield* Effect.never;
    }
    const add = Effect.gen(function* () {
      const { fence } = yield* lock.acquire;
      const last = Deno.readTextFileSync(file).split("\n").at(-2) ?? "0 0";
      Deno.writeTextFileSync(file, `${fence} ${Number(last.split(" ")[1]) + 1}\n`, { append: true });
    });
    yield* say("counting");
    yield* Effect.forever(Effect.scoped(add));
  });
  runMain(Effect.scoped(program));
}
