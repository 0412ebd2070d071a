/**
 * The putting side of a queue, in any process: requests room, keeps the places that were granted ahead, and sends items.
 *
 * A put opens the call to the queue, which is closed when nothing has been put for a while, so that no place is kept from other
 * producers for long. Free of Effect.
 *
 * ```text
 *   no call --put--> open --CLOSING--> closing: only items for which places were granted are sent
 *      ^              |                   |
 *      +----idle------+-------exit--------+
 * ```
 *
 * @module
 */
import type { Writer } from "../codec/codec.ts";
import { call, DONE, type Line, type Target } from "../rpc/router.ts";
import { FRAGMENT } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { pack, type Packet } from "../objects/packets.ts";
import { SmallSet } from "../os/small.ts";
import { VarintReader } from "../codec/varint.ts";
import * as P from "./protocol.ts";

/** How long after the last put the call stays open, in milliseconds. */
const LINGER = 20;

/** Granted places. They are void when the call has ended by which they were granted. */
export interface GrantedPlaces {
  readonly count: number;
  readonly line: unknown;
}

/** The answer to a request: places (none if there is no room and the request does not wait), or the exit of the queue. */
export type Grant = GrantedPlaces | Incoming;

/** Why items were not put: the exit of the queue, or the reason why an item has no place in the order. */
export type PutFailure = Incoming | string;

type OnPut = (failure?: PutFailure) => void;

/** The putting side of one queue, in one process. */
export class Producer {
  readonly #target: Target;
  /** Whether the queue reports for each item whether it was accepted. */
  readonly #isOrdered: boolean;
  /** Whether the queue confirms each message. */
  readonly #isConfirmed: boolean;
  #line: Line | undefined;
  /** Places that were granted ahead. */
  #ahead = 0;
  /** Places that were given to puts which have not used them yet. */
  #outstanding = 0;
  #isClosing = false;
  #requests = 0;
  readonly #waiting = new Map<number, (grant: Grant) => void>();
  readonly #sending = new SmallSet<OnPut>();
  /** For each `RESULT` that the queue still owes, in order. */
  readonly #results: Array<OnPut> = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wasActive = false;

  constructor(target: Target, isOrdered: boolean, isConfirmed: boolean) {
    this.#target = target;
    this.#isOrdered = isOrdered;
    this.#isConfirmed = isConfirmed;
  }

