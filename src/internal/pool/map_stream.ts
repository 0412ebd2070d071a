/**
 * A Stream through a pool: one item or several become a job, and at most `lookAhead` jobs are in the pool at a time.
 *
 * - Results that are ready leave in one chunk, so a fast task costs no fiber for each item.
 * - In order, a failure is emitted after the results of the items before it. The items after it are stopped at once.
 * - When the reader stops, the source is interrupted, and jobs are taken back or stopped, and awaited.
 * - The work is linear in the number of items, whatever the look-ahead.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";
import type * as Call from "../child/call.ts";
import type { Job, JobExit, Terms } from "./job.ts";
import type { Gate } from "./jobs.ts";

/** Options of {@link mapStream}. */
export interface Options {
  readonly gate: Gate;
  readonly terms: Terms;
  /** Maximal number of jobs that are waiting, running, or done and not yet read. */
  readonly lookAhead: number;
  readonly unordered: boolean;
  /** Whether a result is a list of results. */
  readonly flatten: boolean;
  /** Number of items of the next job, if so many are at hand: at least 1. */
  readonly count: (atHand: number) => number;
  /** The results that stand for the failure of a job, if the stream is to go on after it. */
  readonly recover: ((cause: Cause.Cause<unknown>, items: ReadonlyArray<unknown>) => unknown) | undefined;
  /** Receives the Exit of each job. */
  readonly settled: (exit: JobExit, items: ReadonlyArray<unknown>, report: Call.Report | undefined) => void;
  /** Prepares a job. `first` is the place of its first item in the input. */
  readonly prepare: (items: ReadonlyArray<unknown>, first: number) => Effect.Effect<Call.Prepared, unknown>;
}

/** A job, with its Exit when it has settled. */
interface Entry {
  /** Place among the jobs. */
  readonly index: number;
  job: Job | undefined;
  exit: JobExit | undefined;
  /** Results of the items before the one that has failed, if they are known and were not emitted. */
  before: ReadonlyArray<unknown>;
}

const none: ReadonlyArray<unknown> = [];

