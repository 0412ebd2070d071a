/**
 * A queue, where it lives.
 *
 * - Places are granted before items are sent, so the bound holds whoever puts, and a put that was interrupted while it waited
 *   has put nothing. Who puts often into a large queue is granted a few places ahead, never more than a quarter of what is free.
 * - An item that is given out is lent until its taker says that it has it. If the taker dies before, or is interrupted, the item
 *   goes back to where it was.
 * - A stream is lent items ahead, where both sides share memory and the order is that of arrival; see `lease.ts`. Until the stream
 *   takes them they count as being in the queue, and a taker that would have to wait is given them.
 * - A queue that redelivers keeps an item until its consumer reports it done; if the consumer's process ends before, the item goes
 *   back.
 * - Who waits is served in the order in which he came.
 * - Its end waits for items that are under way: places that were granted and not yet used or given back.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Arena from "../sync/protocol/arena.ts";
import { RegionError } from "../os/mapping.ts";
import type { Words } from "../os/atomics.ts";
import * as Codec from "../codec/codec.ts";
import * as Lease from "./lease.ts";
import { CANCELLED, DONE, GONE, type Hosted, type Line, tooLarge } from "../rpc/router.ts";
import { type Fill, LAST, type Receiver } from "../rpc/link.ts";
import { ProtocolError } from "../transport/frames.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { FifoStore, type Item, type Store } from "./store.ts";
import { pack, type Packet, sizeOf, unpack } from "../objects/packets.ts";
import * as P from "./protocol.ts";
import { Fifo, type FifoEntry } from "../objects/fifo.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { messageOf } from "../codec/foreign.ts";

/** What distinguishes one queue from another. */
export interface Rules {
  /** Items that it holds at most. */
  readonly capacity: number;
  /** Bytes that they take up at most. */
  readonly maxBytes: number;
  readonly store: Store;
  /** By what an item is ordered; may throw, and the item is then refused. Absent if it does not matter. */
  readonly keyOf: ((packet: Packet) => unknown) | undefined;
  /** Whether an item goes back if its consumer ends before it has reported the item done. */
  readonly redeliver: boolean;
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
  readonly wants: Map<number, FifoEntry<Want>>;
}

interface Want {
  readonly producer: Producer;
  readonly id: number;
  readonly items: number;
  /** Of one item, on average. */
  readonly size: number;
}

/** Items that were taken on one line, or here, and were not reported done: by their number there. */
interface Held {
  /** The process that has them. */
  readonly consumer: number;
  readonly items: Map<number, Item>;
  next: number;
}

/** A stream that reads ahead. */
interface Reader {
  readonly line: Line;
  readonly held: Held;
  /** The word that both share. */
  readonly word: Word;
  /** Items that are lent, and were not taken when this was looked at last. */
  ahead: ReadonlyArray<Item>;
  /** How many had been taken before the first of them. */
  base: number;
  /** Whether the stream waits for the first of them: then nobody else is given it. */
  due: boolean;
  wish: Taker | undefined;
  stopped: boolean;
}

/** A word of shared memory. */
interface Word {
  readonly place: Arena.ObjectAddress;
  readonly index: number;
  readonly words: Words;
  readonly at: number;
}

/** Words that are placed together. */
const WORDS = 15;