  /** Takes up to `items` places that were granted ahead. */
  takeAhead(items: number): GrantedPlaces {
    const count = this.#waiting.size > 0 || this.#isClosing ? 0 : Math.min(this.#ahead, items);
    this.#ahead -= count;
    this.#outstanding += count;
    return { count, line: this.#line };
  }

  /**
   * Requests places for items of `bytes` bytes together. Calls `onGrant` once: perhaps with fewer places, and with none if the request
   * does not wait and there is no room. Returns a function that withdraws the request.
   */
  request(items: number, bytes: number, waits: boolean, onGrant: (grant: Grant) => void): () => void {
    if (this.#isClosing) {
      onGrant(closed);
      return () => {};
    }
    const id = ++this.#requests;
    const want = (writer: Writer): undefined => {
      writer.byte(P.WANT);
      writer.varint(id);
      writer.varint(items);
      writer.varint(bytes);
      writer.byte(waits ? 1 : 0);
    };
    this.#waiting.set(id, onGrant);
    if (this.#line === undefined) this.#open(want);
    else this.#line.data(want);
    return () => {
      if (!this.#waiting.delete(id)) return;
      this.#send(P.WITHDRAW, id);
      this.#stayOpen();
    };
  }

  /** Gives places back that are not needed. */
  release({ count, line }: GrantedPlaces): void {
    if (line !== this.#line) return;
    this.#outstanding -= count;
    this.#return(count);
    this.#stayOpen();
    this.#leaveIfClosing();
  }

  /**
   * Sends packets, one for each place. Calls `onPut` when they will outlive this process, or when the queue has confirmed them.
   * Returns `false` if the places are void. Throws `MessageTooLarge`, and has then sent nothing.
   */
  send(places: GrantedPlaces, packets: ReadonlyArray<Packet>, onPut: OnPut): boolean {
    const line = this.#line;
    if (line === undefined || line !== places.line) return false;
    const finish = (failure?: PutFailure): void => {
      if (!this.#sending.delete(finish)) return;
      if (this.#line === line) this.#stayOpen();
      onPut(failure);
    };
    let results = this.#isOrdered ? packets.length : 0;
    // Recorded before the message is sent, because it may have been handed over when `data` returns.
    this.#sending.add(finish);
    try {
      line.data((writer) => {
        const start = writer.position;
        writer.byte(P.ITEMS);
        const extras = pack(writer, packets);
        // A process that forwards messages lets short ones overtake long ones, so the queue confirms a long message and those that
        // follow it.
        const mayBeOvertaken = extras !== undefined || writer.position - start > FRAGMENT || this.#results.length > 0;
        if (results === 0 && (this.#isConfirmed || mayBeOvertaken)) {
          writer.buffer[start] = P.CONFIRMED_ITEMS;
          results = 1;
        }
        return extras;
      }, () => {
        if (results === 0) finish();
      });
    } catch (error) {
      this.#sending.delete(finish);
      throw error;
    }
    this.#awaitResults(results, finish);
    this.#outstanding -= packets.length;
    line.flush();
    this.#stayOpen();
    this.#leaveIfClosing();
    return true;
  }

  #awaitResults(count: number, finish: OnPut): void {
    let open = count;
    let failure: PutFailure | undefined;
    const onResult = (refusal?: PutFailure): void => {
      failure ??= refusal;
      if (--open === 0) finish(failure);
    };
    for (let i = 0; i < count; i++) this.#results.push(onResult);
  }

  #send(kind: number, value: number): void {
    this.#line?.data((writer) => {
      writer.byte(kind);
      writer.varint(value);
      return undefined;
    });
  }

  #return(places: number): void {
    if (places > 0) this.#send(P.RETURN, places);
  }

  #open(first: (writer: Writer) => undefined): void {
    this.#isClosing = false;
    const line: Line = call(this.#target, P.PUT, first, {
      data: (message) => {
        if (this.#line === line) this.#receive(message);
      },
      exit: (message) => {
        if (this.#line === line) this.#ended(message);
      },
    });
    this.#line = line;
    this.#stayOpen();
  }

  #receive({ bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    switch (bytes[0]) {
      case P.GRANT:
        return this.#granted(numbers.next(), numbers.next());
      case P.REFUSE: {
        const id = numbers.next();
        const onGrant = this.#waiting.get(id);
        this.#waiting.delete(id);
        this.#stayOpen();
        return onGrant?.({ count: 0, line: this.#line });
      }
      case P.CLOSING:
        this.#isClosing = true;
        this.#ahead = 0;
        for (const onGrant of this.#drainWaiting()) onGrant(closed);
        return this.#leaveIfClosing();
      case P.RESULT: {
        const onResult = this.#results.shift();
        return onResult?.(bytes[1] === 1 ? undefined : decoder.decode(bytes.subarray(2)));
      }
    }
  }

  #granted(id: number, places: number): void {
    if (id === 0) {
      this.#ahead += places;
      return;
    }
    const onGrant = this.#waiting.get(id);
    if (onGrant === undefined) return this.#return(places);
    this.#waiting.delete(id);
    this.#outstanding += places;
    onGrant({ count: places, line: this.#line });
  }

  #drainWaiting(): ReadonlyArray<(grant: Grant) => void> {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    return waiting;
  }

  #ended(message: Incoming): void {
    this.#reset();
    for (const onGrant of this.#drainWaiting()) onGrant(message);
    // A closed queue has accepted everything that was sent before it ended the call.
    const status = message.bytes[0];
    const failure = status === P.CLOSED || status === DONE ? undefined : message;
    for (const finish of [...this.#sending]) finish(failure);
  }

  #reset(): void {
    this.#line = undefined;
    this.#ahead = 0;
    this.#isClosing = false;
    this.#outstanding = 0;
    this.#results.length = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Ends the call when the queue is closing and everything that may still be sent was sent and confirmed. */
  #leaveIfClosing(): void {
    if (!this.#isClosing || this.#outstanding > 0 || this.#results.length > 0) return;
    this.#line?.cancel();
  }

  #stayOpen(): void {
    this.#wasActive = true;
    this.#timer ??= setTimeout(this.#closeIfIdle, LINGER);
  }

  readonly #closeIfIdle = (): void => {
    this.#timer = undefined;
    // The end of what is under way starts the timer again: a put that waits for long costs nothing.
    if (this.#waiting.size > 0 || this.#outstanding > 0 || this.#sending.size > 0) return;
    if (this.#wasActive) {
      this.#wasActive = false;
      this.#timer = setTimeout(this.#closeIfIdle, LINGER);
      return;
    }
    this.#line?.cancel();
    this.#reset();
  };
}

const decoder = new TextDecoder();

const closed: Incoming = { bytes: new Uint8Array([P.CLOSED]), attachments: [] };
