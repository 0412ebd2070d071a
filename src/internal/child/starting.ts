/**
 * Who may start processes: the main program, and in a child its tasks.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import { globalValue } from "effect/GlobalValue";
import { self } from "../rpc/identity.ts";
import { SpawnError } from "./errors.ts";
import { isMarked } from "./module_loading.ts";

/** Set in the fibers of tasks: one that is resumed by something which began while a module was loaded is still a task's. */
const inTask = globalValue(Symbol.for("~multiprocessing/inTask"), () => FiberRef.unsafeMake(false));

/** Runs an Effect as part of a task. */
export const asTask = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(effect, inTask, true);

/** Fails if this was started by a module that a child has loaded. */
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
