/**
 * A Stream through a pool: items in, results out, no more of them under way than the look-ahead.
 *
 * - Results that are there leave together, so a fast task costs no fiber for each item.
 * - A failure is emitted where it belongs: in order, after the results before it. What comes after it is stopped at once.
 * - When the reader stops, so does everything: the source is interrupted, jobs are taken back or stopped, and waited for.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";
import * as Call from "../child/call.ts";
import type { Dispatcher, Job } from "./dispatcher.ts";

/** Options of {@link flow}. */
export interface Options<I> {
  readonly dispatcher: Dispatcher;
  /** Items that may be waiting, running, or done and not yet taken. */
  readonly lookAhead: number;
  readonly unordered: boolean;
  /** Whether a result is a list of results. */
  readonly flatten: boolean;
  /** How long a job may run, in milliseconds. */
  readonly timeout: number | undefined;
  readonly prepare: (item: I) => Effect.Effect<Call.Prepared, unknown>;
}

/** An item under way, and its end if it has one. */
interface Entry {
  job: Job | undefined;
  exit: Exit.Exit<unknown, unknown> | undefined;
}

class Flow<I> {
  /** In the order of the input; if that does not matter, those that have ended are moved to the front. */
  #entries: Array<Entry> = [];
  #ended = 0;
  /** Results in the reader's hands: they count until it comes for more. */
  #taken = 0;
  #source: Exit.Exit<unknown, unknown> | undefined;
  #failed = false;
  #wakeReader = (): void => {};
  #wakeSource = (): void => {};
  readonly #options: Options<I>;

  constructor(options: Options<I>) {
    this.#options = options;
  }

  /** Takes the next item as soon as there is room for it. */
  put(item: I): Effect.Effect<void> {
    return Effect.flatMap(
      this.room,
      () => Effect.matchCause(this.#options.prepare(item), { onFailure: this.#refuse, onSuccess: this.#submit }),
    );
  }

  /** There will be no more items. */
  readonly end = (exit: Exit.Exit<unknown, unknown>): void => {
    this.#source = exit;
    this.#wakeReader();
  };

  /** The results that are there, at least one; fails with `None` at the end. */
  readonly take: Effect.Effect<Chunk.Chunk<unknown>, Option.Option<unknown>> = Effect.suspend(() => {
    if (this.#taken > 0) {
      this.#taken = 0;
      this.#wakeSource();
    }
    const results: Array<unknown> = [];
    let taken = 0;
    // Half at most: while the reader is at it, the pool works on the other half.
    const most = Math.max(1, this.#options.lookAhead >> 1);
    for (const { exit } of this.#entries) {
      if (exit === undefined || Exit.isFailure(exit) || taken === most) break;
      if (this.#options.flatten) results.push(...exit.value as ReadonlyArray<unknown>);
      else results.push(exit.value);
      taken++;
    }
    if (taken > 0) {
      this.#entries.splice(0, taken);
      this.#ended -= taken;
      this.#taken = taken;
      return Effect.succeed(Chunk.unsafeFromArray(results));
    }
    const failure = this.#entries[0]?.exit ?? (this.#entries.length === 0 ? this.#source : undefined);
    if (failure === undefined) return Effect.zipRight(this.#change, this.take);
    return Exit.isFailure(failure)
      ? Effect.failCause(Cause.map(failure.cause, Option.some))
      : Effect.fail(Option.none());
  });

  /** Takes back what waits, stops what runs, and waits until it has stopped. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.#cancelFrom(0);
    const settled = Effect.async<void>((resume) => {
      const check = (): void => {
        this.#wakeReader = check;
        if (this.#entries.every(({ exit }) => exit !== undefined)) resume(Effect.void);
      };
      check();
    });
    return settled;
  });

  /** Waits for room. A failure leaves none: nothing more is to be begun. */
  readonly room: Effect.Effect<void> = Effect.suspend(() =>
    !this.#failed && this.#entries.length + this.#taken < this.#options.lookAhead ? Effect.void : Effect.zipRight(
      Effect.async<void>((resume) => {
        this.#wakeSource = () => resume(Effect.void);
      }),
      this.room,
    )
  );

  readonly #change: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.#wakeReader = () => resume(Effect.void);
  });

  readonly #refuse = (cause: Cause.Cause<unknown>): void => {
    const entry: Entry = { job: undefined, exit: undefined };
    this.#entries.push(entry);
    this.#settle(entry, Exit.failCause(cause));
  };

  readonly #submit = (prepared: Call.Prepared): void => {
    const entry: Entry = { job: undefined, exit: undefined };
    this.#entries.push(entry);
    const { dispatcher, timeout } = this.#options;
    entry.job = dispatcher.submit(
      (child, done) => Call.start(child, prepared, false, done),
      (exit) => this.#settle(entry, exit),
      timeout,
    );
  };

  #settle(entry: Entry, exit: Exit.Exit<unknown, unknown>): void {
    const { unordered } = this.#options;
    entry.exit = exit;
    if (unordered) {
      this.#entries.splice(this.#entries.indexOf(entry), 1);
      this.#entries.splice(this.#ended, 0, entry);
    }
    this.#ended++;
    if (Exit.isFailure(exit) && !this.#failed) {
      this.#failed = true;
      this.#cancelFrom(unordered ? 0 : this.#entries.indexOf(entry) + 1);
    }
    this.#wakeReader();
  }

  #cancelFrom(start: number): void {
    for (const entry of this.#entries.slice(start)) {
      if (entry.exit !== undefined || entry.job === undefined) continue;
      if (this.#options.dispatcher.cancel(entry.job)) entry.exit = Exit.interrupt(FiberId.none);
    }
  }
}

/** Runs each item of a Stream as a job. */
export const flow =
  <I>(options: Options<I>) => <E, R>(stream: Stream.Stream<I, E, R>): Stream.Stream<unknown, unknown, R> =>
    Stream.unwrapScoped(Effect.gen(function* () {
      const state = new Flow(options);
      // Runs after the source has been interrupted, so that nothing is put in behind its back.
      yield* Effect.addFinalizer(() => state.stop);
      const source = Stream.runForEachChunk(stream, (chunk) => {
        const items = Chunk.toReadonlyArray(chunk);
        let at = 0;
        const put = Effect.whileLoop({
          while: () => at < items.length,
          body: () => state.put(items[at++]),
          step: () => {},
        });
        // No item is asked for before there is room for it: it would wait here while others could have it.
        return Effect.zipRight(put, state.room);
      });
      yield* Effect.forkScoped(Effect.onExit(source, (exit) => Effect.sync(() => state.end(exit))));
      return Stream.repeatEffectChunkOption(state.take);
    }));
