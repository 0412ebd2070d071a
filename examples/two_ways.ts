/** Two ways to make a process, from a function and from a class with fields and `run`: `deno task example:two_ways`. */
import { Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** The first way: a function. Its arguments are sent. */
const count = Task.make(import.meta, "count", (text: string, letter: string) => text.split(letter).length - 1);

/** The second way: a class. The fields of the instance are sent, and `run` is executed in the process. */
class Counter {
  readonly letters: Array<string> = [];
  constructor(readonly text: string) {}
  add(letter: string): this {
    this.letters.push(letter);
    return this;
  }
  /** Like any handler, `run` may return an Effect: here one that reads the name of its process. */
  run() {
    return Effect.map(Process.current, ({ name }) => {
      const counts = this.letters.map((letter) => `${letter}=${this.text.split(letter).length - 1}`);
      return `${name} counted ${counts.join(", ")}`;
    });
  }
}

const counter = Task.fromClass(import.meta, Counter);

const program = Effect.gen(function* () {
  const text = "two ways to make a process";

  const first = yield* Process.spawn(count, text, "o");
  yield* Console.log(`${first.name} counted o=${yield* first.join}`);

  const second = yield* Process.spawn(counter, new Counter(text).add("a").add("s"));
  yield* Console.log(yield* second.join);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
