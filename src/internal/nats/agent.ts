/**
 * The agent of a machine: it starts children for callers elsewhere, and carries the bytes of their links and of their output. It
 * runs no code of its callers itself.
 *
 * - It pings each caller that has children here, and the answers renew a lease. A caller whose lease has run out, or that the server
 *   says is gone, may have given its children up: they are killed.
 * - An agent without a connection kills its children after `lostAfter`, less a margin: their callers may have been told by the server
 *   that the agent is gone.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import type { Signal } from "../../Backend.ts";
import type { RawChild } from "../child/backends/adopt.ts";
import { launch } from "../child/backends/subprocess_backend.ts";
import { UNKNOWN } from "../child/status.ts";
import { type Host, machineName } from "../os/place.ts";
import { after } from "../os/timer.ts";
import {
  type Bid,
  type Bye,
  CLOSE,
  decodeRecord,
  encode,
  END,
  EXIT,
  type ExitRecord,
  type KillRequest,
  LINK,
  LINK_CHANNEL,
  MAX_RECORD,
  OUTPUT,
  type Output,
  PROTOCOL,
  readRequest,
  type SpawnReply,
  type SpawnRequest,
  STDERR_CHANNEL,
  STDOUT_CHANNEL,
} from "./protocol.ts";
import { shared } from "./permissions.ts";
import { HEADER, reset, Session } from "./session.ts";
import { NoResponders, type Server } from "./server.ts";
import { Work } from "./durable/work.ts";
import { JetStream } from "./jetstream.ts";
import { SourceStore } from "./source_store.ts";

/** Interval of looking after the callers, in milliseconds. */
const WATCH = 250;

/** Interval between pings of a caller, in milliseconds. */
const PING = 500;

/** How long the answer of a caller may take, in milliseconds. */
const ANSWER = 2000;

/** How much earlier than its callers an agent gives up, in milliseconds. */
const MARGIN = 1000;

/** How long the output of a child that has ended may still be read from the processes that it has started, in milliseconds. */
const OUTPUT_LEFT = 500;

/** Interval of removing sources that were not used for long, in milliseconds. */
const SWEEP = 3600_000;

/** How long the end of a child is kept for its caller to hear of it, in milliseconds. */
const KEPT = 60_000;

/** Settings of an agent. */
export interface Settings {
  readonly space: string;
  readonly name: string;
  readonly slots: number;
  readonly labels: ReadonlyArray<string>;
  /** Absolute path of the folder for sources and for the work of children. */
  readonly folder: string;
  /** How long sources that are not used are kept, in milliseconds. */
  readonly keep: number;
  readonly log: (message: string) => void;
}

interface Caller {
  readonly name: string;
  readonly children: Set<Run>;
  readonly lease: number;
  readonly lostAfter: number;
  /** When the last ping that was answered was sent; see `performance.now`. */
  confirmed: number;
  /** When the last ping was sent. */
  pinged: number;
  /** Since when nobody listens to the subjects of the caller. */
  absent: number | undefined;
  pinging: boolean;
}

const statusOf = (end: Awaited<RawChild["ended"]>): ExitRecord["status"] => {
  if ("_tag" in end) throw new Error("a process of this machine cannot be lost");
  return end.signal === null ? { _tag: "Exited", code: end.code ?? UNKNOWN } : { _tag: "Signaled", signal: end.signal };
};

/** A child of a caller. */
class Run {
  readonly session: string;
  readonly name: string;
  readonly caller: Caller;
  /** The hash of the sources. */
  readonly sources: string | undefined;
  /** Resolves when the process has ended. */
  readonly over: Promise<void>;
  readonly #raw: RawChild;
  readonly #server: Server;
  readonly #sessions: ReadonlyArray<Session>;
  readonly #forget: () => void;
  /** Bytes that the child has not taken yet. */
  #unwritten: Array<readonly [bytes: Uint8Array, taken: () => void]> = [];
  #writing = false;
  #closing = false;
  #received = false;
  #ended = false;
  /** Whether the caller needs to hear no more of the child. */
  #left = false;
  /** Stops the timer of {@link KEPT}. */
  #stopKeeping: () => void = () => {};

