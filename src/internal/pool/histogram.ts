/**
 * The distribution of durations, in a constant amount of memory.
 *
 * @module
 */
import type { Durations } from "../../Pool.ts";

/** Number of steps in which a duration doubles: the error of a quantile is at most a tenth. */
const STEPS = 4;

/** The shortest duration that is told from zero, in milliseconds. */
const LEAST = 0.001;

/** Counts of durations from a microsecond to twelve days. */
export class Histogram {
  readonly #counts = new Float64Array(40 * STEPS);
  #count = 0;
  #sum = 0;
  #max = 0;

  /** Counts a duration, in milliseconds. */
  record(millis: number): void {
    const place = millis <= LEAST ? 0 : Math.ceil(Math.log2(millis / LEAST) * STEPS);
    this.#counts[Math.min(place, this.#counts.length - 1)]++;
    this.#count++;
    this.#sum += millis;
    if (millis > this.#max) this.#max = millis;
  }

  /** What was counted so far. */
  summary(): Durations {
    return {
      count: this.#count,
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      median: this.#quantile(0.5),
      p90: this.#quantile(0.9),
      p99: this.#quantile(0.99),
      max: this.#max,
    };
  }

  /** The duration that a share of all does not exceed. */
  #quantile(share: number): number {
    let left = share * this.#count;
    if (left === 0) return 0;
    let place = 0;
    while (place < this.#counts.length - 1 && (left -= this.#counts[place]) > 0) place++;
    // The middle of the step, on the scale on which steps are equal.
    return Math.min(this.#max, LEAST * 2 ** ((place - 0.5) / STEPS));
  }
}
