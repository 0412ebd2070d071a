/**
 * Decides whether a process may be started: by the main program, and in a child by its tasks.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import { globalValue } from "effect/GlobalValue";
import { self } from "../rpc/identity.ts";
import { SpawnError } from "./errors.ts";
import { isMarked } from "./module_loading.ts";

/** True in the fibers of tasks, also in a fiber that is resumed by code which began while a module was loaded. */
const inTask = globalValue(Symbol.for("~multiprocessing/inTask"), () => FiberRef.unsafeMake(false));

/** Runs an Effect as part of a task. */
export const asTask = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(effect, inTask, true);

/** Fails in code that a module has started while a child was loading it. */
export const allowed: Effect.Effect<void, SpawnError> = Effect.flatMap(
  FiberRef.get(inTask),
  (isTask) =>
    isTask || !isMarked() ? Effect.void : Effect.fail(
      new SpawnError({
        reason: "Loading",
        message:
          `Cannot start a process from ${self().name}, which has only loaded this module for its tasks: each child would start ` +
          "children of its own, without end. Start it under `if (import.meta.main)`, as in " +
          "`if (import.meta.main) runMain(program)`, or in a task",
      }),
    ),
);
