import { Process, SubprocessBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import * as Effect from "effect/Effect";
import { conformance } from "./conformance.ts";
import { warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";

// Processes that crash print a stack.
const layer = (options: SubprocessBackend.Options = {}) => SubprocessBackend.layer({ stderr: "null", ...options });

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), layer()));

conformance({ name: "subprocess", layer, capabilities: Capabilities.subprocess });
