/**
 * Consumers that wait for items, in the order in which they came, and the items that gets have borrowed.
 *
 * Free of Effect.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "../objects/fifo.ts";
import { pack } from "../objects/packets.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { type Fill, LAST, type Receiver } from "../rpc/link.ts";
import { CANCELLED, type Line, tooLarge } from "../rpc/router.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Inventory, QueueCore } from "./inventory.ts";
import * as P from "./protocol.ts";
import { type Redelivery, UnreportedGroup } from "./redelivery.ts";
import type { Item } from "./store.ts";

/** A consumer that waits for items. */
export interface Taker {
  /** Number of its process. */
  readonly consumer: number;
  /** Its place among the waiting consumers; set by {@link Takers.add}. */
  entry: FifoEntry<Taker> | undefined;
  /** Hands items to the consumer. Called once, when the consumer no longer waits and an item can be given out. */
  readonly serve: () => void;
  /** Called once, when the consumer no longer waits and no item will come. */
  readonly end: (exit: Fill) => void;
}

/** The consumers that wait. */
export class Takers {
  readonly #core: QueueCore;
  readonly #waiting = new Fifo<Taker>();

  constructor(core: QueueCore) {
    this.#core = core;
  }

  /** Number of consumers that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Serves or ends a consumer at once, or lets it wait. */
  add(taker: Taker): void {
    if (this.#core.isFinishedFor(taker.consumer)) return taker.end(varints(this.#core.endStatus));
    taker.entry = this.#waiting.push(taker);
    this.#core.advance();
  }

  /** Stops a consumer's wait. `false` if it did not wait. */
  remove({ entry }: Taker): boolean {
    return entry !== undefined && this.#waiting.remove(entry);
  }

  /** Serves consumers as long as there are items. */
  serve(): void {
    while (this.#waiting.length > 0 && this.#core.hasNext()) this.#waiting.shift()!.serve();
  }

  /** Ends the consumers to which no item will come. */
  endFinished(): void {
    if (this.#waiting.length === 0) return;
    const exit = varints(this.#core.endStatus);
    for (const { end } of this.#waiting.removeWhere(({ consumer }) => this.#core.isFinishedFor(consumer))) end(exit);
  }

  /** Ends all consumers. */
  end(exit: Fill): void {
    for (const taker of this.#waiting.drain()) taker.end(exit);
  }
}

/**
 * A get: waits, borrows items, and takes them or gives them back.
 *
 * ```text
 *   waiting --serve--> lent --commit--> committed --settle(taken)--> over
 *      |                 |                  |
 *      +-----------------+------------------+------settle(not taken): the items go back
 * ```
 */
export class Loan implements Taker {
  readonly consumer: number;
  entry: FifoEntry<Taker> | undefined;
  readonly end: (exit: Fill) => void;
  /** Whether the consumer has committed: if its process dies from now on, the items are lost with it. */
  committed = false;
  readonly #core: QueueCore;
  readonly #inventory: Inventory;
  readonly #takers: Takers;
  readonly #most: number;
  readonly #deliver: (items: ReadonlyArray<Item>) => void;
  #items: ReadonlyArray<Item> = none;

  /** `deliver` hands the items to the consumer. It throws `MessageTooLarge` if they do not fit into a message. */
  constructor(
    core: QueueCore,
    takers: Takers,
    most: number,
    consumer: number,
    deliver: (items: ReadonlyArray<Item>) => void,
    end: (exit: Fill) => void,
  ) {
    this.#core = core;
    this.#inventory = core.inventory;
    this.#takers = takers;
    this.#most = most;
    this.consumer = consumer;
    this.#deliver = deliver;
    this.end = end;
  }

  serve(): void {
    const items = this.#items = this.#inventory.gather(this.#most, true);
    this.#inventory.lent += items.length;
    try {
      this.#deliver(items);
    } catch (error) {
      if (!(error instanceof MessageTooLarge)) throw error;
      // The items stay, for a consumer whose link takes larger messages.
      this.#items = none;
      this.#inventory.lent -= items.length;
      this.#inventory.restore(items);
      this.end(tooLarge(error));
    }
  }

  /** The consumer wants the first `count` of the items, which are lost with its process from now on. The others go back. */
  commit(count: number): void {
    this.committed = true;
    const rest = this.#items.slice(count);
    if (rest.length === 0) return;
    this.#items = this.#items.slice(0, count);
    this.#inventory.lent -= rest.length;
    this.#core.putBack(rest);
    this.#core.advance();
  }

  /** The first `count` of the items are taken. The others go back. */
  taken(count: number): void {
    this.commit(count);
    if (this.settle(true)) this.#core.advance();
  }

  /** Stops waiting, and gives all items back. */
  cancel(): void {
    if (this.settle(false)) this.#core.advance();
  }

  /** The lent items are no longer lent: they are the caller's. */
  release(): ReadonlyArray<Item> {
    const items = this.#items;
    this.#items = none;
    this.#inventory.lent -= items.length;
    return items;
  }

  /** Ends the get: its items are taken, or go back. `false` if it neither waited nor had any. */
  settle(taken: boolean): boolean {
    const waited = this.#takers.remove(this);
    const items = this.release();
    if (items.length === 0) return waited;
    if (taken) { for (const item of items) this.#inventory.drop(item); }
    else this.#core.putBack(items);
    return true;
  }
}

/** Opens a `GET`. */
export const openGet = (
  core: QueueCore,
  takers: Takers,
  redelivery: Redelivery,
  line: Line,
  { bytes }: Incoming,
): Receiver => {
  const numbers = new VarintReader(bytes, 0);
  const most = numbers.next();
  const waits = numbers.next() === 1;
  const consumer = numbers.next();
  if (!(most > 0 && consumer > 0)) throw new ProtocolError("Cannot read from the peer: malformed get");
  const { redeliver } = core.inventory.rules;
  const unreported = redeliver ? new UnreportedGroup(redelivery, consumer) : undefined;
  const loan = new Loan(
    core,
    takers,
    most,
    consumer,
    (items) => line.data((writer) => pack(writer, items)),
    (exit) => line.exit(exit),
  );
  takers.add(loan);
  if (!waits && takers.remove(loan)) {
    line.exit(varints(P.EMPTY));
    return { closed: () => {} };
  }
  const leave = (taken: boolean): boolean => {
    const given = unreported?.release() ?? none;
    core.putBack(given);
    return loan.settle(taken) || given.length > 0;
  };
  return {
    credit: (count) => {
      if (count === LAST) return void (leave(true) && core.advance());
      loan.commit(count);
      if (unreported === undefined) return;
      unreported.add(loan.release());
      core.advance();
    },
    data: ({ bytes }) => {
      if (bytes[0] !== P.REPORT) throw new ProtocolError("Cannot read from the peer: malformed get");
      unreported?.report(new VarintReader(bytes, 1).next());
    },
    cancel: () => {
      if (!leave(false)) return;
      line.exit(varints(CANCELLED));
      core.advance();
    },
    closed: () => void (leave(loan.committed && !redeliver) && core.advance()),
  };
};

const none: ReadonlyArray<Item> = [];
