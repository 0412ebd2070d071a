/**
 * Streams that read ahead, where both processes share memory or a file, and the queue gives the oldest item first. The gets of a
 * process that follow each other closely are such a stream as well.
 *
 * An item that is lent ahead counts as being in the queue until the stream takes it, which `lease.ts` decides. Before another
 * consumer is served, lent items are recalled, so that each consumer is given the oldest item that no consumer has taken:
 * otherwise a consumer might be given a later item first and the recalled item afterwards. Only the chunk for which a stream waits
 * is kept for the stream, which takes the chunk in one step. While several streams read a queue, a batch is as large as a stream
 * has lately used up between two recalls. Free of Effect.
 *
 * ```text
 *        +--STAND--> standing --PULL--+   +-------REST--------+
 *        |              | items       v   |                   v
 *   idle +--PULL--------|----------> pulling --items--> lent: the first chunk is due, while the stream has taken none of them
 *    ^                  v                                     |
 *    +---next request-- lent, nothing is due <---look: items were taken, or REST
 *                       all is recalled when another consumer is served
 * ```
 *
 * @module
 */
import type { FifoEntry } from "../objects/fifo.ts";
import { pack } from "../objects/packets.ts";
import { SmallSet } from "../os/small.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import * as Codec from "../codec/codec.ts";
import type { Words } from "../os/atomics.ts";
import { RegionError } from "../os/mapping.ts";
import type { Fill, Receiver } from "../rpc/link.ts";
import { CANCELLED, type Line, tooLarge } from "../rpc/router.ts";
import * as Arena from "../sync/protocol/arena.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { QueueCore } from "./inventory.ts";
import { type Lender, memoryLender } from "./lease.ts";
import { FileLender } from "./lease_file.ts";
import * as P from "./protocol.ts";
import { type Redelivery, UnreportedGroup } from "./redelivery.ts";
import { FifoStore, type Item } from "./store.ts";
import type { Taker, Takers } from "./takers.ts";

/** The streams of a queue that read ahead. */
export class ReadAhead {
  readonly #core: QueueCore;
  readonly #takers: Takers;
  readonly #redelivery: Redelivery;
  readonly #streams = new Set<AheadStream>();
  /** Those that are standing. */
  readonly #standing = new SmallSet<AheadStream>();
  readonly #words = new SharedWords();

  constructor(core: QueueCore, takers: Takers, redelivery: Redelivery) {
    this.#core = core;
    this.#takers = takers;
    this.#redelivery = redelivery;
  }

