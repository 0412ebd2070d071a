/** Tasks that use shared memory and the objects in it. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import type * as ShareableList from "../../src/ShareableList.ts";
import * as SharedMemory from "../../src/SharedMemory.ts";
import * as Task from "../../src/Task.ts";
import type * as Value from "../../src/Value.ts";

export type Memory = SharedMemory.SharedMemory;

/** The reason of the failure, or the result. */
export const reasonOf = <A, R>(
  effect: Effect.Effect<A, { readonly reason: string }, R>,
): Effect.Effect<A | string, never, R> => Effect.catchAll(effect, ({ reason }) => Effect.succeed(reason));

export const nothing = Task.make(import.meta, "nothing", () => 0);

/** Adds one to each byte, and returns the sum of the old bytes. */
export const increments = Task.make(import.meta, "increments", (memory: Memory) => {
  let sum = 0;
  const { bytes } = memory;
  for (let i = 0; i < bytes.length; i++) sum += bytes[i]++;
  return sum;
});

/** Fills a part of the memory with numbers. */
export const numbers = Task.make(import.meta, "numbers", (memory: Memory, offset: number, length: number) => {
  const array = memory.array(Float64Array, offset, length);
  for (let i = 0; i < length; i++) array[i] = i + 0.5;
  return memory.view.getFloat64(offset, true);
});

export const returns = Task.make(import.meta, "returns", (memory: Memory) => memory);

/** Memory nested in other values, from a queue. */
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

/** Passes the memory on to a child. */
export const passesOn = Task.make(import.meta, "passesOn", (memory: Memory) => Process.run(increments, memory));

/** Reports the first byte of each block that arrives, until a number arrives instead. */
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

/** Keeps the memory until it is told, and then checks whether it can be used. */
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

/** The outcome of using a handle that was taken from a queue. */
export const takes = Task.make(
  import.meta,
  "takes",
  (queue: Queue.Queue<Memory>) =>
    Effect.flatMap(queue.get, (memory) => reasonOf(Effect.as(memory.attached, memory.size))),
);

/** Attaches by name, and returns the sum of the bytes, or the reason of the failure. */
export const attachesNamed = Task.make(
  import.meta,
  "attachesNamed",
  (name: string) =>
    reasonOf(Effect.scoped(Effect.map(SharedMemory.attach(name), ({ bytes }) => bytes.reduce((a, b) => a + b, 0)))),
);

/** Creates blocks by name, reports so, and waits for ever. */
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

/**
 * Creates blocks with the same names as other processes, once it is told to. Returns the number of blocks that it
 * created.
 */
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

/** The size of the memory, or the reason why it cannot be used. */
export const looks = Task.make(
  import.meta,
  "looks",
  (memory: Memory) => reasonOf(Effect.as(memory.attached, memory.size)),
);

/** Adds to a word of a genuine SharedArrayBuffer, and returns the length of the buffer in bytes. */
export const addsShared = Task.make(import.meta, "addsShared", (memory: Memory, at: number, times: number) => {
  const words = new Int32Array(memory.shared);
  for (let i = 0; i < times; i++) Atomics.add(words, at, 1);
  return memory.shared === memory.shared && memory.shared.byteLength;
});

/** The reason why each object cannot be used. */
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
