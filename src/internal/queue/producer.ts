/**
 * The putting side of a queue, in whichever process it is: asks for room, keeps what was granted ahead, sends.
 *
 * Its line to the queue is opened by a put and closed when nothing has been put for a while, so that no place is kept from
 * others for long. Free of Effect.
 *
 * @module
 */
import { call, DONE, type Line, type Target } from "../rpc/router.ts";
import { FRAGMENT } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { pack, type Packet } from "../objects/packets.ts";
import { VarintReader } from "../codec/varint.ts";
import * as P from "./protocol.ts";

/** How long places that were granted ahead are kept after a put, in milliseconds. */
const LINGER = 20;

/** Places that were granted. They are void when the line has ended over which they came. */
export interface Places {
  readonly count: number;
  readonly line: unknown;
}

/** The answer to a want: places, none if it would not wait; or the message with which the queue has ended the line. */
export type Grant = Places | Incoming;

/** What became of a message of items: an end of the line, or why one was refused. */
export type Failure = Incoming | string;

/** See above. */
export class Producer {
  readonly #target: Target;
  /** Whether the queue says of each item what became of it. */
  readonly #checked: boolean;
  /** Whether the queue says that a message has arrived. */
  readonly #confirmed: boolean;
  #line: Line | undefined;
  #ahead = 0;
  /** Places that were granted to somebody who has not used them yet. */
  #outstanding = 0;
  #closing = false;
  #wants = 0;
  readonly #waiting = new Map<number, (grant: Grant) => void>();
  readonly #sending = new Set<(failure?: Failure) => void>();
  readonly #verdicts: Array<(failure?: Failure) => void> = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #active = false;

  constructor(target: Target, checked: boolean, confirmed: boolean) {
    this.#target = target;
    this.#checked = checked;
    this.#confirmed = confirmed;
  }

  /** Takes places that were granted ahead, as many as there are up to this number. */
  take(items: number): Places {
    const count = this.#waiting.size > 0 || this.#closing ? 0 : Math.min(this.#ahead, items);
    this.#ahead -= count;
    this.#outstanding += count;
    return { count, line: this.#line };
  }

  /**
   * Asks for places for items of that many bytes together, and calls back once: with places, which may be fewer, and none if
   * it does not wait and there are none. Returns what takes the wish back.
   */
  acquire(items: number, bytes: number, waits: boolean, done: (grant: Grant) => void): () => void {
    if (this.#closing) {
      done(closed);
      return () => {};
    }
    const id = ++this.#wants;
    const want = (writer: { varint(value: number): void; byte(value: number): void }): undefined => {
      writer.byte(P.WANT);
      writer.varint(id);
      writer.varint(items);
      writer.varint(bytes);
      writer.byte(waits ? 1 : 0);
    };
    this.#waiting.set(id, done);
    if (this.#line === undefined) this.#open(want);
    else this.#line.data(want);
    return () => {
      if (!this.#waiting.delete(id)) return;
      this.#line?.data((writer) => {
        writer.byte(P.UNWANT);
        writer.varint(id);
        return undefined;
      });
    };
  }

  /** Gives back places that were granted and are not needed. */
  release({ count, line }: Places): void {
    if (line !== this.#line) return;
    this.#outstanding -= count;
    this.#return(count);
    this.#leave();
  }

  /**
   * Uses places, one for each packet: sends them, and calls back when they outlive this process, or the queue has looked at
   * them. Throws `MessageTooLarge`, and has then sent nothing. `false` if the places are void.
   */
  send(places: Places, packets: ReadonlyArray<Packet>, done: (failure?: Failure) => void): boolean {
    const line = this.#line;
    if (line === undefined || line !== places.line) return false;
    const finish = (failure?: Failure): void => {
      if (this.#sending.delete(finish)) done(failure);
    };
    let verdicts = this.#checked ? packets.length : 0;
    // Before it is sent: it may have been handed over when that returns.
    this.#sending.add(finish);
    try {
      line.data((writer) => {
        const start = writer.position;
        writer.byte(P.ITEMS);
        const extras = pack(writer, packets);
        // Where it is passed on, short messages overtake it: it is put when the queue has it, and so is what follows it.
        const long = this.#confirmed || extras !== undefined || writer.position - start > FRAGMENT ||
          this.#verdicts.length > 0;
        if (verdicts === 0 && long) {
          writer.buffer[start] = P.LONG;
          verdicts = 1;
        }
        return extras;
      }, () => {
        if (verdicts === 0) finish();
      });
    } catch (error) {
      this.#sending.delete(finish);
      throw error;
    }
    if (verdicts > 0) {
      let open = verdicts;
      let refusal: Failure | undefined;
      const verdict = (failure?: Failure): void => {
        refusal ??= failure;
        if (--open === 0) finish(refusal);
      };
      for (let i = 0; i < verdicts; i++) this.#verdicts.push(verdict);
    }
    this.#outstanding -= packets.length;
    line.flush();
    this.#active = true;
    this.#timer ??= setTimeout(this.#linger, LINGER);
    this.#leave();
    return true;
  }

  #return(places: number): void {
    if (places === 0) return;
    this.#line?.data((writer) => {
      writer.byte(P.RETURN);
      writer.varint(places);
      return undefined;
    });
  }

