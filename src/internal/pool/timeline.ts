/**
 * The record of what workers did when.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Model from "../../Timeline.ts";
import { chromeTrace, svg } from "./timeline_files.ts";

const TypeId: Model.TypeId = "~multiprocessing/Timeline";

/** Keeps the latest entries. */
export class Timeline implements Model.Timeline {
  readonly [TypeId]: Model.TypeId = TypeId;
  readonly #capacity: number;
  /** When it was made; see `performance.now`. */
  readonly #origin = performance.now();
  #entries: Array<Model.Entry> = [];
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Adds a task; `start` and `end` are those of `performance.now`. */
  add(entry: Model.Entry): void {
    this.#entries.push({ ...entry, start: entry.start - this.#origin, end: entry.end - this.#origin });
    if (this.#entries.length < 2 * this.#capacity) return;
    // Dropping one half at a time keeps the cost in proportion to what was added.
    this.#dropped += this.#entries.length - this.#capacity;
    this.#entries = this.#entries.slice(-this.#capacity);
  }

  readonly entries: Effect.Effect<ReadonlyArray<Model.Entry>> = Effect.sync(() => this.#entries.slice(-this.#capacity));

  readonly dropped: Effect.Effect<number> = Effect.sync(() =>
    this.#dropped + Math.max(0, this.#entries.length - this.#capacity)
  );

  readonly chromeTrace: Effect.Effect<string> = Effect.map(this.entries, chromeTrace);

  readonly svg: Effect.Effect<string> = Effect.map(this.entries, svg);
}
