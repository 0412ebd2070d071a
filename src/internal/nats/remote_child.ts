/**
 * The caller's side of a child of an agent: its sessions, as the transport of its link and as its output.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Signal } from "../../Backend.ts";
import type { Output } from "../../NatsBackend.ts";
import type { RawChild } from "../child/backends/adopt.ts";
import { SpawnError } from "../child/errors.ts";
import { after } from "../os/timer.ts";
import type { WatchedTransport } from "../transport/transport.ts";
import {
  CLOSE,
  decode,
  EXIT,
  type ExitRecord,
  LINK,
  LINK_CHANNEL,
  MAX_RECORD,
  OUTPUT,
  STDERR_CHANNEL,
  STDOUT_CHANNEL,
} from "./protocol.ts";
import { HEADER, Session } from "./session.ts";
import type { Server } from "./server.ts";

/** The number of collected bytes from which they leave at once, without waiting for the end of the turn. */
const COLLECTED = 64 * 1024;

/** How long output that is on its way is waited for, in milliseconds. */
const OUTPUT_LEFT = 2000;

/** Interval between attempts to send a signal, in milliseconds. */
const AGAIN = 250;

type End = Awaited<RawChild["ended"]>;

/** Options of {@link RemoteChild}. */
export interface Options {
  readonly server: Server;
  /** The subject for records, to which the channel and the session are appended. */
  readonly records: string;
  /** The subject for the answers of an agent that does not know the session. */
  readonly answers: string;
  readonly session: string;
  readonly host: () => string;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Asks the agent to send a signal. Rejects if there is no answer. */
  readonly kill: (signal: Signal) => Promise<boolean>;
  /** The child has ended, or is lost. */
  readonly onEnd: () => void;
  /** No more messages of the child are needed. */
  readonly onRelease: () => void;
}

/** A child of an agent. */
export class RemoteChild {
  readonly transport: WatchedTransport;
  readonly stdout: AsyncIterable<Uint8Array> | null;
  readonly stderr: AsyncIterable<Uint8Array> | null;
  readonly #options: Options;
  readonly #sessions: ReadonlyArray<Session>;
  readonly #ended = Promise.withResolvers<End>();
  readonly #outputs: ReadonlyArray<Outlet>;
  #isOver = false;
  #unserved: ExitRecord["unserved"];
  /** Bytes that come before the link is made. */
  readonly #early: Array<readonly [bytes: Uint8Array, taken: () => void]> = [];
  #data: ((bytes: Uint8Array) => void) | undefined;
  #finish: (reason?: Error) => void = () => {};
  #collected: Array<Uint8Array> = [];
  #size = 0;
  #handed: Array<() => void> = [];
  #scheduled = false;

