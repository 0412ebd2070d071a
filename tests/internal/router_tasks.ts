/** Processes deep in a family. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** The state of the router. These tasks use large child numbers to make addresses long. */
const router = (): { child: number; readonly address: string } =>
  (globalThis as unknown as { [key: symbol]: { child: number; readonly address: string } })[
    Symbol.for("~multiprocessing/router")
  ];

/** Descends the given number of levels, hosts a queue there, and returns the items of the queue and its own address. */
export const descend: Task.Task<
  [levels: number, made: Queue.Queue<Queue.Queue<string>>],
  { readonly address: string; readonly item: string },
  unknown
> = Task.make(
  import.meta,
  "descend",
  (levels: number, made: Queue.Queue<Queue.Queue<string>>) =>
    Effect.gen(function* () {
      if (levels > 0) {
        router().child = Number.MAX_SAFE_INTEGER - 1;
        return yield* Process.run(descend, levels - 1, made);
      }
      const queue = yield* Queue.make<string>();
      yield* made.put(queue);
      return { address: router().address, item: yield* queue.get };
    }).pipe(Effect.scoped),
);
