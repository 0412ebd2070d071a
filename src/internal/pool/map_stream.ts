/**
 * A Stream through a pool: each item becomes a job, and at most `lookAhead` items are in the pool at a time.
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
import type { Job, Terms } from "./job.ts";
import { type Gate, workOf } from "./jobs.ts";

/** Options of {@link mapStream}. */
export interface Options<I> {
  readonly gate: Gate;
  readonly terms: Terms;
  /** Maximal number of items that are waiting, running, or done and not yet read. */
  readonly lookAhead: number;
  readonly unordered: boolean;
  /** Whether a result is a list of results. */
  readonly flatten: boolean;
  /** The results that stand for the failure of a job, if the stream is to go on after it. */
  readonly recover: ((cause: Cause.Cause<unknown>, item: I) => unknown) | undefined;
  /** Receives the Exit of each job. */
  readonly settled: (exit: Exit.Exit<unknown, unknown>, item: I) => void;
  readonly prepare: (item: I) => Effect.Effect<Call.Prepared, unknown>;
}

/** An item in the pool, with its Exit when its job has settled. */
interface Entry {
  /** Place in the input. */
  readonly index: number;
  job: Job | undefined;
  exit: Exit.Exit<unknown, unknown> | undefined;
}

class MapStream<I> {
  /** Entries whose jobs have not settled, in the order of the input. */
  readonly #open = new Set<Entry>();
  /** Entries that were not emitted, in the order in which they are emitted: of the input, or of their ends. */
  #queue: Array<Entry> = [];
  /** Index of the first entry of the queue. */
  #head = 0;
  /** Number of entries that were not emitted. */
  #size = 0;
  #next = 0;
  /** Results in the hands of the reader: they count until it comes for more. */
  #taken = 0;
  #source: Exit.Exit<unknown, unknown> | undefined;
  #failed = false;
  #wakeReader = (): void => {};
  #wakeSource = (): void => {};
  readonly #options: Options<I>;

  constructor(options: Options<I>) {
    this.#options = options;
  }

  /** Submits the next item as soon as there is room for it. */
  put(item: I): Effect.Effect<void> {
    return Effect.flatMap(
      this.room,
      () =>
        Effect.matchCause(this.#options.prepare(item), {
          onFailure: (cause) => this.#refuse(cause, item),
          onSuccess: (prepared) => this.#submit(prepared, item),
        }),
    );
  }

  /** The source has ended. */
  readonly end = (exit: Exit.Exit<unknown, unknown>): void => {
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
    if (this.#taken > 0) return Effect.succeed(Chunk.unsafeFromArray(results));
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

  /** Waits for room. After a failure there is none, since nothing more may begin. */
  readonly room: Effect.Effect<void> = Effect.suspend(() =>
    !this.#failed && this.#size + this.#taken < this.#options.lookAhead ? this.#admitted : Effect.zipRight(
      Effect.async<void>((resume) => {
        this.#wakeSource = () => resume(Effect.void);
      }),
      this.room,
    )
  );

  /** Waits until the queue of the pool has room. A place that others take meanwhile is waited for again. */
  readonly #admitted: Effect.Effect<void> = Effect.suspend(() => {
    const { admission } = this.#options.gate;
    if (admission.open) return Effect.void;
    return Effect.zipRight(
      Effect.async<void>((resume) => {
        const leave = admission.enter(() => resume(Effect.void));
        return Effect.sync(leave);
      }),
      this.room,
    );
  });

  readonly #change: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.#wakeReader = () => resume(Effect.void);
  });

  /** Takes results off the queue, up to half of the look-ahead: while the reader handles them, the pool works on the other half. */
  #shift(): ReadonlyArray<unknown> {
    const { flatten, lookAhead } = this.#options;
    const limit = Math.max(1, lookAhead >> 1);
    const results: Array<unknown> = [];
    while (this.#taken < limit && this.#head < this.#queue.length) {
      const { exit } = this.#queue[this.#head];
      if (exit === undefined || Exit.isFailure(exit)) break;
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

  #add(): Entry {
    const entry: Entry = { index: this.#next++, job: undefined, exit: undefined };
    this.#size++;
    this.#open.add(entry);
    if (!this.#options.unordered) this.#queue.push(entry);
    return entry;
  }

  #refuse(cause: Cause.Cause<unknown>, item: I): void {
    this.#settle(this.#add(), Exit.failCause(cause), item);
  }

  #submit(prepared: Call.Prepared, item: I): void {
    const entry = this.#add();
    const { gate, terms } = this.#options;
    entry.job = gate.dispatcher.submit(
      workOf(prepared, gate.queueable),
      (exit) => this.#settle(entry, exit, item),
      terms,
    );
  }

  #settle(entry: Entry, outcome: Exit.Exit<unknown, unknown>, item: I): void {
    const { recover, unordered } = this.#options;
    this.#options.settled(outcome, item);
    const exit = Exit.isFailure(outcome) && recover !== undefined
      ? Exit.succeed(recover(outcome.cause, item))
      : outcome;
    entry.exit = exit;
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

/** Runs each item of a Stream as a job. */
export const mapStream =
  <I>(options: Options<I>) => <E, R>(stream: Stream.Stream<I, E, R>): Stream.Stream<unknown, unknown, R> =>
    Stream.unwrapScoped(Effect.gen(function* () {
      const state = new MapStream(options);
      // Registered before the source is forked, so that it runs when the source has been interrupted and puts no more items.
      yield* Effect.addFinalizer(() => state.stop);
      const source = Stream.runForEachChunk(stream, (chunk) => {
        const items = Chunk.toReadonlyArray(chunk);
        let at = 0;
        const put = Effect.whileLoop({
          while: () => at < items.length,
          body: () => state.put(items[at++]),
          step: () => {},
        });
        // No item is pulled before there is room for it: it would wait here while another consumer could have it.
        return Effect.zipRight(put, state.room);
      });
      yield* Effect.forkScoped(Effect.onExit(source, (exit) => Effect.sync(() => state.end(exit))));
      return Stream.repeatEffectChunkOption(state.take);
    }));
