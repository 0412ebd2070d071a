/**
 * A two-way stream of records over messages that may be lost. Records arrive once and in order.
 *
 * Core NATS delivers messages in order and at most once: those that were under way when a connection broke are lost. Each record
 * therefore has a number, and the receiver acknowledges the numbers of the records that it has taken. A sender keeps its records until
 * they are acknowledged. After a gap or a new connection the receiver asks for all records from a number on, and ignores those that
 * it has.
 *
 * | bytes | field |
 * | --- | --- |
 * | 0 | the kind: of a record, `ACK`, `RESUME` or `RESET`; with `PUSH`, the sender waits for the acknowledgement |
 * | 1-8 | number of the record; of the one that the sender expects, in a `RESUME` |
 * | 9-16 | number of records that the sender of this message has taken |
 * | rest | the body |
 *
 * This module knows nothing of NATS.
 *
 * @module
 */
import { after } from "../os/timer.ts";

/** The length of a header in bytes. */
export const HEADER = 17;

/** Kinds from here on are not records. */
const CONTROL = 0x60;
const ACK = CONTROL;
/** Asks for the records from the acknowledged number on. */
const RESUME = CONTROL + 1;
/** The receiver knows no such session. */
const RESET = CONTROL + 2;
const PUSH = 0x80;

/** The number of bytes that may be unacknowledged. */
const WINDOW = 1024 * 1024;

/** The number of records that may be unacknowledged. */
const RECORDS = 4096;

/** After so many taken bytes, or a fraction of the records, an acknowledgement is sent at once. */
const ACKNOWLEDGED = WINDOW / 8;
const ACKNOWLEDGED_RECORDS = RECORDS / 64;

/** How long an acknowledgement may wait for a record that carries it, in milliseconds. */
const LATER = 3;

/** The time without an acknowledgement after which the oldest record is sent again, in milliseconds. */
const PATIENCE = 1500;

/** How long a receiver waits before it asks for the same record again, in milliseconds. */
const ASKED = 300;

/** The carrier of the messages of a session. */
export interface Carrier {
  /** Whether a message that is sent now can arrive. */
  readonly connected: () => boolean;
  /** Sends a message. `answerable` messages tell the receiver where to send a `RESET`. */
  readonly send: (message: Uint8Array, answerable: boolean) => void;
}

/** Callbacks of a session. */
export interface Callbacks {
  /** Receives the next record. `taken` must be called, in order, when its body is not needed any more. */
  readonly record: (kind: number, body: Uint8Array, taken: () => void) => void;
  /** The other side does not know the session. */
  readonly reset: () => void;
}

interface Unacknowledged {
  readonly message: Uint8Array;
  readonly acknowledged: (() => void) | undefined;
  sent: number;
}

const putNumber = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
};

const getNumber = (view: DataView, at: number): number =>
  view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true);

