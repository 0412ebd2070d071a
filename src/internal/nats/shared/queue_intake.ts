/**
 * The way of items from the server to the calls of this program that take them. Free of Effect.
 *
 * - Calls are served in their order. What the server gives is theirs in the order in which it comes.
 * - A call that waits for one item lets a request wait in the server. If there are items, or if the call must not wait, a probe asks for
 *   those that are there.
 * - Calls that follow each other closely have some items sent ahead. Those that nobody takes soon go back to the server.
 * - Items that an interrupted call gives back are here again, before all later ones. While they are on their way, no call is given any.
 * - No request leaves while an item is on its way back to the server, which would give the next item first.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";
import { after } from "../../os/timer.ts";
import { Closed, type Delivery, Pulls } from "../jetstream.ts";
import type { Server } from "../server.ts";
import type { Answers } from "./queue_claims.ts";
import { CONSUMER } from "./queue_streams.ts";

/** How long a request waits for an item, in milliseconds. */
const WAIT = 2000;

/** How long the answer to a probe may take, in milliseconds. */
const ANSWER = 2000;

/** The pause after a request that the server refuses, in milliseconds. */
const PAUSE = 250;

/** The time within which calls follow each other closely, and after which items that nobody takes go back, in milliseconds. */
const CLOSE = 20;

/** The same, for items that came when no call followed another one closely. */
const LOOSE = 2;

/** The largest number of items that are sent ahead, and that a probe asks for. */
const AHEAD = 16;
const MOST = 1024;

/** A call that takes items. */
export interface Taker {
  /** The largest number of items that it takes. */
  readonly most: number;
  readonly waits: boolean;
  /** It has these items. Calls {@link Intake.settled} or {@link Intake.hold} when it has taken or given back all of them. */
  readonly given: (deliveries: ReadonlyArray<Delivery>) => void;
  /** There is nothing, and the call does not wait. */
  readonly none: () => void;
  readonly failed: (error: unknown) => void;
}

interface Entry extends Taker {
  /** Whether a probe has asked for it. */
  asked: boolean;
}

interface Request {
  readonly waits: boolean;
  readonly since: number;
  /** Number of items that it may still bring. */
  left: number;
  /** Stops its timer. */
  readonly stop: () => void;
}

export interface Options {
  readonly server: Server;
  readonly inbox: string;
  readonly stream: string;
  /** The lease of an item in milliseconds. */
  readonly lease: number;
  /** Whether items are sent ahead. */
  readonly ahead: boolean;
  readonly answers: Answers;
  /** A request that waited has ended without an item. */
  readonly idle: () => void;
}

