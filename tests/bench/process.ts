/** The rows of one process, against `multiprocessing.Process`, and pools of one that are opened for a task and closed. */

import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, packages, python, pythonRow, sampled, scripted, timed } from "./harness.ts";
import { nothing } from "./tasks.ts";

bench({
  name: "process.start.cold",
  unit: "ms",
  better: "lower",
  bound: "Deno's start, two fifths; loading the modules of the link in the child, a third",
  run: () =>
    sampled(() => timed(() => Effect.runPromise(Process.run(nothing).pipe(Effect.provide(SubprocessBackend.layer()))))),
  peers: { python, ...packages("process.start.cold", "tinypool", "workerpool") },
});

bench({
  name: "process.start.script",
  unit: "ms",
  better: "lower",
  bound: "loading Effect in the child, two thirds",
  run: () => sampled(() => scripted("script.ts", "process")),
  peers: { python },
});

bench({
  name: "process.start.cold.worker",
  unit: "ms",
  better: "lower",
  bound: "Deno's start of a worker, a third; loading the link in it",
  run: () =>
    sampled(() => timed(() => Effect.runPromise(Process.run(nothing).pipe(Effect.provide(WorkerBackend.layer()))))),
  peers: {
    python: pythonRow("process.start.cold"),
    ...packages("process.start.cold", "poolifier", "comlink", "effect"),
  },
});

bench({
  name: "process.start.standby",
  unit: "ms",
  better: "lower",
  bound: "the end of the child, a half: Deno's exit takes 1.5 ms; the first request to it, a quarter",
  run: () => scripted("standby.ts"),
  peers: { python },
});
