/** The rows of one process, against `multiprocessing.Process`. */

import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { bench, python, sampled, timed } from "./harness.ts";
import { nothing } from "./tasks.ts";

bench({
  name: "process.start.cold",
  unit: "ms",
  better: "lower",
  bound: "Deno's start, a third; loading node:net in the child, a third",
  run: () =>
    sampled(() => timed(() => Effect.runPromise(Process.run(nothing).pipe(Effect.provide(SubprocessBackend.layer()))))),
  peers: { python },
});
