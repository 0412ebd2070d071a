/**
 * The items of a queue, and the places and bytes that they take up. Free of Effect.
 *
 * @module
 */
import type { Packet } from "../objects/packets.ts";
import { messageOf } from "../codec/foreign.ts";
import { FifoStore, Item, type Store } from "./store.ts";

/** The options of a queue. */
export interface QueueRules {
  /** The largest number of items that the queue holds. */
  readonly capacity: number;
  /** The largest number of bytes that its items take up. */
  readonly maxBytes: number;
  readonly store: Store;
  /** The key by which an ordered queue orders an item. May throw, and the item is then refused. */
  readonly keyOf: ((packet: Packet) => unknown) | undefined;
  /** Whether an item goes back if its consumer ends before it has reported the item done. */
  readonly redeliver: boolean;
  /** Retains the handles that move with an item; returns the function that releases them. See `pipe/in_transit.ts`. */
  readonly retain: (packet: Packet) => () => void;
}

/** The largest number of bytes that are sent together, unless one item is larger. */
const BATCH_BYTES = 256 * 1024;

/** The items of one queue. */
export class Inventory {
  readonly rules: QueueRules;
  /** Items that are lent to consumers, which have not taken them yet. */
  lent = 0;
  /** Places that are granted to producers and not used yet. */
  granted = 0;
  /** Bytes of the items that are stored, lent or unreported, and of the granted places. */
  bytes = 0;
  /** After a shutdown, items that come back are dropped. */
  isDiscarding = false;
  /**
   * How items use the memory of the message that brought them. Items that leave in the order of their arrival may share it: no item
   * then keeps the memory of another one for long.
   */
  readonly memory: "copy" | "own";
  readonly #store: Store;
  #arrivals = 0;

  constructor(rules: QueueRules) {
    this.rules = rules;
    this.#store = rules.store;
    this.memory = rules.store instanceof FifoStore ? "copy" : "own";
  }

  /** Items in the store. */
  get stored(): number {
    return this.#store.length;
  }

  /** Whether nothing is stored, lent or promised. */
  get isEmpty(): boolean {
    return this.#store.length + this.lent + this.granted === 0;
  }

  /** Places that are neither taken nor promised. */
  get free(): number {
    return this.rules.capacity - this.#store.length - this.lent - this.granted;
  }

  /** Adds an item whose bytes are accounted for. Returns the reason if the item has no place in the order, and drops it then. */
  add(packet: Packet, size: number): string | undefined {
    const release = packet.moves ? this.rules.retain(packet) : undefined;
    const arrival = ++this.#arrivals;
    const { keyOf } = this.rules;
    if (keyOf === undefined) {
      this.#store.push(new Item(packet, size, arrival, undefined, release));
      return undefined;
    }
    try {
      this.#store.push(new Item(packet, size, arrival, keyOf(packet), release));
      return undefined;
    } catch (error) {
      this.bytes -= size;
      release?.();
      return messageOf(error);
    }
  }

  /** Adds an item from this process, whose caller may change its own memory afterwards. */
  addCopy({ attachments, bytes, moves }: Packet, size: number): void {
    this.bytes += size;
    const parts = attachments.length === 0 ? attachments : attachments.map((part) => part.slice());
    this.add({ bytes: this.memory === "own" ? bytes.slice() : bytes, attachments: parts, moves }, size);
  }

  /** Drops an item that arrived after the end. Its bytes are accounted for. */
  refuse(packet: Packet, size: number): void {
    this.bytes -= size;
    if (packet.moves) this.rules.retain(packet)();
  }

  /** Removes and returns the next item. */
  shift(): Item | undefined {
    return this.#store.shift();
  }

  /**
   * Removes and returns the next items, at least one if there is one, up to `most` and to {@link BATCH_BYTES}. If `moving` is
   * false, it stops before an item with which a handle moves.
   */
  gather(most: number, moving: boolean): ReadonlyArray<Item> {
    const items: Array<Item> = [];
    for (let size = 0; items.length < most && size < BATCH_BYTES && this.#store.length > 0;) {
      const item = this.#store.shift()!;
      if (item.moves === true && !moving) {
        this.#store.restore(item);
        break;
      }
      items.push(item);
      size += item.size;
    }
    return items;
  }

  /** Puts items back into their places. */
  restore(items: ReadonlyArray<Item>): void {
    // The last item comes first: each then goes to the end of the store from which it was taken.
    for (let i = items.length - 1; i >= 0; i--) {
      if (this.isDiscarding) this.drop(items[i]);
      else this.#store.restore(items[i]);
    }
  }

  /**
   * Forgets an item that is no longer in the store: it was taken, or will never be taken. Releases the handles that move with it.
   */
  drop({ release, size }: Item): void {
    this.bytes -= size;
    release?.();
  }

  /** Drops all stored items, and from now on all that come back. */
  discard(): void {
    this.isDiscarding = true;
    for (let item = this.#store.shift(); item !== undefined; item = this.#store.shift()) this.drop(item);
  }
}

/** The operations that the parts of a queue share; implemented by `QueueHost`. */
export interface QueueCore {
  readonly inventory: Inventory;
  readonly state: "open" | "closed" | "shut down" | "gone";
  /** Places that are neither taken nor promised, after the items that streams have taken were registered. */
  readonly free: number;
  /** The exit of calls to a queue that is no longer open. */
  readonly endStatus: number;
  /** Whether a stored item can be given out now: lent items are recalled if need be. */
  hasNext(): boolean;
  /** Whether no item will come to this consumer any more, whose own unreported items do not count. */
  isFinishedFor(consumer: number): boolean;
  /** Items that were lent go back to their places, before later items that were lent ahead. */
  putBack(items: ReadonlyArray<Item>): void;
  /** Counts a new item as unfinished. */
  begun(): void;
  /** Reports items done. `false` if there are fewer. */
  taskDone(count: number): boolean;
  /** Performs all steps that have become possible: hands out items, grants room, ends calls. */
  advance(): void;
}
