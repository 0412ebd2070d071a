/** Tasks of children on another host. */
import * as Effect from "effect/Effect";
import { Process, Queue, Task } from "../../mod.ts";
import { ways } from "../../src/internal/rpc/router.ts";

export const where = Task.make(import.meta, "where", () => ({ url: import.meta.url, main: Deno.mainModule }));

export const below = Task.make(import.meta, "below", () => Process.run(where));

export const pid = Task.make(import.meta, "pid", () => Deno.pid);

export const ppid = Task.make(import.meta, "ppid", () => Deno.ppid);

export const take = Task.make(import.meta, "take", (queue: Queue.Queue<string>) => queue.get);

export const hosting = Task.make(
  import.meta,
  "hosting",
  (items: Queue.Queue<Queue.Queue<string>>, done: Queue.Queue<null>) =>
    Effect.gen(function* () {
      const own = yield* Queue.make<string>();
      yield* own.put("of a sibling");
      yield* items.put(own);
      yield* done.get;
    }),
);

export const takeFrom = Task.make(
  import.meta,
  "takeFrom",
  (items: Queue.Queue<Queue.Queue<string>>, done: Queue.Queue<null>) =>
    Effect.gen(function* () {
      const item = yield* (yield* items.get).get;
      const taken = ways();
      yield* done.put(null);
      return { item, ways: taken };
    }),
);
