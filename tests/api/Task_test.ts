import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Stream from "effect/Stream";
import { Task } from "../../mod.ts";
import { assert, assertEquals, assertFalse, assertStringIncludes, assertThrows } from "../support/assert.ts";
import { meta } from "../support/tasks.ts";

/** A module URL that no other test uses. */
let modules = 0;
const fresh = (): ImportMeta => meta(`file:///tests/module-${++modules}.ts`);

Deno.test("a task knows its module and its name", () => {
  const here = fresh();
  const task = Task.make(here, "task", (n: number) => n);
  assertEquals([task.url, task.name], [here.url, "task"]);
  assert(Task.isTask(task));
  assertFalse(Task.isTask({ url: here.url, name: "task" }));
  assertFalse(Task.isTask(undefined));
});

Deno.test("a name is taken once in a module, and may be taken in another", () => {
  const here = fresh();
  Task.make(here, "task", () => 1);
  const error = assertThrows(() => Task.make(here, "task", () => 2), TypeError);
  assertStringIncludes(error.message, "the name is taken");
  assertStringIncludes(error.message, here.url);
  Task.make(fresh(), "task", () => 1);
});

Deno.test("a definition that is none throws a TypeError that says what is missing", () => {
  const here = fresh();
  const cases: ReadonlyArray<readonly [() => unknown, string]> = [
    [() => Task.make(undefined as unknown as ImportMeta, "task", () => 1), "import.meta"],
    [() => Task.make({} as ImportMeta, "task", () => 1), "import.meta"],
    [() => Task.make("file:///module.ts" as unknown as ImportMeta, "task", () => 1), "import.meta"],
    [() => Task.make(here, "", () => 1), "non-empty string"],
    [() => Task.make(here, 1 as unknown as string, () => 1), "non-empty string"],
    [() => Task.make(here, "task", undefined as unknown as () => number), "must be a function"],
  ];
  for (const [define, words] of cases) assertStringIncludes(assertThrows(define, TypeError).message, words);
  // None of these attempts has taken the name.
  Task.make(here, "task", () => 1);
});

Deno.test("the type of a task is that of its handler", () => {
  const here = fresh();
  const value: Task.Task<[number], number> = Task.make(here, "value", (n: number) => n);
  const promise: Task.Task<[], number> = Task.make(here, "promise", () => Promise.resolve(1));
  const effect: Task.Task<[], number, string> = Task.make(
    here,
    "effect",
    (): Effect.Effect<number, string> => Effect.fail("no"),
  );
  const stream: Task.StreamTask<[], number> = Task.make(here, "stream", () => Stream.make(1));
  const never: Task.Task<[], never> = Task.make(here, "never", (): never => Deno.exit(1));
  // deno-lint-ignore no-explicit-any -- what JSON.parse gives
  const any: Task.Task<[], any> = Task.make(here, "any", () => JSON.parse("1"));
  // @ts-expect-error a Stream is no value
  const wrong: Task.Task<[], number> = stream;
  assertEquals([value, promise, effect, stream, never, any, wrong].map(Task.isTask), new Array(7).fill(true));
});

Deno.test("several tasks are defined at once, by the names of their functions", () => {
  const here = fresh();
  const tasks = Task.makeAll(here, {
    square: (n: number) => n * n,
    join: (...words: ReadonlyArray<string>) => Effect.succeed(words.join(" ")),
    count: (last: number) => Stream.range(1, last),
  });
  const square: Task.Task<[number], number> = tasks.square;
  const join: Task.Task<ReadonlyArray<string>, string> = tasks.join;
  const count: Task.StreamTask<[number], number> = tasks.count;
  assertEquals([square, join, count].map(({ name, url }) => [url, name]), [
    [here.url, "square"],
    [here.url, "join"],
    [here.url, "count"],
  ]);
  const error = assertThrows(() => Task.makeAll(here, { cube: (n: number) => n ** 3, square: () => 1 }), TypeError);
  assertStringIncludes(error.message, "the name is taken");
  class Needed extends Context.Tag("Needed")<Needed, number>() {}
  const needing = { needs: () => Effect.map(Needed, (n) => n) };
  // @ts-expect-error a handler that requires a service needs a layer
  Task.makeAll(fresh(), needing);
  const { needs }: { readonly needs: Task.Task<[], number> } = Task.makeAll(fresh(), needing, {
    layer: Layer.succeed(Needed, 1),
  });
  assert(Task.isTask(needs));
});
