/**
 * An agent's side of durable pools: it takes tasks for its free places, has them run by children, and stores their results.
 *
 * - While a task is in hand, the agent renews its lease. It runs no code of the task itself, so a busy task cannot keep it from that.
 * - A result is stored first, where the first result of an id wins; then the waiting programs are told; then the task is acknowledged. An
 *   agent that dies in between leaves a task whose lease runs out: the agent that gets it finds the result, tells it and acknowledges.
 * - A task whose child dies is given back, to be run again. After the last attempt it becomes a dead letter.
 *
 * @module
 */
import type { Incoming } from "../../codec/message.ts";
import { Closed, type Delivery, Denied, isNotFirst, type JetStream, passes, Unanswered } from "../jetstream.ts";
import { after } from "../../os/timer.ts";
import { decodeRecord } from "../protocol.ts";
import { Crews, type End, type Settings as CrewSettings } from "./crews.ts";
import { Intake } from "./intake.ts";
import { mend } from "./janitor.ts";
import { type Message, nothing, pack, unpack } from "../packing.ts";
import type { Death, Outcome, Task } from "./messages.ts";
import { LANES, type Names, shared } from "./names.ts";
import { packLarge, unpackLarge } from "./parts.ts";
import { isMissing, rewind } from "../streams.ts";
import { poolsOf } from "./streams.ts";

/** Interval of looking for pools, in milliseconds. */
const LOOK = 5000;

/**
 * The longest pause between two looks for pools while the server has no JetStream for this agent, in milliseconds. A cluster that has no
 * leader at the moment does not answer either, so the pauses begin with {@link LOOK}, and each is twice as long as the one before.
 */
const MISSING = 60_000;

/**
 * Interval of mending the streams, in milliseconds; and for how long they are mended with each look after a new connection, and after a
 * server of a cluster has gone or has come back.
 */
const MEND = 60_000;
const AFTER_BREAK = 60_000;

/** The pause before a task whose child has died runs again, for each of its deaths, in milliseconds. */
const REST = 100;

/** The pause before a task comes again that could not be run here, in milliseconds. */
const ELSEWHERE = 500;

/** Number of agents that may be lost with a task, in addition to the attempts that it has. */
const LOST_AGENTS = 5;

/** Mean time of tasks, in milliseconds, below which an agent takes as many tasks ahead as it has places. */
const SHORT = 20;

/** Number of tasks of which something is remembered that are not in hand. */
const REMEMBERED = 1000;

/** Forgets the oldest entry if there are too many. */
const limit = (entries: Map<string, unknown> | Set<string>): void => {
  if (entries.size <= REMEMBERED) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
};

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

interface Pool {
  readonly names: Names;
  /** The lease of a task, in milliseconds. */
  readonly ackWait: number;
  /** Ends what belongs to it alone. */
  readonly leave: () => void;
}

/** A task in hand. */
interface Held {
  readonly names: Names;
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
  readonly #intake: Intake;
  readonly #pools = new Map<string, Pool>();
  readonly #held = new Map<string, Held>();
  /** The deaths that this agent has seen of tasks that it has given back. */
  readonly #deaths = new Map<string, ReadonlyArray<Death>>();
  /** Keys of tasks that were in hand. */
  readonly #ended = new Set<string>();
  readonly #subscriptions: ReadonlyArray<() => void>;
  #looking: Promise<void> | undefined;
  /** Whether there was a reason for a look since the current one has begun. */
  #isLookWanted = false;
  /** When the last look has ended (see `performance.now`), and the pause until the next one, in milliseconds. */
  #looked = -Infinity;
  #pause = 0;
  readonly #watching: ReturnType<typeof setInterval>;
  /** When the streams were mended last; see `performance.now`. */
  #mended = -Infinity;
  /** Until when they are mended with each look: the server may have been killed. */
  #mends = performance.now() + AFTER_BREAK;
  /** The servers of all pools at the last look. */
  #servers: string | undefined;
  /** Whether this connection was not used to look for pools yet. */
  #isNew = true;
  #closed = false;
  /** Mean time that a task is in hand, in milliseconds. */
  #mean = Infinity;

