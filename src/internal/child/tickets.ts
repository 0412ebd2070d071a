/**
 * The parent's side of tickets, which tell what requests have begun: a ring of words that a child shares with its parent. A child that computes reads
 * no messages, so only in shared memory can its parent take a request back meanwhile.
 *
 * ```text
 * word t % 64   t    the request with the ticket t has not begun
 *               -t   it has begun
 *               0    its parent has taken it back
 * ```
 *
 * Either side takes a request by one compare-and-swap of `t`, so exactly one of them has it. A child that still has a request which was taken
 * back finds another word there, and drops the request. A ticket is issued again after a billion others. The child's side is
 * `server/open_requests.ts`.
 *
 * @module
 */
import type { Words } from "../os/atomics.ts";
import { PLACES } from "./request.ts";

/** Size of the ring in bytes. */
export const BYTES = PLACES * 4;

const LAST = 0x3fff_ffff;

/** The tickets of one child. */
export class Tickets {
  readonly #ring: Words;
  readonly #release: () => void;
  #last = 0;
  #closed = false;

  /** `release` frees the memory. */
  constructor(ring: Words, release: () => void) {
    this.#ring = ring;
    this.#release = release;
  }

  /** A ticket for the next request. */
  issue(): number {
    const ticket = this.#last = this.#last === LAST ? 1 : this.#last + 1;
    this.#ring.store(ticket % PLACES, ticket);
    return ticket;
  }

  /** Takes a request back. If the result is `true`, it has not begun, and never will. */
  recall(ticket: number): boolean {
    return !this.#closed && this.#ring.swap(ticket % PLACES, ticket, 0) === ticket;
  }

  /** Frees the memory. Nothing is recalled any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
  }
}
