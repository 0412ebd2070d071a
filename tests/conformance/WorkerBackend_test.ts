import { Process, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import * as Effect from "effect/Effect";
import { conformance } from "./conformance.ts";
import { warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), WorkerBackend.layer()));

conformance({ name: "worker", layer: WorkerBackend.layer, capabilities: Capabilities.worker });
