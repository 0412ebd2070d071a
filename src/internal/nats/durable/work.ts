/**
 * An agent's side of durable pools: it takes tasks for its free places, has them run by children, and stores their results.
 *
 * - While a task is in hand, the agent renews its lease. It runs no code of the task itself, so a busy task cannot keep it from that.
 * - A result is stored first, where the first result of an id wins; then the waiting programs are told; then the task is acknowledged. An
 *   agent that dies in between leaves a task whose lease runs out: the agent that gets it finds the result, tells it and acknowledges.
 * - A task whose child dies is given back, to be run again. After the last attempt it becomes a dead letter.
 * - Tasks of a lane are taken in the order of their submission; those of a higher lane first.
 *
 * @module
 */
import type { Incoming } from "../../codec/message.ts";
import { after } from "../../os/timer.ts";
import {
  Closed,
  type Delivery,
  type JetStream,
  JetStreamError,
  NOT_FIRST,
  Pulls,
  sourceOf,
  Unanswered,
} from "../jetstream.ts";
import { decodeRecord } from "../protocol.ts";
import { Crews, type End, type Settings as CrewSettings } from "./crews.ts";
import { mend } from "./janitor.ts";
import { type Death, type Message, nothing, type Outcome, pack, type Task, unpack } from "./messages.ts";
import { LANES, type Names, shared } from "./names.ts";
import { packLarge, unpackLarge } from "./parts.ts";
import { isMissing, poolsOf } from "./streams.ts";

/** How long a request for tasks waits for one, in milliseconds. */
const WAIT = 5000;

/** The least time between requests that wait, if the server refuses them, in milliseconds. */
const PAUSE = 500;

/** How long the answer to a request for tasks may take, in milliseconds. */
const ANSWER = 2000;

/** How long after a task the next one of the same request may come, in milliseconds. */
const NEXT = 50;

/** Interval of looking for pools, in milliseconds. */
const LOOK = 5000;

/** How long after a server had no JetStream pools are looked for again, in milliseconds, if there is no other reason to. */
const MISSING = 60_000;

/** Interval of looking whether there is work, if nothing says so, in milliseconds. */
const POLL = 250;

/** The pause before a task whose child has died runs again, for each of its deaths, in milliseconds. */
const REST = 100;

/** The pause before a task comes again that could not be run here, in milliseconds. */
const ELSEWHERE = 500;

/** Number of agents that may be lost with a task, in addition to the attempts that it has. */
const LOST_AGENTS = 5;

/** Mean time of tasks, in milliseconds, below which an agent takes as many tasks ahead as it has places. */
const SHORT = 20;

/** Number of tasks whose ends are remembered. */
const REMEMBERED = 1000;

/** Settings of {@link Work}. */
export interface Settings extends CrewSettings {
  readonly labels: ReadonlyArray<string>;
  /** The name of the machine. */
  readonly host: string;
  /** Subjects below it are this agent's. */
  readonly inbox: string;
  readonly log: (message: string) => void;
  /** Number of places that are taken otherwise. */
  readonly taken: () => number;
}

/** The tasks of one priority of a pool. */
interface Lane {
  readonly pool: Pool;
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

interface Pool {
  readonly names: Names;
  /** The lease of a task, in milliseconds. */
  readonly ackWait: number;
  readonly lanes: ReadonlyArray<Lane>;
  /** Ends what belongs to it alone. */
  readonly leave: () => void;
}

/** A task in hand. */
interface Held {
  readonly pool: Pool;
  readonly id: string;
  delivery: Delivery;
  /** Stops its run. */
  stop: (() => void) | undefined;
  stopped: boolean;
  /** Called when it is not in hand any more. */
  readonly settled: Array<() => void>;
}

const keyOf = ({ pool }: Names, id: string): string => `${pool} ${id}`;

/** The durable work of an agent. */
export class Work {
  readonly #js: JetStream;
  readonly #settings: Settings;
  readonly #crews: Crews;
  readonly #pulls: Pulls;
  readonly #pools = new Map<string, Pool>();
  /** By the consumer, and by the key of a request. */
  readonly #sources = new Map<string, Lane>();
  readonly #held = new Map<string, Held>();
  /** The deaths that this agent has seen of tasks that it has given back. */
  readonly #deaths = new Map<string, ReadonlyArray<Death>>();
  /** Keys of tasks that were in hand. */
  readonly #ended = new Set<string>();
  readonly #subscriptions: ReadonlyArray<() => void>;
  #looking: Promise<void> | undefined;
  readonly #watching: ReturnType<typeof setInterval>;
  /** When the server had no JetStream for this agent; see `performance.now`. */
  #missed = -Infinity;
  #working: Promise<void> | undefined;
  #wake: () => void = () => {};
  #woken = false;
  #closed = false;
  /** Mean time that a task is in hand, in milliseconds. */
  #mean = Infinity;

