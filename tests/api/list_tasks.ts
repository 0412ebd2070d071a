/** Tasks that use lists in shared memory. */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as ShareableList from "../../src/ShareableList.ts";
import * as Task from "../../src/Task.ts";
import { reasonOf } from "./memory_tasks.ts";

export type List = ShareableList.ShareableList;
export type Element = ShareableList.Element;

export const nothing = Task.make(import.meta, "nothing", () => 0);

export const all = Task.make(import.meta, "all", (list: List) => list.toArray);

export const replaces = Task.make(
  import.meta,
  "replaces",
  (list: List, values: ReadonlyArray<Element>) =>
    Effect.forEach(values, (value, at) => reasonOf(Effect.as(list.set(at, value), "set"))),
);

/** The sum of the numbers in a part of the list. */
export const sums = Task.make(
  import.meta,
  "sums",
  (list: ShareableList.ShareableList<number>, from: number, to: number) => {
    let sum = 0;
    for (let at = from; at < to; at++) sum += list.raw.get(at);
    return sum;
  },
);

export const adds = Task.make(
  import.meta,
  "adds",
  (list: ShareableList.ShareableList<number>, times: number) =>
    Effect.replicateEffect(list.update(0, (n) => n + 1), times, { discard: true }),
);

export const fromQueue = Task.make(
  import.meta,
  "fromQueue",
  (queue: Queue.Queue<ReadonlyArray<ReadonlyMap<string, List>>>) =>
    Effect.gen(function* () {
      const [map] = yield* queue.get;
      const list = map.get("list")!;
      yield* list.set(-1, "seen");
      return list;
    }),
);

export const passesOn = Task.make(import.meta, "passesOn", (list: List) => Process.run(all, list));

export const uses = Task.make(
  import.meta,
  "uses",
  (queue: Queue.Queue<List>) =>
    Effect.flatMap(queue.get, (list) => Effect.all([reasonOf(list.get(0)), reasonOf(list.set(0, 1))])),
);

/** Attaches by name, changes the first element, and returns all elements, or the reason of the failure. */
export const attaches = Task.make(
  import.meta,
  "attaches",
  (name: string) =>
    reasonOf(Effect.scoped(Effect.gen(function* () {
      const list = yield* ShareableList.attach(name);
      yield* list.set(0, "changed");
      return yield* list.toArray;
    }))),
);

/** The text of a writer: its letter, repeated, and the number of repetitions. */
const line = (letter: string, length: number): string => letter.repeat(length) + length;

/** Whether a text is the complete text of a writer. */
export const isWhole = (value: unknown): boolean => {
  if (typeof value !== "string") return false;
  const [letters, letter, length] = /^(.)\1*(\d+)$/.exec(value) ? [value, value[0], value.replace(/^\D+/, "")] : [];
  return letters !== undefined && value === line(letter!, Number(length));
};

/** Writes texts of all lengths into all elements, for ever, and counts its rounds in the last element. */
export const scribbles = Task.make(
  import.meta,
  "scribbles",
  (list: ShareableList.ShareableList<string | number>, letter: string) =>
    Effect.gen(function* () {
      for (let round = 0;; round++) {
        for (let at = 0; at < list.length - 1; at++) yield* list.set(at, line(letter, 1 + (round * 7 + at) % 90));
        yield* list.update(-1, (n) => Number(n) + 1);
        if (round % 8 === 0) yield* Effect.yieldNow();
      }
    }),
);

/** Searches for a value that the list may not contain. */
export const looksFor = Task.make(
  import.meta,
  "looksFor",
  (list: List, value: Element) =>
    Effect.all([
      list.includes(value),
      list.count(value),
      Effect.map(list.indexOf(value), Option.getOrElse(() => -1)),
    ]),
);

/** Changes both elements by hand, as one step. */
export const pairs = Task.make(
  import.meta,
  "pairs",
  (list: ShareableList.ShareableList<number>, times: number) =>
    Effect.replicateEffect(
      list.withLock(Effect.gen(function* () {
        const before = yield* list.get(0);
        yield* list.set(0, before + 1);
        yield* Effect.yieldNow();
        yield* list.set(1, before + 1);
      })),
      times,
      { discard: true },
    ),
);

/** How this process uses a list. */
export const describes = Task.make(import.meta, "describes", (list: List) => {
  try {
    return [list.carrier, String(list), `no failure: ${list.raw.get(0)}`] as const;
  } catch (error) {
    const { message, reason } = error as ShareableList.MemoryError;
    return [list.carrier, String(list), `${reason}: ${message}`] as const;
  }
});

/** Tries to replace the first element by many bytes, and then by few. */
export const grows = Task.make(import.meta, "grows", (list: List, size: number) =>
  Effect.all([
    reasonOf(Effect.as(list.set(0, new Uint8Array(size)), "set")),
    reasonOf(Effect.as(list.update(0, () => new Uint8Array(size)), "set")),
    reasonOf(Effect.as(list.set(0, new Uint8Array(2)), "set")),
  ]));

/** Tries to read the first element, and replaces it by `null`. */
export const shrinks = Task.make(import.meta, "shrinks", (list: List) =>
  Effect.all([
    reasonOf(list.get(0)),
    reasonOf(list.toArray),
    reasonOf(list.update(0, (x) => x)),
    list.get(1),
    reasonOf(Effect.as(list.set(0, null), "set")),
  ]));

/** Kills its process in the function of a change. */
export const diesInTurn = Task.make(import.meta, "diesInTurn", (list: List) =>
  list.update(0, () => {
    Deno.kill(Deno.pid, "SIGKILL");
    for (;;);
  }));
