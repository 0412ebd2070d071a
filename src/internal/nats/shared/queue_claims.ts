/**
 * Which items of a queue were taken: each has a mark, which the first program that stores it has set. Marks decide alone. The server may
 * give an item to two programs, when a lease has ended or when it was killed before it had noted an acknowledgement.
 *
 * ```text
 *   delivered --mark stored first--> taken --acknowledged--> removed from the stream
 *       |            |                 |
 *       |            |                 +--interrupted: empty mark--> given back --> delivered again, in its place
 *       |            +--another program was first: acknowledged, dropped
 *       +--the program dies, or its lease ends: delivered again
 * ```
 *
 * A mark names the delivery by which its item was taken: program, call, and number of the item. An item that was put again, because the
 * answer of a server that was killed meanwhile was lost, has the same id and another number. It is dropped, its number is added to the
 * mark, and the program that has added it reports it done, since it counts as put.
 *
 * A mark stays for some minutes after its item was removed: a delivery of the item, or the item itself after a crash of the server, may
 * appear as long.
 *
 * @module
 */
import { Closed, type Delivery, isNotFirst, type JetStream, passes } from "../jetstream.ts";
import type { QueueStreams } from "./queue_streams.ts";

/** How long marks are kept after their items were removed, in milliseconds. */
const KEEP = 300_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A mark that this program has set. */
export interface Mark {
  /** What it names. */
  readonly entry: string;
  /** Its number in its stream. */
  readonly number: number;
}

/** A point to which marks may be removed, some time after the items up to `item` are gone. */
interface Milestone {
  readonly item: number;
  readonly mark: number;
  /** When the items were seen to be gone; see `performance.now`. */
  gone: number;
}

/** The marks of one queue. */
export class Claims {
  readonly #js: JetStream;
  readonly #streams: QueueStreams;
  readonly #caller: string;
  #count = 0;
  /** The number of the last item that this program has taken. */
  #last = 0;
  #milestones: Array<Milestone> = [];

  constructor(streams: QueueStreams, caller: string) {
    this.#js = streams.js;
    this.#streams = streams;
    this.#caller = caller;
  }

  /**
   * Takes an item. Returns its mark; `"taken"` if another program has taken it; or `"repeated"` if it was put again after it had been
   * taken, and this program is the one to report it.
   */
  async take({ id, sequence }: Pick<Delivery, "id" | "sequence">): Promise<Mark | "taken" | "repeated"> {
    const entry = `${this.#caller}.${(++this.#count).toString(36)}:${sequence}`;
    for (let before = "", after = 0;;) {
      const number = await this.#store(id, before === "" ? entry : `${before} ${entry}`, after);
      if (number !== undefined) return before === "" ? { entry, number } : "repeated";
      const there = await this.#read(id);
      // Marks are removed after their items only.
      if (there === undefined) return "taken";
      before = decoder.decode(there.data);
      after = there.sequence;
      const entries = before.split(" ");
      // An attempt without an answer has stored it.
      if (entries.includes(entry)) return entries[0] === entry ? { entry, number: after } : "repeated";
      if (entries.some((other) => other.endsWith(`:${sequence}`))) return "taken";
    }
  }

  /** Takes nothing: a mark of this program, of the item with this id, becomes empty. */
  async release(id: string, { entry, number }: Mark): Promise<void> {
    for (let after = number;;) {
      if (await this.#store(id, "", after) !== undefined) return;
      const there = await this.#read(id);
      // An attempt without an answer has released it.
      if (there === undefined || !decoder.decode(there.data).split(" ").includes(entry)) return;
      after = there.sequence;
    }
  }

  /** Stores the mark of an item, if it was not changed since. */
  async #store(id: string, mark: string, after: number): Promise<number | undefined> {
    const subject = this.#streams.names.takenOf(id);
    try {
      return await this.#js.persist(() => this.#js.store(subject, encoder.encode(mark), { after }));
    } catch (error) {
      if (!isNotFirst(error)) throw error;
      return undefined;
    }
  }

