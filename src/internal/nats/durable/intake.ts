/**
 * The way of tasks into an agent: requests to the servers of its pools, for as many tasks as it has room.
 *
 * - A lane that had tasks the last time is active: it is asked for what is there. In each other lane, one request waits for a task.
 * - The higher lanes of all pools come first.
 * - A request that waits when the last place is taken may bring one more task, which then waits here.
 *
 * @module
 */
import { after } from "../../os/timer.ts";
import { type Delivery, Pulls, sourceOf } from "../jetstream.ts";
import type { Server } from "../server.ts";
import { LANES, type Names } from "./names.ts";

/** How long a request waits for a task, in milliseconds. */
const WAIT = 5000;

/** The least time between requests that wait, if the server refuses them, in milliseconds. */
const PAUSE = 500;

/** How long the answer to a request may take, in milliseconds. */
const ANSWER = 2000;

/** How long after a task the next one of the same request may come, in milliseconds. */
const NEXT = 50;

/** Interval of looking whether there is room, if nothing says so, in milliseconds. */
const POLL = 250;

/** The tasks of one priority of a pool. */
interface Lane {
  readonly names: Names;
  readonly consumer: string;
  /** Whether there were tasks the last time. */
  active: boolean;
  /** When the last request that waits for a task was made; see `performance.now`. */
  asked: number;
  /** Until when that request is taken to wait. */
  waits: number;
  /** A task has come, or (without a task) the request for those that are there has ended. */
  came: ((delivery: Delivery | undefined) => void) | undefined;
}

/** Options of {@link Intake}. */
export interface Options {
  readonly server: Server;
  /** Subjects below it are this agent's. */
  readonly inbox: string;
  /** Number of tasks for which there is room. */
  readonly room: () => number;
  /** Number of tasks for which there must be room before more are asked for. */
  readonly least: () => number;
  readonly take: (names: Names, delivery: Delivery) => void;
}

/** The intake of an agent. */
export class Intake {
  readonly #options: Options;
  readonly #pulls: Pulls;
  /** The lanes of each pool, the highest first. */
  readonly #pools = new Map<string, ReadonlyArray<Lane>>();
  readonly #sources = new Map<string, Lane>();
  readonly #working: Promise<void>;
  #wake: () => void = () => {};
  #woken = false;
  #closed = false;

  constructor(options: Options) {
    this.#options = options;
    this.#pulls = new Pulls(options.server, options.inbox, { delivered: this.#delivered, ended: this.#requestEnded });
    this.#working = this.#work();
  }

  /** Takes tasks of a pool from now on. */
  add(names: Names): void {
    const lanes = Array.from({ length: LANES }, (_, lane): Lane => ({
      names,
      consumer: names.lane(lane),
      active: true,
      asked: 0,
      waits: 0,
      came: undefined,
    }));
    this.#pools.set(names.pool, lanes);
    for (const lane of lanes) this.#sources.set(sourceOf(names.tasks, lane.consumer), lane);
    this.notify();
  }

  /** Takes no more tasks of a pool. */
  remove(names: Names): void {
    for (const lane of this.#pools.get(names.pool) ?? []) {
      this.#sources.delete(sourceOf(names.tasks, lane.consumer));
      lane.came?.(undefined);
    }
    this.#pools.delete(names.pool);
  }

  /** The server has forgotten all requests. */
  reconnected(): void {
    for (const lane of this.#lanes()) {
      lane.waits = 0;
      lane.active = true;
      lane.came?.(undefined);
    }
    this.notify();
  }

  /** There may be room. */
  notify(): void {
    this.#woken = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pulls.close();
    for (const lane of this.#lanes()) lane.came?.(undefined);
    this.notify();
    await this.#working;
  }

  *#lanes(): IterableIterator<Lane> {
    for (let lane = 0; lane < LANES; lane++) for (const lanes of this.#pools.values()) yield lanes[lane];
  }

  async #work(): Promise<void> {
    const { least, room, server } = this.#options;
    while (!this.#closed) {
      let taken = 0;
      if (this.#pools.size > 0 && server.connected && room() >= least()) {
        for (const lane of [...this.#lanes()]) taken += await this.#serve(lane);
      }
      if (taken === 0) await this.#change();
    }
  }

  /** Takes what a lane has, or lets a request wait there. Returns the number of tasks. */
  async #serve(lane: Lane): Promise<number> {
    const { room } = this.#options;
    const count = lane.active && room() > 0 ? await this.#pull(lane, room()) : 0;
    if (count > 0 || room() <= 0 || this.#closed) return count;
    lane.active = false;
    const now = performance.now();
    if (now > lane.waits) {
      lane.asked = now;
      lane.waits = now + WAIT + PAUSE;
      this.#ask(lane, "w", 1, WAIT);
    }
    return 0;
  }

  /** Takes the tasks of a lane that are there, up to a number, and returns how many have come. */
  #pull(lane: Lane, batch: number): Promise<number> {
    return new Promise((resolve) => {
      let count = 0;
      const end = (): void => {
        stop();
        lane.came = undefined;
        resolve(count);
      };
      let stop = after(ANSWER, end);
      lane.came = (delivery) => {
        if (delivery === undefined || ++count === batch || delivery.pending === 0) return end();
        stop();
        stop = after(NEXT, end);
      };
      this.#ask(lane, "b", batch);
    });
  }

  #ask({ consumer, names }: Lane, kind: "w" | "b", batch: number, expires?: number): void {
    this.#pulls.ask(names.tasks, consumer, `${kind}-${names.pool}-${consumer}`, batch, expires);
  }

  readonly #requestEnded = (key: string): void => {
    const at = key.lastIndexOf("-");
    const lane = this.#pools.get(key.slice(2, at))?.find(({ consumer }) => consumer === key.slice(at + 1));
    if (lane === undefined) return;
    if (key[0] === "b") return lane.came?.(undefined);
    const now = performance.now();
    // A request that is refused at once is not repeated at once.
    if (now - lane.asked < PAUSE) lane.waits = now + PAUSE;
    else {
      lane.waits = 0;
      this.notify();
    }
  };

  readonly #delivered = (delivery: Delivery): void => {
    const lane = this.#sources.get(delivery.source);
    if (lane === undefined || this.#closed) return delivery.nak(0);
    if (lane.came === undefined) {
      lane.waits = 0;
      lane.active = true;
      this.notify();
    }
    this.#options.take(lane.names, delivery);
    lane.came?.(delivery);
  };

  /** Waits until something has changed, or for a while. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const stop = after(POLL, () => this.#wake());
      this.#wake = () => {
        stop();
        this.#wake = () => {};
        this.#woken = false;
        resolve();
      };
      if (this.#woken) this.#wake();
    });
  }
}