  constructor(js: JetStream, settings: Settings) {
    this.#js = js;
    this.#settings = settings;
    this.#crews = new Crews(js, settings);
    const { server } = js;
    const { inbox, slots, taken } = settings;
    this.#intake = new Intake({
      server,
      inbox,
      room: () => slots + (this.#mean < SHORT ? slots : 0) - taken() - this.#held.size,
      // With many short tasks, several places are filled at a time.
      least: () => this.#held.size > 0 && this.#mean < SHORT ? Math.max(1, slots / 2) : 1,
      take: (names, delivery) => void this.#take(names, delivery),
    });
    this.#subscriptions = [
      server.subscribe(shared(settings.space).pools, () => this.#lookNow()),
      server.onReconnected(() => this.#reconnected()),
    ];
    this.#watching = setInterval(() => {
      if (this.#looking !== undefined) return;
      if (this.#pools.size > 0 || performance.now() - this.#looked >= this.#pause) void this.look();
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

  /** Finds the pools that this agent serves, and mends their streams. During a look, it is followed by another one. */
  look(): Promise<void> {
    this.#isLookWanted = true;
    return this.#looking ??= this.#looks();
  }

  /** Gives the tasks in hand back, and kills their children. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watching);
    for (const stop of this.#subscriptions) stop();
    for (const { leave } of this.#pools.values()) leave();
    const closing = this.#intake.close();
    for (const { delivery } of this.#held.values()) delivery.nak(0);
    await this.#crews.close();
    this.#js.close();
    await closing;
    await this.#looking;
  }

  /** There may be a new pool, or a server that answers. */
  #lookNow(): void {
    this.#pause = 0;
    void this.look();
  }

  async #looks(): Promise<void> {
    while (this.#isLookWanted && !this.#closed) {
      this.#isLookWanted = false;
      try {
        await this.#find();
        this.#pause = 0;
      } catch (error) {
        if (isMissing(error) || passes(error) || error instanceof Denied) {
          this.#pause = Math.min(MISSING, Math.max(LOOK, 2 * this.#pause));
        } else {
          this.#report("cannot find pools", error);
        }
      }
    }
    this.#looked = performance.now();
    this.#looking = undefined;
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
    const now = performance.now();
    const servers = pools.map(({ servers }) => servers).join();
    if (this.#servers !== undefined && this.#servers !== servers) this.#mends = now + AFTER_BREAK;
    this.#servers = servers;
    if (this.#isNew) {
      for (const { names } of pools) await this.#rewind(names);
      this.#isNew = false;
    }
    if (now > this.#mends && now - this.#mended < MEND) return;
    this.#mended = now;
    for (const { names } of pools) await mend(this.#js, names, this.#settings.log);
  }

  /** Mends the places of the consumers of a pool after a crash of the server. */
  async #rewind(names: Names): Promise<void> {
    for (let lane = 0; lane < LANES; lane++) {
      if (await rewind(this.#js, names.tasks, names.lane(lane))) {
        this.#settings.log(`the server has lost its place in the pool ${names.pool}: it begins anew`);
      }
    }
  }

  /** A pool was removed, or is not for this agent any more. */
  #leave(names: Names): void {
    const pool = this.#pools.get(names.pool);
    if (pool === undefined) return;
    this.#pools.delete(names.pool);
    pool.leave();
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
    let stopRenewing = (): void => {};
    const renew = (): void => {
      for (const held of this.#held.values()) if (held.names.pool === names.pool) held.delivery.working();
      stopRenewing = after(ackWait / 3, renew);
    };
    renew();
    const leave = (): void => {
      stopRenewing();
      unsubscribe();
      this.#intake.remove(names);
    };
    this.#pools.set(names.pool, { names, ackWait, leave });
    this.#intake.add(names);
  }

  #reconnected(): void {
    this.#mends = performance.now() + AFTER_BREAK;
    this.#isNew = true;
    for (const { delivery } of this.#held.values()) delivery.working();
    this.#intake.reconnected();
    this.#lookNow();
  }

  async #take(names: Names, delivery: Delivery): Promise<void> {
    let task: Message<Task>;
    try {
      task = unpack<Task>(delivery.data);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#settings.log(`a message of the pool ${names.pool} is no task: ${error.message}`);
      return delivery.term();
    }
    const { id } = task.head;
    const key = keyOf(names, id);
    const there = this.#held.get(key);
    if (there !== undefined) {
      // Its lease has run out while this agent was cut off.
      there.delivery = delivery;
      return;
    }
    const held: Held = { names, id, delivery, stop: undefined, stopped: false, settled: [] };
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
    limit(this.#ended);
    for (const call of held.settled) call();
    this.#intake.notify();
  }

  /** Runs a task, unless it has a result. Returns whether it is done. */
  async #handle(held: Held, task: Message<Task>): Promise<boolean> {
    const { names } = held;
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
        limit(this.#deaths);
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
    const { names } = held;
    const { id } = task;
    const head: Outcome = { ...result, id, host: this.#settings.host };
    const { packed, run } = await packLarge(this.#js, names.result(id), head, body);
    try {
      await this.#js.persist(() => this.#js.store(names.result(id), packed, { after: 0 }));
    } catch (error) {
      if (!isNotFirst(error)) throw error;
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
    const { names } = held;
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
  async #finish({ names }: Held, { caller, id, parts }: Task, packed: Uint8Array): Promise<void> {
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
