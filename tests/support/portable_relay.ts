/**
 * A task whose process does not load the declaration of the FiberRef: its child is another module's task.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";
import { originalUrl } from "../../src/internal/os/place.ts";
import { portables } from "../../src/internal/child/tasks.ts";

/** The name of the task of `portable_tasks.ts` that {@link relay} runs in a child. */
const current = (): Task.Task<[], string> =>
  ({ [Task.TypeId]: {}, url: originalUrl(import.meta.resolve("./portable_tasks.ts")), name: "current" }) as never;

export const relay = Task.make(
  import.meta,
  "relay",
  () => Effect.map(Process.run(current()), (text) => ({ text, declared: portables.size })),
);
