/**
 * One change after the other: an object that is changed by a task which takes its time is changed by nobody else meanwhile.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { waitThenCommit } from "../../objects/interruption.ts";
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";

/** Whose turn it is. */
export class Turn {
  #taken = false;
  readonly #waiting = new Fifo<(granted: Effect.Effect<void>) => void>();

  /** Makes a change: at once, or, while another is under way, when that is done. */
  write<A>(change: () => A): A | Effect.Effect<A> {
    return this.#taken ? this.hold(Effect.sync(change)) : change();
  }

  /** Makes a change that takes its time. */
  hold<A, E, R>(change: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(restore(this.#enter), Effect.ensuring(restore(change), Effect.sync(() => this.#leave())))
    );
  }

  readonly #enter: Effect.Effect<void> = waitThenCommit<void, never, void, never>((granted) => {
    let place: FifoEntry<(granted: Effect.Effect<void>) => void> | undefined;
    if (this.#taken) place = this.#waiting.push(granted);
    else {
      this.#taken = true;
      granted(Effect.void);
    }
    return () => {
      if (place === undefined || !this.#waiting.remove(place)) this.#leave();
    };
  }, () => Effect.void);

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next(Effect.void);
  }
}
