/**
 * A stream of a queue of another process that reads ahead. An item belongs to the queue until {@link Reader.claim} has taken it;
 * see `lease.ts`.
 *
 * ```text
 *   empty --pull--> pulling --BATCH--> buffered --claim: all taken, or the rest recalled--> empty
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
import type { Words } from "../os/atomics.ts";
import * as Codec from "../codec/codec.ts";
import type { Incoming } from "../codec/message.ts";
import { loadAll } from "../objects/handles.ts";
import { claim } from "./lease.ts";
import { type Packet, unpack } from "../objects/packets.ts";
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
  readonly #unreported = new Set<UnreportedItem>();
  #words: Words | undefined;
  #at = 0;
  #buffer: ReadonlyArray<Packet> = [];
  #next = 0;
  /** Number of items that were taken. */
  #count = 0;
  #onChange: (() => void) | undefined;
  /** Sends the request that waits for the shared word. */
  #onAttached: (() => void) | undefined;
  #lastNotice = 0;
  #isNotifying = false;
  #isClosed = false;
  /** Whether items can be read ahead: always, except for the next item, or never. */
  mode: "ahead" | "next" | "never" = "ahead";
  /** The message by which the queue has ended the stream. */
  ended: Incoming | undefined;

  constructor(target: Target, unreportedItems: UnreportedItems | undefined) {
    this.#unreportedItems = unreportedItems;
    this.#line = call(target, P.STREAM, (writer) => void writer.varint(P.consumer), {
      data: (message) => this.#receive(message),
      exit: (message) => {
        this.#forgetUnreported();
        this.#buffer = [];
        if (message.bytes[0] === P.NO_READ_AHEAD) this.mode = "never";
        else this.ended ??= message;
        this.#changed();
      },
    });
  }

  /** Up to `most` of the items that were sent ahead. None of them is taken yet. */
  peek(most: number): ReadonlyArray<Packet> {
    return this.#buffer.slice(this.#next, this.#next + most);
  }

  /**
   * Takes up to `most` of these items, which are to be handed on at once. Returns the number that was taken: it is smaller if the
   * queue has recalled some.
   */
  claim(most: number, fiber: number): number {
    const count = this.#words === undefined ? 0 : claim(this.#words, this.#at, most);
    this.#next += count;
    if (count < most) this.#buffer = [];
    if (count > 0) this.#notify();
    if (this.#unreportedItems !== undefined) {
      for (let i = 0; i < count; i++) this.#hold(this.#unreportedItems, this.#count + i, fiber);
    }
    this.#count += count;
    return count;
  }

  /**
   * Requests up to `most` items, of which up to `chunk` will be claimed together. Calls `onChange` once, when items have arrived or
   * another change has happened.
   */
  pull(most: number, chunk: number, onChange: () => void): void {
    this.#buffer = [];
    this.#next = 0;
    this.#onChange = onChange;
    const pull = (): void =>
      this.#line.data((writer) => {
        writer.byte(P.PULL);
        writer.varint(most);
        writer.varint(chunk);
        return undefined;
      });
    // Items that are due to a stream that cannot take them would come back after other consumers were given later ones.
    if (this.#words === undefined) this.#onAttached = pull;
    else pull();
  }

  /** Gives all items back that were not taken; also those that were not reported, unless `keepUnreported` is set. */
  close(keepUnreported: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onChange = undefined;
    this.#onAttached = undefined;
    this.#buffer = [];
    if (keepUnreported && this.#unreported.size > 0) this.#line.data((writer) => void writer.byte(P.STOP));
    else {
      this.#forgetUnreported();
      this.#line.cancel();
    }
  }

  #hold(all: UnreportedItems, index: number, fiber: number): void {
    const item: UnreportedItem = {
      fiber,
      report: (onSent) => {
        this.#unreported.delete(item);
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

  /** Tells the queue that items were taken. */
  #notify(): void {
    const now = performance.now();
    if (now - this.#lastNotice > NOTIFY_INTERVAL) {
      this.#lastNotice = now;
      this.#line.data((writer) => void writer.byte(P.TAKEN));
      this.#line.flush();
    } else if (!this.#isNotifying) {
      this.#isNotifying = true;
      queueMicrotask(() => {
        this.#isNotifying = false;
        this.#lastNotice = performance.now();
        if (this.ended === undefined && !this.#isClosed) this.#line.data((writer) => void writer.byte(P.TAKEN));
      });
    }
  }

  #receive(message: Incoming): void {
    switch (message.bytes[0]) {
      case P.WORD:
        return this.#attach(message);
      case P.BATCH: {
        const packets = unpack(message, 1, "message");
        const onLoaded = (): void => {
          if (this.#isClosed || this.ended !== undefined) return;
          this.#buffer = packets;
          this.#changed();
        };
        const loading = loadAll(packets);
        return loading === undefined ? onLoaded() : void loading.then(onLoaded);
      }
      case P.GET_NEXT:
        this.mode = "next";
        return this.#changed();
      case P.END:
        this.ended ??= { bytes: message.bytes.subarray(1), attachments: [] };
        return this.#changed();
    }
  }

  #attach({ attachments, bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    const index = numbers.next();
    const address = Codec.decode(bytes.subarray(numbers.at), { attachments, link: undefined }) as ObjectAddress;
    try {
      const { arena, at } = reach(address);
      this.#words = arena.words;
      this.#at = at + index;
      this.#onAttached?.();
      this.#onAttached = undefined;
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      // This process cannot share that memory.
      this.mode = "never";
      this.#line.cancel();
      this.#changed();
    }
  }

  #changed(): void {
    const onChange = this.#onChange;
    this.#onChange = undefined;
    onChange?.();
  }
}