  /** Lent items that may be recalled. */
  get recallable(): number {
    let count = 0;
    for (const stream of this.#streams) count += stream.recallable;
    return count;
  }

  /** Whether a stream may have taken items that were revoked at that moment: nothing later is given out until it tells. */
  get isInDoubt(): boolean {
    for (const stream of this.#streams) if (stream.isInDoubt) return true;
    return false;
  }

  /** Whether {@link lendAhead} would lend new items. */
  get isStanding(): boolean {
    return this.#standing.size > 0;
  }

  /**
   * Lends stored items, for which no consumer waits, to a stream that likes to be sent some. Not while another stream has earlier
   * items which it may never take.
   */
  lendAhead(): void {
    if (this.#standing.size === 0 || this.#core.inventory.stored === 0) return;
    this.look();
    for (const stream of this.#standing) {
      if (this.#core.inventory.stored === 0 || this.recallable > 0) return;
      stream.serve();
    }
  }

  /** The number of stored items that a stream may borrow if it has lately used up `pace` items at a time. */
  share(pace: number): number {
    const { stored } = this.#core.inventory;
    return this.#streams.size === 1 ? stored : Math.min(pace, Math.ceil(stored / this.#streams.size));
  }

  /** Opens a `STREAM`. */
  open(line: Line, consumer: number): Receiver {
    if (!(consumer > 0)) throw malformed();
    const lender = this.#core.inventory.rules.store instanceof FifoStore ? this.#lendTo(line) : undefined;
    if (lender === undefined) {
      line.exit(varints(P.NO_READ_AHEAD));
      return { closed: () => {} };
    }
    const unreported = new UnreportedGroup(this.#redelivery, consumer);
    const stream = new AheadStream(this.#core, this, this.#standing, this.#takers, line, lender, consumer, unreported);
    this.#streams.add(stream);
    const leave = (): boolean => {
      if (!this.#streams.has(stream)) return false;
      stream.stop();
      this.#streams.delete(stream);
      this.#core.putBack(unreported.release());
      this.#core.advance();
      return true;
    };
    const exit = (status: number): void => {
      if (!leave()) return;
      line.exit(varints(status));
      stream.lender.close();
    };
    return {
      data: (message) => {
        if (message.bytes[0] !== P.FILE) return this.#receive(stream, message);
        const file = fileFor(line);
        if (file === undefined) exit(P.NO_READ_AHEAD);
        else stream.lendBy(file);
      },
      cancel: () => exit(CANCELLED),
      closed: () => {
        if (leave()) stream.lender.abandon();
      },
    };
  }

  /** Registers which lent items the streams have taken. */
  look(): void {
    for (const stream of this.#streams) stream.look();
  }

  /** Takes back all lent items, except those that are due, and puts them back. */
  recall(): void {
    if (this.#streams.size === 0) return;
    const items: Array<Item> = [];
    this.look();
    for (const stream of this.#streams) items.push(...stream.recall());
    this.#core.inventory.restore(items.sort((a, b) => a.arrival - b.arrival));
  }

  /** Takes back all lent items, without exception. */
  revokeAll(): void {
    for (const stream of this.#streams) this.#core.inventory.restore(stream.takeBack(false));
  }

  /** Ends all calls, and frees the shared memory. */
  end(exit: Fill): void {
    for (const { lender, line } of this.#streams) {
      line.exit(exit);
      lender.close();
    }
    this.#streams.clear();
    this.#standing.clear();
    this.#words.close();
  }

  /** Opens a lease, and tells the stream of it. `undefined` if this process can share nothing. */
  #lendTo(line: Line): Lender | undefined {
    const word = this.#words.allocate();
    if (word === undefined) return fileFor(line);
    const { address, at, index, words } = word;
    line.data((writer) => {
      writer.byte(P.WORD);
      writer.varint(index);
      return Codec.encodeInto(writer, address);
    });
    return memoryLender(words, at, () => this.#words.free(word));
  }

  #receive(stream: AheadStream, { bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    switch (bytes[0]) {
      case P.PULL: {
        const number = numbers.next();
        const most = numbers.next();
        const chunk = numbers.next();
        if (!(most >= chunk && chunk > 0)) throw malformed();
        return stream.pull(number, most, chunk);
      }
      case P.STAND: {
        const number = numbers.next();
        const most = numbers.next();
        if (!(most > 0)) throw malformed();
        stream.stand(number, most);
        return this.#core.advance();
      }
      case P.REST:
        stream.rest();
        return this.#core.advance();
      case P.TAKEN:
        if (bytes.length > 1) stream.lender.heard(numbers.next());
        return this.#core.advance();
      case P.STOP:
        stream.stop();
        return this.#core.advance();
      case P.REPORT:
        return stream.unreported.report(numbers.next());
      default:
        throw malformed();
    }
  }
}

const malformed = (): ProtocolError => new ProtocolError("Cannot read from the peer: malformed stream");

/** Opens a lease by a file, and tells the stream of it. */
const fileFor = (line: Line): Lender | undefined => {
  const file = FileLender.make();
  if (file !== undefined) {
    line.data((writer) => {
      writer.byte(P.FILE_AT);
      return Codec.encodeInto(writer, file.address);
    });
  }
  return file;
};

/** One stream that reads ahead. It waits for items as a {@link Taker}. */
class AheadStream implements Taker {
  readonly line: Line;
  readonly consumer: number;
  readonly unreported: UnreportedGroup;
  entry: FifoEntry<Taker> | undefined;
  /** Number of lent items for which the stream waits: they are given to no other consumer. */
  #due = 0;
  readonly #core: QueueCore;
  readonly #streams: ReadAhead;
  readonly #standing: SmallSet<AheadStream>;
  readonly #takers: Takers;
  #lender: Lender;
  /** Lent items that had not been taken at the last check. */
  #ahead: ReadonlyArray<Item> = none;
  /** Number of items that had been taken before the first of them, modulo 2 ** 16. */
  #base: number;
  /** Number of the latest request. At most one batch answers it. */
  #number = 0;
  #most = 0;
  /** The largest number of items that the stream takes together. */
  #chunk = 1;
  /** Number of items that were lent together most recently. */
  #batch = 0;
  /** Number of items that this stream has lately used up between two recalls; see {@link ReadAhead.share}. */
  #pace = 1;
  #state: "idle" | "pulling" | "stopped" = "idle";

  constructor(
    core: QueueCore,
    streams: ReadAhead,
    standing: SmallSet<AheadStream>,
    takers: Takers,
    line: Line,
    lender: Lender,
    consumer: number,
    unreported: UnreportedGroup,
  ) {
    this.#core = core;
    this.#streams = streams;
    this.#standing = standing;
    this.#takers = takers;
    this.line = line;
    this.#lender = lender;
    this.consumer = consumer;
    this.unreported = unreported;
    this.#base = lender.takenSince(0);
  }

  get lender(): Lender {
    return this.#lender;
  }

  /** Whether the stream may have taken items that were revoked at that moment. */
  get isInDoubt(): boolean {
    return this.#lender.inDoubt(this.#base) > 0;
  }

  /** Lends by another lease from now on: the stream cannot use the first one. Nothing is lent yet. */
  lendBy(lender: Lender): void {
    if (this.#number > 0 || this.#lender instanceof FileLender) {
      lender.close();
      throw malformed();
    }
    this.#lender.close();
    this.#lender = lender;
    this.#base = lender.takenSince(0);
  }

  /** Lent items that may be recalled. */
  get recallable(): number {
    return this.#ahead.length - this.#due;
  }

  /**
   * The stream has nothing left, and waits for up to `most` items, of which it will take up to `chunk` together. It has forgotten the
   * items that it did not take.
   */
  pull(number: number, most: number, chunk: number): void {
    if (this.#state !== "idle") return;
    this.#lender.heard();
    this.#chunk = chunk;
    if (number === this.#number) {
      // It stood: items may have been lent to it by now, and are on their way. If they were recalled, it makes another request.
      this.look();
      this.#due = Math.min(chunk, this.#ahead.length);
      if (!this.#standing.delete(this)) return;
    } else this.#begin(number, most);
    this.#state = "pulling";
    this.#takers.add(this);
  }

  /** The stream has taken all items, does not wait, and likes to be sent up to `most` items. */
  stand(number: number, most: number): void {
    if (this.#state !== "idle") return;
    this.#lender.heard();
    this.#begin(number, most);
    this.#standing.add(this);
  }

  /** The stream does not wait: any item that it has not taken may be recalled. */
  rest(): void {
    if (this.#takers.remove(this)) this.#state = "idle";
    this.#due = 0;
  }

  /** The stream wants no more: items that it has not taken go back. */
  stop(): void {
    this.#takers.remove(this);
    this.#standing.delete(this);
    this.#state = "stopped";
    this.#lender.heard();
    const items = this.takeBack(false);
    // No message will tell: what it has written counts.
    this.#lender.heard();
    this.#core.putBack([...items, ...this.takeBack(false)]);
  }

  serve(): void {
    const { inventory } = this.#core;
    for (
      let most = Math.min(this.#most, this.#streams.share(Math.max(this.#pace, this.#chunk)));;
      most = Math.ceil(most / 2)
    ) {
      const items = inventory.gather(most, false);
      if (items.length === 0) {
        this.#standing.delete(this);
        this.#state = "idle";
        return this.line.data(varints(P.GET_NEXT, this.#number));
      }
      inventory.lent += items.length;
      try {
        return this.#lend(items);
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        inventory.lent -= items.length;
        inventory.restore(items);
        if (items.length === 1) return this.end(tooLarge(error));
        most = items.length;
      }
    }
  }

  readonly end = (exit: Fill): void => {
    this.#standing.delete(this);
    this.#state = "idle";
    this.line.data((writer) => {
      writer.byte(P.END);
      return exit(writer);
    });
  };

  /** Registers which of the lent items the stream has taken. */
  look(): void {
    if (this.#ahead.length === 0) return;
    const count = Math.min(this.#ahead.length, this.#lender.takenSince(this.#base));
    if (count === 0) return;
    const taken = this.#ahead.slice(0, count);
    this.#base = this.#base + count & 0xffff;
    this.#ahead = this.#ahead.slice(count);
    this.#due = 0;
    const { inventory } = this.#core;
    inventory.lent -= count;
    if (inventory.rules.redeliver) this.unreported.add(taken);
    else for (const item of taken) inventory.drop(item);
  }

  /** Takes back the lent items that the stream has not taken, except those that are due. */
  recall(): ReadonlyArray<Item> {
    const items = this.takeBack(true);
    if (items.length > 0) {
      this.#pace = Math.max(1, this.#batch - items.length);
      this.#batch = 0;
    }
    return items;
  }

  /** Takes back the lent items that the stream has not taken; with `exceptDue`, only those that are not due. */
  takeBack(exceptDue: boolean): ReadonlyArray<Item> {
    for (;;) {
      if (this.#ahead.length === 0) return none;
      const keep = exceptDue ? this.#due : 0;
      this.#lender.revoke(this.#base, keep);
      this.look();
      // The stream has taken the due items meanwhile, and perhaps not all of them.
      if (keep > 0 && this.#due === 0) continue;
      const ahead = this.#ahead;
      const stay = Math.max(keep, Math.min(this.#lender.inDoubt(this.#base), ahead.length));
      this.#ahead = ahead.slice(0, stay);
      this.#due = keep;
      this.#core.inventory.lent -= ahead.length - stay;
      return ahead.slice(stay);
    }
  }

  /** Begins another request. */
  #begin(number: number, most: number): void {
    this.#standing.delete(this);
    const rest = this.takeBack(false);
    if (this.#batch > 0 && rest.length === 0) this.#pace = Math.min(most, 2 * this.#pace);
    this.#batch = 0;
    this.#core.putBack(rest);
    this.#number = number;
    this.#most = most;
  }

  #lend(items: ReadonlyArray<Item>): void {
    // Before the items leave: the stream may have taken them when `data` returns.
    this.#lender.lend(items.length);
    try {
      this.line.data((writer) => {
        writer.byte(P.BATCH);
        writer.varint(this.#number);
        return pack(writer, items);
      });
    } catch (error) {
      this.#lender.revoke(this.#base, 0);
      throw error;
    }
    this.#due = this.#standing.delete(this) ? 0 : Math.min(this.#chunk, items.length);
    this.#state = "idle";
    this.#ahead = items;
    this.#batch = items.length;
  }
}

/** A word of shared memory. */
interface SharedWord {
  /** The block in which it is, for the other process. */
  readonly address: Arena.ObjectAddress;
  readonly index: number;
  readonly words: Words;
  /** Its index in `words`. */
  readonly at: number;
}

/** Words that are allocated together. */
const WORDS = 15;

/** Words for streams, in blocks of shared memory. */
class SharedWords {
  readonly #blocks: Array<Arena.Block> = [];
  readonly #free: Array<SharedWord> = [];
  #isUnavailable = false;

  /** `undefined` if this process cannot share memory. */
  allocate(): SharedWord | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#isUnavailable) return free;
    let block: Arena.Block;
    try {
      block = Arena.allocate(WORDS);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      this.#isUnavailable = true;
      return undefined;
    }
    this.#blocks.push(block);
    const { arena, address, at } = block;
    for (let index = WORDS - 1; index >= 0; index--) {
      this.#free.push({ address, index, words: arena.words, at: at + index });
    }
    return this.#free.pop();
  }

  free(word: SharedWord): void {
    this.#free.push(word);
  }

  close(): void {
    for (const block of this.#blocks.splice(0)) block.free();
    this.#free.length = 0;
  }
}

const none: ReadonlyArray<Item> = [];
