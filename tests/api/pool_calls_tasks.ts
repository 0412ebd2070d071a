/** Tasks of `pool_calls_test.ts` and `pool_size_test.ts`. */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import type { SharedMemory } from "../../src/SharedMemory.ts";
import * as Task from "../../src/Task.ts";
import { Point } from "../support/tasks.ts";

/** Counts its attempts in a file, and returns the number of this one. */
const attempt = (path: string): number => {
  Deno.writeTextFileSync(path, "x", { append: true });
  return Deno.readTextFileSync(path).length;
};

/** Ends its process in its first attempts. */
export const diesAtFirst = Task.make(import.meta, "diesAtFirst", (path: string, deaths: number): number => {
  const number = attempt(path);
  return number <= deaths ? Deno.exit(3) : number;
}, { idempotent: true });

/** Ends its process in its first attempts, and must not run twice. */
export const diesOnce = Task.make(import.meta, "diesOnce", (path: string): number => {
  const number = attempt(path);
  return number === 1 ? Deno.exit(3) : number;
});

/** Fails in its first attempts. */
export const failsAtFirst = Task.make(
  import.meta,
  "failsAtFirst",
  (path: string, failures: number): Effect.Effect<number, string> =>
    Effect.suspend(() => {
      const number = attempt(path);
      return number <= failures ? Effect.fail(`attempt ${number}`) : Effect.succeed(number);
    }),
  { idempotent: true },
);

/** Fails, and must not run twice. */
export const failsOnce = Task.make(
  import.meta,
  "failsOnce",
  (path: string): Effect.Effect<number, string> => Effect.suspend(() => Effect.fail(`attempt ${attempt(path)}`)),
);

/** Hangs in its first attempt. */
export const hangsAtFirst = Task.make(
  import.meta,
  "hangsAtFirst",
  (path: string): Effect.Effect<number> => Effect.suspend(() => attempt(path) === 1 ? Effect.never : Effect.succeed(2)),
  { idempotent: true },
);

/** Computes until there is something in a file, and reads no message meanwhile. Without a file it returns at once. */
export const computeUntil = Task.make(import.meta, "computeUntil", (path: string, n: number): number => {
  while (path !== "" && Deno.statSync(path).size === 0);
  return n;
});

/** Takes two milliseconds of work. */
export const slow = Task.make(import.meta, "slow", (n: number): number => {
  for (const end = performance.now() + 2; performance.now() < end;);
  return n;
});

/** Fails for one item. */
export const failsAt = Task.make(
  import.meta,
  "failsAt",
  (n: number): number | Effect.Effect<never, string> => n === 15_000 ? Effect.fail(`${n} fails`) : n,
);

/** Squares the numbers of a slice of shared memory, where they are. */
export const squareSlice = Task.make(
  import.meta,
  "squareSlice",
  (memory: SharedMemory, from: number, to: number): number => {
    const numbers = memory.array(Float64Array, 8 * from, to - from);
    for (let i = 0; i < numbers.length; i++) numbers[i] **= 2;
    return numbers.length;
  },
);

/** An item, and how it fails, if it does. */
export interface Fragile {
  readonly n: number;
  readonly how?: "throws" | "fails" | "cannot be sent" | undefined;
}

let fragileCalls = 0;

/** Returns the number of an item, or fails. */
export const fragile = Task.make(import.meta, "fragile", ({ how, n }: Fragile): unknown => {
  fragileCalls++;
  if (how === "throws") throw new RangeError("it throws");
  return how === "fails" ? Effect.fail("it fails") : how === "cannot be sent" ? () => n : n;
});

/** {@link fragile} as an Effect. */
export const fragileEffect = Task.make(
  import.meta,
  "fragileEffect",
  ({ how, n }: Fragile) =>
    Effect.suspend((): Effect.Effect<unknown, string> => {
      fragileCalls++;
      if (how === "throws") throw new RangeError("it throws");
      return how === "fails" ? Effect.fail("it fails") : Effect.succeed(how === "cannot be sent" ? () => n : n);
    }),
);

/** {@link fragile} with a Schema. */
export const fragileChecked = Task.make(import.meta, "fragileChecked", ({ how, n }: Fragile) => {
  fragileCalls++;
  return how === undefined ? new Point({ x: n, y: 0 }) : how as unknown as Point;
}, { success: Point });

