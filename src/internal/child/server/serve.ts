/**
 * The child's side: receives requests, finds the tasks and runs them.
 *
 * Free of Effect until a handler, a Schema or a value needs it: then `effects.ts` is loaded, once. Deno does not follow its
 * address before that; see `everything.ts`.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import { EncodeError } from "../../codec/errors.ts";
import { type ExitData, writeExit } from "../../codec/exits.ts";
import * as Foreign from "../../codec/foreign.ts";
import { isEffect, isPromise, isStream } from "../../codec/programs.ts";
import { SmallSet } from "../../os/small.ts";
import { type ChildNotice, introduce, type Notice, self } from "../../rpc/identity.ts";
import { type Channel, Link, type LinkClosed, type Receiver } from "../../rpc/link.ts";
import * as Router from "../../rpc/router.ts";
import { ProtocolError, type Transport } from "../../transport/frames.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../../codec/message.ts";
import { words } from "../../os/atomics.ts";
import { afterWithoutNode } from "../../os/deno_workarounds.ts";
import type { Token } from "../../os/mapping.ts";
import type { PortTransport } from "../../transport/transport.ts";
import { type Definition, lookup } from "../tasks.ts";
import * as Answers from "./answers.ts";
import type { Effects } from "./effects.ts";
import * as Modules from "../modules.ts";
import {
  addCredit,
  type BatchProgress,
  type OpenRequest,
  openRequest,
  RequestLine,
  TRIAL,
  trial,
} from "./open_requests.ts";
import * as Output from "./output.ts";
import * as Refusals from "../refusals.ts";
import * as Request from "../request.ts";

/** The functions that the entry module of a backend provides. */
export interface Host {
  readonly transport: Transport;
  /** The transport, if it is a port. */
  readonly port?: PortTransport;
  /** Effects will run from now on: a signal that ends the child must let their finalizers run. */
  readonly onEffects?: () => void;
  /** A module of the user's has been loaded, and has added its listeners for errors. */
  readonly onLoaded?: () => void;
  /** The parent has said which process the system should know as the parent of this one. */
  readonly onParent?: (pid: number) => void;
  /** Loads the list of the kinds of handles. */
  readonly loadKinds: () => Promise<unknown>;
  /** Ends this child. */
  readonly exit: (code: number) => void;
}

/** How long finalizers may take when the parent is gone, in milliseconds. */
const GRACE_PERIOD = 5000;

/** A task that the parent has named, with its definition when the module has loaded. */
interface Entry extends Request.TaskRef {
  definition: Definition | undefined;
  loading: Promise<void> | undefined;
}

/** The property of the global object in which Effect keeps its state. */
const EFFECT = "effect/GlobalValue";

const importEffects = (): Promise<typeof import("./effects.ts")> => import(Modules.own("./effects.ts", import.meta));

const importMapping = (): Promise<typeof import("../../os/mapping.ts")> =>
  import(Modules.own("../../os/mapping.ts", import.meta));

/** A native Promise with the result of any thenable. */
const adopted = (value: PromiseLike<unknown>): Promise<unknown> => new Promise((resolve) => resolve(value));

/** Takes the result so far, of which only the place is needed any more. */
const takeLast = (results: Array<unknown>): unknown => {
  const last = results.length - 1;
  const value = results[last];
  results[last] = undefined;
  return value;
};

/** The exit of a list of calls of which one has failed. */
const stopped = (mode: number, results: ReadonlyArray<unknown>, exit: ExitData): ExitData =>
  mode === Request.MAP_UNTIL ? { _tag: "Success", value: { results, exit } satisfies Request.Part } : exit;

/** Whether the answer to a request is a failure, by its exit, and by the reason why that cannot be sent. */
const hasFailed = ({ request: { mode, settled } }: OpenRequest, exit: ExitData, error: unknown): boolean => {
  if (exit._tag !== "Success") return true;
  return !settled && (error !== undefined || mode === Request.MAP_UNTIL && !Array.isArray(exit.value));
};

const failed = (defect: unknown): ExitData => ({ _tag: "Failure", cause: { _tag: "Die", defect, trace: [] } });

/** A running child. */
export class ChildServer {
  readonly #host: Host;
  readonly #link: Link;
  readonly #entries = new Map<number, Entry>();
  /** URLs of the modules that were loaded before a request needed them. */
  readonly #preloaded = new Set<string>();
  readonly #requests = new SmallSet<OpenRequest>();
  /** The requests that run one after the other. */
  readonly #line = new RequestLine();
  #effects: Effects | undefined;
  #loadingEffects: Promise<Effects> | undefined;
  #ending = false;

