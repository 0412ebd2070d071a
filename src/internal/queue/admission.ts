/**
 * Room for producers: places are granted before items are sent, so the bounds of the queue hold for all processes together, and a
 * `put` that is interrupted while it waits has put nothing.
 *
 * Requests are granted strictly in the order in which they came. A producer of a large queue is granted places ahead, never more
 * than a quarter of the free ones, so that its next `put` need not ask. Free of Effect.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "../objects/fifo.ts";
import { type Packet, sizeOf, unpack } from "../objects/packets.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import type { Fill, Receiver } from "../rpc/link.ts";
import { DONE, type Line } from "../rpc/router.ts";
import type { Incoming } from "../codec/message.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Inventory, QueueCore } from "./inventory.ts";
import * as P from "./protocol.ts";

/** Places that a process may have been granted ahead if it puts items one by one. One that puts lists has room for its next ones. */
const FEWEST_AHEAD = 64;

/**
 * Capacity from which places are granted ahead. In a smaller queue, other producers would miss each place that is granted ahead.
 */
const ROOMY = 256;

/** One open `PUT`. */
interface Producer {
  readonly line: Line;
  /** Whether it is in the process of the queue. */
  readonly local: boolean;
  /** Places that it was granted and has not used. */
  places: number;
  /** Bytes that belong to these places. */
  bytes: number;
  /** Places that it may have been granted ahead. */
  ahead: number;
  /** Its requests by their ids. */
  readonly wants: Map<number, FifoEntry<Want>>;
}

/** One request for room. */
interface Want {
  readonly producer: Producer;
  readonly id: number;
  readonly items: number;
  /** Average size of the items, in bytes. */
  readonly size: number;
}

/** The room of one queue. */
export class Admission {
  readonly #core: QueueCore;
  readonly #inventory: Inventory;
  readonly #producers = new Set<Producer>();
  readonly #wants = new Fifo<Want>();

  constructor(core: QueueCore) {
    this.#core = core;
    this.#inventory = core.inventory;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#wants.length;
  }

