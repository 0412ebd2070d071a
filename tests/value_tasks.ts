/** Tasks that use values and arrays in shared memory. */
import * as Effect from "effect/Effect";
import { type Array as SharedArray, Process, type Queue, Task, type Value } from "../mod.ts";

// deno-lint-ignore no-explicit-any
export type AnyValue = Value.Integer<any>;
// deno-lint-ignore no-explicit-any
export type AnyArray = SharedArray.Integer<any, any>;

/** Adds one, so many times: with Effects, or without. */
export const counts = Task.make(import.meta, "counts", (value: AnyValue, one: unknown, times: number, raw: boolean) => {
  if (!raw) return Effect.zipRight(Effect.replicateEffect(value.add(one), times, { discard: true }), value.get);
  for (let i = 0; i < times; i++) value.raw.add(one);
  return value.raw.value;
});

/** Increments by hand, which only a compare and exchange makes right. */
export const exchanges = Task.make(import.meta, "exchanges", (value: AnyValue, times: number) => {
  for (let i = 0; i < times; i++) {
    for (let seen = value.raw.get();;) {
      const found = value.raw.compareExchange(seen, seen + 1);
      if (found === seen) break;
      seen = found;
    }
  }
});

export const sets = Task.make(import.meta, "sets", (value: AnyValue, to: unknown) => value.exchange(to));

/** Uses values within a list from a queue, and says what became of each. */
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
        Effect.sync(() => {
          for (let i = 0; i < 100; i++) value.raw.add(1);
        }),
        Effect.yieldNow(),
      )),
    ),
);