  constructor(
    raw: RawChild,
    { name, session, sources, stderr, stdout }: SpawnRequest,
    caller: Caller,
    server: Server,
    subjects: { readonly caller: string; readonly own: string },
    forget: () => void,
  ) {
    this.session = session;
    this.name = name;
    this.caller = caller;
    this.sources = sources?.hash;
    this.#raw = raw;
    this.#server = server;
    this.#forget = forget;
    this.#sessions = [LINK_CHANNEL, STDOUT_CHANNEL, STDERR_CHANNEL].map((channel) => {
      const to = `${subjects.caller}.d.${channel}.${session}`;
      const from = `${subjects.own}.d.${channel}.${session}`;
      return new Session({
        connected: () => server.connected,
        send: (message, answerable) => server.publish(to, message, answerable ? from : undefined),
      }, {
        record: channel === LINK_CHANNEL ? this.#receive : (_kind, _body, taken) => taken(),
        reset: () => void this.abandon(),
      });
    });
    let linked = (): void => {};
    const unlinked = new Promise<void>((resolve) => linked = resolve);
    raw.transport.start((bytes) => {
      this.#received = true;
      // A session copies what it sends, so the bytes may be lent.
      return this.#send(LINK_CHANNEL, LINK, bytes);
    }, () => {
      this.#sessions[LINK_CHANNEL].send(CLOSE, []);
      linked();
    });
    const outputs = [
      this.#pump(STDOUT_CHANNEL, raw.stdout, stdout),
      this.#pump(STDERR_CHANNEL, raw.stderr, stderr),
    ];
    this.over = this.#watch(unlinked, outputs);
  }

  /** Handles a message of the caller. */
  receive(channel: number, message: Uint8Array): void {
    this.#sessions[channel]?.receive(message);
  }

  /** Handles a new connection of this agent. */
  resume(): void {
    for (const session of this.#sessions) session.resume();
  }

  async kill(signal: Signal): Promise<boolean> {
    return !this.#ended && await Effect.runPromise(this.#raw.signal(signal));
  }

  /** Kills the child, and forgets it: its caller has given it up. */
  async abandon(): Promise<void> {
    this.#leave();
    await this.kill("SIGKILL");
  }

  #leave(): void {
    this.#left = true;
    this.#stopKeeping();
    for (const session of this.#sessions) session.close();
    this.#forget();
  }

  /** Sends bytes of the child. Returns a Promise if the child must wait before it may send more. */
  #send(channel: number, kind: number, bytes: Uint8Array): Promise<void> | undefined {
    const session = this.#sessions[channel];
    const most = Math.min(MAX_RECORD, this.#server.maxPayload - HEADER);
    for (let at = 0; at < bytes.length; at += most) session.send(kind, [bytes.subarray(at, at + most)]);
    return session.room ? undefined : new Promise((resolve) => session.onRoom(resolve));
  }

  async #pump(channel: number, readable: AsyncIterable<Uint8Array> | null, to: Output): Promise<void> {
    if (to !== "caller") return;
    try {
      if (readable !== null) { for await (const bytes of readable) await this.#send(channel, OUTPUT, bytes); }
    } catch {
      // The stream was cancelled, because the process has ended.
    }
    this.#sessions[channel].send(END, []);
  }

  /** Handles a record of the caller. */
  readonly #receive = (kind: number, body: Uint8Array, taken: () => void): void => {
    if (kind === LINK) {
      this.#unwritten.push([body, taken]);
      if (!this.#writing) this.#write();
      return;
    }
    taken();
    if (kind !== CLOSE) return;
    this.#closing = true;
    if (!this.#writing) this.#raw.transport.close();
  };

  #write(): void {
    const waiting = this.#unwritten;
    if (waiting.length === 0) {
      if (this.#closing) this.#raw.transport.close();
      return;
    }
    this.#unwritten = [];
    this.#writing = true;
    this.#raw.transport.write(waiting.map(([bytes]) => bytes), () => {
      this.#writing = false;
      for (const [, taken] of waiting) taken();
      this.#write();
    });
  }

  /** Tells the caller how the process has ended, after everything that the process has sent. */
  async #watch(unlinked: Promise<void>, outputs: ReadonlyArray<Promise<void>>): Promise<void> {
    const status = statusOf(await this.#raw.ended);
    this.#ended = true;
    const { transport } = this.#raw;
    transport.drained(() => transport.lost());
    await unlinked;
    const left = Promise.withResolvers<void>();
    const stop = after(OUTPUT_LEFT, left.resolve);
    await Promise.race([Promise.all(outputs), left.promise]);
    stop();
    const unserved = status._tag === "Exited" && !this.#received ? await this.#raw.explain(status.code) : undefined;
    await this.#raw.release();
    await Promise.all(outputs);
    if (this.#left) return;
    this.#stopKeeping = after(KEPT, () => this.#leave());
    const record: ExitRecord = unserved === undefined
      ? { status }
      : { status, unserved: { reason: unserved.reason, message: unserved.message } };
    this.#sessions[LINK_CHANNEL].send(EXIT, [encode(record)], () => this.#leave());
  }
}

