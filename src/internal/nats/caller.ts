/**
 * A program that starts children on other machines: it finds agents with places, and knows which of them it still hears.
 *
 * An agent keeps the children of a caller while the caller answers its pings; see `agent.ts`. The caller counts from its answers,
 * the agent from its pings, which were sent before them: the agent therefore ends the children before the caller gives them up.
 *
 * @module
 */
import type * as NatsBackend from "../../NatsBackend.ts";
import type { Command, Permissions, Signal, SpawnError as Failure } from "../../Backend.ts";
import type { RawChild } from "../child/backends/adopt.ts";
import { SpawnError } from "../child/errors.ts";
import { library, mainModule } from "../child/modules.ts";
import { inherited } from "../child/permissions.ts";
import type { Host } from "../os/place.ts";
import { after } from "../os/timer.ts";
import {
  type Bid,
  type Bye,
  decode,
  decodeRecord,
  encode,
  type KillRequest,
  type Output,
  type Ping,
  PROTOCOL,
  randomName,
  type SourceRequest,
  type SpawnReply,
  type SpawnRequest,
} from "./protocol.ts";
import { RemoteChild } from "./remote_child.ts";
import { HEADER, reset } from "./session.ts";
import { NoResponders, type Server } from "./server.ts";
import { Sources } from "./sources.ts";

/** Interval of looking after the agents, in milliseconds. */
const WATCH = 250;

/** The time without a ping after which an agent is asked whether it is there, in milliseconds. */
const SILENT = 1000;

/** How much longer than an agent its caller counts, in milliseconds. */
const MARGIN = 1000;

/** How long after the first answer with a place further answers are waited for, in milliseconds. */
const FURTHER = 4;

/** How long a list of all agents may take, in milliseconds. */
const ALL = 300;

/** How long one question for places may take, in milliseconds. */
const UNANSWERED = 1000;

/** The pause between questions for places, in milliseconds. */
const PAUSE = 200;

/** How long an agent may take to start a child whose sources it may have to fetch, in milliseconds. */
const START = 60_000;

/** How long the answer to a signal or a probe may take, in milliseconds. */
const ANSWER = 2000;

/** Settings of a caller. Times are in milliseconds. */
export interface Settings {
  readonly space: string;
  readonly name: string;
  readonly labels: ReadonlyArray<string>;
  readonly permissions: Permissions | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly v8Flags: ReadonlyArray<string>;
  readonly include: ReadonlyArray<string>;
  readonly lease: number;
  readonly lostAfter: number;
  readonly placeTimeout: number;
  readonly stdout: NatsBackend.Output;
  readonly stderr: NatsBackend.Output;
}

/** A child that an agent has started, with its place. */
export interface Started {
  readonly raw: RawChild;
  readonly guardPid: number;
  readonly host: Host;
  readonly folder: { readonly original: string; readonly local: string } | undefined;
  readonly main: string;
}

/** An agent that runs children of this caller. */
interface Agent {
  readonly name: string;
  readonly host: string;
  readonly children: Set<RemoteChild>;
  /** When the agent has pinged last; see `performance.now`. */
  heard: number;
  /** Whether nobody listens to its subjects, as the server says. */
  absent: boolean;
  probing: boolean;
  /** Number of children that the agent was asked to start and that it has not started yet. */
  starting: number;
}

const failed = (reason: Failure["reason"], message: string, cause?: unknown): SpawnError =>
  new SpawnError({ reason, message: `Cannot start a process on another machine: ${message}`, cause });

const carried = (destination: NatsBackend.Output): Output =>
  destination === "agent" || destination === "null" ? destination : "caller";

/** Waits for some time, or until the signal. */
const pause = (millis: number, abort: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      stop();
      abort.removeEventListener("abort", end);
      resolve();
    };
    const stop = after(millis, end);
    abort.addEventListener("abort", end);
  });

/** A program with its connection. */
export class Caller {
  readonly #server: Server;
  readonly #settings: Settings;
  readonly #sources: Sources;
  readonly #name: string;
  readonly #children = new Map<string, RemoteChild>();
  readonly #agents = new Map<string, Agent>();
  readonly #gathering = new Map<string, (bid: Bid) => void>();
  #questions = 0;
  #closed = false;
  #watching: ReturnType<typeof setInterval> | undefined;

