/**
 * Serializes changes of one managed object: while a task changes the object, other changes wait, in order.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Fifo } from "../../objects/fifo.ts";
import { waitThenCommit } from "../../objects/interruption.ts";

/** The lock of one managed object. */
export class WriteLock {
  #held = false;
  readonly #waiting = new Fifo<(granted: Effect.Effect<void>) => void>();

  /** Makes a change that takes no time: at once, or as an Effect while another change is in progress. */
  write<A>(change: () => A): A | Effect.Effect<A> {
    return this.#held ? this.hold(Effect.sync(change)) : change();
  }

  /** Makes a change that takes time. */
  hold<A, E, R>(change: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(restore(this.#acquire), Effect.ensuring(restore(change), Effect.sync(() => this.#release())))
    );
  }

  readonly #acquire: Effect.Effect<void> = waitThenCommit<void, never, void>((granted) => {
    if (!this.#held) {
      this.#held = true;
      granted(Effect.void);
      return () => this.#release();
    }
    const entry = this.#waiting.push(granted);
    return () => {
      if (!this.#waiting.remove(entry)) this.#release();
    };
  }, () => Effect.void);

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#held = false;
    else next(Effect.void);
  }
}
