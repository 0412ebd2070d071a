/** Tasks of the tests of NatsPool. */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import { type Lock, Task } from "../../mod.ts";

export const double = Task.make(import.meta, "double", (n: number) => 2 * n);

export const sum = Task.make(import.meta, "sum", (a: number, b: number) => a + b);

export const reverse = Task.make(import.meta, "reverse", (bytes: Uint8Array) => bytes.toReversed());

export const date = Task.make(import.meta, "date", (text: string) => Effect.succeed(new Date(text)), {
  success: Schema.Date,
});

export const refuse = Task.make(import.meta, "refuse", (reason: string) => Effect.fail({ reason }));

export const locked = Task.make(import.meta, "locked", (lock: Lock.Lock) => lock.withLock(Effect.void));

export const where = Task.make(import.meta, "where", () => ({ pid: Deno.pid, url: import.meta.url }));

/** Adds a line to a file. Each run of a task can be counted so. */
const write = (path: string, line: string): void => Deno.writeTextFileSync(path, `${line}\n`, { append: true });

/** Records its run. */
export const record = Task.make(import.meta, "record", (path: string, n: number) => {
  write(path, `${n}`);
  return 2 * n;
});

/** Records its process, and takes some time. */
export const work = Task.make(
  import.meta,
  "work",
  (path: string, n: number, millis: number) =>
    Effect.zipRight(Effect.sync(() => write(path, `${n} ${Deno.pid}`)), Effect.delay(Effect.succeed(2 * n), millis)),
);

/** Records its process, and never ends; its interruption is recorded as well. */
export const hang = Task.make(
  import.meta,
  "hang",
  (path: string) =>
    Effect.onInterrupt(
      Effect.zipRight(Effect.sync(() => write(path, `${Deno.pid}`)), Effect.never),
      () => Effect.sync(() => write(path, "interrupted")),
    ),
);

/** Ends its process, as long as there is a file. */
export const poison = Task.make(import.meta, "poison", (path: string) => {
  try {
    Deno.statSync(path);
  } catch {
    return "cured";
  }
  Deno.exit(7);
});

/** Records its process, takes some time, and gives a result that no other run gives. */
export const unique = Task.make(
  import.meta,
  "unique",
  (path: string, millis: number) =>
    Effect.zipRight(
      Effect.sync(() => write(path, `0 ${Deno.pid}`)),
      Effect.delay(Effect.sync(() => crypto.randomUUID()), millis),
    ),
);