  /** Opens a `PUT`. */
  open(line: Line, message: Incoming, local: boolean): Receiver {
    const producer: Producer = { line, local, places: 0, bytes: 0, ahead: FEWEST_AHEAD, wants: new Map() };
    this.#producers.add(producer);
    this.#receive(producer, message);
    return {
      data: (message) => this.#receive(producer, message),
      cancel: () => {
        const status = this.#core.state === "open" ? DONE : this.#core.endStatus;
        if (this.#remove(producer)) line.exit(varints(status));
      },
      closed: () => void this.#remove(producer),
    };
  }

  /** Grants room to the requests for which there is some, in order. */
  grant(): void {
    const inventory = this.#inventory;
    while (this.#wants.length > 0) {
      const { id, items, producer, size } = this.#wants.first!;
      const byBytes = size === 0 ? items : Math.floor((inventory.rules.maxBytes - inventory.bytes) / size);
      // A single item always fits into an empty queue: an item larger than the queue is not requested.
      const places = Math.min(items, this.#core.free, inventory.isEmpty ? Math.max(1, byBytes) : byBytes);
      if (places <= 0) return;
      this.#wants.shift();
      producer.wants.delete(id);
      this.#promise(producer, places, size);
      producer.line.data(varints(P.GRANT, id, places));
      if (this.#wants.length === 0) this.#grantAhead(producer);
    }
  }

  /** The queue was closed: requests end, granted places may still be used. */
  close(): void {
    this.#wants.drain();
    for (const producer of this.#producers) {
      producer.wants.clear();
      if (producer.places > 0) producer.line.data(varints(P.CLOSING));
      else {
        this.#producers.delete(producer);
        producer.line.exit(varints(P.CLOSED));
      }
    }
  }

  /** Ends all calls. */
  end(exit: Fill): void {
    this.#wants.drain();
    for (const producer of this.#producers) {
      this.#takeBack(producer, producer.places);
      producer.line.exit(exit);
    }
    this.#producers.clear();
  }

  #receive(producer: Producer, message: Incoming): void {
    const numbers = new VarintReader(message.bytes, 1);
    switch (message.bytes[0]) {
      case P.ITEMS:
        return this.#accept(producer, unpack(message, 1, this.#inventory.memory));
      case P.CONFIRMED_ITEMS:
        this.#accept(producer, unpack(message, 1, this.#inventory.memory));
        return producer.line.data(varints(P.RESULT, 1));
      case P.WANT:
        return this.#want(producer, numbers);
      case P.WITHDRAW: {
        const id = numbers.next();
        const entry = producer.wants.get(id);
        if (entry === undefined) return;
        producer.wants.delete(id);
        this.#wants.remove(entry);
        return this.#core.advance();
      }
      case P.RETURN:
        this.#takeBack(producer, Math.min(producer.places, numbers.next() || 0));
        return this.#core.advance();
      default:
        throw new ProtocolError("Cannot read from the peer: malformed put");
    }
  }

  #want(producer: Producer, numbers: VarintReader): void {
    const id = numbers.next();
    const items = numbers.next();
    const size = Math.ceil(numbers.next() / items);
    const waits = numbers.next() === 1;
    // Also false if one of the numbers is NaN.
    if (!(items > 0 && size >= 0)) throw new ProtocolError("Cannot read from the peer: malformed want");
    if (this.#core.state !== "open") return;
    producer.ahead = Math.max(FEWEST_AHEAD, P.WINDOW * Math.min(items, P.LIST));
    const entry = this.#wants.push({ producer, id, items, size });
    producer.wants.set(id, entry);
    this.#core.advance();
    if (waits || !this.#wants.remove(entry)) return;
    producer.wants.delete(id);
    producer.line.data(varints(P.REFUSE, id));
  }

  #accept(producer: Producer, packets: ReadonlyArray<Packet>): void {
    if (packets.length > producer.places) {
      throw new ProtocolError("Cannot read from the peer: it puts more than there was room for");
    }
    const inventory = this.#inventory;
    const ordered = inventory.rules.keyOf !== undefined;
    for (const packet of packets) {
      const size = sizeOf(packet);
      const promised = Math.min(producer.bytes, size);
      producer.bytes -= promised;
      inventory.bytes += size - promised;
      this.#takeBack(producer, 1);
      if (inventory.isDiscarding) {
        inventory.refuse(packet, size);
        continue;
      }
      const refusal = inventory.add(packet, size);
      if (refusal === undefined) this.#core.begun();
      if (ordered) producer.line.data(result(refusal));
    }
    this.#core.advance();
    if (producer.places < producer.ahead / 2) this.#grantAhead(producer);
  }

  /** Grants a few places more than were requested. */
  #grantAhead(producer: Producer): void {
    const { bytes, rules } = this.#inventory;
    if (producer.local || rules.capacity < ROOMY || this.#wants.length > 0 || this.#core.state !== "open") return;
    const byBytes = Math.floor((rules.maxBytes - bytes) / (4 * P.SMALL));
    const places = Math.min(producer.ahead - producer.places, Math.floor(this.#core.free / 4), byBytes);
    if (places <= 0) return;
    this.#promise(producer, places, P.SMALL);
    producer.line.data(varints(P.GRANT, 0, places));
  }

  #promise(producer: Producer, places: number, size: number): void {
    producer.places += places;
    producer.bytes += places * size;
    this.#inventory.granted += places;
    this.#inventory.bytes += places * size;
  }

  #takeBack(producer: Producer, places: number): void {
    producer.places -= places;
    this.#inventory.granted -= places;
    if (producer.places > 0) return;
    this.#inventory.bytes -= producer.bytes;
    producer.bytes = 0;
  }

  #remove(producer: Producer): boolean {
    if (!this.#producers.delete(producer)) return false;
    for (const entry of producer.wants.values()) this.#wants.remove(entry);
    this.#takeBack(producer, producer.places);
    this.#core.advance();
    return true;
  }
}

const encoder = new TextEncoder();

/** Tells a producer whether an item was accepted. */
const result = (refusal: string | undefined): Fill => (writer) => {
  writer.byte(P.RESULT);
  writer.byte(refusal === undefined ? 1 : 0);
  if (refusal !== undefined) writer.bytes(encoder.encode(refusal));
  return undefined;
};
