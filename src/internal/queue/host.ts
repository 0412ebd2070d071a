/**
 * A queue in the process that hosts it. Free of Effect.
 *
 * ```text
 *   open --close--> closed --nothing is stored, lent, promised or unreported--> finished
 *     |               |
 *     +---shutdown----+--> shut down         items are dropped, waiting calls end with SHUT_DOWN
 *     +--scope closes-+------+-----> gone    items are dropped, waiting calls end with GONE
 *
 *   producer                      host                        consumer
 *      | ---- WANT -------------->  |  <------------- GET ------- |   waits in `Takers` for an item
 *      |   waits in `Admission`     |                             |
 *      |   for room                 |                             |
 *      | <--------------- GRANT --- |                             |
 *      | ---- ITEMS ------------->  |  the items are put          |
 *      | <-- RESULT (if confirmed)- | ---- packets (lent) ----->  |
 *      |                            |  <-- credit (commits) ----  |   lost with the consumer from now on
 *      |                            |  <-- last credit ---------  |   the items are taken: places become free
 *      |                            |  <-- cancel, or death ----  |   the items go back to their places
 * ```
 *
 * - `admission.ts` grants places before items are sent, so the bounds hold for all processes together.
 * - `takers.ts` serves waiting gets in the order in which they came, and lends items until their consumers have them. If a consumer
 *   dies or is interrupted before, the items go back to their places.
 * - `read_ahead.ts` lends items ahead to streams.
 * - `redelivery.ts` keeps taken items until they are reported done, if the queue redelivers.
 * - The end of a closed queue waits for granted places, whose items may be on their way.
 *
 * @module
 */
import { Fifo } from "../objects/fifo.ts";
import { type Packet, sizeOf } from "../objects/packets.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import type { Fill, Receiver } from "../rpc/link.ts";
import { CANCELLED, DONE, GONE, type Hosted, type Line } from "../rpc/router.ts";
import type { Incoming } from "../codec/message.ts";
import { ProtocolError } from "../transport/frames.ts";
import { Admission } from "./admission.ts";
import { Inventory, type QueueCore, type QueueRules } from "./inventory.ts";
import * as P from "./protocol.ts";
import { ReadAhead } from "./read_ahead.ts";
import { Redelivery, UnreportedGroup } from "./redelivery.ts";
import type { Item } from "./store.ts";
import { Loan, openGet, Takers } from "./takers.ts";

/** A get of the process of the queue that waits or has borrowed items. */
export interface LocalGet {
  /** The first `count` of the borrowed items are taken. The others go back. */
  taken(count: number): void;
  /** Stops waiting, and gives all borrowed items back. */
  cancel(): void;
}

/** Items that were taken in the process of the queue, and not reported done. */
export interface LocalUnreported {
  /** Reports the item with this number done. */
  readonly report: (number: number) => void;
  /** Gives all unreported items to other consumers. */
  readonly giveBack: () => void;
}

/** The end of a call that waits for a condition. */
type Waiter = Pick<Line, "exit">;

/** A queue in the process that hosts it. */
export class QueueHost implements Hosted, QueueCore {
  readonly inventory: Inventory;
  readonly #admission: Admission;
  readonly #takers: Takers;
  readonly #readAhead: ReadAhead;
  readonly #redelivery: Redelivery;
  /** Waiting calls of `JOIN` and `READY`. */
  readonly #joiners = new Fifo<Waiter>();
  readonly #watchers = new Fifo<Waiter>();
  #state: QueueCore["state"] = "open";
  #unfinished = 0;

