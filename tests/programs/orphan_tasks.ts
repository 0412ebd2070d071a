/**
 * Children that are idle, busy, or parents themselves. The busy ones say so before they are.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";

/** Children of a program that may run Deno alone may do so as well, which is not inherited by itself. */
export const layer = SubprocessBackend.layer(
  SubprocessBackend.inherited().run === true
    ? {}
    : { permissions: { ...SubprocessBackend.inherited(), run: [Deno.execPath()] } },
);

/** Waits for ever, and its event loop turns. */
export const idle = Task.make(import.meta, "idle", () => new Promise<void>(() => {}));

/** Never turns its event loop again. */
export const busy = Task.make(import.meta, "busy", () => {
  console.log(`busy ${Deno.pid}`);
  for (;;);
});

/** Has a busy child of its own. */
export const parent = Task.make(
  import.meta,
  "parent",
  () =>
    Effect.flatMap(Process.spawn(busy), (child) => child.join).pipe(
      Effect.scoped,
      Effect.provide(layer),
      Effect.orDie,
    ),
);
