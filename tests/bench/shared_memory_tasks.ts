/** The tasks of the rows of shared memory. */

import * as Effect from "effect/Effect";
import type * as SharedArray from "../../src/Array.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import type * as Value from "../../src/Value.ts";

/** Adds one as often as ordered, then answers; repeats for ever. */
export const add = Task.make(
  import.meta,
  "add",
  (orders: Queue.Queue<number>, done: Queue.Queue<number>, value: Value.Of<"i32">) =>
    Effect.forever(Effect.flatMap(orders.get, (count) => {
      for (let i = 0; i < count; i++) value.raw.add(1);
      return done.put(count);
    })),
);

const sumOf = (numbers: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum;
};

/** Sums half of an array in place. */
export const sum = Task.make(
  import.meta,
  "sum",
  (orders: Queue.Queue<number>, done: Queue.Queue<number>, array: SharedArray.Of<"f64">) => {
    const { view } = array.raw;
    const half = view.length / 2;
    return Effect.forever(Effect.flatMap(orders.get, (n) => done.put(sumOf(view.subarray(n * half, (n + 1) * half)))));
  },
);

/** Sums the numbers that it receives. */
export const sumSent = Task.make(
  import.meta,
  "sumSent",
  (parts: Queue.Queue<Float64Array>, done: Queue.Queue<number>) =>
    Effect.forever(Effect.flatMap(parts.get, (part) => done.put(sumOf(part)))),
);