  constructor(rules: QueueRules) {
    this.inventory = new Inventory(rules);
    this.#redelivery = new Redelivery(() => this.#readAhead.look(), (item) => {
      this.inventory.drop(item);
      this.taskDone(1);
      this.advance();
    });
    this.#admission = new Admission(this);
    this.#takers = new Takers(this);
    this.#readAhead = new ReadAhead(this, this.#takers, this.#redelivery);
  }

  get state(): QueueCore["state"] {
    return this.#state;
  }

  /** Items that can be taken: the stored ones, and those that are lent ahead to streams that do not wait for them. */
  get size(): number {
    this.#readAhead.look();
    return this.inventory.stored + this.#readAhead.recallable;
  }

  get free(): number {
    this.#readAhead.look();
    return this.inventory.free;
  }

  /** Whether a get would not wait: there is an item, or none will come. */
  get ready(): boolean {
    return this.size > 0 || this.isFinishedFor(0);
  }

  get endStatus(): number {
    if (this.#state === "gone") return GONE;
    return this.#state === "closed" ? P.CLOSED : P.SHUT_DOWN;
  }

  readonly open = (operation: number, line: Line, message: Incoming, local: boolean): Receiver => {
    switch (operation) {
      case P.PUT:
        return this.#state === "open"
          ? this.#admission.open(line, message, local)
          : reply(line, varints(this.endStatus));
      case P.GET:
        return openGet(this, this.#takers, this.#redelivery, line, message);
      case P.STREAM:
        return this.#readAhead.open(line, new VarintReader(message.bytes, 0).next());
      case P.INFO:
        return reply(line, this.#info);
      case P.CLOSE:
        this.#close();
        return reply(line, varints(DONE));
      case P.SHUTDOWN:
        this.#end("shut down");
        return reply(line, varints(DONE));
      case P.TASK_DONE:
        return reply(line, varints(this.taskDone(new VarintReader(message.bytes, 0).next()) ? DONE : P.TOO_OFTEN));
      case P.JOIN:
        return this.#wait(line, this.#joiners, this.#unfinished === 0);
      case P.READY:
        return this.#wait(line, this.#watchers, this.ready);
      default:
        throw new ProtocolError(`Cannot read from the peer: a queue has no operation ${operation}`);
    }
  };

  /** Calls `onReady` when a get of this process would not wait. Returns a function that stops the wait. */
  watch(onReady: () => void): () => void {
    if (this.ready) {
      onReady();
      return () => {};
    }
    const entry = this.#watchers.push({ exit: onReady });
    return () => void this.#watchers.remove(entry);
  }

  /**
   * Puts packets of this process, from `packets[at]` on, as long as there is room at once and no earlier `put` waits. Returns the
   * number of packets that were put.
   */
  putNow(packets: ReadonlyArray<Packet>, at: number): number {
    const { inventory } = this;
    const { keyOf, maxBytes } = inventory.rules;
    if (this.#state !== "open" || this.#admission.waiting > 0 || keyOf !== undefined) return 0;
    const end = Math.min(packets.length, at + this.free);
    let next = at;
    for (; next < end; next++) {
      const size = sizeOf(packets[next]);
      if (inventory.bytes + size > maxBytes) break;
      inventory.addCopy(packets[next], size);
    }
    if (next === at) return 0;
    this.#unfinished += next - at;
    if (this.#takers.length > 0 || this.#watchers.length > 0 || this.#readAhead.isStanding) this.advance();
    return next - at;
  }

  /** Whether {@link takeNow} would give items. */
  get canTakeNow(): boolean {
    return this.#takers.length === 0 && this.size > 0 && !this.#readAhead.isInDoubt;
  }

  /** Takes up to `most` items for this process. `undefined` if there are none, or if other consumers wait for them. */
  takeNow(most: number): ReadonlyArray<Item> | undefined {
    if (this.#takers.length > 0 || !this.hasNext()) return undefined;
    const items: Array<Item> = [];
    while (items.length < most) {
      const item = this.inventory.shift();
      if (item === undefined) break;
      this.inventory.bytes -= item.size;
      items.push(item);
    }
    if (this.#admission.waiting > 0 || this.#state !== "open") this.advance();
    return items;
  }

  /** Puts items that {@link takeNow} gave back into their places. */
  giveBack(items: ReadonlyArray<Item>): void {
    for (const item of items) this.inventory.bytes += item.size;
    this.inventory.restore(items);
    this.advance();
  }

  /** Waits for up to `most` items for this process. Calls `lend` or `end` once, perhaps before it returns. */
  take(most: number, lend: (items: ReadonlyArray<Item>) => void, end: (exit: Fill) => void): LocalGet {
    const loan = new Loan(this, this.#takers, most, P.consumer, lend, end);
    this.#takers.add(loan);
    return loan;
  }

  /** Keeps items that were taken in this process until they are reported done. */
  holdUnreported(items: ReadonlyArray<Item>): LocalUnreported {
    const group = new UnreportedGroup(this.#redelivery, P.consumer);
    for (const item of items) this.inventory.bytes += item.size;
    group.add(items);
    return {
      report: (number) => group.report(number),
      giveBack: () => {
        this.putBack(group.release());
        this.advance();
      },
    };
  }

  /** The scope of the queue has closed: waiting calls end with `GONE`. */
  release(): void {
    this.#end("gone");
  }

  hasNext(): boolean {
    this.#readAhead.recall();
    return this.inventory.stored > 0 && !this.#readAhead.isInDoubt;
  }

  isFinishedFor(consumer: number): boolean {
    if (this.#state !== "closed") return this.#state !== "open";
    this.#readAhead.look();
    return this.inventory.isEmpty && this.#redelivery.total === this.#redelivery.of(consumer);
  }

  putBack(items: ReadonlyArray<Item>): void {
    if (items.length === 0) return;
    this.#readAhead.recall();
    this.inventory.restore(items);
  }

  begun(): void {
    this.#unfinished++;
  }

  taskDone(count: number): boolean {
    if (!(count <= this.#unfinished)) return false;
    this.#unfinished -= count;
    if (this.#unfinished === 0) { for (const { exit } of this.#joiners.drain()) exit(varints(DONE)); }
    return true;
  }

  advance(): void {
    this.#takers.serve();
    this.#readAhead.lendAhead();
    this.#admission.grant();
    if (this.#watchers.length > 0 && this.ready) {
      for (const { exit } of this.#watchers.drain()) exit(varints(DONE));
    }
    if (this.#state !== "open") this.#takers.endFinished();
  }

  readonly #info: Fill = (writer) => {
    writer.byte(DONE);
    const numbers = [
      this.size,
      this.inventory.bytes,
      this.#takers.length,
      this.#admission.waiting,
      this.#unfinished,
      this.free <= 0 || this.inventory.bytes >= this.inventory.rules.maxBytes ? 1 : 0,
      this.#state === "open" ? 0 : this.#state === "closed" ? 1 : 2,
      this.isFinishedFor(0) ? 1 : 0,
    ];
    writer.reserve(8 * numbers.length);
    for (const number of numbers) {
      writer.view.setFloat64(writer.position, number, true);
      writer.position += 8;
    }
    return undefined;
  };

  /** Ends a call when its condition holds, or the queue ends. */
  #wait(line: Line, waiting: Fifo<Waiter>, holds: boolean): Receiver {
    if (holds) return reply(line, varints(DONE));
    if (this.#state === "shut down" || this.#state === "gone") return reply(line, varints(this.endStatus));
    const entry = waiting.push({ exit: (fill) => line.exit(fill) });
    return {
      cancel: () => {
        if (waiting.remove(entry)) line.exit(varints(CANCELLED));
      },
      closed: () => void waiting.remove(entry),
    };
  }

  #close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#admission.close();
    this.advance();
  }

  #end(state: "shut down" | "gone"): void {
    if (this.#state === "gone" || this.#state === state) return;
    this.#state = state;
    const exit = varints(this.endStatus);
    this.inventory.discard();
    this.#readAhead.revokeAll();
    this.#admission.end(exit);
    this.#takers.end(exit);
    for (const joiner of this.#joiners.drain()) joiner.exit(exit);
    // After a shutdown no item will come: the condition of `READY` holds.
    for (const watcher of this.#watchers.drain()) watcher.exit(state === "gone" ? exit : varints(DONE));
    if (state === "gone") this.#readAhead.end(exit);
  }
}

/** Ends a call at once. */
const reply = (line: Line, fill: Fill): Receiver => {
  line.exit(fill);
  return { closed: () => {} };
};