  constructor(js: JetStream, settings: Settings) {
    this.#js = js;
    this.#settings = settings;
    this.#crews = new Crews(js, settings);
    this.#pulls = new Pulls(js.server, settings.inbox, { delivered: this.#delivered, ended: this.#requestEnded });
    const { server } = js;
    this.#subscriptions = [
      server.subscribe(shared(settings.space).pools, () => void this.look()),
      server.onReconnected(() => this.#reconnected()),
    ];
    this.#watching = setInterval(() => {
      if (this.#pools.size > 0 || performance.now() - this.#missed > MISSING) void this.look();
    }, LOOK);
  }

  /** Number of tasks in hand. */
  get running(): number {
    return this.#held.size;
  }

  /** The hashes of the sources that are in use. */
  get sources(): ReadonlyArray<string> {
    return this.#crews.sources;
  }

  /** Finds the pools that this agent serves, and mends their streams. */
  look(): Promise<void> {
    return this.#looking ??= this.#find().catch((error) => {
      if (isMissing(error) || error instanceof Unanswered) this.#missed = performance.now();
      else this.#report("cannot find pools", error);
    }).finally(() => {
      this.#looking = undefined;
    });
  }

  /** Gives the tasks in hand back, and kills their children. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watching);
    for (const stop of this.#subscriptions) stop();
    for (const { leave } of this.#pools.values()) leave();
    this.#pulls.close();
    for (const lane of this.#lanes()) lane.came?.(undefined);
    for (const { delivery } of this.#held.values()) delivery.nak(0);
    await this.#crews.close();
    this.#js.close();
    this.#notify();
    await this.#working;
    await this.#looking;
  }

  async #find(): Promise<void> {
    const { labels, space } = this.#settings;
    // A server without JetStream does not answer.
    await this.#js.api("INFO");
    const pools = await poolsOf(this.#js, space, labels);
    if (this.#closed) return;
    for (const { names } of this.#pools.values()) {
      if (!pools.some(({ names: { pool } }) => pool === names.pool)) this.#leave(names);
    }
    for (const { ackWait, names } of pools) {
      if (this.#pools.get(names.pool)?.ackWait !== ackWait) this.#serve(names, ackWait);
    }
    for (const { names } of pools) await mend(this.#js, names, this.#settings.log);
  }

  /** A pool was removed, or is not for this agent any more. */
  #leave(names: Names): void {
    const pool = this.#pools.get(names.pool);
    if (pool === undefined) return;
    this.#pools.delete(names.pool);
    pool.leave();
    for (const lane of pool.lanes) {
      this.#sources.delete(sourceOf(names.tasks, lane.consumer));
      lane.came?.(undefined);
    }
  }

  #serve(names: Names, ackWait: number): void {
    if (!this.#pools.has(names.pool)) this.#settings.log(`tasks of the pool ${names.pool} are run here`);
    this.#leave(names);
    const unsubscribe = this.#js.server.subscribe(names.stop, (_subject, data, reply) => {
      const { id } = decodeRecord<{ readonly id: string }>(data);
      this.#stop(keyOf(names, id), () => {
        if (reply !== undefined) this.#js.tell(reply, data);
      });
    });
    const lanes: Array<Lane> = [];
    const renewing = setInterval(() => {
      for (const { delivery, pool } of this.#held.values()) if (pool.names.pool === names.pool) delivery.working();
    }, ackWait / 3);
    const leave = (): void => {
      clearInterval(renewing);
      unsubscribe();
    };
    const pool: Pool = { names, ackWait, lanes, leave };
    for (let lane = 0; lane < LANES; lane++) {
      const consumer = names.lane(lane);
      const entry: Lane = { pool, consumer, active: true, asked: 0, waits: 0, came: undefined };
      lanes.push(entry);
      this.#sources.set(sourceOf(names.tasks, consumer), entry);
    }
    this.#pools.set(names.pool, pool);
    this.#working ??= this.#work();
    this.#notify();
  }

  #reconnected(): void {
    for (const lane of this.#lanes()) {
      lane.waits = 0;
      lane.active = true;
      lane.came?.(undefined);
    }
    for (const { delivery } of this.#held.values()) delivery.working();
    void this.look();
    this.#notify();
  }

  *#lanes(): IterableIterator<Lane> {
    for (let lane = 0; lane < LANES; lane++) for (const { lanes } of this.#pools.values()) yield lanes[lane];
  }

  // Taking tasks

  /** Number of tasks that may be taken now. */
  get #room(): number {
    const { slots, taken } = this.#settings;
    const ahead = this.#mean < SHORT ? slots : 0;
    return slots + ahead - taken() - this.#held.size;
  }

  /** Takes tasks until the agent ends: of all pools, the higher lanes first. */
  async #work(): Promise<void> {
    while (!this.#closed) {
      // With many short tasks, several places are filled at a time.
      const least = this.#held.size === 0 ? 1 : this.#mean < SHORT ? Math.max(1, this.#settings.slots / 2) : 1;
      if (!this.#js.server.connected || this.#room < least) {
        await this.#change(POLL);
        continue;
      }
      let taken = 0;
      for (const lane of [...this.#lanes()]) {
        if (lane.active && this.#room > 0) {
          const count = await this.#pull(lane, this.#room);
          if (count === 0) lane.active = false;
          taken += count;
        }
        const now = performance.now();
        if (!lane.active && now > lane.waits && this.#room > 0 && !this.#closed) {
          lane.asked = now;
          lane.waits = now + WAIT + PAUSE;
          this.#ask(lane, "w", 1, WAIT);
        }
      }
      if (taken === 0) await this.#change(POLL);
    }
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

  #ask(lane: Lane, kind: "w" | "b", batch: number, expires?: number): void {
    const { consumer, pool } = lane;
    this.#pulls.ask(pool.names.tasks, consumer, `${kind}-${pool.names.pool}-${consumer}`, batch, expires);
  }

  readonly #requestEnded = (key: string): void => {
    const kind = key[0];
    const at = key.lastIndexOf("-");
    const lane = this.#pools.get(key.slice(2, at))?.lanes.find(({ consumer }) => consumer === key.slice(at + 1));
    if (lane === undefined) return;
    if (kind === "b") return lane.came?.(undefined);
    const now = performance.now();
    // A request that is refused at once is not repeated at once.
    if (now - lane.asked < PAUSE) lane.waits = now + PAUSE;
    else {
      lane.waits = 0;
      this.#notify();
    }
  };

  readonly #delivered = (delivery: Delivery): void => {
    const lane = this.#sources.get(delivery.source);
    if (lane === undefined || this.#closed) return delivery.nak(0);
    if (lane.came === undefined || !lane.active) {
      lane.waits = 0;
      lane.active = true;
      this.#notify();
    }
    void this.#take(lane.pool, delivery);
    lane.came?.(delivery);
  };

  /** Waits until something has changed, at most for so many milliseconds. */
  #change(millis: number): Promise<void> {
    if (this.#woken) {
      this.#woken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const stop = after(millis, () => this.#wake());
      this.#wake = () => {
        stop();
        this.#wake = () => {};
        this.#woken = false;
        resolve();
      };
    });
  }

  #notify(): void {
    this.#woken = true;
    this.#wake();
  }

  // Running tasks

  async #take(pool: Pool, delivery: Delivery): Promise<void> {
    let task: Message<Task>;
    try {
      task = unpack<Task>(delivery.data);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#settings.log(`a message of the pool ${pool.names.pool} is no task: ${error.message}`);
      return delivery.term();
    }
    const { id } = task.head;
    const key = keyOf(pool.names, id);
    const there = this.#held.get(key);
    if (there !== undefined) {
      // Its lease has run out while this agent was cut off.
      there.delivery = delivery;
      return;
    }
    const held: Held = { pool, id, delivery, stop: undefined, stopped: false, settled: [] };
    this.#held.set(key, held);
    const begun = performance.now();
    try {
      if (await this.#handle(held, task)) held.delivery.ack();
    } catch (error) {
      if (!this.#closed) {
        this.#report(`cannot run the task ${id}`, error);
        held.delivery.nak(ELSEWHERE);
      }
    }
    const time = performance.now() - begun;
    this.#mean = this.#mean === Infinity ? time : 0.9 * this.#mean + 0.1 * time;
    this.#held.delete(key);
    this.#ended.add(key);
    if (this.#ended.size > REMEMBERED) {
      for (const oldest of this.#ended) {
        this.#ended.delete(oldest);
        break;
      }
    }
    for (const call of held.settled) call();
    this.#notify();
  }

  /** Runs a task, unless it has a result. Returns whether it is done. */
  async #handle(held: Held, task: Message<Task>): Promise<boolean> {
    const { names } = held.pool;
    const { count } = held.delivery;
    const { head } = task;
    const { id, retries } = head;
    const js = this.#js;
    // A server that was killed may have forgotten that it has given out a task, or that the task was acknowledged. Where it is likely that
    // there is a result, its leader is asked.
    const isLikely = count > 1 || head.check === true;
    if (!isLikely || await js.persist(() => js.find(names.results, names.result(id))) !== undefined) {
      const stored = await js.persist(() => js.last(names.results, names.result(id)));
      if (stored !== undefined) await this.#finish(held, head, stored.data);
      if (isLikely || stored !== undefined) return true;
    }
    if (count > retries + 1 + LOST_AGENTS) return this.#giveUp(held, task, `it was given to ${count} agents`);
    const whole = await unpackLarge(js, names.parts, names.part(id), task);
    if (whole === undefined) return this.#conclude(held, head, { message: "its arguments are gone", kind: "failed" });
    const crew = await this.#crews.of(head.program);
    if (crew === undefined) {
      return this.#conclude(held, head, { message: "its modules are not in the server any more", kind: "failed" });
    }
    const end = await new Promise<End>((resolve) => {
      if (held.stopped) return resolve({ _tag: "Stopped" });
      held.stop = crew.run(head, whole, resolve);
    });
    if (this.#closed) return false;
    switch (end._tag) {
      case "Answered": {
        const { answer, child: { name, pid } } = end;
        return this.#conclude(held, head, { kind: "exit", process: name, pid }, answer);
      }
      case "Timeout":
        return this.#conclude(held, head, { kind: "timeout", message: `${head.timeout}` });
      case "Stopped":
        return this.#conclude(held, head, { kind: "cancelled" });
      case "Failed":
        // Another machine may be able to run it.
        if (count > retries) return this.#conclude(held, head, { kind: "failed", message: end.message });
        held.delivery.nak(ELSEWHERE);
        return false;
      case "Died": {
        const { pid, process, started, status } = end.error;
        const key = keyOf(names, id);
        const deaths = [...this.#deaths.get(key) ?? [], { process, pid, host: this.#settings.host, status, started }];
        if (count > retries) {
          this.#deaths.delete(key);
          return this.#giveUp(held, task, end.error.message, deaths);
        }
        this.#settings.log(`${end.error.message}; it is run again`);
        this.#deaths.set(key, deaths);
        held.delivery.nak(REST * count);
        return false;
      }
    }
  }

  /** Stores a result and tells it. */
  async #conclude(
    held: Held,
    task: Task,
    result: Omit<Outcome, "id" | "host">,
    body: Incoming = nothing,
  ): Promise<boolean> {
    const { names } = held.pool;
    const { id } = task;
    const head: Outcome = { ...result, id, host: this.#settings.host };
    const { packed, run } = await packLarge(this.#js, names.result(id), head, body);
    try {
      await this.#js.persist(() => this.#js.store(names.result(id), packed, true));
    } catch (error) {
      if (!(error instanceof JetStreamError && error.code === NOT_FIRST)) throw error;
      // Perhaps it is this one, which an attempt without an answer has stored.
      const stored = await this.#js.persist(() => this.#js.last(names.results, names.result(id)));
      const isThis = stored !== undefined && equal(stored.data, packed);
      if (!isThis) {
        this.#settings.log(`the task ${task.name} (${id}) has a result already: that of its last run is dropped`);
      }
      if (run !== undefined && !isThis) {
        await this.#js.persist(() => this.#js.purge(names.results, `${names.result(id)}.${run}.>`));
      }
      await this.#finish(held, task, stored?.data ?? packed);
      return true;
    }
    await this.#finish(held, task, packed);
    return true;
  }

  /** Makes a task a dead letter. */
  async #giveUp(held: Held, task: Message<Task>, why: string, deaths: ReadonlyArray<Death> = []): Promise<boolean> {
    const { names } = held.pool;
    const { caller, id, name } = task.head;
    const { count } = held.delivery;
    this.#settings.log(`the task ${name} (${id}) is a dead letter: ${why}`);
    const { host } = this.#settings;
    const head: Outcome = { id, kind: "dead", host, message: why, deaths, deliveries: count };
    const letter = pack(head, { bytes: held.delivery.data, attachments: [] });
    await this.#js.persist(() => this.#js.store(names.deadLetter(id), letter));
    this.#js.tell(names.told(caller, id), pack(head, nothing));
    return true;
  }

  /** Tells a result that is stored, and frees the parts of its task. */
  async #finish({ pool: { names } }: Held, { caller, id, parts }: Task, packed: Uint8Array): Promise<void> {
    this.#deaths.delete(keyOf(names, id));
    this.#js.tell(names.told(caller, id), packed);
    if (parts !== undefined) await this.#js.persist(() => this.#js.purge(names.parts, `${names.part(id)}.>`));
  }

  /** Stops a task in hand, and calls back when it is not in hand any more; at once if it was in hand and is not now. */
  #stop(key: string, stopped: () => void): void {
    const held = this.#held.get(key);
    if (held === undefined) {
      if (this.#ended.has(key)) stopped();
      return;
    }
    held.settled.push(stopped);
    held.stopped = true;
    held.stop?.();
  }

  #report(what: string, error: unknown): void {
    if (this.#closed || error instanceof Closed) return;
    if (!(error instanceof Unanswered)) this.#settings.log(`${what}: ${(error as Error).message}`);
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);
