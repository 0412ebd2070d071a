/**
 * Children that are idle, busy, or parents themselves. A busy child reports so before it becomes busy.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";

/**
 * Lets the children of a program that may run only Deno run Deno as well. That permission is not inherited by default.
 */
export const layer = SubprocessBackend.layer(
  SubprocessBackend.inherited().run === true
    ? {}
    : { permissions: { ...SubprocessBackend.inherited(), run: [Deno.execPath()] } },
);

/** Waits for ever without blocking its event loop. */
export const idle = Task.make(import.meta, "idle", () => new Promise<void>(() => {}));

/** Blocks its event loop for ever. */
export const busy = Task.make(import.meta, "busy", () => {
  console.log(`busy ${Deno.pid}`);
  for (;;);
});

/** Starts a busy child of its own. */
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
