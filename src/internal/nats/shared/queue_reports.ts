/**
 * Items that are reported done. Free of Effect.
 *
 * - In a queue that does not redeliver, reports are counted: each is a message of a stream.
 * - In one that redelivers, a report marks an item and acknowledges it. Until then, this program renews the lease of the item.
 *
 * @module
 */
import { after } from "../../os/timer.ts";
import { QueueError } from "../../objects/errors.ts";
import { UnreportedItems } from "../../queue/unreported.ts";
import { type Delivery, isNotFirst, type JetStream } from "../jetstream.ts";
import { decode, encode } from "../protocol.ts";
import type { Answers, Claims } from "./queue_claims.ts";
import type { QueueStreams } from "./queue_streams.ts";

/** Number of reports that are stored at the same time. */
const WINDOW = 512;

const tooMany = (detail: string): QueueError => new QueueError("TooManyDone", `Cannot report tasks done: ${detail}`);

/** The content of a report: what its program knew of the numbers of items. */
interface Report {
  /** Number of items that were put before the server has begun to count them from 1 again; see `rewind`. */
  readonly before: number;
  /** The number of an item that was put after that. */
  readonly last: number;
}

/** Counts reports. */
export class Reports {
  readonly #js: JetStream;
  readonly #streams: QueueStreams;
  readonly #fresh: () => string;
  /** Number of items that this program has taken and not reported. */
  #own = 0;
  /** What the next report says, since the connection was made. */
  #before: Promise<number> | undefined;
  #last = 0;

  /** `fresh` makes ids. */
  constructor(streams: QueueStreams, fresh: () => string) {
    this.#js = streams.js;
    this.#streams = streams;
    this.#fresh = fresh;
  }

  taken(deliveries: ReadonlyArray<Delivery>): void {
    this.#own += deliveries.length;
    for (const { sequence } of deliveries) this.#last = Math.max(this.#last, sequence);
  }

  /** The server may have been killed, and may count items anew. */
  reconnected(): void {
    this.#before = undefined;
    this.#last = 0;
  }

  async report(count: number): Promise<void> {
    // Each item is taken once, so that these are not too many.
    const own = count <= this.#own;
    this.#own = Math.max(0, this.#own - count);
    if (!own) return await this.#reportOthers(count);
    for (let left = count; left > 0; left -= WINDOW) {
      await Promise.all(Array.from({ length: Math.min(left, WINDOW) }, () => this.#store()));
    }
  }

  /** Reports an item that was put again, and dropped. */
  repeated(): Promise<void> {
    return this.#store();
  }

  /** Number of items that were put and not reported, or a larger one while items are put. */
  async unfinished(): Promise<number> {
    const { done, put } = await this.#count();
    return Math.max(0, put - done);
  }

  /** Reports items of which another program may report some at the same time. */
  async #reportOthers(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const { done, put } = await this.#count();
      if (done + left > put) throw tooMany("fewer are unfinished");
      try {
        await this.#store(done);
        left--;
      } catch (error) {
        if (!isNotFirst(error)) throw error;
      }
    }
  }

  async #store(after?: number): Promise<void> {
    const before = await (this.#before ??= this.#look());
    const data = encode({ before, last: this.#last } satisfies Report);
    const terms = { id: this.#fresh(), after };
    await this.#js.persist(() => this.#js.store(this.#streams.names.report, data, terms));
  }

  async #look(): Promise<number> {
    try {
      const { before, put } = await this.#count();
      this.#last = Math.max(this.#last, put - before);
      return before;
    } catch (error) {
      this.#before = undefined;
      throw error;
    }
  }

  async #count(): Promise<{ readonly done: number; readonly put: number; readonly before: number }> {
    const { done, report } = this.#streams.names;
    const newest = await this.#js.persist(() => this.#js.read(done, report));
    const { before, last }: Report = newest === undefined ? { before: 0, last: 0 } : decode<Report>(newest.data);
    const now = (await this.#streams.look()).last;
    // A smaller number than before: the server has begun anew.
    const sum = now < last ? before + last : before;
    return { done: newest?.sequence ?? 0, put: sum + now, before: sum };
  }
}

/** An item that this program holds. */
export interface Held {
  /** Id of the fiber that has taken it. */
  readonly fiber: number;
  readonly delivery: Delivery;
}

/** The items of a queue that redelivers, which this program has taken and not reported. */
export class Holds {
  readonly #claims: Claims;
  readonly #answers: Answers;
  readonly #giveBack: (delivery: Delivery) => Promise<void>;
  readonly #items = new UnreportedItems<Held>();
  readonly #held = new Set<Held>();
  #stopRenewing: () => void;

  constructor(
    lease: number,
    claims: Claims,
    answers: Answers,
    giveBack: (delivery: Delivery) => Promise<void>,
  ) {
    this.#claims = claims;
    this.#answers = answers;
    this.#giveBack = giveBack;
    const renew = (): void => {
      for (const { delivery } of this.#held) delivery.working();
      this.#stopRenewing = after(lease / 3, renew);
    };
    this.#stopRenewing = after(lease / 3, renew);
  }

  get size(): number {
    return this.#held.size;
  }

  hold(fiber: number, delivery: Delivery): Held {
    const held: Held = { fiber, delivery };
    this.#held.add(held);
    this.#items.add(held);
    return held;
  }

  /** Reports the oldest items, those of a fiber first. */
  async report(fiber: number, count: number): Promise<void> {
    const items = this.#items.pick(fiber, count);
    if (items === undefined) {
      throw tooMany(
        "this program has taken fewer that are unreported; in a queue that redelivers, the program that took an item reports it",
      );
    }
    await Promise.all(items.map(async (held) => {
      await this.#claims.take(held.delivery);
      this.#held.delete(held);
      await this.#answers.ack(held.delivery);
    }));
  }

  /** Gives an item back, unless it was reported. */
  async giveBack(held: Held): Promise<void> {
    if (!this.#held.delete(held)) return;
    this.#items.remove(held);
    await this.#giveBack(held.delivery);
  }

  /** Gives all items back. */
  close(): void {
    this.#stopRenewing();
    for (const held of [...this.#held]) void this.giveBack(held);
  }
}
