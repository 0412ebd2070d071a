/**
 * The tasks of the checker: every way in which a task can end.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Task from "../../src/Task.ts";

/** Returns its number. */
export const succeed = Task.make(import.meta, "succeed", (n: number): number => n);

/** Throws its number. */
export const explode = Task.make(import.meta, "explode", (n: number): number => {
  throw new Error(`exploded ${n}`);
});

/** Ends its process with a code. */
export const leave = Task.make(import.meta, "leave", (n: number): number => Deno.exit(10 + n % 100));

/** Runs for ever without blocking its event loop. */
export const linger = Task.make(import.meta, "linger", (_n: number): Promise<number> => new Promise(() => {}));

/** Blocks its event loop for ever. */
export const spin = Task.make(import.meta, "spin", (_n: number): number => {
  for (;;);
});

/** Returns a value that cannot be sent. */
export const mute = Task.make(import.meta, "mute", (_n: number): unknown => () => {});

/** The process that runs the task. */
export const whereabouts = Task.make(import.meta, "whereabouts", (): number => Deno.pid);

/** Fails every other time, by chance. */
export const stumble = Task.make(
  import.meta,
  "stumble",
  (n: number): Effect.Effect<number, string> =>
    Effect.suspend(() => Math.random() < 0.5 ? Effect.fail(`stumbled ${n}`) : Effect.succeed(n)),
  { idempotent: true },
);

/** Ends its process each time. */
export const leaveAgain = Task.make(import.meta, "leaveAgain", (n: number): number => Deno.exit(10 + n % 100), {
  idempotent: true,
});
