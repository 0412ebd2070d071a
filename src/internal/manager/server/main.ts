/**
 * The process of a manager.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import type { Backend } from "../../../Backend.ts";
import type * as Scope from "effect/Scope";
import { hooks } from "../../objects/handles.ts";
import { ask, type ServiceHandle } from "../../objects/service.ts";
import { address, host, retire } from "../../rpc/router.ts";
import { self } from "../../rpc/identity.ts";
import type { Task } from "../../../Task.ts";
import { define } from "../../child/tasks.ts";
import * as Codec from "../../codec/codec.ts";
import type { ServerRef } from "./object_table.ts";
import { Thrown, toEffect } from "./results.ts";
import { ManagerServer, type ServerOptions } from "./server.ts";
import type { Reference } from "./tasks.ts";

/** The operation by which a server reports that it is ready. */
export const READY = 1;

/** A task that a server runs before it is ready. */
export interface ServerInitializer {
  readonly task: Reference;
  readonly args: ReadonlyArray<unknown>;
}

/** Hosts a server in this process for as long as the scope is open. */
export const make = (
  options: ServerOptions,
): Effect.Effect<{ readonly ref: ServerRef; readonly server: ManagerServer }, never, Backend | Scope.Scope> =>
  Effect.flatMap(
    Effect.context<Backend | Scope.Scope>(),
    (services) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const server = new ManagerServer(options, services);
          const ref = { address: address(), server: host(server), host: self().name };
          server.settle(ref);
          return { server, ref };
        }),
        ({ ref, server }) => Effect.zipRight(Effect.sync(() => retire(ref.server)), server.close),
      ),
  );

const run = (ready: ServiceHandle, modules: ReadonlyArray<string>, initializer?: ServerInitializer) =>
  Effect.scoped(Effect.gen(function* () {
    const { ref, server } = yield* make({ modules });
    if (initializer !== undefined) yield* initialize(server, initializer);
    yield* ask(ready, "process", READY, ref);
    return yield* Effect.never;
  })) as Effect.Effect<never, InitializerFailed, Backend>;

/** The task that hosts a server until it is interrupted. */
export const serve = define(import.meta, "serve", { handler: run, options: {} }) as Task<
  Parameters<typeof run>,
  never,
  InitializerFailed
>;

/** The failure of a server whose initializer has failed. */
export interface InitializerFailed {
  readonly _tag: "InitializerFailed";
  readonly task: string;
  readonly cause: unknown;
}

const initialize = (
  server: ManagerServer,
  { args, task }: ServerInitializer,
): Effect.Effect<unknown, InitializerFailed, never> =>
  Effect.catchAllCause(
    server.provide(toEffect(() => server.tasks.run(task, ...args))),
    (cause) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.interrupt;
      const error = Cause.squash(cause);
      return Effect.fail({
        _tag: "InitializerFailed" as const,
        task: task[1],
        cause: sendable(error instanceof Thrown ? error.error : error),
      });
    },
  );

/** The error itself if it can be sent, or its description. */
const sendable = (error: unknown): unknown => {
  try {
    Codec.encode(error, { hooks });
    return error;
  } catch {
    return new Error(Deno.inspect(error, { depth: 4 }));
  }
};
