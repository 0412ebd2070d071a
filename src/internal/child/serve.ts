/**
 * The child's side: receives requests, finds the tasks and runs them.
 *
 * Free of Effect until a handler, a Schema or a value needs it: then `effects.ts` is loaded, once. Deno follows no address of it
 * before that; see `everything.ts`.
 *
 * @module
 */
import { Link } from "../rpc/link.ts";
import type { Channel, Receiver } from "../rpc/link.ts";
import type { PortTransport } from "../transport/transport.ts";
import * as Router from "../rpc/router.ts";
import * as Task from "../../Task.ts";
import * as Codec from "../codec/codec.ts";
import { EncodeError } from "../codec/errors.ts";
import { type ExitData, type Refusal, sendFailure, writeExit } from "../codec/exits.ts";
import * as Foreign from "../codec/foreign.ts";
import {
  type Incoming,
  MAX_MESSAGE_SIZE,
  MessageTooLarge,
  ProtocolError,
  type Transport,
} from "../transport/frames.ts";
import { isEffect, isPromise, isStream } from "../codec/programs.ts";
import type { Effects } from "./effects.ts";
import * as Modules from "./modules.ts";
import * as Output from "./output.ts";
import * as Request from "./request.ts";
import { introduce, type Message, type Notice, self } from "../rpc/identity.ts";

/** What a backend's entry module provides. */
export interface Host {
  readonly transport: Transport;
  /** The transport, if it is a port. */
  readonly port?: PortTransport;
  /** Effects will run from now on: a signal to end should let their finalizers run. */
  readonly onEffects?: () => void;
  /** A module of the user's has been loaded, and has set up whatever listens to errors. */
  readonly onLoaded?: () => void;
  /** The parent has said which process it is. */
  readonly onParent?: (pid: number) => void;
  /** Ends this child. */
  readonly exit: (code: number) => void;
}

/** How long finalizers may take once the parent is gone, in milliseconds. */
const GRACE_PERIOD = 5000;

/** A task that the parent has named, and its definition once the module has loaded. */
interface Entry extends Request.TaskRef {
  definition: Task.Definition | undefined;
  loading: Promise<void> | undefined;
}

/** One request under way. */
export interface Job {
  readonly channel: Channel;
  readonly request: Request.Request;
  readonly attachments: ReadonlyArray<Uint8Array>;
  cancelled: boolean;
  /** Stops the work, if it can be stopped. */
  onCancel: (() => void) | undefined;
  onCredit: ((count: number) => void) | undefined;
  /** Credit that came before anybody could use it. */
  credit: number;
}

/** How far a list of calls had come when the first Effect turned up. */
export interface Progress {
  readonly results: Array<unknown>;
  /** What the handler returned for the next one. */
  readonly next: unknown;
}