  #open(first: (writer: { varint(value: number): void; byte(value: number): void }) => undefined): void {
    this.#closing = false;
    const line: Line = call(this.#target, P.PUT, first, {
      data: (message) => {
        if (this.#line === line) this.#hear(message);
      },
      exit: (message) => {
        if (this.#line === line) this.#ended(message);
      },
    });
    this.#line = line;
    this.#active = true;
    this.#timer ??= setTimeout(this.#linger, LINGER);
  }

  #hear({ bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    switch (bytes[0]) {
      case P.GRANT: {
        const id = numbers.next();
        const places = numbers.next();
        if (id === 0) {
          this.#ahead += places;
          return;
        }
        const done = this.#waiting.get(id);
        if (done === undefined) return this.#return(places);
        this.#waiting.delete(id);
        this.#outstanding += places;
        return done({ count: places, line: this.#line });
      }
      case P.REFUSE: {
        const id = numbers.next();
        const done = this.#waiting.get(id);
        this.#waiting.delete(id);
        return done?.({ count: 0, line: this.#line });
      }
      case P.CLOSING:
        this.#closing = true;
        this.#ahead = 0;
        for (const done of this.#forget()) done(closed);
        return this.#leave();
      case P.VERDICT: {
        const verdict = this.#verdicts.shift();
        return verdict?.(bytes[1] === 1 ? undefined : new TextDecoder().decode(bytes.subarray(2)));
      }
    }
  }

  #forget(): ReadonlyArray<(grant: Grant) => void> {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    return waiting;
  }

  #ended(message: Incoming): void {
    this.#reset();
    for (const done of this.#forget()) done(message);
    // A queue that was closed has first taken all that was sent.
    const status = message.bytes[0];
    const failure = status === P.CLOSED || status === DONE ? undefined : message;
    for (const finish of [...this.#sending]) finish(failure);
  }

  #reset(): void {
    this.#line = undefined;
    this.#ahead = 0;
    this.#closing = false;
    this.#outstanding = 0;
    this.#verdicts.length = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The queue is closing, and all that may still be sent was sent. */
  #leave(): void {
    if (!this.#closing || this.#outstanding > 0 || this.#verdicts.length > 0) return;
    this.#line?.cancel();
  }

  readonly #linger = (): void => {
    this.#timer = undefined;
    const busy = this.#active || this.#waiting.size > 0 || this.#outstanding > 0 || this.#sending.size > 0;
    this.#active = false;
    if (busy) {
      this.#timer = setTimeout(this.#linger, LINGER);
      return;
    }
    this.#line?.cancel();
    this.#reset();
  };
}

const closed: Incoming = { bytes: new Uint8Array([P.CLOSED]), attachments: [] };
