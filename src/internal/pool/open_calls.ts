/**
 * The calls of a pool that have begun and not ended: a closed pool finishes them before it can be joined.
 *
 * @module
 */
import * as Effect from "effect/Effect";

/** Counts open calls, and resumes waiters when none is left. */
export class OpenCalls {
  #count = 0;
  #abandoned = false;
  #waiters: Array<() => void> = [];

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
    this.#notify();
  }

  /** The pool is stopping all calls. Nothing waits for them any more: each ends when its caller has seen the failure. */
  abandon(): void {
    this.#abandoned = true;
    this.#notify();
  }

  /** Waits until no call is open. */
  readonly ended: Effect.Effect<void> = Effect.async((resume) => {
    this.#waiters.push(() => resume(Effect.void));
    this.#notify();
  });

  #notify(): void {
    if (this.#count === 0 || this.#abandoned) { for (const resume of this.#waiters.splice(0)) resume(); }
  }
}
