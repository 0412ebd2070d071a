/**
 * A stream of a queue of another process that reads ahead. An item belongs to the queue until {@link Reader.claim} has taken it;
 * see `lease.ts`.
 *
 * ```text
 *   empty --pull--> pulling --BATCH--> buffered --claim: all taken, or the rest recalled--> empty, or standing
 *                   ^  |                  ^
 *      standing ----+--|------BATCH-------+
 *                      |
 *                      +--END, or exit--> ended
 *                      +--GET_NEXT------> mode "next": the next item is taken by a GET
 *                      +--NO_READ_AHEAD-> mode "never"
 * ```
 *
 * @module
 */
import { call, type Line, type Target } from "../rpc/router.ts";
import { type ObjectAddress, reach } from "../sync/protocol/arena.ts";
import { RegionError } from "../os/mapping.ts";
import * as Codec from "../codec/codec.ts";
import type { Incoming } from "../codec/message.ts";
import { loadAll } from "../objects/handles.ts";
import { type Borrower, memoryBorrower } from "./lease.ts";
import { type FileAddress, FileBorrower } from "./lease_file.ts";
import { type Packet, unpack } from "../objects/packets.ts";
import { SmallSet } from "../os/small.ts";
import { VarintReader } from "../codec/varint.ts";
import type { UnreportedItem, UnreportedItems } from "./unreported.ts";
import * as P from "./protocol.ts";

/**
 * A stream that takes items at longer intervals than this, in milliseconds, tells the queue of each item at once. A faster one
 * tells it of several at a time.
 */
const NOTIFY_INTERVAL = 1;

/** One stream that reads ahead. */
export class Reader {
  readonly #line: Line;
  /** Of a queue that redelivers. */
  readonly #unreportedItems: UnreportedItems | undefined;
  readonly #unreported = new SmallSet<UnreportedItem>();
  #borrower: Borrower | undefined;
  #buffer: ReadonlyArray<Packet> = none;
  #next = 0;
  /** Number of the latest request for items. */
  #number = 0;
  /** Whether that request was made by a reader that did not wait. */
  #isStanding = false;
  /** Number of items that were taken. */
  #count = 0;
  #onChange: (() => void) | undefined;
  /** Sends the request that waits for the lease. */
  #onAttached: (() => void) | undefined;
  #lastNotice = 0;
  /** What the queue will be told at the end of this turn: something, or that more items were taken since it was told. */
  #notice: "none" | "told" | "more" = "none";
  #isClosed = false;
  /** Whether items can be read ahead: always, except for the next item, or never. */
  mode: "ahead" | "next" | "never" = "ahead";
  /** The message by which the queue has ended the stream. */
  ended: Incoming | undefined;
  /** Called when the queue has ended the stream, before a wait of {@link pull} ends. It may be called again. */
  onEnded: (() => void) | undefined;