/** The number of calls of these in this worker. */
export const fragileCount = Task.make(import.meta, "fragileCount", () => fragileCalls);

/** Has an outcome of each kind: odd numbers are doubled. */
export const mixed = Task.make(import.meta, "mixed", (n: number): unknown => {
  switch (n % 6) {
    case 0:
      throw new RangeError(`${n} throws`);
    case 2:
      return () => n;
    default:
      return 2 * n;
  }
});

/** {@link mixed} as an Effect. */
export const mixedEffect = Task.make(
  import.meta,
  "mixedEffect",
  (n: number): Effect.Effect<unknown, string> =>
    n % 6 === 0 ? Effect.fail(`${n} fails`) : Effect.succeed(n % 6 === 2 ? () => n : 2 * n),
);

/** Ends its process if the number is divisible by 5. */
export const killsAtFives = Task.make(
  import.meta,
  "killsAtFives",
  (n: number): number => n % 5 === 0 ? Deno.exit(n) : n,
  { idempotent: true },
);

/** Can be stopped only by killing its process. */
export const killable = Task.make(import.meta, "killable", () => 1, { killable: true });

let count = 0;

/** The number of calls in this worker. */
export const counted = Task.make(import.meta, "counted", () => ({ count: ++count, pid: Deno.pid, realm }));

/** Tells workers apart, threads as well. */
const realm = crypto.randomUUID();

const hoard: Array<Array<number>> = [];

/** Keeps memory, and returns the identity of the worker. */
export const fatten = Task.make(import.meta, "fatten", (megabytes: number) => {
  for (let i = 0; i < megabytes; i++) hoard.push(Array.from({ length: 131_072 }, Math.random));
  return realm;
});

/** Returns when it is told to, without ever being interrupted. */
export const stubborn = Task.make(
  import.meta,
  "stubborn",
  (begun: Stream.Stream<never>) => Effect.uninterruptible(Effect.zipRight(Stream.runDrain(begun), Effect.never)),
);

const attempts = new Map<string, number>();

/** Fails in its first attempt in this process, and returns the number of this one. */
export const sometimes = Task.make(
  import.meta,
  "sometimes",
  (key: string): Effect.Effect<number, string> =>
    Effect.suspend(() => {
      const number = (attempts.get(key) ?? 0) + 1;
      attempts.set(key, number);
      return number === 1 ? Effect.fail("the first attempt") : Effect.succeed(number);
    }),
  { idempotent: true },
);

/** Associative, not commutative. */
export const concat = Task.make(import.meta, "concat", (a: string, b: string) => a + b);

/** {@link concat} as an Effect. */
export const concatEffect = Task.make(import.meta, "concatEffect", (a: string, b: string) => Effect.sync(() => a + b));

/** The second of two values. */
export const either = Task.make(import.meta, "either", (_: unknown, value: unknown): unknown => value);

/** Adds an exclamation mark. */
export const shout = Task.make(import.meta, "shout", (word: string): string => `${word}!`);

/** {@link shout} as an Effect. */
export const shoutEffect = Task.make(import.meta, "shoutEffect", (word: string) => Effect.succeed(`${word}!`));

/** {@link shout} with Schemas. */
export const shoutChecked = Task.make(import.meta, "shoutChecked", (word: string): string => `${word}!`, {
  payload: [Schema.String],
  success: Schema.String,
});

/** {@link shout} that may run again. */
export const shoutOnce = Task.make(import.meta, "shoutOnce", (word: string): string => `${word}!`, {
  idempotent: true,
});

/** {@link concat} that fails. */
export const refuses = Task.make(
  import.meta,
  "refuses",
  (a: string, b: string): Effect.Effect<string, string> => Effect.fail(`${a} + ${b}`),
);

/** The larger number, in a Promise. */
export const larger = Task.make(import.meta, "larger", (a: number, b: number) => Promise.resolve(Math.max(a, b)));

/** The point with the larger `x`, by Schemas. */
export const farther = Task.make(
  import.meta,
  "farther",
  (a: Point, b: Point) => a.x > b.x ? a : b,
  { payload: [Point, Point], success: Point },
);

/** A text of this length. */
export const repeat = Task.make(import.meta, "repeat", (length: number): string => "x".repeat(length));
