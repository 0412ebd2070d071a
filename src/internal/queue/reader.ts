/**
 * A stream of a queue that lives elsewhere, and reads ahead. An item is the queue's until {@link Reader.claim} has taken it; see
 * `lease.ts`.
 *
 * @module
 */
import { call, type Line, type Target } from "../rpc/router.ts";
import { type ObjectAddress, reach } from "../sync/protocol/arena.ts";
import { RegionError } from "../os/mapping.ts";
import type { Words } from "../os/atomics.ts";
import * as Codec from "../codec/codec.ts";
import type { Incoming } from "../codec/message.ts";
import { load } from "../objects/handles.ts";
import { claim } from "./lease.ts";
import { type Packet, unpack } from "../objects/packets.ts";
import type { Entry, Ledger } from "./unacknowledged.ts";
import { VarintReader } from "../codec/varint.ts";
import * as P from "./protocol.ts";

/** A stream that takes slowly tells the queue of each item at once; one that is faster than this, in milliseconds, of some at a time. */
const PACE = 1;

/** See above. */
export class Reader {
  readonly #line: Line;
  readonly #ledger: Ledger | undefined;
  readonly #unreported = new Set<Entry>();
  #words: Words | undefined;
  #at = 0;
  #buffer: ReadonlyArray<Packet> = [];
  #next = 0;
  /** Items that were taken. */
  #count = 0;
  #wake: (() => void) | undefined;
  #noted = 0;
  #noting = false;
  #closed = false;
  /** Items are to be got one by one, from now on: `always`, or only the next. */
  apart: "no" | "once" | "always" = "no";
  /** Why nothing more will come: the message in which the queue says so. */
  ended: Incoming | undefined;

  /** With a ledger, for a queue that redelivers. */
  constructor(target: Target, ledger: Ledger | undefined) {
    this.#ledger = ledger;
    this.#line = call(target, P.STREAM, (writer) => void writer.varint(P.consumer), {
      data: (message) => this.#hear(message),
      exit: (message) => {
        this.#lost();
        this.#buffer = [];
        if (message.bytes[0] === P.APART) this.apart = "always";
        else this.ended ??= message;
        this.#changed();
      },
    });
  }

  /** Up to so many of the items that were sent ahead: none of them is taken yet. */
  peek(most: number): ReadonlyArray<Packet> {
    return this.#buffer.slice(this.#next, this.#next + most);
  }

  /** Takes so many of them, and answers how many: fewer if the queue has taken some back. They are to be handed on at once. */
  claim(most: number, fiber: number): number {
    const count = this.#words === undefined ? 0 : claim(this.#words, this.#at, most);
    this.#next += count;
    if (count < most) this.#buffer = [];
    if (count > 0) this.#note();
    if (this.#ledger !== undefined) {
      for (let i = 0; i < count; i++) {
        this.#enter(this.#ledger, this.#count + i, fiber);
      }
    }
    this.#count += count;
    return count;
  }

  /** Asks for more. Calls back, once, when there is something, or there has been a change of another kind. */
  pull(most: number, changed: () => void): void {
    this.#buffer = [];
    this.#next = 0;
    this.#wake = changed;
    this.#line.data((writer) => {
      writer.byte(P.PULL);
      writer.varint(most);
      return undefined;
    });
  }

  /** What was not taken is the queue's again; and what was not reported done, unless it is kept. */
  close(keep: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake = undefined;
    this.#buffer = [];
    if (keep && this.#unreported.size > 0) this.#line.data((writer) => void writer.byte(P.STOP));
    else {
      this.#lost();
      this.#line.cancel();
    }
  }

  #enter(ledger: Ledger, index: number, fiber: number): void {
    const entry: Entry = {
      fiber,
      report: (handed) => {
        this.#unreported.delete(entry);
        this.#line.data((writer) => {
          writer.byte(P.REPORT);
          writer.varint(index);
          return undefined;
        }, handed);
        this.#line.flush();
        if (this.#closed && this.#unreported.size === 0) this.#line.cancel();
      },
    };
    this.#unreported.add(entry);
    ledger.enter(entry);
  }

  /** What was not reported is another's now. */
  #lost(): void {
    for (const entry of this.#unreported) this.#ledger?.strike(entry);
    this.#unreported.clear();
  }

  #note(): void {
    const now = performance.now();
    if (now - this.#noted > PACE) {
      this.#noted = now;
      this.#line.data((writer) => void writer.byte(P.NOTE));
      this.#line.flush();
    } else if (!this.#noting) {
      this.#noting = true;
      queueMicrotask(() => {
        this.#noting = false;
        this.#noted = performance.now();
        if (this.ended === undefined && !this.#closed) this.#line.data((writer) => void writer.byte(P.NOTE));
      });
    }
  }

  #hear(message: Incoming): void {
    switch (message.bytes[0]) {
      case P.WHERE:
        return this.#settle(message);
      case P.BATCH: {
        const packets = unpack(message, 1, "message");
        const arrived = (): void => {
          if (this.#closed || this.ended !== undefined) return;
          this.#buffer = packets;
          this.#changed();
        };
        const loading = packets.flatMap((packet) => load(packet) ?? []);
        if (loading.length === 0) return arrived();
        return void Promise.all(loading).then(arrived);
      }
      case P.ALONE:
        this.apart = "once";
        return this.#changed();
      case P.ENDING:
        this.ended ??= { bytes: message.bytes.subarray(1), attachments: [] };
        return this.#changed();
    }
  }

  #settle({ attachments, bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    const index = numbers.next();
    const place = Codec.decode(bytes.subarray(numbers.at), { attachments, link: undefined }) as ObjectAddress;
    try {
      const { arena, at } = reach(place);
      this.#words = arena.words;
      this.#at = at + index;
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      // This process cannot share that memory.
      this.apart = "always";
      this.#line.cancel();
      this.#changed();
    }
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
