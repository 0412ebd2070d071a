/** The suite of all backends on an agent of this machine. */
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import { Backend, Process } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import { agentProgram, available, natsServer } from "../support/nats.ts";
import { warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { repeated, repeating } from "../support/tier.ts";
import { conformance } from "./conformance.ts";

if (available && repeating) {
  // They serve all tests, and end with this program.
  const scope = Effect.runSync(Scope.make());
  const { url } = await Effect.runPromise(Scope.extend(natsServer(), scope));
  await Effect.runPromise(Scope.extend(agentProgram(url, ["--slots=64"]), scope));
  const options = {
    servers: url,
    stderr: "null",
    // A task of this folder starts one whose module it does not import.
    include: [new URL("../support", import.meta.url).href],
  } as const;
  // The children of a backend end with its scope, which contains all tests.
  const shared = Layer.succeed(
    Backend.Backend,
    await Effect.runPromise(Scope.extend(NatsBackend.make(options), scope)),
  );
  const layer = (limit?: { readonly maxMessageSize?: number }) =>
    limit === undefined ? shared : Layer.orDie(NatsBackend.layer({ ...options, ...limit }));

  await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), layer()));

  repeated(() => conformance({ name: "nats", layer, capabilities: Capabilities.subprocess }));
}
