/**
 * The progress of calls, counted where their jobs settle.
 *
 * @module
 */
import type * as Clock from "effect/Clock";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Queue from "effect/Queue";
import * as Stream from "effect/Stream";
import type * as Pool from "../../Pool.ts";

const TypeId: Pool.ProgressTypeId = "~multiprocessing/Progress";

/** The counts of all calls that were given this progress. */
export class Progress implements Pool.Progress {
  readonly [TypeId]: Pool.ProgressTypeId = TypeId;
  readonly #clock: Clock.Clock;
  readonly #watchers = new Set<Queue.Queue<Exit.Exit<Pool.ProgressSnapshot, Option.Option<never>>>>();
  #total = 0;
  #done = 0;
  #failed = 0;
  #started: number | undefined;
  /** Number of calls that have begun and not ended. */
  #open = 0;
  /** Whether a call without a known end has begun. */
  #endless = false;

  constructor(clock: Clock.Clock) {
    this.#clock = clock;
  }

  /** Items that were not counted before begin; `undefined` if their number is not known. */
  begin(items: number | undefined): void {
    this.#started ??= this.#clock.unsafeCurrentTimeMillis();
    this.#open++;
    if (items === undefined) this.#endless = true;
    else this.#total += items;
    this.#tell();
  }

  /** Items have settled. */
  settle(items: number, failed: number): void {
    this.#done += items - failed;
    this.#failed += failed;
    this.#tell();
  }

  /** A call has ended. */
  end(): void {
    this.#open--;
    this.#tell();
    if (this.#open > 0) return;
    for (const watcher of this.#watchers) watcher.unsafeOffer(Exit.fail(Option.none()));
  }

  readonly snapshot: Effect.Effect<Pool.ProgressSnapshot> = Effect.sync(() => this.#look());

  readonly changes: Stream.Stream<Pool.ProgressSnapshot> = Stream.unwrapScoped(Effect.gen(this, function* () {
    // A reader that is slow misses what is outdated. The last change and the end are both kept.
    const queue = yield* Effect.acquireRelease(
      Queue.sliding<Exit.Exit<Pool.ProgressSnapshot, Option.Option<never>>>(2),
      (queue) => Effect.zipRight(Effect.sync(() => this.#watchers.delete(queue)), Queue.shutdown(queue)),
    );
    this.#watchers.add(queue);
    queue.unsafeOffer(Exit.succeed(this.#look()));
    return Stream.repeatEffectOption(Effect.flatten(Queue.take(queue)));
  }));

  #tell(): void {
    if (this.#watchers.size === 0) return;
    const exit = Exit.succeed(this.#look());
    for (const watcher of this.#watchers) watcher.unsafeOffer(exit);
  }

  #look(): Pool.ProgressSnapshot {
    const elapsed = this.#started === undefined ? 0 : this.#clock.unsafeCurrentTimeMillis() - this.#started;
    const settled = this.#done + this.#failed;
    const rate = elapsed > 0 ? settled / elapsed * 1000 : 0;
    const left = this.#total - settled;
    return {
      done: this.#done,
      failed: this.#failed,
      total: this.#endless ? Option.none() : Option.some(this.#total),
      elapsed: Duration.millis(elapsed),
      rate,
      timeLeft: this.#endless || rate === 0 ? Option.none() : Option.some(Duration.millis(left / rate * 1000)),
    };
  }
}

/** Makes a progress; see `Pool.progress`. */
export const make: Effect.Effect<Pool.Progress> = Effect.map(Effect.clock, (clock) => new Progress(clock));
