/**
 * A program's side of a durable pool: it stores tasks, waits for their results, and takes tasks back.
 *
 * Agents tell results as soon as they are stored. Nothing is lost if that news is: after each new connection, and from time to time, the
 * client looks into the streams for the results that it waits for.
 *
 * @module
 */
import type { Incoming } from "../../codec/message.ts";
import { each } from "../each.ts";
import { Closed, isNotFirst, type JetStream, JetStreamError, REFUSED_BY_LIMIT } from "../jetstream.ts";
import { encode } from "../protocol.ts";
import { type Message, nothing, pack, unpack } from "../packing.ts";
import type { Outcome, Task } from "./messages.ts";
import type { Names } from "./names.ts";
import { packLarge, unpackLarge } from "./parts.ts";
import { consumerOf } from "./streams.ts";

/** Interval of looking for results of which no news has come, in milliseconds. */
const LOOK = 1000;

/** How long news are waited for before a result is looked for, in milliseconds. */
const SILENT = 5000;

/** Number of results that are looked for at a time. */
const AT_A_TIME = 200;

/** The pause before a full queue is tried again, in milliseconds. */
const FULL = 20;

/** How long an agent may take to stop a task, in milliseconds. */
const STOP = 5000;

/** The queue has as many tasks as it may have. */
export class QueueFull extends Error {}

/** Receives the outcome of a task, or the reason why there will be no news of it. */
export type Listener = (outcome: Message<Outcome> | Failed) => void;

/** Why the outcome of a task is not known. */
export interface Failed {
  readonly error: unknown;
}

/** A task to be stored. */
export interface Order {
  readonly head: Task;
  readonly lane: number;
  readonly body: Incoming;
  /** Whether to fail with {@link QueueFull} instead of waiting for room. */
  readonly refuses: boolean;
  /** Ends the wait for room. */
  readonly signal: AbortSignal;
}

/** A dead letter: how its task has ended, the task, and when that was, in milliseconds since 1970. */
export interface Letter {
  readonly letter: Outcome;
  readonly task: Task;
  readonly time: number;
}

interface Waiting {
  readonly listeners: Set<Listener>;
  /** When its result was looked for last; see `performance.now`. */
  asked: number;
  /** Ends the subscription to the news of a task of another program. */
  readonly leave: () => void;
}

/** The client of a pool. */
export class Client {
  readonly js: JetStream;
  readonly names: Names;
  /** The name of this program, to which results are told. */
  readonly caller: string;
  /** What is waited for, in the order in which it was looked for. */
  readonly #waiting = new Map<string, Waiting>();
  /** Those that wait for room, in the order in which they came. */
  readonly #line: Array<() => void> = [];
  readonly #looking: ReturnType<typeof setInterval>;
  readonly #stops: ReadonlyArray<() => void>;

  constructor(js: JetStream, names: Names, caller: string) {
    this.js = js;
    this.names = names;
    this.caller = caller;
    this.#stops = [
      this.#listen(names.told(caller, "*")),
      js.server.onReconnected(() => {
        for (const waiting of this.#waiting.values()) waiting.asked = -Infinity;
        this.#look();
      }),
    ];
    this.#looking = setInterval(() => this.#look(), LOOK);
  }