/** The intake of a queue. */
export class Intake {
  readonly #options: Options;
  /** The requests that wait, and the probes. A delivery does not name its request. */
  readonly #waits: Pulls;
  readonly #probes: Pulls;
  readonly #takers = new Fifo<Entry>();
  readonly #requests = new Map<string, Request>();
  /** Items that nobody has taken, the oldest first. */
  #ahead: Array<Delivery> = [];
  #count = 0;
  /** Number of items that all calls take at most, and of calls for which a probe has to ask. */
  #wanted = 0;
  #unasked = 0;
  /** Number of items that wait in the server, as far as it is known. */
  #pending = 0;
  /** Number of items on their way back to the server, and of calls that give items back. */
  #returning = 0;
  #holding = 0;
  /** Number of calls that have items, and have not taken them yet. */
  #deciding = 0;
  #last = -Infinity;
  #isClose = false;
  #closed = false;
  #stopPausing: (() => void) | undefined;
  #stopIdling: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
    const pulls = (kind: string, waits: boolean): Pulls =>
      new Pulls(options.server, `${options.inbox}.${kind}`, {
        delivered: (delivery) => this.#delivered(delivery, waits),
        ended: this.#ended,
      });
    this.#waits = pulls("w", true);
    this.#probes = pulls("b", false);
  }

  /** Number of calls that wait. */
  get waiting(): number {
    return this.#takers.length;
  }

  /** Enters a call, behind the others or before them. Returns a function that removes it. */
  add(taker: Taker, isFirst: boolean = false): () => void {
    if (this.#closed) {
      taker.failed(new Closed("the queue was closed"));
      return () => {};
    }
    const now = performance.now();
    this.#isClose = now - this.#last < CLOSE;
    this.#last = now;
    const value: Entry = { ...taker, asked: false };
    const entry = isFirst ? this.#takers.insertBefore(value, () => true) : this.#takers.push(value);
    this.#wanted += value.most;
    if (needsProbe(value)) this.#unasked++;
    this.#distribute();
    this.#demand();
    return () => this.#remove(entry);
  }

  /** Ends all calls with an error. */
  fail(error: unknown): void {
    for (const { failed } of this.#drain(() => true)) failed(error);
  }

  /** The server has forgotten all requests. */
  reconnected(): void {
    for (const key of [...this.#requests.keys()]) this.#over(key);
    this.#again();
    this.#demand();
  }

  /** A call has taken its items, or they belong to another program. */
  settled(): void {
    this.#deciding--;
    this.#distribute();
  }

  /** For a call that gives items back: no call is given an item until the function that this one returns is called with them. */
  hold(): (deliveries: ReadonlyArray<Delivery>) => void {
    this.#holding++;
    return (deliveries) => {
      this.#holding--;
      this.#deciding--;
      this.keep(deliveries);
      this.#distribute();
      this.#demand();
    };
  }

  /** Items that a call gives back are here again, in their order. */
  keep(deliveries: ReadonlyArray<Delivery>): void {
    for (const delivery of deliveries) {
      if (this.#closed) void this.#options.answers.giveBack(delivery);
      else this.#keep(delivery);
    }
  }

  /** Gives an item back to the server, in which its place is before all others. */
  async giveBack(delivery: Delivery): Promise<void> {
    this.#returning++;
    this.#pending++;
    await this.#options.answers.giveBack(delivery);
    this.#returning--;
    this.#demand();
  }

  /** Gives all items back that nobody has taken. */
  close(): void {
    this.#closed = true;
    for (const key of [...this.#requests.keys()]) this.#over(key);
    this.#stopPausing?.();
    this.#release();
    this.#waits.close();
    this.#probes.close();
  }

  #remove(entry: FifoEntry<Entry>): void {
    if (!this.#takers.remove(entry)) return;
    this.#left(entry.value);
    this.#distribute();
  }

  #left(taker: Entry): void {
    this.#wanted -= taker.most;
    if (needsProbe(taker)) this.#unasked--;
  }

  #drain(which: (taker: Entry) => boolean): ReadonlyArray<Entry> {
    const drained = this.#takers.removeWhere(which);
    for (const taker of drained) this.#left(taker);
    return drained;
  }

  /** Asks for what the calls need. */
  #demand(): void {
    const { server } = this.#options;
    if (
      this.#closed || this.#stopPausing !== undefined || this.#returning > 0 || this.#takers.length === 0 ||
      !server.connected
    ) return;
    let outstanding = 0;
    for (const { left, waits } of this.#requests.values()) {
      if (!waits) return;
      outstanding += left;
    }
    if (this.#unasked > 0 || this.#pending > 0) {
      for (const taker of this.#takers) taker.asked = true;
      this.#unasked = 0;
      const ahead = this.#isClose && this.#options.ahead ? Math.min(this.#pending, AHEAD) : 0;
      return this.#ask(Math.min(MOST, Math.max(this.#wanted, ahead)), false);
    }
    const missing = this.#takers.length - outstanding;
    if (missing > 0) this.#ask(missing, true);
  }

  #ask(batch: number, waits: boolean): void {
    const { stream } = this.#options;
    const key = `${(++this.#count).toString(36)}`;
    // The server ends the request itself, unless it has lost it.
    const stop = after(waits ? WAIT + ANSWER : ANSWER, () => {
      this.#over(key);
      this.#again();
      this.#demand();
    });
    this.#requests.set(key, { waits, since: performance.now(), left: batch, stop });
    (waits ? this.#waits : this.#probes).ask(stream, CONSUMER, key, batch, waits ? WAIT : undefined);
  }

  #over(key: string): void {
    this.#requests.get(key)?.stop();
    this.#requests.delete(key);
  }

  /** Probes ask again for all calls. */
  #again(): void {
    for (const taker of this.#takers) {
      if (!taker.asked) continue;
      taker.asked = false;
      if (needsProbe(taker)) this.#unasked++;
    }
  }

  #delivered(delivery: Delivery, waits: boolean): void {
    if (this.#closed) return void this.#options.answers.giveBack(delivery);
    this.#pending = delivery.pending;
    this.#keep(delivery);
    for (const [key, request] of this.#requests) {
      if (request.waits !== waits) continue;
      if (--request.left === 0 || !waits && delivery.pending === 0) {
        this.#over(key);
        if (!waits) return this.#probed();
      }
      break;
    }
    this.#distribute();
    this.#demand();
  }

  readonly #ended = (key: string): void => {
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#over(key);
    if (!request.waits) {
      this.#pending = 0;
      return this.#probed();
    }
    // A request that is refused at once is not repeated at once.
    if (performance.now() - request.since < PAUSE) {
      this.#stopPausing = after(PAUSE, () => {
        this.#stopPausing = undefined;
        this.#demand();
      });
    }
    this.#options.idle();
    this.#demand();
  };

  /** A probe has brought all that was there. */
  #probed(): void {
    this.#distribute();
    for (const { none } of this.#drain(({ asked, waits }) => asked && !waits)) none();
    this.#demand();
  }

  #keep(delivery: Delivery): void {
    let at = this.#ahead.length;
    while (at > 0 && this.#ahead[at - 1].sequence > delivery.sequence) at--;
    this.#ahead.splice(at, 0, delivery);
  }

  #distribute(): void {
    if (this.#holding > 0) return;
    const limit = performance.now() - this.#options.lease;
    // The leases of these have ended: the server gives them to others.
    if (this.#ahead.some(({ received }) => received < limit)) {
      this.#ahead = this.#ahead.filter(({ received }) => received >= limit);
    }
    while (this.#ahead.length > 0) {
      const taker = this.#takers.first;
      if (taker === undefined) break;
      // More is on its way.
      if (taker.most > this.#ahead.length && this.#isProbing) break;
      this.#takers.shift();
      this.#left(taker);
      this.#deciding++;
      taker.given(this.#ahead.splice(0, taker.most));
    }
    this.#idle();
  }

  /** Items that nobody takes go back, unless a call may give back earlier ones, which would then come behind them. */
  #idle(): void {
    this.#stopIdling?.();
    this.#stopIdling = undefined;
    if (this.#ahead.length > 0 && this.#takers.length === 0 && this.#deciding === 0) {
      this.#stopIdling = after(this.#isClose ? CLOSE : LOOSE, () => this.#release());
    }
  }

  get #isProbing(): boolean {
    for (const { waits } of this.#requests.values()) if (!waits) return true;
    return false;
  }

  #release(): void {
    this.#stopIdling?.();
    this.#stopIdling = undefined;
    const ahead = this.#ahead;
    this.#ahead = [];
    for (const delivery of ahead) void this.giveBack(delivery);
  }
}

/** Whether a probe has to ask for a call before a request waits for it. */
const needsProbe = ({ asked, most, waits }: Entry): boolean => !asked && (!waits || most > 1);