  constructor(server: Server, settings: Settings) {
    this.#server = server;
    this.#settings = settings;
    this.#name = settings.name;
    this.#sources = new Sources(settings.include);
    server.subscribe(`${this.#own}.>`, this.#receive);
    server.onReconnected(() => {
      for (const child of this.#children.values()) child.resume();
    });
  }

  /** Gives up all children, and tells their agents. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watching);
    const bye: Bye = { caller: this.#name };
    for (const { name } of this.#agents.values()) this.#server.publish(`${this.#at(name)}.bye`, encode(bye));
    await this.#server.flush();
    for (const child of this.#children.values()) child.lose("the backend was released");
  }

  /** All agents of the space that answer. */
  async agents(abort: AbortSignal): Promise<ReadonlyArray<Bid>> {
    const bids = await this.#ask(ALL, () => false, abort);
    return bids.filter(({ labels }) => this.#settings.labels.every((label) => labels.includes(label)));
  }

  /** Starts a child on the machine with the largest part of its places free. Rejects with a `SpawnError`. */
  async start(command: Command, abort: AbortSignal): Promise<Started> {
    const { placeTimeout } = this.#settings;
    const main = mainModule(command.modules);
    const sources = await this.#sources.list(main, command.modules);
    const deadline = performance.now() + placeTimeout;
    let refusal = failed(
      "NoAgent",
      `no agent of the space "${this.#settings.space}" has answered; start one: see NatsBackend`,
    );
    while (!abort.aborted) {
      if (this.#closed) throw failed("Failed", "the scope of its NatsBackend has closed");
      const bids = await this.#ask(UNANSWERED, ({ free, protocol }) => free > 0 && protocol === PROTOCOL, abort);
      const usable = bids.filter(({ labels, protocol }) =>
        protocol === PROTOCOL && this.#settings.labels.every((label) => labels.includes(label))
      );
      const best = usable.filter((bid) =>
        this.#free(bid) > 0
      ).sort((a, b) => this.#free(b) / b.slots - this.#free(a) / a.slots)[0];
      if (best !== undefined && !abort.aborted) {
        const started = await this.#startAt(best, this.#request(command, main, sources));
        if (!(started instanceof SpawnError)) {
          return {
            ...started,
            main,
            folder: started.local === undefined || sources === undefined
              ? undefined
              : { original: sources.root, local: started.local },
          };
        }
        if (started.reason !== "Full") {
          throw started;
        }
        refusal = started;
      } else if (usable.length > 0) {
        refusal = failed("Full", `none of the ${usable.length} agents has a free place`);
      } else if (bids.length > 0) {
        refusal = this.#unusable(bids);
      }
      if (performance.now() > deadline) {
        break;
      }
      if (!abort.aborted) {
        await pause(PAUSE, abort);
      }
    }
    throw refusal;
  }

  get #own(): string {
    return `mp.${this.#settings.space}.c.${this.#name}`;
  }

  #at(agent: string): string {
    return `mp.${this.#settings.space}.a.${agent}`;
  }

  #free({ agent, free }: Bid): number {
    return free - (this.#agents.get(agent)?.starting ?? 0);
  }

  #unusable(bids: ReadonlyArray<Bid>): SpawnError {
    const other = bids.find(({ protocol }) => protocol !== PROTOCOL);
    return other === undefined
      ? failed("NoAgent", `none of the ${bids.length} agents has the labels ${this.#settings.labels.join(", ")}`)
      : failed(
        "Incompatible",
        `the agent on ${other.host} speaks version ${other.protocol} of the protocol, this program version ${PROTOCOL}; run the same version of the library`,
      );
  }

  /** Asks for places, and gathers the answers until soon after one that is `good`, or until the fiber is interrupted. */
  #ask(limit: number, good: (bid: Bid) => boolean, abort: AbortSignal): Promise<ReadonlyArray<Bid>> {
    const question = `${++this.#questions}`;
    const bids: Array<Bid> = [];
    return new Promise((resolve) => {
      const end = (): void => {
        stopLast();
        stopSoon?.();
        abort.removeEventListener("abort", end);
        this.#gathering.delete(question);
        resolve(bids);
      };
      let stopSoon: (() => void) | undefined;
      const stopLast = after(limit, end);
      abort.addEventListener("abort", end);
      this.#gathering.set(question, (bid) => {
        bids.push(bid);
        if (stopSoon === undefined && good(bid)) stopSoon = after(FURTHER, end);
      });
      this.#server.publish(`mp.${this.#settings.space}.bid`, encode(null), `${this.#own}.bid.${question}`);
    });
  }

  #request(command: Command, main: string, sources: SpawnRequest["sources"]): Omit<SpawnRequest, "session"> {
    const { env, lease, lostAfter, permissions, stderr, stdout, v8Flags } = this.#settings;
    return {
      protocol: PROTOCOL,
      caller: this.#name,
      name: command.name,
      modules: command.modules,
      library,
      main,
      permissions: command.permissions ?? permissions,
      inherited: inherited(),
      env,
      v8Flags,
      sources,
      stdout: carried(stdout),
      stderr: carried(stderr),
      lease,
      lostAfter,
    };
  }

  async #startAt(
    { agent: name, host }: Bid,
    request: Omit<SpawnRequest, "session">,
  ): Promise<Omit<Started, "folder" | "main"> & { readonly local: string | undefined } | SpawnError> {
    const session = randomName();
    const at = this.#at(name);
    const agent = this.#agent(name, host);
    const kill = async (signal: Signal): Promise<boolean> => {
      const request: KillRequest = { session, signal };
      return decode<boolean>(await this.#server.request(`${at}.kill`, encode(request), ANSWER));
    };
    const child = new RemoteChild({
      server: this.#server,
      records: `${at}.d`,
      answers: `${this.#own}.d`,
      session,
      host: () => host,
      stdout: this.#settings.stdout,
      stderr: this.#settings.stderr,
      kill,
      onEnd: () => this.#leave(agent, child),
      onRelease: () => this.#children.delete(session),
    });
    this.#children.set(session, child);
    agent.children.add(child);
    agent.starting++;
    let reply: SpawnReply;
    try {
      reply = decode<SpawnReply>(await this.#server.request(`${at}.spawn`, encode({ ...request, session }), START));
    } catch (error) {
      // The agent may start the child all the same: it learns that nobody knows it.
      child.drop();
      return failed("Full", `the agent on ${host} does not answer`, error);
    } finally {
      agent.starting--;
    }
    if (!reply.ok) {
      child.drop();
      return failed(reason(reply.reason), `the agent on ${host}: ${reply.message}`);
    }
    agent.heard = performance.now();
    return { raw: child.raw(reply.pid), guardPid: reply.agentPid, host: reply.host, local: reply.local };
  }

  #agent(name: string, host: string): Agent {
    let agent = this.#agents.get(name);
    if (agent === undefined) {
      agent = { name, host, children: new Set(), heard: performance.now(), absent: false, probing: false, starting: 0 };
      this.#agents.set(name, agent);
    }
    this.#watching ??= setInterval(this.#watch, WATCH);
    return agent;
  }

  #leave(agent: Agent, child: RemoteChild): void {
    agent.children.delete(child);
    if (agent.children.size > 0) return;
    this.#agents.delete(agent.name);
    if (this.#agents.size > 0) return;
    clearInterval(this.#watching);
    this.#watching = undefined;
  }

  readonly #receive = (subject: ReadonlyArray<string>, data: Uint8Array, reply: string | undefined): void => {
    const [, , , , operation, first, second] = subject;
    switch (operation) {
      case "d": {
        const child = this.#children.get(second);
        if (child !== undefined) return child.receive(Number(first), data);
        if (reply !== undefined) this.#server.publish(reply, reset());
        return;
      }
      case "bid":
        return this.#gathering.get(first)?.(decodeRecord<Bid>(data));
      case "ping": {
        const agent = this.#agents.get(decodeRecord<Ping>(data).agent);
        if (agent === undefined) return;
        agent.heard = performance.now();
        agent.absent = false;
        if (reply !== undefined) this.#server.publish(reply, encode(true));
        return;
      }
      case "source": {
        if (reply === undefined) return;
        const { hash, offset } = decodeRecord<SourceRequest>(data);
        const most = this.#server.maxPayload - HEADER;
        this.#server.publish(reply, this.#sources.part(hash, offset, most) ?? new Uint8Array());
      }
    }
  };

  readonly #watch = (): void => {
    const now = performance.now();
    const { lease, lostAfter } = this.#settings;
    for (const agent of this.#agents.values()) {
      const silent = now - agent.heard;
      // An agent pings programs whose children it runs.
      const isPinging = agent.children.size > agent.starting;
      if (isPinging && silent > lease + MARGIN) {
        this.#lose(agent, `the agent on ${agent.host} was not heard for ${Math.round(silent)} ms`);
      } else if (
        agent.absent && this.#server.connected &&
        now - Math.max(agent.heard, this.#server.since) > lostAfter
      ) {
        this.#lose(agent, `the agent on ${agent.host} is gone`);
      } else if (silent > SILENT && !agent.probing && this.#server.connected) void this.#probe(agent);
    }
  };

  async #probe(agent: Agent): Promise<void> {
    agent.probing = true;
    try {
      await this.#server.request(`${this.#at(agent.name)}.probe`, encode(null), ANSWER);
      agent.absent = false;
    } catch (error) {
      if (error instanceof NoResponders) agent.absent = true;
    } finally {
      agent.probing = false;
    }
  }

  #lose(agent: Agent, message: string): void {
    for (const child of agent.children) child.lose(message);
  }
}

const reasons: ReadonlyArray<Failure["reason"]> = [
  "PermissionDenied",
  "PermissionExceeded",
  "NotFound",
  "Full",
  "Incompatible",
  "Failed",
];

/** The reason that an agent has given, if it is one. */
const reason = (given: string): Failure["reason"] => reasons.find((known) => known === given) ?? "Failed";
