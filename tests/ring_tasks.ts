/** Tasks that use a link much. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { type Queue, Task } from "../mod.ts";

/** How many regions of shared memory this process has mapped. */
const count = (): number => Deno.readTextFileSync("/proc/self/maps").split("memfd:multiprocessing").length - 1;

export const nothing = Task.make(import.meta, "nothing", () => {});

/** Passes on, one by one. */
export const relay = Task.make(
  import.meta,
  "relay",
  (from: Queue.Queue<number>, to: Queue.Queue<number>) => Stream.runForEach(from.toStream, (item) => to.put(item)),
);

/** Takes until the queue ends. */
export const mapsAfter = Task.make(
  import.meta,
  "mapsAfter",
  (queue: Queue.Queue<number>) => Effect.map(Stream.runForEach(queue.toStream, () => queue.taskDone()), count),
);
