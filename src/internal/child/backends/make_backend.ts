/**
 * The parts of a backend that do not depend on the kind of its children.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, Child, Command } from "../../../Backend.ts";
import { TypeId } from "../backend.ts";
import type { SpawnError } from "../errors.ts";
import { wrongCommand } from "../options.ts";
import { adopt } from "../observer.ts";
import { standby } from "./standby.ts";
import { allowed } from "../starting.ts";

/** Options of {@link makeBackend}. */
export interface Options extends Pick<Backend, "name" | "capabilities" | "capacity"> {
  /** The failure of each start, if the options of the backend are invalid. */
  readonly unusable: SpawnError | undefined;
  readonly standby: number | "auto" | false | undefined;
  readonly preload: ReadonlyArray<string> | undefined;
  /** The telemetry of the children goes to the fiber that starts them. */
  readonly observe: unknown;
  /** Starts a child, and ends it with the scope. */
  readonly acquire: (command: Command) => Effect.Effect<Child, SpawnError, Scope.Scope>;
}

/** Makes a backend that checks each command, and keeps standby children if the options ask for them. */
export const makeBackend = (
  { acquire, capabilities, capacity, name, observe, preload = [], standby: size, unusable }: Options,
): Effect.Effect<Backend, never, Scope.Scope> => {
  const backend: Backend = {
    [TypeId]: TypeId,
    name,
    capabilities,
    capacity,
    spawn: (command) => {
      const wrong = unusable ?? wrongCommand(command);
      return wrong !== undefined
        ? Effect.fail(wrong)
        : Effect.withSpan(Effect.zipRight(allowed, acquire(command)), "Backend.spawn", {
          attributes: { "process.name": command.name, backend: name },
        });
    },
  };
  const made = unusable === undefined && size ? standby(backend, { size, modules: preload }) : Effect.succeed(backend);
  return observe === undefined || observe === false ? made : Effect.map(made, (backend) => ({
    ...backend,
    spawn: (command) => Effect.tap(backend.spawn(command), ({ link }) => adopt(link, command.name)),
  }));
};