  constructor(options: Options) {
    this.#options = options;
    const outlet = (where: Options["stdout"], own: typeof Deno.stdout): Outlet =>
      where === "inherit" ? new OwnOutlet(own) : new PipeOutlet();
    const [stdout, stderr] = this.#outputs = [
      outlet(options.stdout, Deno.stdout),
      outlet(options.stderr, Deno.stderr),
    ];
    this.stdout = options.stdout === "pipe" ? (stdout as PipeOutlet).bytes() : null;
    this.stderr = options.stderr === "pipe" ? (stderr as PipeOutlet).bytes() : null;
    this.#sessions = [
      this.#session(LINK_CHANNEL, this.#receive),
      this.#session(STDOUT_CHANNEL, stdout.receive),
      this.#session(STDERR_CHANNEL, stderr.receive),
    ];
    this.transport = {
      eager: true,
      write: this.#write,
      flush: this.#flush,
      start: (data, end) => {
        this.#data = data;
        this.#finish = end;
        for (const [bytes, taken] of this.#early.splice(0)) {
          data(bytes);
          taken();
        }
      },
      close: () => {
        this.#flush();
        this.#sessions[LINK_CHANNEL].send(CLOSE, []);
      },
      lost: (reason) => {
        const finish = this.#finish;
        this.#finish = () => {};
        finish(reason);
      },
      // The end of the child is the last record.
      drained: (done) => done(),
    };
  }

  /** Whether the child has ended, as far as the caller knows. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The child as {@link RawChild}. */
  raw(pid: number): RawChild {
    const { stderr, stdout, transport } = this;
    return {
      pid,
      transport,
      stdout,
      stderr,
      ended: this.#ended.promise,
      signal: (name) => Effect.promise(() => this.#signal(name)),
      explain: () => {
        const why = this.#unserved;
        return Promise.resolve(why === undefined ? undefined : new SpawnError(why));
      },
      release: async () => {
        // What was written before the end is on its way.
        const stop = after(OUTPUT_LEFT, () => this.#outputs.forEach((output) => output.release()));
        await Promise.all(this.#outputs.map(({ finished }) => finished));
        stop();
        this.#forget();
      },
    };
  }

  /** Handles a message of the agent. */
  receive(channel: number, message: Uint8Array): void {
    this.#sessions[channel]?.receive(message);
  }

  /** Handles a new connection of this program. */
  resume(): void {
    for (const session of this.#sessions) session.resume();
  }

  /** The agent does not have the child any more, or is not heard any more. */
  lose(message: string): void {
    this.#end({ _tag: "Lost", host: this.#options.host(), message });
    for (const output of this.#outputs) output.release();
  }

  /** Forgets a child that was not started. */
  drop(): void {
    this.lose("it was not started");
    this.#forget();
  }

  #forget(): void {
    for (const session of this.#sessions) session.close();
    this.#options.onRelease();
  }

  #session(channel: number, record: (kind: number, body: Uint8Array, taken: () => void) => void): Session {
    const { answers, records, server, session } = this.#options;
    const subject = `${records}.${channel}.${session}`;
    return new Session({
      connected: () => server.connected,
      send: (message, answerable) =>
        server.publish(subject, message, answerable ? `${answers}.${channel}.${session}` : undefined),
    }, { record, reset: () => this.lose("its agent does not have it any more") });
  }

  readonly #receive = (kind: number, body: Uint8Array, taken: () => void): void => {
    if (kind === LINK && this.#data === undefined) this.#early.push([body, taken]);
    else {
      if (kind === LINK) this.#data?.(body);
      taken();
      if (kind === CLOSE) this.transport.lost();
      if (kind === EXIT) this.#exited(decode<ExitRecord>(body));
    }
  };

  #exited({ status, unserved }: ExitRecord): void {
    this.#unserved = unserved;
    this.#end(
      status._tag === "Signaled" ? { code: undefined, signal: status.signal } : { code: status.code, signal: null },
    );
  }

  #end(how: End & object): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onEnd();
    this.#ended.resolve(how);
  }

  async #signal(name: Signal): Promise<boolean> {
    while (!this.#isOver) {
      try {
        return await this.#options.kill(name);
      } catch {
        // Without an answer, the child is either ended by the signal or lost later.
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    return false;
  }

  readonly #write = (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void): void => {
    if (handed !== undefined) this.#handed.push(handed);
    this.#size += chunks.reduce((size, { length }) => size + length, 0);
    if (this.#size > COLLECTED) {
      // A session copies what it sends.
      this.#collected.push(...chunks);
      this.#flush();
    } else {
      for (const chunk of chunks) this.#collected.push(chunk.slice());
      if (!this.#scheduled) {
        this.#scheduled = true;
        queueMicrotask(this.#flush);
      }
    }
    this.#sessions[LINK_CHANNEL].onRoom(done);
  };

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#size === 0) return;
    const handed = this.#handed;
    const acknowledged = handed.length === 0 ? undefined : (): void => {
      for (const run of handed) run();
    };
    const records = divided(this.#collected, Math.min(MAX_RECORD, this.#options.server.maxPayload - HEADER));
    this.#collected = [];
    this.#handed = [];
    this.#size = 0;
    const last = records.length - 1;
    records.forEach((parts, i) =>
      this.#sessions[LINK_CHANNEL].send(LINK, parts, i === last ? acknowledged : undefined)
    );
  };
}

/** Divides bytes into records of at most `most` bytes. */
const divided = (parts: ReadonlyArray<Uint8Array>, most: number): ReadonlyArray<ReadonlyArray<Uint8Array>> => {
  const records: Array<Array<Uint8Array>> = [[]];
  let room = most;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      if (room === 0) {
        records.push([]);
        room = most;
      }
      const taken = part.subarray(at, at + room);
      records[records.length - 1].push(taken);
      at += taken.length;
      room -= taken.length;
    }
  }
  return records;
};

/** Where the output of a child comes out. */
interface Outlet {
  readonly receive: (kind: number, body: Uint8Array, taken: () => void) => void;
  /** Ends the output, of which no more will come. */
  readonly release: () => void;
  readonly finished: Promise<void>;
}

/** Output that the program reads as a Stream. It is taken when it is read. */
class PipeOutlet implements Outlet {
  /** What is not read may be dropped. */
  readonly finished: Promise<void> = Promise.resolve();
  readonly #items: Array<readonly [body: Uint8Array, taken: () => void]> = [];
  #over = false;
  #wake: () => void = () => {};

  readonly receive = (kind: number, body: Uint8Array, taken: () => void): void => {
    if (kind === OUTPUT) this.#items.push([body, taken]);
    else {
      taken();
      this.#over = true;
    }
    this.#wake();
  };

  readonly release = (): void => {
    this.#over = true;
    this.#wake();
  };

  async *bytes(): AsyncIterable<Uint8Array> {
    while (true) {
      const item = this.#items.shift();
      if (item !== undefined) {
        item[1]();
        yield item[0];
      } else if (this.#over) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** Output that goes to that of this program. It is taken when it is written. */
class OwnOutlet implements Outlet {
  readonly #to: typeof Deno.stdout;
  readonly #over = Promise.withResolvers<void>();
  #writing: Promise<void> = Promise.resolve();

  constructor(to: typeof Deno.stdout) {
    this.#to = to;
  }

  get finished(): Promise<void> {
    return this.#over.promise;
  }

  readonly receive = (kind: number, body: Uint8Array, taken: () => void): void => {
    if (kind === OUTPUT) {
      this.#writing = this.#write(this.#writing, body, taken);
      return;
    }
    taken();
    this.release();
  };

  readonly release = (): void => {
    this.#writing.then(() => this.#over.resolve());
  };

  async #write(before: Promise<void>, body: Uint8Array, taken: () => void): Promise<void> {
    await before;
    try {
      for (let at = 0; at < body.length;) at += await this.#to.write(body.subarray(at));
    } catch {
      // The output of this program is closed: what a child writes is dropped, as it would be with a child on this machine.
    }
    taken();
  }
}