class MapStream {
  /** Entries whose jobs have not settled, in the order of the input. */
  readonly #open = new Set<Entry>();
  /** Entries that were not emitted, in the order in which they are emitted: of the input, or of their ends. */
  #queue: Array<Entry> = [];
  /** Index of the first entry of the queue. */
  #head = 0;
  /** Number of entries that were not emitted. */
  #size = 0;
  #next = 0;
  /** Number of items of the jobs so far. */
  #items = 0;
  /** Results in the hands of the reader: they count until it comes for more. */
  #taken = 0;
  #source: JobExit | undefined;
  #failed = false;
  #wakeReader = (): void => {};
  #wakeSource = (): void => {};
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Submits a job of the next items, from place `at` in the list, as soon as there is room for it, and returns their number. */
  put(items: ReadonlyArray<unknown>, at: number): Effect.Effect<number> {
    return Effect.flatMap(this.#space, () => {
      const part = items.slice(at, at + this.#options.count(items.length - at));
      return Effect.matchCauseEffect(this.#options.prepare(part, this.#items), {
        onFailure: (cause) => {
          // The results of the items before the one that cannot be sent are emitted before the failure.
          if (part.length > 1) return Effect.as(Effect.forEach(part, (item) => this.put([item], 0)), part.length);
          return Effect.as(Effect.sync(() => this.#refuse(cause, part)), 1);
        },
        onSuccess: (prepared) => Effect.as(this.#enter(() => this.#submit(prepared, part)), part.length),
      });
    });
  }

  /** The source has ended. */
  readonly end = (exit: JobExit): void => {
    this.#source = exit;
    this.#wakeReader();
  };

  /** Waits for results and takes those that are ready, at least one; fails with `None` at the end. */
  readonly take: Effect.Effect<Chunk.Chunk<unknown>, Option.Option<unknown>> = Effect.suspend(() => {
    if (this.#taken > 0) {
      this.#taken = 0;
      this.#wakeSource();
    }
    const results = this.#shift();
    if (results.length > 0) return Effect.succeed(Chunk.unsafeFromArray(results));
    const exit = this.#size > 0 ? this.#queue[this.#head]?.exit : this.#source;
    if (exit === undefined) return Effect.zipRight(this.#change, this.take);
    return Exit.isFailure(exit) ? Effect.failCause(Cause.map(exit.cause, Option.some)) : Effect.fail(Option.none());
  });

  /** Takes back the jobs that wait, stops those that run, and waits until they have stopped. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.#cancelAfter(-1);
    return Effect.async<void>((resume) => {
      const check = (): void => {
        this.#wakeReader = check;
        if (this.#open.size === 0) resume(Effect.void);
      };
      check();
    });
  });

  /** Waits until the look-ahead and the queue of the pool have room for a job of items that are still to be pulled. */
  readonly room: Effect.Effect<void> = Effect.suspend(() => Effect.zipRight(this.#space, this.#enter(() => {})));

  /** Waits until the look-ahead has room. After a failure there is none, since nothing more may begin. */
  readonly #space: Effect.Effect<void> = Effect.suspend(() =>
    !this.#failed && this.#size + this.#taken < this.#options.lookAhead ? Effect.void : Effect.zipRight(
      Effect.async<void>((resume) => {
        this.#wakeSource = () => resume(Effect.void);
      }),
      this.#space,
    )
  );

  /** Runs a function when it is the turn of this stream to enter the queue of the pool, unless the stream has failed meanwhile. */
  #enter(run: () => void): Effect.Effect<void> {
    return Effect.async((resume) => {
      const leave = this.#options.gate.admission.enter(() => {
        if (!this.#failed) run();
        resume(Effect.void);
      });
      return Effect.sync(leave);
    });
  }

  readonly #change: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.#wakeReader = () => resume(Effect.void);
  });

  /** Takes results off the queue, up to half of the look-ahead: while the reader handles them, the pool works on the other half. */
  #shift(): ReadonlyArray<unknown> {
    const { flatten, lookAhead } = this.#options;
    const limit = Math.max(1, lookAhead >> 1);
    const results: Array<unknown> = [];
    while (this.#taken < limit && this.#head < this.#queue.length) {
      const entry = this.#queue[this.#head];
      const { exit } = entry;
      if (exit === undefined) break;
      if (Exit.isFailure(exit)) {
        for (const result of entry.before) results.push(result);
        entry.before = none;
        break;
      }
      if (flatten) { for (const result of exit.value as ReadonlyArray<unknown>) results.push(result); }
      else results.push(exit.value);
      this.#head++;
      this.#taken++;
    }
    this.#size -= this.#taken;
    // Dropping one half at a time keeps the cost in proportion to what was taken.
    if (this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return results;
  }

  #add(items: ReadonlyArray<unknown>): Entry {
    const entry: Entry = { index: this.#next++, job: undefined, exit: undefined, before: none };
    this.#items += items.length;
    this.#size++;
    this.#open.add(entry);
    if (!this.#options.unordered) this.#queue.push(entry);
    return entry;
  }

  #refuse(cause: Cause.Cause<unknown>, items: ReadonlyArray<unknown>): void {
    this.#settle(this.#add(items), Exit.failCause(cause), items, undefined);
  }

  #submit(prepared: Call.Prepared, items: ReadonlyArray<unknown>): void {
    const entry = this.#add(items);
    const { gate, terms } = this.#options;
    entry.job = gate.submit(
      prepared,
      (exit, report) => this.#settle(entry, exit, items, report),
      terms,
    );
  }

  #settle(entry: Entry, outcome: JobExit, items: ReadonlyArray<unknown>, report: Call.Report | undefined): void {
    const { recover, unordered } = this.#options;
    this.#options.settled(outcome, items, report);
    const exit = Exit.isFailure(outcome) && recover !== undefined
      ? Exit.succeed(recover(outcome.cause, items))
      : outcome;
    entry.exit = exit;
    entry.before = report?.before ?? none;
    this.#open.delete(entry);
    if (unordered) this.#queue.push(entry);
    if (Exit.isFailure(exit) && !this.#failed) {
      this.#failed = true;
      this.#cancelAfter(unordered ? -1 : entry.index);
    }
    this.#wakeReader();
  }

  /** Cancels the open entries after this index. A job that is taken back never settles. */
  #cancelAfter(index: number): void {
    for (const entry of this.#open) {
      if (entry.index <= index || entry.job === undefined) continue;
      if (this.#options.gate.dispatcher.cancel(entry.job)) this.#open.delete(entry);
    }
  }
}

/** Runs the items of a Stream as jobs. */
export const mapStream =
  (options: Options) => <E, R>(stream: Stream.Stream<unknown, E, R>): Stream.Stream<unknown, unknown, R> =>
    Stream.unwrapScoped(Effect.gen(function* () {
      const state = new MapStream(options);
      // Registered before the source is forked, so that it runs when the source has been interrupted and puts no more items.
      yield* Effect.addFinalizer(() => state.stop);
      const source = Stream.runForEachChunk(stream, (chunk) => {
        const items = Chunk.toReadonlyArray(chunk);
        let at = 0;
        const put = Effect.whileLoop({
          while: () => at < items.length,
          body: () => state.put(items, at),
          step: (count) => void (at += count),
        });
        // No item is pulled before there is room for it: it would wait here while another consumer could have it.
        return Effect.zipRight(put, state.room);
      });
      yield* Effect.forkScoped(Effect.onExit(source, (exit) => Effect.sync(() => state.end(exit))));
      return Stream.repeatEffectChunkOption(state.take);
    }));