  #read(id: string) {
    const { names } = this.#streams;
    return this.#js.persist(() => this.#js.read(names.taken, names.takenOf(id)));
  }

  /** After a new connection, the server may have been killed and have forgotten what it has removed. */
  reconnected(): void {
    this.#milestones = [];
  }

  /** Removes the marks of items that were removed some time ago, and items that the server has kept although they were acknowledged. */
  async tidy(keep: number = KEEP): Promise<void> {
    const streams = this.#streams;
    const mark = await streams.lastOf(streams.names.taken);
    const { first, last } = await streams.look();
    const now = performance.now();
    for (const milestone of this.#milestones) {
      if (milestone.item < first) milestone.gone = Math.min(milestone.gone, now);
    }
    const over = this.#milestones.findLastIndex(({ gone }) => gone <= now - keep);
    if (over >= 0) {
      await streams.purge(streams.names.taken, this.#milestones[over].mark + 1);
      this.#milestones.splice(0, over + 1);
    }
    if (this.#milestones.at(-1)?.mark !== mark) this.#milestones.push({ item: last, mark, gone: Infinity });
  }

  /** Whether an item was taken. */
  async isTaken(id: string): Promise<boolean> {
    const mark = await this.#read(id);
    return mark !== undefined && mark.data.length > 0;
  }

  /**
   * Removes items that were taken, and that a server which was killed has found again: those up to the last one that this program has
   * taken, and those that the consumer does not give out again.
   */
  async mend(): Promise<void> {
    const streams = this.#streams;
    const { delivered, num_ack_pending, num_pending } = await streams.consumer();
    const { first, size } = await streams.look();
    const end = size > num_ack_pending + num_pending ? delivered.stream_seq : this.#last;
    for (let from = first; from <= end;) {
      const item = await streams.next(from);
      if (item === undefined || item.sequence > end) return;
      if (await this.isTaken(item.id)) {
        await this.#js.persist(() => this.#js.delete(streams.names.items, item.sequence));
      }
      from = item.sequence + 1;
    }
  }

  /** An item was taken by this program. */
  taken({ sequence }: Delivery): void {
    this.#last = Math.max(this.#last, sequence);
  }

  /** Removes an item that was taken, whose delivery is that of a server which was killed. */
  async forget({ id, sequence }: Delivery): Promise<void> {
    const item = await this.#streams.next(sequence);
    if (item?.id === id) await this.#js.persist(() => this.#js.delete(this.#streams.names.items, item.sequence));
  }
}

/** Answers to deliveries that the server has not confirmed. */
export class Answers {
  readonly #js: JetStream;
  readonly #claims: Claims;
  readonly #open = new Set<Promise<void>>();
  /** Why the server refuses answers. */
  #failure: Error | undefined;

  constructor(js: JetStream, claims: Claims) {
    this.#js = js;
    this.#claims = claims;
  }

  /** The item was taken. */
  ack(delivery: Delivery): Promise<void> {
    this.#claims.taken(delivery);
    return this.#send(this.#ack(delivery));
  }

  /** The item is given back. */
  giveBack(delivery: Delivery): Promise<void> {
    // Otherwise it comes again when its lease ends.
    return this.#isValid(delivery) ? this.#send(this.#js.settle(delivery, "-NAK")) : Promise.resolve();
  }

  /** Waits until the server has all answers that were sent before. */
  async settled(): Promise<void> {
    if (this.#open.size > 0) await Promise.all(this.#open);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A server that was started again may take an answer to a delivery of before for one to another delivery. */
  #isValid({ received }: Delivery): boolean {
    const { connected, since } = this.#js.server;
    return connected && received >= since;
  }

  #send(answer: Promise<void>): Promise<void> {
    const sent = answer.catch((error) => {
      if (!(error instanceof Closed) && !passes(error)) this.#failure = error;
    }).finally(() => this.#open.delete(sent));
    this.#open.add(sent);
    return sent;
  }

  async #ack(delivery: Delivery): Promise<void> {
    try {
      if (this.#isValid(delivery)) return await this.#js.settle(delivery, "+ACK");
    } catch (error) {
      if (!passes(error)) throw error;
    }
    await this.#claims.forget(delivery);
  }
}
