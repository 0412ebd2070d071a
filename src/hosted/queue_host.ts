/**
 * A queue, where it lives.
 *
 * - Places are granted before items are sent, so the bound holds whoever puts, and a put that was interrupted while it waited
 *   has put nothing. Who puts often into a large queue is granted a few places ahead, never more than a quarter of what is free.
 * - What is given out is lent until the taker says that he has it. If he dies before, or is interrupted, it goes back to
 *   where it was.
 * - Who waits is served in the order in which he came.
 * - Its end waits for items that are under way: places that were granted and not yet used or given back.
 *
 * Free of Effect.
 *
 * @module
 */
import { CANCELLED, DONE, GONE, type Hosted, type Line, tooLarge } from "../link/router.ts";
import { type Fill, LAST, type Receiver } from "../link/link.ts";
import { type Incoming, MessageTooLarge, ProtocolError } from "../wire/frames.ts";
import { Fifo, type Item, type Store } from "./order.ts";
import { pack, type Packet, sizeOf, unpack } from "./packets.ts";
import * as P from "./queue_protocol.ts";
import { type Place, Waiting } from "./waiting.ts";
import { messageOf } from "../wire/foreign.ts";

/** What distinguishes one queue from another. */
export interface Rules {
  /** Items that it holds at most. */
  readonly capacity: number;
  /** Bytes that they take up at most. */
  readonly maxBytes: number;
  readonly store: Store;
  /** By what an item is ordered; may throw, and the item is then refused. Absent if it does not matter. */
  readonly keyOf: ((packet: Packet) => unknown) | undefined;
  /** Keeps what moves with an item until that was taken; see `keep.ts`. */
  readonly keep: (packet: Packet) => () => void;
}

/** Places that one process may have been granted ahead. */
const AHEAD = 64;

/** A queue for fewer items grants none ahead: there, each place that is kept from others would be noticed. */
const ROOMY = 256;

/** Bytes that leave together, unless one item is larger. */
const BATCH = 256 * 1024;

interface Producer {
  readonly line: Line;
  readonly local: boolean;
  /** Places that it was granted and has not used. */
  places: number;
  bytes: number;
  readonly wants: Map<number, Place<Want>>;
}

interface Want {
  readonly producer: Producer;
  readonly id: number;
  readonly items: number;
  /** Of one item, on average. */
  readonly size: number;
}

/** Somebody who wants items, here or elsewhere. */
interface Taker {
  readonly most: number;
  /** Lends him items. Throws `MessageTooLarge` if they do not reach him. */
  readonly lend: (items: ReadonlyArray<Item>) => void;
  /** There will be none. */
  readonly end: (exit: Fill) => void;
  place: Place<Taker> | undefined;
  lent: ReadonlyArray<Item>;
  /** Whether what is lent to him is his if he dies. */
  his: boolean;
}

/** A get of this process. */
export interface Taking {
  /** So many of what was lent were taken. */
  readonly taken: (count: number) => void;
  /** It was not, or is not wanted any more. */
  readonly leave: () => void;
}

const say = (...numbers: ReadonlyArray<number>): Fill => (writer) => {
  for (const number of numbers) writer.varint(number);
  return undefined;
};

/** The state of a queue, and what is done to it. */
export class QueueHost implements Hosted {
  readonly #rules: Rules;
  readonly #producers = new Set<Producer>();
  readonly #wants = new Waiting<Want>();
  readonly #takers = new Waiting<Taker>();
  readonly #joiners = new Waiting<Line>();
  readonly #watchers = new Waiting<Pick<Line, "exit">>();
  #state: "open" | "closed" | "shut down" | "gone" = "open";
  #arrivals = 0;
  #unfinished = 0;
  /** Items lent, places granted, and the bytes of what is held, lent, or granted. */
  #lent = 0;
  #granted = 0;
  #bytes = 0;

  /** Items that leave in the order in which they came may share memory: none is kept for the sake of another for long. */
  readonly #memory: "copy" | "own";

  constructor(rules: Rules) {
    this.#rules = rules;
    this.#memory = rules.store instanceof Fifo ? "copy" : "own";
  }