/** The task could not be begun. */
export class Refused extends Error {
  constructor(readonly reason: Refusal, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** A running child. */
export interface Server {
  /** Ends the child in good order: running tasks are interrupted, layers released, replies flushed. */
  readonly shutdown: (code: number) => void;
  /** What has been answered is sent, and nothing from now on. */
  readonly mute: () => void;
  /** Ends the child for an error that nobody caught, telling the parent why. */
  readonly crash: (error: unknown) => void;
}

const importEffects = (): Promise<typeof import("./effects.ts")> => import(import.meta.resolve("./effects.ts"));

/** Serves the parent until it is gone. */
export const serve = (host: Host): Server => {
  Output.watch();
  const entries = new Map<number, Entry>();
  const jobs = new Set<Job>();
  let effects: Effects | undefined;
  let ending = false;

  let loading: Promise<Effects> | undefined;
  const loadEffects = (): Promise<Effects> =>
    loading ??= importEffects().then((module) => {
      effects = module.make();
      link.hooks = effects.hooks;
      host.onEffects?.();
      return effects;
    });

  /**
   * Ends once what was sent has been read. The parent closes the link when it has; whoever ends before that may take along
   * what is still on its way, since the parent's next write to him fails, and with it all that it has not read.
   */
  const leave = (code: number): void =>
    link.flushed(() => {
      // Not before: a large answer may be on its way for longer.
      const timer = setTimeout(() => host.exit(code), GRACE_PERIOD);
      link.onClosed(() =>
        Output.flushed(GRACE_PERIOD, () => {
          clearTimeout(timer);
          host.exit(code);
        })
      );
    });

  const shutdown = (code: number, read: boolean = false): void => {
    if (ending) return;
    ending = true;
    for (const job of jobs) cancel(job);
    const finish = (): void => {
      Router.flush();
      if (read) leave(code);
      else link.flushed(() => Output.flushed(GRACE_PERIOD, () => host.exit(code)));
    };
    if (effects === undefined) return finish();
    const released = effects.release().catch((error: unknown) =>
      Foreign.report(`${self().name}: a finalizer failed:`, error)
    );
    if (link.closed === undefined) {
      released.then(finish);
    } else {
      // Nobody is left to end a child whose finalizers hang, or whose output nobody reads.
      setTimeout(() => host.exit(code), GRACE_PERIOD);
      released.then(finish);
    }
  };

  const cancel = (job: Job): void => {
    job.cancelled = true;
    job.onCancel?.();
  };

  const reply = async (job: Job, exit: ExitData): Promise<void> => {
    jobs.delete(job);
    const code = exit._tag === "Success" ? 0 : 1;
    // The parent closes the link when it has the answer, and with it the ways to others.
    if (job.request.once && Router.reaching() > 0) await othersHeard();
    let refusal = attempt(job, exit);
    // A value of Effect's may be the result of a plain function: only now it is known that its hooks are needed.
    if (refusal instanceof EncodeError && link.hooks.length === 0) {
      await loadEffects();
      refusal = attempt(job, exit);
    }
    if (refusal !== undefined) sendInstead(job, exit, refusal);
    if (job.request.once) shutdown(code, true);
  };

  /** All has left that was sent to others than the parent, or cannot leave in time. */
  const othersHeard = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, GRACE_PERIOD);
      Router.flushed(() => {
        clearTimeout(timer);
        resolve();
      });
    });

  const send = (job: Job, exit: ExitData, lenient?: number): void =>
    job.channel.exit((writer) => writeExit(writer, exit, link.hooks, lenient));

  /** Sends an answer, or gives the reason why it cannot be sent. */
  const attempt = (job: Job, exit: ExitData): EncodeError | MessageTooLarge | undefined => {
    try {
      send(job, exit);
    } catch (error) {
      if (error instanceof EncodeError || error instanceof MessageTooLarge) return error;
      throw error;
    }
  };

  /** A result that cannot be sent is a failure of its own; of a failure, all that can be sent is. */
  const sendInstead = (job: Job, exit: ExitData, refusal: EncodeError | MessageTooLarge): void => {
    try {
      sendFailure((lenient) => send(job, exit._tag === "Success" ? unsendable(refusal) : exit, lenient));
    } catch {
      // Not even the little that is left of the failure fits.
      send(job, unsendable(refusal));
    }
  };

  const load = (entry: Entry): Promise<void> =>
    entry.loading ??= (async () => {
      try {
        await Modules.load(entry.url);
      } catch (error) {
        throw loadError(entry, error);
      }
      host.onLoaded?.();
      entry.definition = Task.lookup(entry.url, entry.name);
      if (entry.definition === undefined) throw notDefined(entry);
    })();

  const preload = async (urls: ReadonlyArray<string>): Promise<void> => {
    const failures: Array<{ url: string; error: unknown }> = [];
    for (const url of urls) {
      try {
        await Modules.load(url);
      } catch (error) {
        failures.push({ url, error: Foreign.messageOf(error) });
      }
    }
    link.notify({ ready: { failures } } satisfies Message);
  };

  const begin = (job: Job, entry: Entry, definition: Task.Definition): void => {
    if (job.cancelled) return void reply(job, interrupted);
    let args: ReadonlyArray<unknown>;
    try {
      args = Codec.decode(job.request.payload, {
        attachments: job.attachments,
        hooks: link.hooks,
        link,
      }) as ReadonlyArray<unknown>;
    } catch (error) {
      const message = `Cannot run task "${entry.name}": its arguments cannot be decoded`;
      return void reply(job, refusal(new Refused("InvalidPayload", message, error)));
    }
    const { payload, success, error, layer } = definition.options;
    if (payload !== undefined || success !== undefined || error !== undefined || layer !== undefined) {
      return void delegate(job, entry, definition, args);
    }
    runPlain(job, entry, definition, args);
  };

  const delegate = async (
    job: Job,
    entry: Entry,
    definition: Task.Definition,
    args: ReadonlyArray<unknown>,
    progress?: Progress,
  ): Promise<void> => {
    let runner: Effects;
    try {
      runner = await loadEffects();
    } catch (error) {
      return void reply(job, refusal(error));
    }
    runner.run({ job, name: entry.name, definition, args, progress }, (exit) => void reply(job, exit));
  };

  /** The way of plain functions: no fiber, no Effect. Hands over as soon as a handler returns an Effect or a Stream. */
  const runPlain = (
    job: Job,
    entry: Entry,
    definition: Task.Definition,
    args: ReadonlyArray<unknown>,
  ): void => {
    const { mode } = job.request;
    const handler = definition.handler as (...args: ReadonlyArray<unknown>) => unknown;
    const single = mode === Request.CALL;
    const count = single ? 1 : args.length;
    const results: Array<unknown> = [];
    const invoke = (): unknown => {
      if (single) return handler(...args);
      const item = args[results.length];
      return mode === Request.MAP ? handler(item) : handler(...item as ReadonlyArray<unknown>);
    };
    const fail = (thrown: unknown): void => {
      withoutLibrary(thrown);
      if (jobs.has(job)) void reply(job, { _tag: "Failure", cause: { _tag: "Die", defect: thrown, trace: [] } });
    };
    const loop = (): unknown => {
      while (results.length < count) {
        let value: unknown;
        try {
          value = invoke();
        } catch (thrown) {
          return fail(thrown);
        }
        if (typeof value === "object" && value !== null) {
          if (isEffect(value) || isStream(value)) {
            return void delegate(job, entry, definition, args, { results, next: value });
          }
          if (isPromise(value)) {
            if (job.request.once) job.onCancel = () => void reply(job, interrupted);
            return adopted(value).then((value) => {
              if (!jobs.has(job)) return;
              if (job.cancelled) return void reply(job, interrupted);
              results.push(value);
              loop();
            }, fail);
          }
        }
        results.push(value);
      }
      void reply(job, { _tag: "Success", value: single ? results[0] : results });
    };
    loop();
  };

  const onOpen = (channel: Channel, message: Incoming): Receiver => {
    if (message.bytes[0] === Router.OBJECT) return Router.receive(channel, message);
    const request = Request.read(message.bytes);
    const entry = request && entries.get(request.task);
    if (request === undefined || entry === undefined) {
      throw new ProtocolError("Cannot read from the peer: a request for a task that it has not named");
    }
    const job: Job = {
      channel,
      request,
      attachments: message.attachments,
      cancelled: false,
      onCancel: undefined,
      onCredit: undefined,
      credit: 0,
    };
    jobs.add(job);
    const needed = Codec.requires(request.payload);
    const payload = { bytes: request.payload, attachments: message.attachments };
    const loading = needed.length === 0
      ? undefined
      : effects === undefined
      ? loadEffects().then((effects) => effects.load(payload))
      : effects.load(payload);
    if (entry.definition !== undefined && loading === undefined) begin(job, entry, entry.definition);
    else {
      (async () => {
        try {
          await load(entry);
          await loading;
        } catch (error) {
          return void reply(job, refusal(error));
        }
        if (entry.definition !== undefined) begin(job, entry, entry.definition);
      })();
    }
    return {
      cancel: () => cancel(job),
      credit: (count) => {
        if (job.onCredit === undefined) job.credit += count;
        else job.onCredit(count);
      },
      closed: () => cancel(job),
    };
  };

  const link = new Link(host.transport, {
    side: "child",
    maxMessageSize: MAX_MESSAGE_SIZE,
    onOpen,
    onDefine: (id, message) => {
      const [url, name] = Codec.decode(message.bytes, { attachments: [], hooks: [], link }) as [string, string];
      entries.set(id, { url, name, definition: undefined, loading: undefined });
    },
    onClosed: ({ cause }) => {
      if (cause instanceof ProtocolError) console.error(`${self().name}: ${cause.message}`);
      shutdown(cause instanceof ProtocolError ? 1 : 0);
    },
  });
  link.onNotice = (data) => {
    const notice = data as Notice;
    introduce(notice);
    if (notice.address !== undefined) Router.settle(notice.address, link, host.port);
    if (notice.maxMessageSize !== undefined) link.limit(notice.maxMessageSize);
    if (notice.parent !== undefined) host.onParent?.(notice.parent.pid);
    if (notice.preload !== undefined) preload(notice.preload);
  };
  const crash = (error: unknown): void => {
    Foreign.report(`${self().name}: uncaught`, error);
    link.notify({ crashed: Foreign.summary(error) } satisfies Message);
    Router.flush();
    leave(1);
  };
  const mute = (): void => {
    Router.flush();
    link.mute();
  };
  link.notify({ serving: true } satisfies Message);
  return { shutdown, crash, mute };
};