/** Somebody who wants items, here or elsewhere. */
interface Taker {
  readonly most: number;
  /** The process that will have them. */
  readonly consumer: number;
  /** The stream that wants to read ahead. */
  readonly reader: Reader | undefined;
  /** Lends him items. Throws `MessageTooLarge` if they do not reach him. */
  readonly lend: (items: ReadonlyArray<Item>) => void;
  /** There will be none. */
  readonly end: (exit: Fill) => void;
  place: FifoEntry<Taker> | undefined;
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

/** The state of a queue, and what is done to it. */
export class QueueHost implements Hosted {
  readonly #rules: Rules;
  readonly #producers = new Set<Producer>();
  readonly #wants = new Fifo<Want>();
  readonly #takers = new Fifo<Taker>();
  readonly #joiners = new Fifo<Line>();
  readonly #watchers = new Fifo<Pick<Line, "exit">>();
  readonly #readers = new Set<Reader>();
  /** Items that were taken and not reported done, by the processes that have them. */
  readonly #holders = new Map<number, number>();
  #held = 0;
  readonly #blocks: Array<Arena.Block> = [];
  readonly #idle: Array<Word> = [];
  #apart = false;
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
    this.#memory = rules.store instanceof FifoStore ? "copy" : "own";
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
        return this.#answer(line, varints(DONE));
      case P.SHUTDOWN:
        this.#end("shut down");
        return this.#answer(line, varints(DONE));
      case P.TASK_DONE:
        return this.#answer(
          line,
          varints(this.taskDone(new VarintReader(message.bytes, 0).next()) ? DONE : P.TOO_OFTEN),
        );
      case P.JOIN:
        return this.#wait(line, this.#joiners, this.#unfinished === 0);
      case P.READY:
        return this.#wait(line, this.#watchers, this.ready);
      case P.STREAM:
        return this.#stream(line, new VarintReader(message.bytes, 0).next());
      default:
        throw new ProtocolError(`Cannot read from the peer: a queue has no operation ${operation}`);
    }
  };

  /** Whether a get has its answer: an item, or the news that there will be none. */
  get ready(): boolean {
    return this.#size > 0 || this.#finished;
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
    if (this.#takers.length > 0 || (store.length === 0 && !this.#recall())) return undefined;
    const items: Array<Item> = [];
    while (items.length < most && store.length > 0) {
      const item = store.shift()!;
      this.#bytes -= item.size;
      items.push(item);
    }
    if (this.#wants.length > 0 || this.#state !== "open") this.#advance();
    return items;
  }

  /** Takes back what {@link takeNow} gave, or {@link take}. */
  giveBack(items: ReadonlyArray<Item>): void {
    for (const item of items) this.#bytes += item.size;
    this.#restore(items);
    this.#advance();
  }

  /** Takes what will be there, for this process. Calls back once, perhaps before it returns. */
  take(most: number, lend: (items: ReadonlyArray<Item>) => void, end: (exit: Fill) => void): Taking {
    const taker = wish(most, P.consumer, lend, end);
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
    this.#look();
    return this.#rules.capacity - this.#rules.store.length - this.#lent - this.#granted;
  }

  /** Items that are there to be taken: in the store, or lent ahead to streams that do not wait for them. */
  get #size(): number {
    this.#look();
    let size = this.#rules.store.length;
    for (const { ahead, due } of this.#readers) size += ahead.length - (due && ahead.length > 0 ? 1 : 0);
    return size;
  }

  /** Closed, and nothing can come any more. */
  get #finished(): boolean {
    return this.#finishedFor(0);
  }

  /** The same for one consumer: what it has itself and not reported does not come to it as long as it lives. */
  #finishedFor(consumer: number): boolean {
    if (this.#state !== "closed") return this.#state !== "open";
    this.#look();
    if (this.#rules.store.length + this.#lent + this.#granted > 0) return false;
    return this.#held === (this.#holders.get(consumer) ?? 0);
  }

  /** With what those end who come to what is no longer open. */
  get #ending(): number {
    if (this.#state === "gone") return GONE;
    return this.#state === "closed" ? P.CLOSED : P.SHUT_DOWN;
  }

  readonly #info: Fill = (writer) => {
    writer.byte(DONE);
    const state = this.#state === "open" ? 0 : this.#state === "closed" ? 1 : 2;
    const full = this.#free <= 0 || this.#bytes >= this.#rules.maxBytes ? 1 : 0;
    const size = this.#size;
    const numbers = [
      size,
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
  #wait(line: Line, waiting: Fifo<Pick<Line, "exit">>, now: boolean): Receiver {
    if (now) return this.#answer(line, varints(DONE));
    if (this.#state === "shut down" || this.#state === "gone") return this.#answer(line, varints(this.#ending));
    const place = waiting.push(line);
    return {
      cancel: () => {
        if (waiting.remove(place)) line.exit(varints(CANCELLED));
      },
      closed: () => void waiting.remove(place),
    };
  }

  #put(line: Line, message: Incoming, local: boolean): Receiver {
    if (this.#state !== "open") return this.#answer(line, varints(this.#ending));
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
        if (leave()) line.exit(varints(ending));
      },
      closed: () => void leave(),
    };
  }

  #hear(producer: Producer, message: Incoming): void {
    const numbers = new VarintReader(message.bytes, 1);
    switch (message.bytes[0]) {
      case P.ITEMS:
        return this.#arrive(producer, unpack(message, 1, this.#memory));
      case P.LONG:
        this.#arrive(producer, unpack(message, 1, this.#memory));
        return producer.line.data(varints(P.VERDICT, 1));
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
        return producer.line.data(varints(P.REFUSE, id));
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
        producer.line.data(varints(P.VERDICT, 1));
      }
      this.#unfinished++;
    }
    this.#advance();
    if (producer.places < AHEAD / 4) this.#grantAhead(producer);
  }

  #get(line: Line, { bytes }: Incoming): Receiver {
    const numbers = new VarintReader(bytes, 0);
    const most = numbers.next();
    const waits = numbers.next() === 1;
    const consumer = numbers.next();
    if (!(most > 0 && consumer > 0)) throw new ProtocolError("Cannot read from the peer: malformed get");
    const lend = (items: ReadonlyArray<Item>): void => line.data((writer) => pack(writer, items));
    const taker = wish(most, consumer, lend, line.exit.bind(line));
    const held: Held = { consumer, items: new Map(), next: 0 };
    const { redeliver } = this.#rules;
    this.#line(taker);
    if (!waits && taker.place !== undefined && this.#takers.remove(taker.place)) {
      return this.#answer(line, varints(P.EMPTY));
    }
    const leave = (taken: boolean): boolean => {
      const had = held.items.size > 0;
      this.#comeBack(this.#letGo(held));
      return this.#settle(taker, taken) || had;
    };
    return {
      // So many are the taker's, unless it cancels; its last word is that it has them.
      credit: (count) => {
        if (count === LAST) return leave(true) && this.#advance();
        this.#keep(taker, count);
        if (redeliver) {
          this.#hold(held, taker.lent);
          this.#lent -= taker.lent.length;
          taker.lent = [];
          this.#advance();
        }
      },
      data: ({ bytes }) => {
        if (bytes[0] !== P.REPORT) throw new ProtocolError("Cannot read from the peer: malformed get");
        this.#report(held, new VarintReader(bytes, 1).next());
      },
      cancel: () => {
        if (!leave(false)) return;
        line.exit(varints(CANCELLED));
        this.#advance();
      },
      closed: () => void (leave(taker.his && !redeliver) && this.#advance()),
    };
  }

  #stream(line: Line, consumer: number): Receiver {
    if (!(consumer > 0)) throw new ProtocolError("Cannot read from the peer: malformed stream");
    const word = this.#rules.store instanceof FifoStore ? this.#word() : undefined;
    if (word === undefined) return this.#answer(line, varints(P.APART));
    line.data((writer) => {
      writer.byte(P.WHERE);
      writer.varint(word.index);
      return Codec.encodeInto(writer, word.place);
    });
    const reader: Reader = {
      line,
      held: { consumer, items: new Map(), next: 0 },
      word,
      ahead: [],
      base: 0,
      due: false,
      wish: undefined,
      stopped: false,
    };
    reader.base = Lease.takenSince(word.words, word.at, 0);
    this.#readers.add(reader);
    const leave = (): boolean => {
      if (!this.#readers.has(reader)) return false;
      this.#stop(reader);
      this.#readers.delete(reader);
      this.#comeBack(this.#letGo(reader.held));
      this.#advance();
      return true;
    };
    return {
      data: ({ bytes }) => {
        const numbers = new VarintReader(bytes, 1);
        switch (bytes[0]) {
          case P.PULL: {
            const most = numbers.next();
            if (!(most > 0)) throw new ProtocolError("Cannot read from the peer: malformed pull");
            if (reader.wish === undefined && !reader.stopped) this.#pull(reader, most);
            return;
          }
          case P.NOTE:
            return this.#advance();
          case P.STOP:
            this.#stop(reader);
            return this.#advance();
          case P.REPORT:
            return this.#report(reader.held, numbers.next());
          default:
            throw new ProtocolError("Cannot read from the peer: malformed stream");
        }
      },
      cancel: () => {
        if (!leave()) return;
        line.exit(varints(CANCELLED));
        // Nobody counts in it any more. Whoever has ended otherwise might.
        this.#idle.push(word);
      },
      closed: () => void leave(),
    };
  }

  /** A stream has nothing left, and wants some. */
  #pull(reader: Reader, most: number): void {
    // It has forgotten what it did not come to.
    this.#comeBack(this.#takeBack(reader, 0));
    const { line } = reader;
    const taker = reader.wish = wish(
      most,
      reader.held.consumer,
      (items) => {
        const { base, word: { at, words } } = reader;
        // Before the items leave: the stream may have them when that returns.
        Lease.lend(words, at, items.length);
        try {
          line.data((writer) => {
            writer.byte(P.BATCH);
            return pack(writer, items);
          });
        } catch (error) {
          Lease.revoke(words, at, base, 0);
          throw error;
        }
        reader.wish = undefined;
        reader.ahead = items;
        reader.due = true;
      },
      (exit) => {
        reader.wish = undefined;
        line.data((writer) => {
          writer.byte(P.ENDING);
          return exit(writer);
        });
      },
      reader,
    );
    this.#line(taker);
  }

  /** It wants no more, and what it has not taken goes back. */
  #stop(reader: Reader): void {
    reader.stopped = true;
    if (reader.wish?.place !== undefined) this.#takers.remove(reader.wish.place);
    reader.wish = undefined;
    this.#comeBack(this.#takeBack(reader, 0));
  }

  /** Sees what streams have taken of the items that were lent ahead. */
  #look(): void {
    for (const reader of this.#readers) {
      const { ahead, base, held, word } = reader;
      if (ahead.length === 0) continue;
      const count = Math.min(ahead.length, Lease.takenSince(word.words, word.at, base));
      if (count === 0) continue;
      reader.base = base + count & 0xffff;
      reader.ahead = ahead.slice(count);
      reader.due = false;
      this.#lent -= count;
      const taken = ahead.slice(0, count);
      if (this.#rules.redeliver) this.#hold(held, taken);
      else for (const item of taken) this.#drop(item);
    }
  }

  /** Takes back all but so many of the items that were lent to a stream and that it has not taken. */
  #takeBack(reader: Reader, keep: number): ReadonlyArray<Item> {
    if (reader.ahead.length === 0) return none;
    const { at, words } = reader.word;
    Lease.revoke(words, at, reader.base, keep);
    this.#look();
    const { ahead, due } = reader;
    const kept = Math.min(ahead.length, due ? keep : 0);
    reader.ahead = ahead.slice(0, kept);
    this.#lent -= ahead.length - kept;
    return ahead.slice(kept);
  }

  /** Takes back what was lent ahead, but not what a stream waits for. Whether there was some. */
  #recall(): boolean {
    const items: Array<Item> = [];
    this.#look();
    for (const reader of this.#readers) items.push(...this.#takeBack(reader, reader.due ? 1 : 0));
    this.#restore(items.sort(byArrival));
    return items.length > 0;
  }

  /** Items go back to their places, before those that came after them and were lent ahead. */
  #comeBack(items: ReadonlyArray<Item>): void {
    if (items.length === 0) return;
    this.#recall();
    this.#restore(items);
  }

  /** They were taken, and may come back. */
  #hold(held: Held, items: ReadonlyArray<Item>): void {
    for (const item of items) held.items.set(held.next++, item);
    this.#count(held, items.length);
  }

  #count({ consumer }: Held, change: number): void {
    this.#held += change;
    const count = (this.#holders.get(consumer) ?? 0) + change;
    if (count === 0) this.#holders.delete(consumer);
    else this.#holders.set(consumer, count);
  }

  /** One of them is done. */
  #report(held: Held, number: number): void {
    this.#look();
    const item = held.items.get(number);
    if (item === undefined) return;
    held.items.delete(number);
    this.#count(held, -1);
    this.#drop(item);
    this.taskDone(1);
    this.#advance();
  }

  /** They will not be reported. */
  #letGo(held: Held): ReadonlyArray<Item> {
    const items = [...held.items.values()];
    held.items.clear();
    this.#count(held, -items.length);
    return items;
  }

  /** Holds what was taken in this process: reports one done by its number, or gives all back that were not. */
  holdHere(items: ReadonlyArray<Item>): { readonly report: (number: number) => void; readonly giveBack: () => void } {
    const held: Held = { consumer: P.consumer, items: new Map(), next: 0 };
    for (const item of items) this.#bytes += item.size;
    this.#hold(held, items);
    return {
      report: (number) => this.#report(held, number),
      giveBack: () => {
        this.#comeBack(this.#letGo(held));
        this.#advance();
      },
    };
  }

  /** A word of memory for a stream; `undefined` if this process has none to share. */
  #word(): Word | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined || this.#apart) return idle;
    let block: Arena.Block;
    try {
      block = Arena.allocate(WORDS);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      this.#apart = true;
      return undefined;
    }
    this.#blocks.push(block);
    const { arena, at, place } = block;
    for (let index = WORDS - 1; index > 0; index--) {
      this.#idle.push({ place, index, words: arena.words, at: at + index });
    }
    return { place, index: 0, words: arena.words, at };
  }

  #line(taker: Taker): void {
    if (this.#finishedFor(taker.consumer)) return taker.end(varints(this.#ending));
    taker.place = this.#takers.push(taker);
    this.#advance();
  }

  /** The taker has what was lent to it, or that goes back. `false` if it had nothing and was not waiting. */
  #settle(taker: Taker, taken: boolean): boolean {
    const { lent, place } = taker;
    taker.lent = [];
    const left = place !== undefined && this.#takers.remove(place);
    if (lent.length === 0) return left;
    this.#lent -= lent.length;
    if (taken) { for (const item of lent) this.#drop(item); }
    else this.#comeBack(lent);
    return true;
  }

  /** Of what was lent to it the taker wants so many. They are lost with it from now on. */
  #keep(taker: Taker, count: number): void {
    const rest = taker.lent.slice(count);
    taker.his = true;
    if (rest.length === 0) return;
    taker.lent = taker.lent.slice(0, count);
    this.#lent -= rest.length;
    this.#comeBack(rest);
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

  /** So many are done; `false` if that are more than there are. */
  taskDone(count: number): boolean {
    if (!(count <= this.#unfinished)) return false;
    this.#unfinished -= count;
    if (this.#unfinished === 0) { for (const line of this.#joiners.drain()) line.exit(varints(DONE)); }
    return true;
  }

  /** Does all that can be done now: hands out items, grants places, tells the end. */
  #advance(): void {
    this.#lend();
    this.#grant();
    if (this.#watchers.length > 0 && this.ready) {
      for (const line of this.#watchers.drain()) line.exit(varints(DONE));
    }
    if (this.#state !== "open" && this.#takers.length > 0) {
      for (const { end } of this.#takers.removeWhere(({ consumer }) => this.#finishedFor(consumer))) {
        end(varints(this.#ending));
      }
    }
  }

  #lend(): void {
    const { store } = this.#rules;
    while (this.#takers.length > 0 && (store.length > 0 || this.#recall())) {
      const taker = this.#takers.shift()!;
      if (taker.reader !== undefined) {
        this.#lendAhead(taker, taker.reader);
        continue;
      }
      const items = this.#gather(taker.most, true);
      this.#lent += items.length;
      taker.lent = items;
      try {
        taker.lend(items);
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        // Too much for the taker's link: it stays, for one with a wider link.
        taker.lent = [];
        this.#lent -= items.length;
        this.#restore(items);
        taker.end(tooLarge(error));
      }
    }
  }

  /** Takes the next items out of the store, at least one, up to so many. */
  #gather(most: number, moving: boolean): ReadonlyArray<Item> {
    const { store } = this.#rules;
    const items: Array<Item> = [];
    for (let size = 0; items.length < most && size < BATCH && store.length > 0;) {
      const item = store.shift()!;
      if (item.moves === true && !moving) {
        store.restore(item);
        break;
      }
      items.push(item);
      size += item.size;
    }
    return items;
  }

  #lendAhead(taker: Taker, reader: Reader): void {
    // Each stream has its share.
    const share = Math.ceil(this.#rules.store.length / this.#readers.size);
    for (let most = Math.min(taker.most, share);; most = Math.ceil(most / 2)) {
      const items = this.#gather(most, false);
      if (items.length === 0) {
        reader.wish = undefined;
        return reader.line.data(varints(P.ALONE));
      }
      this.#lent += items.length;
      try {
        return taker.lend(items);
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        this.#lent -= items.length;
        this.#restore(items);
        if (items.length === 1) return taker.end(tooLarge(error));
        most = items.length;
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
      producer.line.data(varints(P.GRANT, id, places));
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
    producer.line.data(varints(P.GRANT, 0, places));
  }

  #close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#wants.drain();
    for (const producer of this.#producers) {
      producer.wants.clear();
      if (producer.places > 0) producer.line.data(varints(P.CLOSING));
      else {
        this.#producers.delete(producer);
        producer.line.exit(varints(P.CLOSED));
      }
    }
    this.#advance();
  }

  #end(state: "shut down" | "gone"): void {
    if (this.#state === "gone" || this.#state === state) return;
    this.#state = state;
    const end = varints(this.#ending);
    const { store } = this.#rules;
    // Restored in this state, items are dropped.
    for (const reader of this.#readers) this.#restore(this.#takeBack(reader, 0));
    for (let item = store.shift(); item !== undefined; item = store.shift()) this.#drop(item);
    this.#wants.drain();
    for (const producer of this.#producers) {
      this.#giveBack(producer, producer.places);
      producer.line.exit(end);
    }
    this.#producers.clear();
    for (const taker of this.#takers.drain()) taker.end(end);
    for (const line of this.#joiners.drain()) line.exit(end);
    // There will be nothing, which is what they wait for as well.
    for (const line of this.#watchers.drain()) line.exit(state === "gone" ? end : varints(DONE));
    if (state !== "gone") return;
    for (const { line } of this.#readers) line.exit(end);
    this.#readers.clear();
    for (const block of this.#blocks.splice(0)) block.free();
    this.#idle.length = 0;
  }
}

const none: ReadonlyArray<Item> = [];

const byArrival = (a: Item, b: Item): number => a.arrival - b.arrival;

const wish = (
  most: number,
  consumer: number,
  lend: Taker["lend"],
  end: Taker["end"],
  reader?: Reader,
): Taker => ({ most, consumer, reader, lend, end, place: undefined, lent: [], his: false });

/** Attachments are the memory of whoever put them, who may change it afterwards. */
const copied = ({ attachments }: Packet): ReadonlyArray<Uint8Array> =>
  attachments.length === 0 ? attachments : attachments.map((part) => part.slice());