/** An agent with its connection. */
export class Agent {
  readonly #server: Server;
  readonly #settings: Settings;
  readonly #host: Host;
  readonly #store: SourceStore;
  /** Children whose callers have not heard of their end yet, by session. */
  readonly #runs = new Map<string, Run>();
  readonly #callers = new Map<string, Caller>();
  /** Number of places that are taken. */
  #taken = 0;
  readonly #ending = new Set<Promise<void>>();
  readonly #watching: ReturnType<typeof setInterval>;
  readonly #sweeping: ReturnType<typeof setInterval>;
  #swept: Promise<void> = Promise.resolve();
  #closed = false;
  /** The tasks of durable pools. */
  readonly #work: Work;

  constructor(server: Server, settings: Settings) {
    this.#server = server;
    this.#settings = settings;
    const machine = machineName();
    this.#host = { id: settings.name, name: machine === "unknown" ? `agent ${settings.name}` : machine };
    this.#store = new SourceStore(settings.folder);
    server.onReconnected(() => {
      for (const run of this.#runs.values()) run.resume();
    });
    server.subscribe(`mp.${settings.space}.bid`, (_subject, _data, reply) => {
      if (reply !== undefined && !this.#closed) server.publish(reply, encode(this.#bid));
    });
    server.subscribe(`${this.#own}.>`, this.#receive);
    this.#watching = setInterval(this.#watch, WATCH);
    this.#sweeping = setInterval(this.#sweep, SWEEP);
    const { folder, labels, log, name, slots, space } = settings;
    const inbox = `mp.${space}.r.${name}`;
    this.#work = new Work(new JetStream(server, inbox), {
      space,
      slots,
      folder,
      labels,
      inbox,
      log,
      store: this.#store,
      host: this.#host.name,
      taken: () => this.#taken,
    });
    this.#sweep();
  }

  /** Number of places that are taken: by children of programs, and by tasks of durable pools. */
  get running(): number {
    return this.#taken + this.#work.running;
  }

  /** Finds the durable pools that this agent serves. */
  look(): Promise<void> {
    return this.#work.look();
  }

  /** Kills all children, and tells their callers. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watching);
    clearInterval(this.#sweeping);
    await this.#work.close();
    await Promise.all([...this.#runs.values()].map((run) => run.kill("SIGKILL")));
    await Promise.all([...this.#ending, this.#swept]);
    await this.#server.flush();
    for (const run of [...this.#runs.values()]) await run.abandon();
  }

  get #own(): string {
    return `mp.${this.#settings.space}.a.${this.#settings.name}`;
  }

  get #bid(): Bid {
    const { labels, name, slots } = this.#settings;
    return {
      protocol: PROTOCOL,
      agent: name,
      host: this.#host.name,
      slots,
      free: Math.max(0, slots - this.running),
      labels,
      deno: Deno.version.deno,
    };
  }

  readonly #receive = (subject: ReadonlyArray<string>, data: Uint8Array, reply: string | undefined): void => {
    const [, , , , operation, channel, session] = subject;
    const answer = (value: unknown): void => {
      if (reply !== undefined) this.#server.publish(reply, encode(value));
    };
    switch (operation) {
      case "d": {
        const run = this.#runs.get(session);
        if (run !== undefined) run.receive(Number(channel), data);
        else if (reply !== undefined) this.#server.publish(reply, reset());
        return;
      }
      case "spawn":
        return void this.#start(data).then(answer);
      case "kill": {
        const { session, signal } = decodeRecord<KillRequest>(data);
        const run = this.#runs.get(session);
        if (run === undefined) answer(false);
        else run.kill(signal as Signal).then(answer, () => answer(false));
        return;
      }
      case "probe":
        return answer(true);
      case "bye": {
        const caller = this.#callers.get(decodeRecord<Bye>(data).caller);
        if (caller !== undefined) this.#abandon(caller, "has released its backend");
      }
    }
  };

  async #start(data: Uint8Array): Promise<SpawnReply> {
    const request = readRequest(data);
    const { slots } = this.#settings;
    if (typeof request === "string") return { ok: false, reason: "Incompatible", message: request };
    if (this.#closed || this.running >= slots) return { ok: false, reason: "Full", message: "no place is free" };
    this.#taken++;
    let started = false;
    try {
      const reply = await this.#launch(request);
      started = reply.ok;
      return reply;
    } catch (error) {
      return { ok: false, reason: "Failed", message: (error as Error).message };
    } finally {
      if (!started) this.#taken--;
    }
  }

  async #launch(request: SpawnRequest): Promise<SpawnReply> {
    const { caller, library, main, modules, name, sources } = request;
    const local = sources && await this.#store.lay(sources, (hash, offset) =>
      this.#server.request(
        `mp.${this.#settings.space}.c.${caller}.source`,
        encode({ hash, offset }),
        ANSWER,
      ));
    const cwd = `${this.#settings.folder}/work`;
    Deno.mkdirSync(cwd, { recursive: true });
    const stdio = (to: Output): "pipe" | "inherit" | "null" =>
      to === "caller" ? "pipe" : to === "agent" ? "inherit" : "null";
    const folders = sources === undefined || local === undefined ? [] : [{ original: sources.root, local }];
    const launched = await Effect.runPromise(Effect.either(launch({
      cwd,
      env: request.env,
      clearEnv: true,
      permissions: request.permissions ?? shared(request.inherited),
      v8Flags: request.v8Flags,
      stdout: stdio(request.stdout),
      stderr: stdio(request.stderr),
    }, { name, modules, sources: { folders, library, main } })));
    if (Either.isLeft(launched)) {
      const { message, reason } = launched.left;
      return { ok: false, reason, message };
    }
    const raw = launched.right;
    const of = this.#caller(request);
    const subjects = { caller: `mp.${this.#settings.space}.c.${caller}`, own: this.#own };
    const run = new Run(raw, request, of, this.#server, subjects, () => {
      this.#runs.delete(run.session);
      of.children.delete(run);
      if (of.children.size === 0 && this.#callers.get(of.name) === of) this.#callers.delete(of.name);
    });
    this.#runs.set(run.session, run);
    of.children.add(run);
    this.#settings.log(`${name} (pid ${raw.pid}) was started for the program ${caller}`);
    const over = run.over.finally(() => {
      this.#ending.delete(over);
    });
    raw.ended.then(() => this.#taken--);
    this.#ending.add(over);
    return { ok: true, pid: raw.pid, agentPid: Deno.pid, host: this.#host, local };
  }

  #caller({ caller: name, lease, lostAfter }: SpawnRequest): Caller {
    let caller = this.#callers.get(name);
    if (caller === undefined) {
      const now = performance.now();
      caller = {
        name,
        children: new Set(),
        lease,
        lostAfter,
        confirmed: now,
        pinged: now,
        absent: undefined,
        pinging: false,
      };
      this.#callers.set(name, caller);
    }
    return caller;
  }

  readonly #sweep = (): void => {
    const used = new Set([
      ...this.#work.sources,
      ...[...this.#runs.values()].flatMap(({ sources }) => sources === undefined ? [] : [sources]),
    ]);
    this.#swept = this.#store.sweep(this.#settings.keep, used).catch((error) =>
      this.#settings.log(`old sources cannot be removed: ${(error as Error).message}`)
    );
  };

  readonly #watch = (): void => {
    const now = performance.now();
    const { connected, since } = this.#server;
    for (const caller of this.#callers.values()) {
      const { absent, confirmed, lease, lostAfter } = caller;
      if (now - confirmed > lease) this.#abandon(caller, `has not answered for ${lease} ms`);
      else if (!connected && now - since > lostAfter - MARGIN) {
        this.#abandon(
          caller,
          `may have given its children up: there was no connection for ${Math.round(now - since)} ms`,
        );
      } else if (connected && absent !== undefined && now - Math.max(absent, since) > lostAfter) {
        this.#abandon(caller, "is gone");
      } else if (connected && !caller.pinging && now - caller.pinged >= PING) void this.#ping(caller);
    }
  };

  async #ping(caller: Caller): Promise<void> {
    caller.pinging = true;
    const sent = caller.pinged = performance.now();
    try {
      const subject = `mp.${this.#settings.space}.c.${caller.name}.ping`;
      await this.#server.request(subject, encode({ agent: this.#settings.name }), ANSWER);
      caller.confirmed = sent;
      caller.absent = undefined;
    } catch (error) {
      if (error instanceof NoResponders) caller.absent ??= performance.now();
    } finally {
      caller.pinging = false;
    }
  }

  #abandon(caller: Caller, why: string): void {
    this.#settings.log(`the program ${caller.name} ${why}: ${caller.children.size} processes are killed`);
    this.#callers.delete(caller.name);
    for (const run of [...caller.children]) void run.abandon();
  }
}
