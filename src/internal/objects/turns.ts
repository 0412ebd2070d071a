/**
 * Turns at what only one can do at a time: whoever is first has his turn when it can be done, and the next when he has left.
 *
 * @module
 */
import { type Place, Waiting } from "./waiting.ts";

/** One in the line. */
export interface Turn {
  readonly size: number;
  /** Called once, when it is his turn: he does it, or leaves. */
  wake: (() => void) | undefined;
}

/** The line. */
export class Turns {
  readonly #waiting = new Waiting<Turn>();
  readonly #possible: (size: number) => boolean;

  /** `possible` says whether it can be done now, by one of that size. */
  constructor(possible: (size: number) => boolean) {
    this.#possible = possible;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Whether one who comes now has his turn at once. */
  free(size: number): boolean {
    return this.#waiting.length === 0 && this.#possible(size);
  }

  enter(size: number): Place<Turn> {
    return this.#waiting.push({ size, wake: undefined });
  }

  /** Calls back when it is his turn. */
  await(place: Place<Turn>, wake: () => void): void {
    place.value.wake = wake;
    this.check();
  }

  leave(place: Place<Turn>): void {
    this.#waiting.remove(place);
    this.check();
  }

  /** It may have become possible. */
  check(): void {
    const first = this.#waiting.first;
    if (first?.wake === undefined || !this.#possible(first.size)) return;
    const { wake } = first;
    first.wake = undefined;
    wake();
  }
}
