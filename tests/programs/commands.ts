/**
 * Runs commands until it is killed: a plain command, a chain, and a command that has started another.
 *
 * @module
 */
import * as Command from "@effect/platform/Command";
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { runMain } from "../../src/Main.ts";
import { layer } from "../../src/CommandExecutor.ts";

const sleep = Command.make("sleep", "70");

if (import.meta.main) {
  runMain(
    Effect.gen(function* () {
      const plain = yield* Command.start(sleep);
      const chain = yield* Command.start(Command.pipeTo(sleep, sleep));
      const busy = yield* Command.start(Command.make("sh", "-c", "trap '' TERM; echo $$; while :; do :; done"));
      const starter = yield* Command.start(Command.make("sh", "-c", "sleep 71 & echo $!; wait"));
      const lines = yield* Effect.forEach(
        [busy, starter],
        ({ stdout }) => Effect.flatMap(Stream.runHead(Stream.splitLines(Stream.decodeText(stdout))), (line) => line),
      );
      console.log("running", plain.pid, chain.pid, starter.pid, ...lines);
      return yield* Effect.never;
    }).pipe(Effect.scoped, Effect.provide(layer())),
  );
}