const viewOf = ({ buffer, byteLength, byteOffset }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

/** The message that tells a sender that nobody knows its session. */
export const reset = (): Uint8Array => {
  const message = new Uint8Array(HEADER);
  message[0] = RESET;
  return message;
};

/** One side of a session. */
export class Session {
  readonly #carrier: Carrier;
  readonly #callbacks: Callbacks;
  readonly #unacknowledged: Array<Unacknowledged> = [];
  /** Number of the oldest unacknowledged record. */
  #first = 0;
  #bytes = 0;
  /** Number of the next record that the other side sends. */
  #expected = 0;
  #taken = 0;
  #told = 0;
  #takenBytes = 0;
  #waiting: Array<() => void> = [];
  #stopLater: (() => void) | undefined;
  #pushed = false;
  #asked = { number: -1, time: 0 };
  #stopPatience: (() => void) | undefined;
  #closed = false;

  constructor(carrier: Carrier, callbacks: Callbacks) {
    this.#carrier = carrier;
    this.#callbacks = callbacks;
  }

  /** Whether a sender that respects back-pressure may send. */
  get room(): boolean {
    return this.#closed || (this.#bytes < WINDOW && this.#unacknowledged.length < RECORDS);
  }

  /** Runs `resume` once, when there is room or the session is closed. */
  onRoom(resume: () => void): void {
    if (this.room) resume();
    else this.#waiting.push(resume);
  }

  /** Sends a record, and copies its parts. `acknowledged` is called when the other side has taken it, and never if the session ends before. */
  send(kind: number, parts: ReadonlyArray<Uint8Array>, acknowledged?: () => void): void {
    if (this.#closed) return;
    const message = new Uint8Array(parts.reduce((size, { length }) => size + length, HEADER));
    let at = HEADER;
    for (const part of parts) {
      message.set(part, at);
      at += part.length;
    }
    message[0] = acknowledged === undefined ? kind : kind | PUSH;
    putNumber(viewOf(message), 1, this.#first + this.#unacknowledged.length);
    const record: Unacknowledged = { message, acknowledged, sent: 0 };
    this.#unacknowledged.push(record);
    this.#bytes += message.length;
    this.#put(record, false);
    this.#stopPatience ??= after(PATIENCE, this.#probe);
  }

  /** Called after a new connection of this side: messages of both directions may be lost. */
  resume(): void {
    this.#control(RESUME);
    this.#again(this.#first);
  }

  /** Handles a message of the other side. */
  receive(message: Uint8Array): void {
    if (this.#closed || message.length < HEADER) return;
    const view = viewOf(message);
    const kind = message[0] & ~PUSH;
    if (kind === RESET) return this.#callbacks.reset();
    this.#acknowledge(getNumber(view, 9));
    if (kind === ACK) return;
    const number = getNumber(view, 1);
    if (kind === RESUME) return this.#again(number);
    const push = (message[0] & PUSH) !== 0;
    if (number !== this.#expected) return number < this.#expected ? this.#tell(true) : this.#ask();
    this.#expected++;
    this.#callbacks.record(kind, message.subarray(HEADER), () => {
      this.#taken++;
      this.#takenBytes += message.length;
      this.#tell(push);
    });
  }

  /** Ends the session on this side. */
  close(): void {
    if (this.#taken !== this.#told) this.#control(ACK);
    this.#closed = true;
    this.#stopLater?.();
    this.#stopPatience?.();
    this.#unacknowledged.length = 0;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #acknowledge(taken: number): void {
    const count = Math.min(taken - this.#first, this.#unacknowledged.length);
    if (count <= 0) return;
    const done = this.#unacknowledged.splice(0, count);
    this.#first += count;
    for (const { acknowledged, message } of done) {
      this.#bytes -= message.length;
      acknowledged?.();
    }
    if (this.#waiting.length > 0 && this.room) { for (const resume of this.#waiting.splice(0)) resume(); }
  }

  #put(record: Unacknowledged, answerable: boolean): void {
    record.sent = performance.now();
    if (!this.#carrier.connected()) return;
    putNumber(viewOf(record.message), 9, this.#taken);
    this.#carried();
    this.#carrier.send(record.message, answerable);
  }

  /** Sends all records from a number on again. */
  #again(number: number): void {
    for (const record of this.#unacknowledged.slice(Math.max(0, number - this.#first))) this.#put(record, false);
  }

  readonly #probe = (): void => {
    this.#stopPatience = undefined;
    const [oldest] = this.#unacknowledged;
    if (oldest === undefined || this.#closed) return;
    const waited = performance.now() - oldest.sent;
    if (waited >= PATIENCE) this.#put(oldest, true);
    this.#stopPatience = after(waited >= PATIENCE ? PATIENCE : PATIENCE - waited, this.#probe);
  };

  #control(kind: number): void {
    if (!this.#carrier.connected() || this.#closed) return;
    const message = new Uint8Array(HEADER);
    message[0] = kind;
    putNumber(viewOf(message), 1, this.#expected);
    putNumber(viewOf(message), 9, this.#taken);
    this.#carried();
    this.#carrier.send(message, kind === RESUME);
  }

  /** A message has carried the number of taken records. */
  #carried(): void {
    this.#told = this.#taken;
    this.#takenBytes = 0;
    this.#stopLater?.();
    this.#stopLater = undefined;
  }

  /** A record is missing. */
  #ask(): void {
    const now = performance.now();
    if (this.#asked.number === this.#expected && now - this.#asked.time < ASKED) return;
    this.#asked = { number: this.#expected, time: now };
    this.#control(RESUME);
  }

  /** Tells the other side soon how many records were taken; `now` if it waits for that. */
  #tell(now: boolean): void {
    if (this.#closed) return;
    if (this.#takenBytes > ACKNOWLEDGED || this.#taken - this.#told > ACKNOWLEDGED_RECORDS) return this.#control(ACK);
    if (!now) {
      this.#stopLater ??= after(LATER, () => {
        this.#stopLater = undefined;
        this.#control(ACK);
      });
    } else if (!this.#pushed) {
      this.#pushed = true;
      queueMicrotask(() => {
        this.#pushed = false;
        this.#control(ACK);
      });
    }
  }
}
