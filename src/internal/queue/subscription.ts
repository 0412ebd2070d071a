/**
 * The reader that the gets of a process share while they follow each other closely: the queue then sends items ahead, and a get
 * takes one of them without a message. One fiber at a time waits with the reader, and the others each by a `GET` of their own, so
 * that each has its place among the consumers that wait.
 *
 * ```text
 *   none --two gets within LINGER--> opening --the memory is shared--> open --no get for LINGER, or the queue has ended--> none
 *                                       |
 *                                       +--it cannot be shared--> never
 * ```
 *
 * Free of Effect.
 *
 * @module
 */
import type { QueueHandle } from "./items.ts";
import { after } from "../os/timer.ts";
import { Reader } from "./reader.ts";

/** How long after the last get the reader stays open at least, in milliseconds; at most twice as long. */
const LINGER = 20;

/** The gets of one queue in one process. */
export class Subscription {
  readonly #handle: QueueHandle;
  #reader: Reader | undefined;
  #isPossible: boolean;
  /** Whether a fiber waits with the reader. */
  #isAwaited = false;
  /** When the last get came that found no reader. */
  #lastGet = -Infinity;
  /** Whether there was a get since the timer was set. */
  #isUsed = false;
  #stopTimer: (() => void) | undefined;

  constructor(handle: QueueHandle) {
    this.#handle = handle;
    this.#isPossible = handle.ahead && handle.stranger !== true && !handle.redeliver;
  }

  /** Called for each get. Returns the reader if it can serve this get. */
  use(): Reader | undefined {
    if (!this.#isPossible) return undefined;
    const reader = this.#reader;
    if (reader === undefined) {
      const now = performance.now();
      if (now - this.#lastGet < LINGER) this.#open();
      this.#lastGet = now;
      return undefined;
    }
    // To read the clock would take a twentieth of a get.
    this.#isUsed = true;
    if (reader.mode === "never") this.#isPossible = false;
    if (reader.mode === "never" || reader.ended !== undefined) {
      this.close();
      return undefined;
    }
    if (reader.mode === "next") {
      reader.mode = "ahead";
      return undefined;
    }
    return this.#isAwaited || !reader.isAttached ? undefined : reader;
  }

  /** Waits with the reader. Calls `onChange` once, unless the wait ends before; see {@link Reader.pull}. */
  wait(reader: Reader, most: number, count: number, onChange: () => void): void {
    this.#isAwaited = true;
    reader.pull(most, count, onChange);
  }

  /** The wait is over, and what came of it is taken. */
  waited(): void {
    this.#isAwaited = false;
    this.#isUsed = true;
    const reader = this.#reader;
    if (reader === undefined) return;
    if (reader.ended !== undefined) this.close();
    else this.#stopTimer ??= after(LINGER, this.#closeIfIdle);
  }

  /** Closes the reader. Items that were sent ahead and not taken go back. */
  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#reader?.close(false);
    this.#reader = undefined;
  }

  #open(): void {
    const reader = this.#reader = new Reader(this.#handle, undefined);
    this.#stopTimer = after(LINGER, this.#closeIfIdle);
    reader.onEnded = () => {
      if (this.#reader === reader && !this.#isAwaited) this.close();
    };
  }

  readonly #closeIfIdle = (): void => {
    this.#stopTimer = undefined;
    // A fiber that waits for long costs nothing.
    if (this.#isAwaited) return;
    if (!this.#isUsed) return this.close();
    this.#isUsed = false;
    this.#stopTimer = after(LINGER, this.#closeIfIdle);
  };
}
