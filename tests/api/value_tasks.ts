/** Tasks that use values and arrays in shared memory. */
import * as Effect from "effect/Effect";
import * as SharedArray from "../../src/Array.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import * as Value from "../../src/Value.ts";

// deno-lint-ignore no-explicit-any
export type AnyValue = Value.Integer<any>;
// deno-lint-ignore no-explicit-any
export type AnyArray = SharedArray.Integer<any, any>;

/** Adds one the given number of times, with or without Effects. By messages there are only Effects. */
export const counts = Task.make(import.meta, "counts", (value: AnyValue, one: unknown, times: number, raw: boolean) => {
  if (!raw || value.carrier === "messages") {
    return Effect.zipRight(Effect.replicateEffect(value.add(one), times, { discard: true }), value.get);
  }
  for (let i = 0; i < times; i++) value.raw.add(one);
  return value.raw.value;
});

/** Increments by hand; the compare and exchange prevents lost updates. */
export const exchanges = Task.make(import.meta, "exchanges", (value: AnyValue, times: number) => {
  if (value.carrier === "messages") {
    const increment = (seen: number): Effect.Effect<void, Value.MemoryFailure> =>
      Effect.flatMap(
        value.compareExchange(seen, seen + 1),
        (found) => found === seen ? Effect.void : increment(found),
      );
    return Effect.replicateEffect(Effect.flatMap(value.get, increment), times, { discard: true });
  }
  for (let i = 0; i < times; i++) {
    for (let seen = value.raw.get();;) {
      const found = value.raw.compareExchange(seen, seen + 1);
      if (found === seen) break;
      seen = found;
    }
  }
});

export const sets = Task.make(import.meta, "sets", (value: AnyValue, to: unknown) => value.exchange(to));

/** Uses values of a list from a queue, and reports the outcome for each. */
export const bumps = Task.make(
  import.meta,
  "bumps",
  (queue: Queue.Queue<{ readonly values: ReadonlyArray<AnyValue>; readonly array: AnyArray }>) =>
    Effect.gen(function* () {
      const { array, values } = yield* queue.get;
      const results: Array<unknown> = [];
      for (const value of values) {
        results.push(
          yield* Effect.match(value.add(1), {
            onFailure: ({ _tag, reason }) => `${_tag} ${reason}`,
            onSuccess: Number,
          }),
        );
      }
      for (let at = 0; at < array.length; at++) yield* array.add(at, 1);
      return [results, yield* array.slice()] as const;
    }),
);

export const givesBack = Task.make(import.meta, "givesBack", (value: AnyValue, array: AnyArray) => ({ value, array }));

/** Adds one to each element of a part. */
export const addsTo = Task.make(import.meta, "addsTo", (array: AnyArray, one: unknown, rounds: number) => {
  if (array.carrier === "messages") {
    const round = Effect.forEach(Array.from({ length: array.length }, (_, at) => at), (at) => array.add(at, one), {
      concurrency: 100,
      discard: true,
    });
    return Effect.replicateEffect(round, rounds, { discard: true });
  }
  for (let round = 0; round < rounds; round++) for (let at = 0; at < array.length; at++) array.raw.add(at, one);
});

export const passesOn = Task.make(
  import.meta,
  "passesOn",
  (array: AnyArray) => Effect.zipRight(Process.run(addsTo, array, 1, 1), array.slice()),
);

/** Adds for ever. */
export const addsForEver = Task.make(
  import.meta,
  "addsForEver",
  (value: AnyValue, begun: AnyValue) =>
    Effect.zipRight(
      begun.add(1),
      Effect.forever(Effect.zipRight(
        value.carrier === "messages" ? value.add(1) : Effect.sync(() => {
          for (let i = 0; i < 100; i++) value.raw.add(1);
        }),
        Effect.yieldNow(),
      )),
    ),
);

/** Uses a value and an array once, and says how it could. */
export const describes = Task.make(
  import.meta,
  "describes",
  (value: AnyValue, array: AnyArray) =>
    Effect.gen(function* () {
      const refusal = (run: () => unknown): string => {
        try {
          return `no failure: ${run()}`;
        } catch (error) {
          return `${(error as Value.MemoryError).reason}: ${(error as Error).message}`;
        }
      };
      const refused = [refusal(() => value.raw.add(1)), refusal(() => array.raw.view), refusal(() => array.raw.get(0))];
      const known = [yield* value.update((n) => n + 1), yield* array.modify(-1, (n) => [n, n * 2])];
      return { carriers: [value.carrier, array.carrier, value.lock.carrier], refused, known };
    }),
);

/** Takes the lock of a value, and keeps it. */
export const keepsLock = Task.make(
  import.meta,
  "keepsLock",
  (value: AnyValue) => value.withLock(Effect.zipRight(value.set(-1), Effect.never)),
);

/** Makes a value and an array that others use by messages, and keeps them. */
export const hosts = Task.make(
  import.meta,
  "hosts",
  (queue: Queue.Queue<{ readonly value: AnyValue; readonly array: AnyArray }>) =>
    Effect.gen(function* () {
      const value = yield* Value.make("i32", 1, { carrier: "messages" });
      const array = yield* SharedArray.make("i32", 3, { carrier: "messages" });
      yield* queue.put({ value, array });
      return yield* Effect.never;
    }),
);

/** Increments with a read and a write under the lock of the value. */
export const turns = Task.make(
  import.meta,
  "turns",
  (value: AnyValue, array: AnyArray, times: number) =>
    Effect.replicateEffect(
      value.withLock(Effect.gen(function* () {
        const before = yield* value.get;
        yield* Effect.yieldNow();
        yield* value.withLock(value.set(before + 1));
        yield* array.withLock(Effect.flatMap(array.get(0), (n) => array.set(0, n + 1)));
      })),
      times,
      { discard: true },
    ),
);

export type Point = Value.Struct<{ readonly x: "f64"; readonly y: "f64"; readonly moves: "u32" }>;

/** Replaces all fields the given number of times. */
export const moves = Task.make(
  import.meta,
  "moves",
  (point: Point, times: number) =>
    Effect.gen(function* () {
      for (let i = 0; i < times; i++) {
        yield* point.update(({ moves, x, y }) => ({ x: x + 1, y: y - 1, moves: moves + 1 }));
      }
      return yield* point.get;
    }),
);

/** Replaces all fields for ever. A consistent read always finds x equal to -y. */
export const movesForEver = Task.make(
  import.meta,
  "movesForEver",
  (point: Point, bytes: Value.Bytes) =>
    Effect.gen(function* () {
      for (let i = 0;; i++) {
        yield* point.update(({ moves, x }) => ({ x: x + 1, y: -x - 1, moves: moves + 1 }));
        yield* bytes.set(new Uint8Array(1 + i % 200).fill(1 + i % 200));
        if (i % 8 === 0) yield* Effect.yieldNow();
      }
    }),
);

export const appends = Task.make(
  import.meta,
  "appends",
  (bytes: Value.Bytes, byte: number, times: number) =>
    Effect.replicateEffect(
      bytes.update((before) => Uint8Array.of(...before, byte)),
      times,
      { discard: true },
    ),
);
