/**
 * Requests in the child that runs them, and those among them that run one after the other. Each of these begins when the answer of the one
 * before it has left, so the parent of a child that has died knows which ones had not begun. The parent can take back a request that has a
 * ticket and has not begun: then it never begins, and is not answered. After a failure, no request with a ticket begins that was sent ahead:
 * the parent takes all of them back, since the failure may concern them.
 *
 * @module
 */
import type { Words } from "../../os/atomics.ts";
import * as Codec from "../../codec/codec.ts";
import type { Incoming } from "../../codec/message.ts";
import { Channel, type Fill, type Link } from "../../rpc/link.ts";
import { FRESH, PLACES, type Request, write } from "../request.ts";

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

/** The number of the task of {@link trial}, which no task of a parent has. */
export const TRIAL = 0xffff_ffff;

/** A channel whose answer reaches nobody. */
class Unheard extends Channel {
  override exit(fill: Fill): void {
    fill(new Codec.Writer());
  }
}

/**
 * A request that nobody has made, for the task {@link TRIAL}. A child that waits for its first request runs it, so that the code through
 * which all of them go is compiled by then, which takes a millisecond.
 */
export const trial = (link: Link): { readonly channel: Channel; readonly message: Incoming } => {
  const writer = new Codec.Writer();
  write(writer, FRESH, TRIAL, undefined, undefined);
  Codec.encodeInto(writer, []);
  const bytes = writer.buffer.subarray(0, writer.position);
  return { channel: new Unheard(link, 0), message: { bytes, attachments: [] } };
};

/** The state of a list of calls when the first Effect was returned. */
export interface BatchProgress {
  readonly results: Array<unknown>;
  /** The value that the handler has returned for the next item. */
  readonly next: unknown;
}

/** Lets a request begin: `false` if the parent has taken it back; see `../tickets.ts`. */
const claim = (ring: Words, ticket: number): boolean => ring.swap(ticket % PLACES, ticket, -ticket) === ticket;

/** A request in a {@link RequestLine}. */
interface Queued {
  readonly open: OpenRequest;
  readonly begin: () => void;
  readonly drop: () => void;
  begun: boolean;
}

/** Requests in the order of their arrival. The first one runs. */
export class RequestLine {
  /** The ring of the tickets, if the parent has offered one. */
  ring: Words | undefined;
  #closed = false;
  /** Whether a request has failed. */
  #held = false;
  readonly #line: Array<Queued> = [];

  /** Adds a request, which begins at once or when its turn comes. `drop` is called instead if the parent takes it back. */
  add(open: OpenRequest, begin: () => void, drop: () => void = () => {}): void {
    if (this.#closed) return;
    if (open.request.fresh) {
      // The answers to all earlier ones have arrived. Those that have not begun were taken back.
      this.#held = false;
      for (const queued of this.#line.splice(0)) if (!queued.begun) queued.drop();
    }
    if (this.#line.push({ open, begin, drop, begun: false }) === 1) this.#beginFirst();
  }

  /** Lets no further request begin. The requests that have not begun are not answered, so their caller knows that they have not. */
  close(): void {
    this.#closed = true;
    if (this.#line[0]?.begun !== true) this.#line.length = 0;
    this.#line.length = Math.min(1, this.#line.length);
  }

  /** Takes a request out that has not begun; `false` if there is no such request. */
  leave(open: OpenRequest): boolean {
    const place = this.#line.findIndex((queued) => queued.open === open);
    if (place < 0 || this.#line[place].begun) return false;
    this.#line.splice(place, 1);
    return true;
  }

  /** The first request was answered: the next one begins when the answer has left. */
  advance(open: OpenRequest, link: Link, failed: boolean = false): void {
    if (this.#line[0]?.open !== open) return;
    if (failed) this.#held = true;
    link.flushed(() => {
      if (this.#line[0]?.open !== open) return;
      this.#line.shift();
      this.#beginFirst();
    });
  }

  #beginFirst(): void {
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      const { ticket } = first.open.request;
      if (ticket !== 0 && this.#held) return;
      if (ticket === 0 || this.ring === undefined || claim(this.ring, ticket)) {
        first.begun = true;
        return first.begin();
      }
      this.#line.shift();
      first.drop();
    }
  }
}
