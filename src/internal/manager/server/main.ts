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
import { ask, type ServiceHandle as Target } from "../../objects/service.ts";
import { address, host, retire } from "../../rpc/router.ts";
import { self } from "../../rpc/identity.ts";
import type { Task } from "../../../Task.ts";
import { define } from "../../child/tasks.ts";
import * as Codec from "../../codec/codec.ts";
import { lifted, type Reference, Thrown } from "./tasks.ts";
import { type Options, type Position, Server } from "./server.ts";

/** The operation by which a server says that it is there. */
export const READY = 1;

/** A task that a server runs before it is there. */
export interface Initializer {
  readonly task: Reference;
  readonly args: ReadonlyArray<unknown>;
}

/** Makes a server in this process, for as long as the scope is open. */
export const make = (
  options: Options,
): Effect.Effect<Position & { readonly server: Server }, never, Backend | Scope.Scope> =>
  Effect.flatMap(
    Effect.context<Backend | Scope.Scope>(),
    (services) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const server = new Server(options, services);
            const position = { address: address(), gate: host(server), host: self().name };
            server.settle(position);
            return { server, position };
          }),
          ({ position, server }) => Effect.zipRight(Effect.sync(() => retire(position.gate)), server.release),
        ),
        ({ position, server }) => ({ ...position, server }),
      ),
  );

const run = (ready: Target, modules: ReadonlyArray<string>, initializer?: Initializer) =>
  Effect.scoped(Effect.gen(function* () {
    const { server, ...position } = yield* make({ modules });
    if (initializer !== undefined) yield* initialize(server, initializer);
    yield* ask(ready, "process", READY, position);
    return yield* Effect.never;
  })) as Effect.Effect<never, InitializerFailed, Backend>;

/** Serves until it is stopped. */
export const serve = define(import.meta, "serve", { handler: run, options: {} }) as Task<
  Parameters<typeof run>,
  never,
  InitializerFailed
>;

/** What a server fails with whose initializer does. */
export interface InitializerFailed {
  readonly _tag: "InitializerFailed";
  readonly task: string;
  readonly cause: unknown;
}

const initialize = (server: Server, { args, task }: Initializer): Effect.Effect<unknown, InitializerFailed, never> =>
  Effect.catchAllCause(
    server.provided(lifted(() => server.tasks.run(task, ...args))),
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

/** What can be sent in place of an error: the error itself, or its text. */
const sendable = (error: unknown): unknown => {
  try {
    Codec.encode(error, { hooks });
    return error;
  } catch {
    return new Error(Deno.inspect(error, { depth: 4 }));
  }
};
