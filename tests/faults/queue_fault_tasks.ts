/**
 * The tasks of processes that are killed while they use queues. They write each completed step to a file at once.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** The producer of an item, and its number among the items of that producer. */
export type Item = readonly [producer: string, n: number];

/** The use of one queue, until the process is killed. */
export interface Job {
  /** Marks the lines that the process writes. */
  readonly id: number;
  readonly queue: Queue.Queue<Item>;
  /** Name of the producer, and number of items per put. */
  readonly produce?: { readonly name: string; readonly batch: number };
  /** Number of items per take; `0` for a stream. */
  readonly consume?: number;
}

/** Writes a line that survives the death of the process. */
export const scribe = (path: string): (line: string) => void => {
  const file = Deno.openSync(path, { append: true });
  const encoder = new TextEncoder();
  return (line) => void file.writeSync(encoder.encode(`${line}\n`));
};

/** Runs all jobs for ever. `+ id n`: n of its puts have returned; `- id producer n`: it has got this item. */
export const victim = Task.make(import.meta, "victim", (jobs: ReadonlyArray<Job>, path: string) => {
  const write = scribe(path);
  const produce = ({ id, produce, queue }: Job): Effect.Effect<void, unknown> => {
    if (produce === undefined) return Effect.void;
    const { batch, name } = produce;
    let n = 0;
    const puts = (): Effect.Effect<void, unknown> => {
      if (batch === 1) return queue.put([name, n]);
      return queue.putAll(Array.from({ length: batch }, (_, i): Item => [name, n + i]));
    };
    return Effect.forever(Effect.map(Effect.suspend(puts), () => write(`+ ${id} ${n += batch}`)));
  };
  const consume = ({ consume, id, queue }: Job): Effect.Effect<void, unknown> => {
    if (consume === undefined) return Effect.void;
    const got = ([producer, n]: Item): void => write(`- ${id} ${producer} ${n}`);
    if (consume === 0) return Stream.runForEach(queue.toStream, (item) => Effect.sync(() => got(item)));
    if (consume === 1) return Effect.forever(Effect.map(queue.get, got));
    return Effect.forever(Effect.map(queue.takeUpTo(consume), (items) => items.forEach(got)));
  };
  write("begun");
  return Effect.all(jobs.flatMap((job) => [produce(job), consume(job)]), { concurrency: "unbounded", discard: true });
});

/** Puts one item, large or not. */
export const put = Task.make(
  import.meta,
  "put",
  (queue: Queue.Queue<Uint8Array>, size: number) => queue.put(new Uint8Array(size).fill(1)),
);

/** Puts items one after the other until the queue fails, and reports the failure. */
export const putOn = Task.make(
  import.meta,
  "putOn",
  (queue: Queue.Queue<number>) => Effect.flip(Effect.forever(queue.put(1))),
);
