/**
 * One change after the other: an object that is changed by a task which takes its time is changed by nobody else meanwhile.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { exactly } from "../../objects/exactly.ts";
import { type Place, Waiting } from "../../objects/waiting.ts";

/** Whose turn it is. */
export class Turn {
  #taken = false;
  readonly #waiting = new Waiting<(granted: Effect.Effect<void>) => void>();

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

  readonly #enter: Effect.Effect<void> = exactly<void, never, void, never>((granted) => {
    let place: Place<(granted: Effect.Effect<void>) => void> | undefined;
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
