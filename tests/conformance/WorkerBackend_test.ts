import { Process, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import * as Effect from "effect/Effect";
import { conformance } from "./conformance.ts";
import { warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { repeated } from "../support/tier.ts";

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), WorkerBackend.layer()));

// Above the backend, workers run the code that subprocesses run. A quick run tries what depends on the backend.
repeated(() => conformance({ name: "worker", layer: WorkerBackend.layer, capabilities: Capabilities.worker }), [
  "a handler returns",
  "a Stream that is not read to its end",
  "a module that throws while it loads",
  "a layer is built once",
  "what a handler throws",
  "the end of a process is data",
  "Deno.exit in a task",
  "interrupt asks an Effect",
  "terminate lets the finalizers",
  "kill ends a process",
  "an error that nobody catches",
  "without signals",
  "a scope that closes with success",
  "run that is interrupted",
  "a result that cannot be sent",
  "a message over maxMessageSize",
]);
