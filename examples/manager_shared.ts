/** Ten children change one dict and one list: `deno task example:manager_shared`. */
import { Manager, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** Reads, adds and writes at the server, in one step. */
const add = Task.make(import.meta, "add", (sum: number | undefined, n: number) => (sum ?? 0) + n);

const work = Task.make(
  import.meta,
  "work",
  (squares: Manager.Dict<string, number>, done: Manager.List<number>, n: number) =>
    Effect.gen(function* () {
      yield* squares.set(`${n}`, n * n);
      yield* squares.modify("sum", add, n * n); // no concurrent addition is lost
      yield* done.push(n);
    }),
);

const program = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const squares = yield* manager.dict<string, number>();
  const done = yield* manager.list<number>();

  const children = yield* Effect.forEach(Array(10).keys(), (n) => Process.spawn(work, squares, done, n));
  yield* Effect.forEach(children, (child) => child.join);

  yield* done.sort();
  yield* Console.log(`done: ${yield* done.join(" ")}`);
  yield* Console.log(`the square of 7: ${yield* squares.get("7")}, of all: ${yield* squares.get("sum")}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
