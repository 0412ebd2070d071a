/**
 * Processes that use shared objects until they are killed.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Condition from "../../src/Condition.ts";
import type * as Event from "../../src/Event.ts";
import type * as Lock from "../../src/Lock.ts";
import type * as ReadWriteLock from "../../src/ReadWriteLock.ts";
import type * as Semaphore from "../../src/Semaphore.ts";
import * as Task from "../../src/Task.ts";

/** The objects of a round, and a file with two numbers that the lock protects. */
export interface Job {
  readonly lock: Lock.Lock;
  readonly semaphore: Semaphore.Semaphore;
  readonly readers: ReadWriteLock.ReadWriteLock;
  readonly condition: Condition.Condition;
  readonly event: Event.Event;
  readonly begun: Event.Event;
  /** The lock protects two numbers in this file, which are equal unless a holder died between the writes. */
  readonly path: string;
  /** Whether the file is written. */
  readonly writes: boolean;
}

const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));

/** Increments both numbers, one after the other. The successor of a dead holder makes them equal. */
export const count = ({ path, writes }: Job) => ({ abandoned }: Lock.Held): Effect.Effect<void, string> =>
  !writes ? turn : Effect.uninterruptible(Effect.gen(function* () {
    const numbers = new Int32Array(Deno.readFileSync(path).buffer);
    if (numbers[0] !== numbers[1] && !abandoned) return yield* Effect.fail(`${numbers} and not abandoned`);
    numbers[0]++;
    Deno.writeFileSync(path, new Uint8Array(numbers.buffer));
    if (numbers[0] % 7 === 0) yield* turn;
    numbers[1] = numbers[0];
    Deno.writeFileSync(path, new Uint8Array(numbers.buffer));
  }));

/** The work of a process that is killed: operations of all kinds, for ever. */
export const everything = (job: Job): Effect.Effect<never, unknown> =>
  Effect.all([
    Effect.forever(Effect.zipRight(
      Effect.scoped(Effect.flatMap(job.lock.acquire, count(job))),
      turn,
    )),
    Effect.forever(Effect.zipRight(job.semaphore.withPermits(turn, 2), turn)),
    Effect.forever(Effect.zipRight(job.readers.read.withLock(turn), turn)),
    Effect.forever(Effect.zipRight(job.readers.write.withLock(turn), turn)),
    Effect.forever(Effect.zipRight(job.condition.withLock(job.condition.wait), turn)),
    Effect.forever(Effect.zipRight(job.event.wait, turn)),
  ], { concurrency: "unbounded" }) as unknown as Effect.Effect<never, unknown>;

/** Uses all objects until it is killed. */
export const victim = Task.make(
  import.meta,
  "victim",
  (jobs: ReadonlyArray<Job>) =>
    Effect.zipRight(
      Effect.forEach(jobs, ({ begun }) => begun.set),
      Effect.forEach(jobs, everything, { concurrency: "unbounded" }),
    ),
);
