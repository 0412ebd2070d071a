/** Tasks that use shared memory, and what lives in it. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import type * as ShareableList from "../../src/ShareableList.ts";
import * as SharedMemory from "../../src/SharedMemory.ts";
import * as Task from "../../src/Task.ts";
import type * as Value from "../../src/Value.ts";

export type Memory = SharedMemory.SharedMemory;

/** Why it failed, or what it gives. */
export const reasonOf = <A, R>(
  effect: Effect.Effect<A, { readonly reason: string }, R>,
): Effect.Effect<A | string, never, R> => Effect.catchAll(effect, ({ reason }) => Effect.succeed(reason));

export const nothing = Task.make(import.meta, "nothing", () => 0);

/** Adds one to each byte; the sum of what was there. */
export const increments = Task.make(import.meta, "increments", (memory: Memory) => {
  let sum = 0;
  const { bytes } = memory;
  for (let i = 0; i < bytes.length; i++) sum += bytes[i]++;
  return sum;
});

/** Fills a part, as numbers. */
export const numbers = Task.make(import.meta, "numbers", (memory: Memory, offset: number, length: number) => {
  const array = memory.array(Float64Array, offset, length);
  for (let i = 0; i < length; i++) array[i] = i + 0.5;
  return memory.view.getFloat64(offset, true);
});

export const returns = Task.make(import.meta, "returns", (memory: Memory) => memory);

/** Memory within other things, from a queue. */
export const marksEach = Task.make(
  import.meta,
  "marksEach",
  (queue: Queue.Queue<{ readonly all: ReadonlyMap<string, ReadonlyArray<Memory>> }>) =>
    Effect.gen(function* () {
      const { all } = yield* queue.get;
      let mark = 0;
      for (const [_, memories] of all) for (const memory of memories) memory.bytes[0] = ++mark;
      return mark;
    }),
);

/** Passes it on to a process of its own. */
export const passesOn = Task.make(import.meta, "passesOn", (memory: Memory) => Process.run(increments, memory));

/** The first byte of each that comes, until a number comes instead. */
export const readsEach = Task.make(
  import.meta,
  "readsEach",
  (queue: Queue.Queue<Memory | number>, bytes: Queue.Queue<number>) =>
    Effect.iterate(Infinity, {
      while: (next) => next > 0,
      body: () =>
        Effect.flatMap(
          queue.get,
          (next) =>
            typeof next === "number" ? Effect.as(bytes.put(next), next) : Effect.as(bytes.put(next.bytes[0]), Infinity),
        ),
    }),
);

/** Keeps it until it is told, and then looks whether it can be used. */
export const keeps = Task.make(
  import.meta,
  "keeps",
  (memory: Memory, told: Queue.Queue<string>) =>
    Effect.gen(function* () {
      yield* told.get;
      memory.bytes[0]++;
      const byte = memory.bytes[0];
      yield* memory.close;
      return [byte, memory.bytes.length, memory.closed];
    }),
);

/** What a handle in a queue is good for when it is taken. */
export const takes = Task.make(
  import.meta,
  "takes",
  (queue: Queue.Queue<Memory>) =>
    Effect.flatMap(queue.get, (memory) => reasonOf(Effect.as(memory.attached, memory.size))),
);

/** Attaches by name: the sum of its bytes, or why not. */
export const attachesNamed = Task.make(
  import.meta,
  "attachesNamed",
  (name: string) =>
    reasonOf(Effect.scoped(Effect.map(SharedMemory.attach(name), ({ bytes }) => bytes.reduce((a, b) => a + b, 0)))),
);

/** Creates by name, says so, and lingers. */
export const owns = Task.make(
  import.meta,
  "owns",
  (names: ReadonlyArray<string>, made: Queue.Queue<string>) =>
    Effect.scoped(Effect.gen(function* () {
      for (const name of names) {
        const outcome = yield* reasonOf(SharedMemory.create({ name, size: 4096 }));
        if (typeof outcome !== "string") outcome.bytes.fill(1);
        yield* made.put(typeof outcome === "string" ? outcome : "made");
      }
      yield* Effect.never;
    })),
);

/** Creates the same names as others do, as soon as it is told; how many it got. */
export const rivals = Task.make(
  import.meta,
  "rivals",
  (names: ReadonlyArray<string>, go: Queue.Queue<number>, done: Queue.Queue<number>) =>
    Effect.scoped(Effect.gen(function* () {
      yield* go.get;
      let made = 0;
      for (const name of names) {
        if (typeof (yield* reasonOf(SharedMemory.create({ name, size: 4096 }))) !== "string") made++;
      }
      yield* done.put(made);
      yield* go.get;
    })),
);

/** Why memory cannot be used, or its size. */
export const looks = Task.make(
  import.meta,
  "looks",
  (memory: Memory) => reasonOf(Effect.as(memory.attached, memory.size)),
);

/** Adds to a word of a genuine SharedArrayBuffer; how many bytes that has. */
export const addsShared = Task.make(import.meta, "addsShared", (memory: Memory, at: number, times: number) => {
  const words = new Int32Array(memory.shared);
  for (let i = 0; i < times; i++) Atomics.add(words, at, 1);
  return memory.shared === memory.shared && memory.shared.byteLength;
});

/** Why each of them cannot be used. */
export const usesAll = Task.make(
  import.meta,
  "usesAll",
  (
    memory: Memory,
    value: Value.Of<"i32">,
    list: ShareableList.ShareableList<string | number>,
    name: string,
  ): Effect.Effect<ReadonlyArray<unknown>> =>
    Effect.all([
      reasonOf(memory.attached),
      reasonOf(value.add(1)),
      reasonOf(list.get(0)),
      reasonOf(list.set(0, 1)),
      reasonOf(Effect.scoped(SharedMemory.attach(name))),
      reasonOf(Effect.scoped(SharedMemory.create({ size: 1 }))),
    ]),
);