  readonly open = (operation: number, line: Line, message: Incoming, local: boolean): Receiver => {
    switch (operation) {
      case P.PUT:
        return this.#put(line, message, local);
      case P.GET:
        return this.#get(line, message);
      case P.INFO:
        return this.#answer(line, this.#info);
      case P.CLOSE:
        this.#close();
        return this.#answer(line, say(DONE));
      case P.SHUTDOWN:
        this.#end("shut down");
        return this.#answer(line, say(DONE));
      case P.TASK_DONE:
        return this.#answer(line, say(this.#taskDone(new P.Numbers(message.bytes, 0).next()) ? DONE : P.TOO_OFTEN));
      case P.JOIN:
        return this.#wait(line, this.#joiners, this.#unfinished === 0);
      case P.READY:
        return this.#wait(line, this.#watchers, this.#rules.store.length > 0 || this.#finished);
      default:
        throw new ProtocolError(`Cannot read from the peer: a queue has no operation ${operation}`);
    }
  };

  /** Whether a get has its answer: an item, or the news that there will be none. */
  get ready(): boolean {
    return this.#rules.store.length > 0 || this.#state !== "open" && (this.#state !== "closed" || this.#finished);
  }

  /** Calls back, in this process, when a get has its answer. Returns a function that stops the waiting. */
  watch(ready: () => void): () => void {
    if (this.ready) {
      ready();
      return () => {};
    }
    const place = this.#watchers.push({ exit: ready });
    return () => void this.#watchers.remove(place);
  }