  close(): void {
    clearInterval(this.#looking);
    for (const stop of this.#stops) stop();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, { error: new Closed("the pool was closed") });
  }

  /** Stores a task, unless one of this id is in the queue already. */
  async submit({ body, head, lane, refuses, signal }: Order): Promise<void> {
    const { packed } = await packLarge(this.js, this.names.part(head.id), head, body);
    const subject = this.names.task(lane, head.id);
    // A task that may have been stored before may also have a result.
    const again = (): Uint8Array => pack({ ...unpack<Task>(packed).head, check: true }, unpack(packed));
    let repeats = false;
    let isFirst = false;
    if (this.#line.length > 0 && !refuses) await this.#room(signal, () => isFirst = true);
    try {
      while (true) {
        try {
          await this.js.persist((repeated) => {
            repeats ||= repeated;
            return this.js.store(subject, repeats ? again() : packed);
          });
          return;
        } catch (error) {
          if (!(error instanceof JetStreamError && error.code === REFUSED_BY_LIMIT)) throw error;
          if (error.message.includes("per subject")) return;
          // It may be in the queue nevertheless if it was sent twice.
          if (refuses && !repeats) throw new QueueFull(error.message);
          if (!isFirst) await this.#room(signal, () => isFirst = true);
          await this.js.pause(FULL);
          signal.throwIfAborted();
        }
      }
    } finally {
      if (isFirst) {
        this.#line.shift();
        this.#line[0]?.();
      }
    }
  }

  /** Calls back once with the outcome of a task. Returns a function that ends that. */
  watch(id: string, own: boolean, listener: Listener): () => void {
    let waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      const leave = own ? () => {} : this.#listen(this.names.told("*", id));
      this.#waiting.set(id, waiting = { listeners: new Set(), asked: performance.now(), leave });
    }
    const { leave, listeners } = waiting;
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#waiting.get(id)?.listeners !== listeners) return;
      this.#waiting.delete(id);
      leave();
    };
  }

  /** The outcome of a task; `undefined` if there is none yet. */
  async find(id: string): Promise<Message<Outcome> | undefined> {
    const result = await this.#read(this.names.results, this.names.result(id));
    return result ?? await this.#read(this.names.dead, this.names.deadLetter(id));
  }

  /** Whether a task of this id is in the queue or in hand. */
  async has(id: string): Promise<boolean> {
    return await this.js.persist(() => this.js.find(this.names.tasks, this.names.task("*", id))) !== undefined;
  }

  /** Takes a task back, or has it stopped. Returns when it does not run any more. Its outcome is then that it was cancelled, if it had none. */
  async cancel(id: string): Promise<void> {
    const { caller, js, names } = this;
    const cancelled = pack({ id, kind: "cancelled", host: "" } satisfies Outcome, nothing);
    try {
      await js.persist(() => js.store(names.result(id), cancelled, { after: 0 }));
    } catch (error) {
      // It has a result.
      if (isNotFirst(error)) return;
      throw error;
    }
    for (let isFirst = true;; isFirst = false) {
      const task = await js.persist(() => js.find(names.tasks, names.task("*", id)));
      if (task === undefined) {
        // An agent may have removed the task meanwhile, since it has an outcome, while it runs.
        if (isFirst) await this.#stop(id);
        break;
      }
      await js.persist(() => js.delete(names.tasks, task.seq));
      const { delivered } = await consumerOf(js, names, names.laneOf(task.subject));
      if (delivered.stream_seq >= task.seq) await this.#stop(id);
    }
    await js.persist(() => js.purge(names.parts, `${names.part(id)}.>`));
    js.tell(names.told(caller, id), cancelled);
  }

  /** The dead letters. */
  async deadLetters(): Promise<ReadonlyArray<Letter>> {
    const letters: Array<Letter> = [];
    for (let from = 1;;) {
      const stored = await this.js.persist(() => this.js.next(this.names.dead, this.names.deadLetter("*"), from));
      if (stored === undefined) return letters;
      const { bytes, head } = unpack<Outcome>(stored.data);
      letters.push({ letter: head, task: unpack<Task>(bytes).head, time: stored.time });
      from = stored.sequence + 1;
    }
  }

  /** Puts the task of a dead letter into the queue again. The result is `false` if there is no such letter. */
  async retryDead(id: string, lane: number): Promise<boolean> {
    const { js, names } = this;
    const stored = await js.persist(() => js.last(names.dead, names.deadLetter(id)));
    if (stored === undefined) return false;
    const { head, ...body } = unpack<Task>(unpack(stored.data).bytes);
    const packed = pack({ ...head, caller: this.caller, check: true } satisfies Task, body);
    try {
      await js.persist(() => js.store(names.task(lane, id), packed));
    } catch (error) {
      const isThere = error instanceof JetStreamError && error.code === REFUSED_BY_LIMIT;
      if (!isThere) throw error;
      if (!error.message.includes("per subject")) throw new QueueFull(error.message);
    }
    // A later letter of the task has another number, and stays.
    await js.persist(() => js.delete(names.dead, stored.sequence));
    return true;
  }

  /** Waits until it is the first in the line of those that wait for room. */
  #room(signal: AbortSignal, first: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const come = (): void => {
        signal.removeEventListener("abort", leave);
        first();
        resolve();
      };
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(come), 1);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", leave);
      this.#line.push(come);
      if (this.#line.length === 1) come();
    });
  }

  /** Asks the agents to stop a task, and waits until the one that has it has done so, or for a while if none has it. */
  async #stop(id: string): Promise<void> {
    const { js, names } = this;
    const stopped = Promise.withResolvers<void>();
    const subject = names.told(this.caller, `${id}-stopped`);
    const stopListening = js.server.subscribe(subject, () => stopped.resolve());
    js.tell(names.stop, encode({ id }), subject);
    await Promise.race([stopped.promise, js.pause(STOP)]).finally(stopListening);
  }

  async #read(stream: string, subject: string): Promise<Message<Outcome> | undefined> {
    const stored = await this.js.persist(() => this.js.last(stream, subject));
    return stored && this.#complete(unpack<Outcome>(stored.data));
  }

  #complete(message: Message<Outcome>): Promise<Message<Outcome> | undefined> {
    return unpackLarge(this.js, this.names.results, this.names.result(message.head.id), message);
  }

  /** Subscribes to news. Returns a function that ends that. */
  #listen(subject: string): () => void {
    return this.js.server.subscribe(subject, (_subject, data) => {
      const message = unpack<Outcome>(data);
      if (!this.#waiting.has(message.head.id)) return;
      const { id, parts } = message.head;
      if (parts === undefined) this.#settle(id, message);
      else void this.#fetch(id, () => this.#complete(message));
    });
  }

  async #fetch(id: string, find: () => Promise<Message<Outcome> | undefined>): Promise<void> {
    try {
      const outcome = await find();
      if (outcome !== undefined) this.#settle(id, outcome);
    } catch (error) {
      this.#settle(id, { error });
    }
  }

  #settle(id: string, outcome: Message<Outcome> | Failed): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.leave();
    for (const listener of waiting.listeners) listener(outcome);
  }

  /** Looks for the results of which there were no news for a while. */
  #look(): void {
    if (!this.js.server.connected) return;
    const limit = performance.now() - SILENT;
    const ids: Array<string> = [];
    for (const [id, { asked }] of this.#waiting) {
      if (asked > limit || ids.length === AT_A_TIME) break;
      ids.push(id);
    }
    for (const id of ids) {
      const waiting = this.#waiting.get(id)!;
      waiting.asked = performance.now();
      this.#waiting.delete(id);
      this.#waiting.set(id, waiting);
    }
    void each(ids.length, (index) => this.#fetch(ids[index], () => this.find(ids[index])));
  }
}
