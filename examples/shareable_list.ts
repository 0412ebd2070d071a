/** Two processes add up a shared list of 2000 numbers; another list has elements of several types: `deno task example:shareable_list`. */
import {
  Process,
  runMain,
  type ShareableList,
  SharedMemoryManager,
  SubprocessBackend,
  Task,
} from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const sum = Task.make(
  import.meta,
  "sum",
  (list: ShareableList.ShareableList<number>, from: number, to: number) =>
    Effect.map(list.toArray, (numbers) => numbers.slice(from, to).reduce((sum, n) => sum + n, 0)),
);

/** Makes a list at a manager. The list outlives this process. */
const describe = Task.make(
  import.meta,
  "describe",
  (manager: SharedMemoryManager.SharedMemoryManager) =>
    Effect.gen(function* () {
      const list = yield* manager.list<string | number | null>(["größe", 1, null], { capacity: 32 });
      yield* list.set(0, "größe und mehr");
      return list;
    }),
);

const program = Effect.gen(function* () {
  const manager = yield* SharedMemoryManager.make();

  const numbers = yield* manager.list(Array.from({ length: 2000 }, (_, n) => n));
  const parts = yield* Effect.all([Process.run(sum, numbers, 0, 1000), Process.run(sum, numbers, 1000, 2000)], {
    concurrency: 2,
  });
  yield* Console.log(`${parts.join(" + ")} = ${parts[0] + parts[1]}`);

  const list = yield* Process.run(describe, manager);
  yield* list.update(1, (n) => Number(n) + 1);
  yield* Console.log(yield* list.toArray);
  yield* Console.log((yield* Effect.flip(list.set(0, "x".repeat(40)))).message);
  yield* Console.log(`the manager owns ${(yield* manager.segments).length} lists`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