  /** Puts what there is room for at once, from this process: answers how many. */
  putNow(packets: ReadonlyArray<Packet>, at: number): number {
    if (this.#state !== "open" || this.#wants.length > 0 || this.#rules.keyOf !== undefined) return 0;
    const { maxBytes, store } = this.#rules;
    const end = Math.min(packets.length, at + this.#free);
    let next = at;
    for (; next < end; next++) {
      const packet = packets[next];
      const size = sizeOf(packet);
      if (this.#bytes + size > maxBytes) break;
      this.#bytes += size;
      const bytes = this.#memory === "own" ? packet.bytes.slice() : packet.bytes;
      const arrival = ++this.#arrivals;
      const { moves } = packet;
      store.push({
        bytes,
        attachments: copied(packet),
        moves,
        size,
        arrival,
        key: undefined,
        kept: this.#keeps(packet),
      });
    }
    if (next === at) return 0;
    this.#unfinished += next - at;
    if (this.#takers.length > 0 || this.#watchers.length > 0) this.#advance();
    return next - at;
  }

  /** Takes what is there at once, for this process: `undefined` if that is nothing, or somebody waits for it. */
  takeNow(most: number): ReadonlyArray<Item> | undefined {
    const { store } = this.#rules;
    if (store.length === 0 || this.#takers.length > 0) return undefined;
    const items: Array<Item> = [];
    while (items.length < most && store.length > 0) {
      const item = store.shift()!;
      this.#bytes -= item.size;
      items.push(item);
    }
    if (this.#wants.length > 0 || this.#state !== "open") this.#advance();
    return items;
  }

  /** Takes back what {@link takeNow} gave. */
  giveBack(items: ReadonlyArray<Item>): void {
    for (const item of items) this.#bytes += item.size;
    this.#restore(items);
    this.#advance();
  }

  /** Takes what will be there, for this process. Calls back once, perhaps before it returns. */
  take(most: number, lend: (items: ReadonlyArray<Packet>) => void, end: (exit: Fill) => void): Taking {
    const taker: Taker = { most, lend, end, place: undefined, lent: [], his: false };
    this.#line(taker);
    return {
      taken: (count) => {
        this.#keep(taker, count);
        if (this.#settle(taker, true)) this.#advance();
      },
      leave: () => this.#settle(taker, false) && this.#advance(),
    };
  }

  /** The queue's scope has closed: whoever waits is told that it is gone. */
  release(): void {
    this.#end("gone");
  }

  /** Places that are neither taken nor promised. */
  get #free(): number {
    return this.#rules.capacity - this.#rules.store.length - this.#lent - this.#granted;
  }

  /** Closed, and nothing can come any more. */
  get #finished(): boolean {
    return this.#state !== "open" &&
      (this.#state !== "closed" || this.#rules.store.length + this.#lent + this.#granted === 0);
  }

  /** With what those end who come to what is no longer open. */
  get #ending(): number {
    if (this.#state === "gone") return GONE;
    return this.#state === "closed" ? P.CLOSED : P.SHUT_DOWN;
  }

  readonly #info: Fill = (writer) => {
    writer.byte(DONE);
    const { store } = this.#rules;
    const state = this.#state === "open" ? 0 : this.#state === "closed" ? 1 : 2;
    const full = this.#free <= 0 || this.#bytes >= this.#rules.maxBytes ? 1 : 0;
    const numbers = [
      store.length,
      this.#bytes,
      this.#takers.length,
      this.#wants.length,
      this.#unfinished,
      full,
      state,
      this.#finished ? 1 : 0,
    ];
    writer.reserve(8 * numbers.length);
    for (const number of numbers) {
      writer.view.setFloat64(writer.position, number, true);
      writer.position += 8;
    }
    return undefined;
  };

  #answer(line: Line, fill: Fill): Receiver {
    line.exit(fill);
    return { closed: () => {} };
  }

  /** Ends the call when that is so, or the queue's end has come. */
  #wait(line: Line, waiting: Waiting<Pick<Line, "exit">>, now: boolean): Receiver {
    if (now) return this.#answer(line, say(DONE));
    if (this.#state === "shut down" || this.#state === "gone") return this.#answer(line, say(this.#ending));
    const place = waiting.push(line);
    return {
      cancel: () => {
        if (waiting.remove(place)) line.exit(say(CANCELLED));
      },
      closed: () => void waiting.remove(place),
    };
  }

  #put(line: Line, message: Incoming, local: boolean): Receiver {
    if (this.#state !== "open") return this.#answer(line, say(this.#ending));
    const producer: Producer = { line, local, places: 0, bytes: 0, wants: new Map() };
    this.#producers.add(producer);
    const leave = (): boolean => {
      if (!this.#producers.delete(producer)) return false;
      for (const place of producer.wants.values()) this.#wants.remove(place);
      this.#giveBack(producer, producer.places);
      this.#advance();
      return true;
    };
    this.#hear(producer, message);
    return {
      data: (message) => this.#hear(producer, message),
      cancel: () => {
        const ending = this.#state === "open" ? DONE : this.#ending;
        if (leave()) line.exit(say(ending));
      },
      closed: () => void leave(),
    };
  }

  #hear(producer: Producer, message: Incoming): void {
    const numbers = new P.Numbers(message.bytes, 1);
    switch (message.bytes[0]) {
      case P.ITEMS:
        return this.#arrive(producer, unpack(message, 1, this.#memory));
      case P.LONG:
        this.#arrive(producer, unpack(message, 1, this.#memory));
        return producer.line.data(say(P.VERDICT, 1));
      case P.WANT: {
        const id = numbers.next();
        const items = numbers.next();
        const size = Math.ceil(numbers.next() / items);
        const waits = numbers.next() === 1;
        // Also false if one of them is NaN.
        if (!(items > 0 && size >= 0)) throw new ProtocolError("Cannot read from the peer: malformed want");
        if (this.#state !== "open") return;
        const place = this.#wants.push({ producer, id, items, size });
        producer.wants.set(id, place);
        this.#advance();
        if (waits || !this.#wants.remove(place)) return;
        producer.wants.delete(id);
        return producer.line.data(say(P.REFUSE, id));
      }
      case P.UNWANT: {
        const id = numbers.next();
        const place = producer.wants.get(id);
        if (place === undefined) return;
        producer.wants.delete(id);
        this.#wants.remove(place);
        return this.#advance();
      }
      case P.RETURN:
        this.#giveBack(producer, Math.min(producer.places, numbers.next() || 0));
        return this.#advance();
      default:
        throw new ProtocolError("Cannot read from the peer: malformed put");
    }
  }

  #giveBack(producer: Producer, places: number): void {
    producer.places -= places;
    this.#granted -= places;
    const bytes = producer.places === 0 ? producer.bytes : 0;
    producer.bytes -= bytes;
    this.#bytes -= bytes;
  }

  #arrive(producer: Producer, packets: ReadonlyArray<Packet>): void {
    if (packets.length > producer.places) {
      throw new ProtocolError("Cannot read from the peer: it puts more than there was room for");
    }
    const { keyOf, store } = this.#rules;
    for (const packet of packets) {
      const size = sizeOf(packet);
      const promised = Math.min(producer.bytes, size);
      producer.bytes -= promised;
      this.#bytes += size - promised;
      this.#giveBack(producer, 1);
      const kept = this.#keeps(packet);
      if (this.#state === "shut down" || this.#state === "gone") {
        kept?.();
        continue;
      }
      const item = { ...packet, size, arrival: ++this.#arrivals, kept };
      if (keyOf === undefined) store.push({ ...item, key: undefined });
      else {
        try {
          store.push({ ...item, key: keyOf(packet) });
        } catch (error) {
          this.#bytes -= size;
          kept?.();
          const why = messageOf(error);
          producer.line.data((writer) => {
            writer.byte(P.VERDICT);
            writer.byte(0);
            writer.bytes(new TextEncoder().encode(why));
            return undefined;
          });
          continue;
        }
        producer.line.data(say(P.VERDICT, 1));
      }
      this.#unfinished++;
    }
    this.#advance();
    if (producer.places < AHEAD / 4) this.#grantAhead(producer);
  }

  #get(line: Line, { bytes }: Incoming): Receiver {
    const numbers = new P.Numbers(bytes, 0);
    const most = numbers.next();
    const waits = numbers.next() === 1;
    if (!(most > 0)) throw new ProtocolError("Cannot read from the peer: malformed get");
    const lend = (items: ReadonlyArray<Item>): void => line.data((writer) => pack(writer, items));
    const taker: Taker = { most, lend, end: line.exit.bind(line), place: undefined, lent: [], his: false };
    this.#line(taker);
    if (!waits && taker.place !== undefined && this.#takers.remove(taker.place)) {
      return this.#answer(line, say(P.EMPTY));
    }
    return {
      // So many are his, unless he cancels; his last word is that he has them.
      credit: (count) => {
        if (count !== LAST) return this.#keep(taker, count);
        if (this.#settle(taker, true)) this.#advance();
      },
      cancel: () => {
        if (!this.#settle(taker, false)) return;
        line.exit(say(CANCELLED));
        this.#advance();
      },
      closed: () => this.#settle(taker, taker.his) && this.#advance(),
    };
  }

  #line(taker: Taker): void {
    if (this.#finished) return taker.end(say(this.#ending));
    taker.place = this.#takers.push(taker);
    this.#advance();
  }

  /** He has what was lent to him, or it goes back. `false` if he had nothing and was not waiting. */
  #settle(taker: Taker, taken: boolean): boolean {
    const { lent, place } = taker;
    taker.lent = [];
    const left = place !== undefined && this.#takers.remove(place);
    if (lent.length === 0) return left;
    this.#lent -= lent.length;
    if (taken) { for (const item of lent) this.#drop(item); }
    else this.#restore(lent);
    return true;
  }

  /** Of what was lent to him he wants so many. They are lost with him from now on. */
  #keep(taker: Taker, count: number): void {
    const rest = taker.lent.slice(count);
    taker.his = true;
    if (rest.length === 0) return;
    taker.lent = taker.lent.slice(0, count);
    this.#lent -= rest.length;
    this.#restore(rest);
    this.#advance();
  }

  /** It was taken, or will not be: then what moves with it ends. */
  #drop({ kept, size }: Item): void {
    this.#bytes -= size;
    kept?.();
  }

  #keeps(packet: Packet): (() => void) | undefined {
    return packet.moves ? this.#rules.keep(packet) : undefined;
  }

  #restore(items: ReadonlyArray<Item>): void {
    const over = this.#state === "shut down" || this.#state === "gone";
    // The last first: then each goes to the end from which it was taken.
    for (let i = items.length - 1; i >= 0; i--) {
      if (over) this.#drop(items[i]);
      else this.#rules.store.restore(items[i]);
    }
  }

  #taskDone(count: number): boolean {
    if (!(count <= this.#unfinished)) return false;
    this.#unfinished -= count;
    if (this.#unfinished === 0) { for (const line of this.#joiners.clear()) line.exit(say(DONE)); }
    return true;
  }

  /** Does all that can be done now: hands out items, grants places, tells the end. */
  #advance(): void {
    this.#lend();
    this.#grant();
    if (this.#watchers.length > 0 && (this.#rules.store.length > 0 || this.#finished)) {
      for (const line of this.#watchers.clear()) line.exit(say(DONE));
    }
    if (this.#finished) { for (const { end } of this.#takers.clear()) end(say(this.#ending)); }
  }

  #lend(): void {
    const { store } = this.#rules;
    while (this.#takers.length > 0 && store.length > 0) {
      const taker = this.#takers.shift()!;
      const items: Array<Item> = [];
      for (let size = 0; items.length < taker.most && size < BATCH && store.length > 0;) {
        const item = store.shift()!;
        items.push(item);
        size += item.size;
      }
      this.#lent += items.length;
      taker.lent = items;
      try {
        taker.lend(items);
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        // Too much for his link: it stays, for somebody with a wider one.
        taker.lent = [];
        this.#lent -= items.length;
        this.#restore(items);
        taker.end(tooLarge(error));
      }
    }
  }

  #grant(): void {
    const { maxBytes } = this.#rules;
    while (this.#wants.length > 0) {
      const { id, items, producer, size } = this.#wants.first!;
      const empty = this.#rules.store.length + this.#lent + this.#granted === 0;
      const room = size === 0 ? items : Math.floor((maxBytes - this.#bytes) / size);
      // One item alone fits always: what is larger than the queue is not asked for.
      const places = Math.min(items, this.#free, empty ? Math.max(1, room) : room);
      if (places <= 0) return;
      this.#wants.shift();
      producer.wants.delete(id);
      producer.places += places;
      producer.bytes += places * size;
      this.#granted += places;
      this.#bytes += places * size;
      producer.line.data(say(P.GRANT, id, places));
      if (this.#wants.length === 0) this.#grantAhead(producer);
    }
  }

  /** A few places more than were wanted, so that the next put does not have to ask. */
  #grantAhead(producer: Producer): void {
    if (producer.local || this.#rules.capacity < ROOMY || this.#wants.length > 0 || this.#state !== "open") return;
    const room = Math.floor((this.#rules.maxBytes - this.#bytes) / (4 * P.SMALL));
    const places = Math.min(AHEAD - producer.places, Math.floor(this.#free / 4), room);
    if (places <= 0) return;
    producer.places += places;
    producer.bytes += places * P.SMALL;
    this.#granted += places;
    this.#bytes += places * P.SMALL;
    producer.line.data(say(P.GRANT, 0, places));
  }

  #close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#wants.clear();
    for (const producer of this.#producers) {
      producer.wants.clear();
      if (producer.places > 0) producer.line.data(say(P.CLOSING));
      else {
        this.#producers.delete(producer);
        producer.line.exit(say(P.CLOSED));
      }
    }
    this.#advance();
  }

  #end(state: "shut down" | "gone"): void {
    if (this.#state === "gone" || this.#state === state) return;
    this.#state = state;
    const end = say(this.#ending);
    const { store } = this.#rules;
    for (let item = store.shift(); item !== undefined; item = store.shift()) this.#drop(item);
    this.#wants.clear();
    for (const producer of this.#producers) {
      this.#giveBack(producer, producer.places);
      producer.line.exit(end);
    }
    this.#producers.clear();
    for (const taker of this.#takers.clear()) taker.end(end);
    for (const line of this.#joiners.clear()) line.exit(end);
    // There will be nothing, which is what they wait for as well.
    for (const line of this.#watchers.clear()) line.exit(state === "gone" ? end : say(DONE));
  }
}

/** Attachments are the memory of whoever put them, who may change it afterwards. */
const copied = ({ attachments }: Packet): ReadonlyArray<Uint8Array> =>
  attachments.length === 0 ? attachments : attachments.map((part) => part.slice());
