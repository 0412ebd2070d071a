/**
 * The tasks of those who are killed while they use queues. They write down, with no step between, what they have done.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** Who has put it, and which of his items it is. */
export type Item = readonly [producer: string, n: number];

/** What to do with one queue, until it is killed. */
export interface Job {
  /** For what it writes down. */
  readonly id: number;
  readonly queue: Queue.Queue<Item>;
  /** Puts as this one, so many at once. */
  readonly produce?: { readonly name: string; readonly batch: number };
  /** Takes, so many at once; `0` as a stream. */
  readonly consume?: number;
}

/** Writes down a line that is there whatever happens next. */
export const scribe = (path: string): (line: string) => void => {
  const file = Deno.openSync(path, { append: true });
  const encoder = new TextEncoder();
  return (line) => void file.writeSync(encoder.encode(`${line}\n`));
};

/** Does all of it at once, without end. `+ id n`: so many of its puts have returned; `- id producer n`: it has got this. */
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

/** Puts one after the other until the queue is no more, and tells why. */
export const putOn = Task.make(
  import.meta,
  "putOn",
  (queue: Queue.Queue<number>) => Effect.flip(Effect.forever(queue.put(1))),
);
