/** Tasks of the tests of NatsBackend. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { type Pipe, Process, type Queue, type SharedMemory, Task } from "../../mod.ts";

export const square = Task.make(import.meta, "square", (n: number) => n * n);

export const pid = Task.make(import.meta, "pid", () => Deno.pid);

export const where = Task.make(import.meta, "where", () => ({ url: import.meta.url, cwd: Deno.cwd() }));

export const variable = Task.make(import.meta, "variable", (name: string) => Deno.env.get(name));

export const may = Task.make(
  import.meta,
  "may",
  () => (["read", "net", "run"] as const).filter((name) => Deno.permissions.querySync({ name }).state === "granted"),
);

export const count = Task.make(import.meta, "count", (n: number) => Stream.range(1, n));

/** Puts an item and ends at once. */
export const putAndExit = Task.make(
  import.meta,
  "putAndExit",
  (queue: Queue.Queue<string>) => Effect.zipRight(queue.put("put"), Effect.sync(() => Deno.exit(3))),
);

/** Reports its process, and never ends; its finalizer reports the interruption. */
export const hang = Task.make(
  import.meta,
  "hang",
  (queue: Queue.Queue<number | "interrupted">) =>
    Effect.onInterrupt(
      Effect.zipRight(queue.put(Deno.pid), Effect.never),
      () => Effect.orDie(queue.put("interrupted")),
    ),
);

/** Never turns its event loop. */
export const spin = Task.make(
  import.meta,
  "spin",
  (queue: Queue.Queue<number>) =>
    Effect.zipRight(
      queue.put(Deno.pid),
      Effect.sync(() => {
        while (true);
      }),
    ),
);

export const echo = Task.make(
  import.meta,
  "echo",
  (pipe: Pipe.Connection<Uint8Array>): Effect.Effect<void> =>
    Effect.ignore(Effect.forever(Effect.flatMap(pipe.recv, (item) => pipe.send(item)))),
);

export const speak = Task.make(import.meta, "speak", (lines: number) => {
  for (let i = 0; i < lines; i++) console.log(`line ${i}`);
  console.error("to stderr");
});

/** Runs a task in a child of its own. */
export const below = Task.make(import.meta, "below", (n: number) => Process.run(square, n));

export const attach = Task.make(
  import.meta,
  "attach",
  (memory: SharedMemory.SharedMemory) => Effect.map(memory.attached, ([first]) => first),
);

/** Gives every item it gets to another queue, until the first one is closed. */
export const relay = Task.make(
  import.meta,
  "relay",
  (from: Queue.Queue<number>, to: Queue.Queue<number>) =>
    Effect.catchTag(
      Effect.forever(Effect.flatMap(from.get, (item) => to.put(item))),
      "QueueClosed",
      () => Effect.void,
    ),
);

/** Writes the time to a file, without an end. */
export const beat = Task.make(import.meta, "beat", (path: string) => {
  while (true) Deno.writeTextFileSync(path, `${Date.now()}\n`, { append: true });
});
