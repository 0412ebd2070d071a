/**
 * A FiberRef that travels with tasks, in a module of its own: a child loads it only with the tasks that need it.
 *
 * @module
 */
import * as FiberRef from "effect/FiberRef";
import * as Schema from "effect/Schema";
import * as Task from "../../src/Task.ts";

/** The user on whose behalf something runs. */
export const user: FiberRef.FiberRef<{ readonly id: number; readonly since: Date }> = Task.portable(
  import.meta,
  "user",
  FiberRef.unsafeMake({ id: 0, since: new Date(0) }),
  Schema.Struct({ id: Schema.Int, since: Schema.Date }),
);