  constructor(target: Target, unreportedItems: UnreportedItems | undefined) {
    this.#unreportedItems = unreportedItems;
    this.#line = call(target, P.STREAM, (writer) => void writer.varint(P.consumer), {
      data: (message) => this.#receive(message),
      exit: (message) => {
        this.#forgetUnreported();
        this.#buffer = none;
        this.#detach();
        if (message.bytes[0] === P.NO_READ_AHEAD) this.mode = "never";
        else this.ended ??= message;
        this.onEnded?.();
        this.#changed();
      },
    });
  }

  /** Whether this process shares the word or file by which items are taken. */
  get isAttached(): boolean {
    return this.#borrower !== undefined;
  }

  /** Whether there are items that were sent ahead, which the queue may have recalled since. */
  get hasItems(): boolean {
    return this.#next < this.#buffer.length;
  }

  /** Up to `most` of the items that were sent ahead. None of them is taken yet. */
  peek(most: number): ReadonlyArray<Packet> {
    return this.#buffer.slice(this.#next, this.#next + most);
  }

  /**
   * Takes up to `most` of these items, which are to be handed on at once. Returns the number that was taken: it is smaller if the
   * queue has recalled some. With `more`, the queue may send up to that number of items as soon as all have been taken.
   */
  claim(most: number, fiber: number, more = 0): number {
    const count = this.#borrower?.claim(most) ?? 0;
    this.#next += count;
    if (count < most) this.#buffer = none;
    if (count > 0) this.#notify(this.hasItems ? 0 : more);
    // The queue may have seen an attempt to take them.
    else if (this.#borrower?.word !== undefined) this.#tell();
    if (this.#unreportedItems !== undefined) {
      for (let i = 0; i < count; i++) this.#hold(this.#unreportedItems, this.#count + i, fiber);
    }
    this.#count += count;
    return count;
  }

  /**
   * Requests up to `most` items, of which up to `chunk` will be claimed together. Calls `onChange` once, when items have arrived or
   * another change has happened, perhaps before it returns.
   */
  pull(most: number, chunk: number, onChange: () => void): void {
    this.#buffer = none;
    this.#next = 0;
    // It may have ended since the caller has looked.
    if (this.#isClosed || this.ended !== undefined || this.mode === "never") return onChange();
    this.#onChange = onChange;
    if (!this.#isStanding) this.#number++;
    this.#isStanding = false;
    const number = this.#number;
    const pull = (): void =>
      this.#line.data((writer) => {
        writer.byte(P.PULL);
        writer.varint(number);
        writer.varint(most);
        writer.varint(chunk);
        return undefined;
      });
    // Items that are due to a stream that cannot take them would come back after other consumers were given later ones.
    if (this.#borrower === undefined) this.#onAttached = pull;
    else pull();
  }

  /** Ends a {@link pull}: `onChange` will not be called, and other consumers may be given what has been or will be sent for it. */
  rest(): void {
    this.#onChange = undefined;
    if (this.#onAttached !== undefined) this.#onAttached = undefined;
    else if (!this.#isClosed && this.ended === undefined) this.#line.data((writer) => void writer.byte(P.REST));
  }

  /** Gives all items back that were not taken; also those that were not reported, unless `keepUnreported` is set. */
  close(keepUnreported: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onChange = undefined;
    this.#onAttached = undefined;
    this.#buffer = none;
    if (keepUnreported && this.#unreported.size > 0) this.#line.data((writer) => void writer.byte(P.STOP));
    else {
      this.#forgetUnreported();
      this.#line.cancel();
    }
    this.#detach();
  }

  /** Nothing is taken any more. */
  #detach(): void {
    this.#borrower?.close();
    this.#borrower = undefined;
  }

  /** Tells the queue that items were taken. */
  #tell(): void {
    const word = this.#borrower?.word;
    this.#line.data((writer) => {
      writer.byte(P.TAKEN);
      if (word !== undefined) writer.varint(word);
      return undefined;
    });
  }

  #hold(all: UnreportedItems, index: number, fiber: number): void {
    const item: UnreportedItem = {
      fiber,
      report: (onSent) => {
        this.#unreported.delete(item);
        // The queue must know first that the item was taken, which a file may leave in doubt.
        if (this.#notice === "more" && this.#borrower?.word !== undefined) this.#tell();
        this.#line.data((writer) => {
          writer.byte(P.REPORT);
          writer.varint(index);
          return undefined;
        }, onSent);
        this.#line.flush();
        if (this.#isClosed && this.#unreported.size === 0) this.#line.cancel();
      },
    };
    this.#unreported.add(item);
    all.add(item);
  }

  /** The queue gives the unreported items to other consumers. */
  #forgetUnreported(): void {
    for (const item of this.#unreported) this.#unreportedItems?.remove(item);
    this.#unreported.clear();
  }

  /** Tells the queue that items were taken: at once, or in one write with what this process sends next. */
  #notify(more: number): void {
    const isTold = this.#notice !== "none";
    if (more === 0 && isTold) {
      this.#notice = "more";
      return;
    }
    if (more > 0) this.#stand(more);
    else this.#tell();
    const now = performance.now();
    const isRare = now - this.#lastNotice > NOTIFY_INTERVAL;
    this.#lastNotice = now;
    if (isRare) return this.#line.flush();
    this.#notice = "told";
    if (isTold) return;
    queueMicrotask(() => {
      const isMore = this.#notice === "more";
      this.#notice = "none";
      if (isMore && this.ended === undefined && !this.#isClosed) this.#tell();
    });
  }

  #stand(most: number): void {
    const number = ++this.#number;
    this.#isStanding = true;
    this.#line.data((writer) => {
      writer.byte(P.STAND);
      writer.varint(number);
      writer.varint(most);
      return undefined;
    });
  }

  #receive(message: Incoming): void {
    switch (message.bytes[0]) {
      case P.WORD:
        return this.#attach(message);
      case P.FILE_AT:
        return this.#open(message);
      case P.BATCH: {
        const numbers = new VarintReader(message.bytes, 1);
        const number = numbers.next();
        const packets = unpack(message, numbers.at, "message");
        const onLoaded = (): void => {
          // The queue has taken back what it sent for an earlier pull.
          if (this.#isClosed || this.ended !== undefined || number !== this.#number) return;
          this.#isStanding = false;
          this.#buffer = packets;
          this.#next = 0;
          this.#changed();
        };
        const loading = loadAll(packets);
        return loading === undefined ? onLoaded() : void loading.then(onLoaded);
      }
      case P.GET_NEXT:
        if (new VarintReader(message.bytes, 1).next() !== this.#number) return;
        this.#isStanding = false;
        this.mode = "next";
        return this.#changed();
      case P.END:
        this.ended ??= { bytes: message.bytes.subarray(1), attachments: [] };
        this.onEnded?.();
        return this.#changed();
    }
  }

  #attach({ attachments, bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    const index = numbers.next();
    const address = Codec.decode(bytes.subarray(numbers.at), { attachments, link: undefined }) as ObjectAddress;
    let reached: ReturnType<typeof reach>;
    try {
      reached = reach(address);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      // This process cannot share that memory.
      return this.#line.data((writer) => void writer.byte(P.FILE));
    }
    this.#attached(memoryBorrower(reached.arena.words, reached.at + index));
  }

  #open({ attachments, bytes }: Incoming): void {
    const file = FileBorrower.open(Codec.decode(bytes.subarray(1), { attachments, link: undefined }) as FileAddress);
    if (file !== undefined) return this.#attached(file);
    this.mode = "never";
    this.#line.cancel();
    this.#changed();
  }

  #attached(borrower: Borrower): void {
    if (this.#isClosed) return borrower.close();
    this.#borrower = borrower;
    this.#onAttached?.();
    this.#onAttached = undefined;
  }

  #changed(): void {
    const onChange = this.#onChange;
    this.#onChange = undefined;
    onChange?.();
  }
}

const none: ReadonlyArray<Packet> = [];