/** A Promise of the language's own, whatever is done by the `then` of another. */
const adopted = (value: PromiseLike<unknown>): Promise<unknown> => new Promise((resolve) => resolve(value));

const interrupted: ExitData = { _tag: "Failure", cause: { _tag: "Interrupt" } };

const refusal = (error: unknown): ExitData =>
  Foreign.isInstance(error, Refused)
    ? { _tag: "Refused", reason: error.reason, message: error.message, cause: error.cause }
    : { _tag: "Refused", reason: "LoadFailed", message: Foreign.explain(error), cause: error };

/** The answer that says why there is no other. */
const unsendable = (refusal: EncodeError | MessageTooLarge): ExitData =>
  refusal instanceof MessageTooLarge
    ? { _tag: "TooLarge", size: refusal.size, limit: refusal.limit }
    : { _tag: "Unencodable", path: refusal.path, reason: refusal.reason };

/** Takes the library's own part off a stack: it says nothing about the error. */
const withoutLibrary = (error: unknown): void =>
  Foreign.trimStack(error, (line) => line.includes(import.meta.url) || line.includes("at async data:"));

const loadError = (entry: Entry, error: unknown): Refused => {
  const message = Foreign.messageOf(error);
  withoutLibrary(error);
  const unreadable = /^Requires (read|import) access/.test(message);
  if (unreadable || /^Module not found|^Import .* failed/.test(message)) {
    return new Refused(
      "ModuleNotFound",
      `Cannot run task "${entry.name}": ${entry.url} cannot be loaded: ${message}${
        unreadable ? "; name the module when the process or pool is made, or allow the child to read it" : ""
      }`,
      error,
    );
  }
  return new Refused("LoadFailed", `Cannot run task "${entry.name}": ${entry.url} failed to load: ${message}`, error);
};

const notDefined = (entry: Entry): Refused => {
  const names = Task.namesIn(entry.url);
  const found = names.length === 0 ? "no task" : `only ${names.map((name) => `"${name}"`).join(", ")}`;
  return new Refused(
    "NotDefined",
    `Cannot run task "${entry.name}": ${entry.url} defined ${found} when it was loaded; call Task.make at the top level of the module, not in a function or under import.meta.main`,
  );
};
