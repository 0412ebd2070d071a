/**
 * Requests in the child that runs them, and those among them that run one after the other. Each of these begins when the answer of the one before it has left, so the parent of a child
 * that has died knows which ones had not begun.
 *
 * @module
 */
import type { Channel, Link } from "../../rpc/link.ts";
import type { Request } from "../request.ts";

/** A request that has not been answered. */
export interface OpenRequest {
  readonly channel: Channel;
  readonly request: Request;
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** When the work began; see `performance.now`. */
  since: number | undefined;
  cancelled: boolean;
  /** Stops the work, if it can be stopped. */
  onCancel: (() => void) | undefined;
  onCredit: ((count: number) => void) | undefined;
  /** Credit that was received before {@link onCredit} was set. */
  credit: number;
}

/** A request that has arrived. */
export const openRequest = (
  channel: Channel,
  request: Request,
  attachments: ReadonlyArray<Uint8Array>,
): OpenRequest => ({
  channel,
  request,
  attachments,
  since: undefined,
  cancelled: false,
  onCancel: undefined,
  onCredit: undefined,
  credit: 0,
});

/** Adds to the credit of a request. */
export const addCredit = (open: OpenRequest, count: number): void => {
  if (open.onCredit === undefined) open.credit += count;
  else open.onCredit(count);
};

/** The state of a list of calls when the first Effect was returned. */
export interface BatchProgress {
  readonly results: Array<unknown>;
  /** The value that the handler has returned for the next item. */
  readonly next: unknown;
}

/** Requests in the order of their arrival. The first one runs. */
export class RequestLine {
  #closed = false;
  readonly #line: Array<{ readonly open: OpenRequest; readonly begin: () => void }> = [];

  /** Adds a request, which begins at once or when its turn comes. */
  add(open: OpenRequest, begin: () => void): void {
    if (this.#closed) return;
    // Their answers have arrived, so those requests are over.
    if (open.request.fresh) this.#line.length = 0;
    if (this.#line.push({ open, begin }) === 1) begin();
  }

  /** Lets no further request begin. The requests that have not begun are not answered, so their caller knows that they have not. */
  close(): void {
    this.#closed = true;
    this.#line.length = Math.min(1, this.#line.length);
  }

  /** Takes a request out that has not begun; `false` if there is no such request. */
  leave(open: OpenRequest): boolean {
    const place = this.#line.findIndex((queued) => queued.open === open);
    if (place <= 0) return false;
    this.#line.splice(place, 1);
    return true;
  }

  /** The first request was answered: the next one begins when the answer has left. */
  advance(open: OpenRequest, link: Link): void {
    if (this.#line[0]?.open !== open) return;
    link.flushed(() => {
      if (this.#line[0]?.open !== open) return;
      this.#line.shift();
      this.#line[0]?.begin();
    });
  }
}
