/** Runs a task that writes, on workers, which share the standard streams of this program. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../api/output_tasks.ts";

const [name, where, size] = Deno.args;

if (import.meta.main) {
  const task = Tasks[name as keyof typeof Tasks];
  const run = Process.run(task, where as "stdout" | "stderr", Number(size));
  runMain(Effect.provide(Effect.ignore(run), WorkerBackend.layer()));
}