  /** Serves the parent until it is gone. */
  constructor(host: Host) {
    Output.watch();
    this.#host = host;
    this.#link = new Link(host.transport, {
      side: "child",
      maxMessageSize: MAX_MESSAGE_SIZE,
      onOpen: this.#open,
      onDefine: this.#define,
      onClosed: this.#closed,
    });
    this.#link.onNotice = this.#receive;
    this.#link.notify({ serving: true } satisfies ChildNotice);
  }

  /** Ends the child in good order: running tasks are interrupted, layers released, answers sent. */
  readonly shutdown = (code: number): void => this.#shutdown(code, false);

  /** Ends the child for an uncaught error, which is reported to the parent. */
  readonly crash = (error: unknown): void => {
    Foreign.report(`${self().name}: uncaught`, error);
    this.#link.notify({ crashed: Foreign.summary(error) } satisfies ChildNotice);
    Router.flush();
    this.#leave(1);
  };

  /** Sends the answers that were given, and drops all later ones. */
  readonly mute = (): void => {
    Router.flush();
    this.#link.mute();
  };

  // The parent's messages

  readonly #receive = (data: unknown): void => {
    const notice = data as Notice;
    introduce(notice);
    if (notice.address !== undefined) Router.settle(notice.address, this.#link, this.#host.port);
    if (notice.maxMessageSize !== undefined) this.#link.limit(notice.maxMessageSize);
    if (notice.parent !== undefined) this.#host.onParent?.(notice.guardPid ?? notice.parent.pid);
    if (notice.preload !== undefined) void this.#preload(notice.preload);
  };

  readonly #define = (id: number, message: Incoming): void => {
    const [url, name] = Codec.decode(message.bytes, { attachments: [], hooks: [], link: this.#link }) as [
      string,
      string,
    ];
    const definition = this.#preloaded.has(url) ? lookup(url, name) : undefined;
    this.#entries.set(id, { url, name, definition, loading: undefined });
  };

  readonly #open = (channel: Channel, message: Incoming): Receiver => {
    if (message.bytes[0] === Router.OBJECT) return Router.receive(channel, message);
    if (message.bytes[0] === Request.PROBE) return this.#probe(channel);
    if (message.bytes[0] === Request.RING) return this.#useRing(channel, message);
    const request = Request.read(message.bytes);
    const entry = request && this.#entries.get(request.task);
    if (request === undefined || entry === undefined) {
      throw new ProtocolError("Cannot read from the peer: a request for a task that it has not named");
    }
    const open = openRequest(channel, request, message.attachments);
    this.#requests.add(open);
    if (request.queued) this.#line.add(open, () => this.#start(open, entry), () => this.#drop(open));
    else this.#start(open, entry);
    return {
      cancel: () => this.#cancel(open),
      credit: (count) => addCredit(open, count),
      closed: () => this.#cancel(open),
    };
  };

  readonly #closed = ({ cause }: LinkClosed): void => {
    if (cause instanceof ProtocolError) console.error(`${self().name}: ${cause.message}`);
    this.#shutdown(cause instanceof ProtocolError ? 1 : 0, false);
  };

  #cancel(open: OpenRequest): void {
    open.cancelled = true;
    if (this.#line.leave(open)) void this.#reply(open, Refusals.interrupted);
    else open.onCancel?.();
  }

  #probe(channel: Channel): Receiver {
    const { heapUsed, rss } = Deno.memoryUsage();
    // The resident memory of a thread is that of all threads of its process.
    const value = self().backend === "worker" ? heapUsed : rss;
    channel.exit((writer) => writeExit(writer, { _tag: "Success", value }, []));
    return { closed: () => {} };
  }

  /** Uses the memory that the parent offers for the tickets of requests, if this process can map it. */
  #useRing(channel: Channel, message: Incoming): Receiver {
    const token = Codec.decode(message.bytes.subarray(1), { link: this.#link }) as Token;
    const answer = (value: boolean): void =>
      channel.exit((writer) => writeExit(writer, { _tag: "Success", value }, []));
    importMapping().then(({ map }) => this.#line.ring = words(map(token).buffer))
      .then(() => answer(true), () => answer(false));
    return { closed: () => {} };
  }

  /** The parent has taken a request back. */
  #drop(open: OpenRequest): void {
    this.#requests.delete(open);
    open.channel.forget();
  }

  // Loading

  #loadEffects(): Promise<Effects> {
    return this.#loadingEffects ??= Promise.all([importEffects(), this.#host.loadKinds()]).then(([module]) => {
      this.#effects = module.make(this.#link);
      this.#link.hooks = this.#effects.hooks;
      this.#host.onEffects?.();
      return this.#effects;
    });
  }

  #load(entry: Entry): Promise<void> {
    return entry.loading ??= (async () => {
      try {
        await Modules.load(entry.url);
      } catch (error) {
        Refusals.withoutFrames(error, import.meta.url);
        throw Refusals.loadError(entry, error);
      }
      this.#host.onLoaded?.();
      entry.definition = lookup(entry.url, entry.name);
      if (entry.definition === undefined) throw Refusals.notDefined(entry);
    })();
  }

  async #preload(urls: ReadonlyArray<string>): Promise<void> {
    const failures: Array<{ url: string; error: unknown }> = [];
    for (const url of urls) {
      try {
        await Modules.load(url);
        this.#preloaded.add(url);
      } catch (error) {
        failures.push({ url, error: Foreign.messageOf(error) });
      }
    }
    this.#host.onLoaded?.();
    // A module that has loaded Effect has tasks that need it.
    if (EFFECT in globalThis) await this.#loadEffects().catch(() => {});
    this.#try();
    this.#link.notify({ ready: { failures } } satisfies ChildNotice);
  }

  /** Runs a request that nobody has made, unless somebody has made one already; see {@link trial}. */
  #try(): void {
    if (this.#requests.size > 0 || this.#ending) return;
    const { channel, message } = trial(this.#link);
    const definition: Definition = { handler: () => 0, options: {} };
    this.#entries.set(TRIAL, { url: "", name: "", definition, loading: undefined });
    this.#open(channel, message);
    this.#entries.delete(TRIAL);
  }

  // Running

  /** Begins a request, at once if everything that it needs was loaded before. */
  #start(open: OpenRequest, entry: Entry): void {
    const { attachments, request } = open;
    const payload = { bytes: request.payload, attachments };
    const loading = Codec.requires(request.payload).length === 0
      ? undefined
      : this.#effects === undefined
      ? this.#loadEffects().then((effects) => effects.load(payload))
      : this.#effects.load(payload);
    if (entry.definition !== undefined && loading === undefined) return this.#begin(open, entry, entry.definition);
    (async () => {
      try {
        await this.#load(entry);
        await loading;
      } catch (error) {
        return void this.#reply(open, Refusals.refusal(error));
      }
      if (entry.definition !== undefined) this.#begin(open, entry, entry.definition);
    })();
  }

  #begin(open: OpenRequest, entry: Entry, definition: Definition): void {
    if (open.cancelled) return void this.#reply(open, Refusals.interrupted);
    open.since = performance.now();
    let args: ReadonlyArray<unknown>;
    try {
      args = Codec.decode(open.request.payload, {
        attachments: open.attachments,
        hooks: this.#link.hooks,
        link: this.#link,
      }) as ReadonlyArray<unknown>;
    } catch (error) {
      const message = `Cannot run task "${entry.name}": its arguments cannot be decoded`;
      return void this.#reply(open, Refusals.refusal(new Refusals.Refused("InvalidPayload", message, error)));
    }
    if (open.request.mode === Request.MAP_REDUCE) return void this.#runMapReduce(open, entry, definition, args);
    const { payload, success, error, layer } = definition.options;
    if (payload !== undefined || success !== undefined || error !== undefined || layer !== undefined) {
      return void this.#runEffect(open, entry, definition, args);
    }
    this.#runPlain(open, entry, definition, args);
  }

  async #runEffect(
    open: OpenRequest,
    entry: Entry,
    definition: Definition,
    args: ReadonlyArray<unknown>,
    progress?: BatchProgress,
  ): Promise<void> {
    let effects: Effects;
    try {
      effects = await this.#loadEffects();
    } catch (error) {
      return void this.#reply(open, Refusals.refusal(error));
    }
    effects.run({ open, name: entry.name, definition, args, progress }, (exit) => void this.#reply(open, exit));
  }

  async #runMapReduce(
    open: OpenRequest,
    entry: Entry,
    definition: Definition,
    args: ReadonlyArray<unknown>,
  ): Promise<void> {
    const [url, name, items] = args as [string, string, ReadonlyArray<unknown>];
    const combining: Entry = { url, name, definition: lookup(url, name), loading: undefined };
    let effects: Effects;
    try {
      if (combining.definition === undefined) await this.#load(combining);
      effects = await this.#loadEffects();
    } catch (error) {
      return void this.#reply(open, Refusals.refusal(error));
    }
    const second = combining.definition!;
    const answer = (exit: ExitData): void => void this.#reply(open, exit);
    effects.run({ open, mode: Request.MAP, name: entry.name, definition, args: items, progress: undefined }, (exit) => {
      if (exit._tag !== "Success") return answer(exit);
      const results = exit.value as ReadonlyArray<unknown>;
      effects.run({ open, mode: Request.REDUCE, name, definition: second, args: results, progress: undefined }, answer);
    });
  }

  /** Runs a plain function without a fiber. If the handler returns an Effect or a Stream, {@link #runEffect} continues. */
  #runPlain(open: OpenRequest, entry: Entry, definition: Definition, args: ReadonlyArray<unknown>): void {
    const { mode, once, settled } = open.request;
    const handler = definition.handler as (...args: ReadonlyArray<unknown>) => unknown;
    const single = mode === Request.CALL;
    const reduce = mode === Request.REDUCE;
    const count = single ? 1 : args.length;
    const results: Array<unknown> = reduce ? [args[0]] : [];
    const invoke = (): unknown => {
      if (single) return handler(...args);
      const item = args[results.length];
      if (reduce) return handler(takeLast(results), item);
      return mode === Request.STARMAP ? handler(...item as ReadonlyArray<unknown>) : handler(item);
    };
    const keep = (value: unknown): void => void results.push(settled ? { _tag: "Success", value } : value);
    const fail = (thrown: unknown): void => {
      Refusals.withoutFrames(thrown, import.meta.url);
      if (!this.#requests.has(open)) return;
      if (!settled) return void this.#reply(open, stopped(mode, results, failed(thrown)));
      results.push(failed(thrown));
      loop();
    };
    const loop = (): unknown => {
      while (results.length < count) {
        let value: unknown;
        try {
          value = invoke();
        } catch (thrown) {
          if (!settled) return fail(thrown);
          Refusals.withoutFrames(thrown, import.meta.url);
          results.push(failed(thrown));
          continue;
        }
        if (typeof value === "object" && value !== null) {
          if (isEffect(value) || isStream(value)) {
            return void this.#runEffect(open, entry, definition, args, { results, next: value });
          }
          if (isPromise(value)) {
            if (once) open.onCancel = () => void this.#reply(open, Refusals.interrupted);
            return adopted(value).then((value) => {
              if (!this.#requests.has(open)) return;
              if (open.cancelled) return void this.#reply(open, Refusals.interrupted);
              keep(value);
              loop();
            }, fail);
          }
        }
        keep(value);
      }
      void this.#reply(open, { _tag: "Success", value: single ? results[0] : reduce ? results.at(-1) : results });
    };
    loop();
  }

  // Answers

  async #reply(open: OpenRequest, exit: ExitData): Promise<void> {
    this.#requests.delete(open);
    if (exit._tag === "Success" && open.since !== undefined) exit = { ...exit, millis: performance.now() - open.since };
    const { once } = open.request;
    // The parent closes the link when it has the answer. The links to other processes end then as well.
    if (once && Router.reaching() > 0) await this.#othersFlushed();
    let error = Answers.send(open, exit, this.#link.hooks);
    // The result of a plain function may be a value of Effect's, whose hooks were not loaded.
    if (error instanceof EncodeError && this.#link.hooks.length === 0) {
      await this.#loadEffects();
      error = Answers.send(open, exit, this.#link.hooks);
    }
    if (error !== undefined) Answers.sendInstead(open, exit, this.#link.hooks, error);
    if (open.request.queued) this.#line.advance(open, this.#link, hasFailed(open, exit, error));
    if (once) this.#shutdown(exit._tag === "Success" ? 0 : 1, true);
  }

  // The end

  /** Waits until everything that was sent to processes other than the parent has left, or the grace period is over. */
  #othersFlushed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, GRACE_PERIOD);
      Router.flushed(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Ends the child; with `read`, not before the parent has read the last answer. */
  #shutdown(code: number, read: boolean): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#line.close();
    for (const open of this.#requests) this.#cancel(open);
    const exit = (): void => this.#host.exit(code);
    const finish = (): void => {
      Router.flush();
      if (read) this.#leave(code);
      else this.#link.flushed(() => Output.flushed(GRACE_PERIOD, exit));
    };
    if (this.#effects === undefined) return finish();
    const released = this.#effects.release().catch((error: unknown) =>
      Foreign.report(`${self().name}: a finalizer failed:`, error)
    );
    // Without this, a child that has lost its parent would stay if its finalizers hang, or if its output is not read.
    if (this.#link.closed !== undefined) setTimeout(exit, GRACE_PERIOD);
    released.then(finish);
  }

  /**
   * Ends the child when the parent has read everything, and closes the link. A child that ends earlier may lose its last answer:
   * the parent's next write then fails, and discards the data that the parent has not read.
   */
  #leave(code: number): void {
    this.#link.flushed(() => {
      // Not started earlier: a large answer may take longer than this to leave.
      const stop = afterWithoutNode(GRACE_PERIOD, () => this.#host.exit(code));
      this.#link.onClosed(() =>
        Output.flushed(GRACE_PERIOD, () => {
          stop();
          this.#host.exit(code);
        })
      );
    });
  }
}
