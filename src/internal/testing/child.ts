/**
 * A child of a test backend: it answers requests in this process, over a link like that of any child.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as FiberId from "effect/FiberId";
import type { Backend, Child, Command, ExitStatus, Signal } from "../../Backend.ts";
import type { Action } from "../../TestBackend.ts";
import * as Answers from "../child/server/answers.ts";
import { hooks as parentHooks } from "../child/call.ts";
import * as Effects from "../child/server/effects.ts";
import { addCredit, type OpenRequest, openRequest, RequestLine } from "../child/server/open_requests.ts";
import * as Refusals from "../child/refusals.ts";
import * as Request from "../child/request.ts";
import { lookup } from "../child/tasks.ts";
import * as Codec from "../codec/codec.ts";
import { type ExitData, writeExit } from "../codec/exits.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../codec/message.ts";
import { lateStream } from "../os/late_stream.ts";
import { type Channel, Link, type Receiver } from "../rpc/link.ts";
import * as Router from "../rpc/router.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Script } from "./script.ts";
import { pair } from "../transport/local.ts";

/** Options of a {@link TestChild}. */
export interface Options {
  readonly command: Command;
  /** Its number among the children of its backend, from 1. */
  readonly number: number;
  readonly script: Script;
  readonly backend: Backend;
  readonly within: Effects.EffectHost["within"];
  /** Runs a function after a time of the clock of the test. */
  readonly after: (duration: Duration.DurationInput, run: () => void) => void;
}

/** The first process id, above those of real processes. */
const PIDS = 10_000_000;

/** The memory that a child reports, in bytes. */
const MEMORY = 50_000_000;

const nothing = lateStream(({ empty }) => empty);

/** One child of a test backend. */
export class TestChild {
  readonly child: Child;
  readonly #options: Options;
  readonly #parent: Link;
  readonly #link: Link;
  readonly #effects: Effects.Effects;
  readonly #tasks = new Map<number, Request.TaskRef>();
  readonly #line = new RequestLine();
  readonly #open = new Set<OpenRequest>();
  readonly #exited = Deferred.unsafeMake<ExitStatus>(FiberId.none);
  #status: ExitStatus | undefined;

  constructor(options: Options) {
    this.#options = options;
    const [parent, child] = pair();
    this.#parent = new Link(parent, { side: "parent", onOpen: Router.receive, maxMessageSize: MAX_MESSAGE_SIZE });
    this.#parent.hooks = parentHooks;
    this.#link = new Link(child, {
      side: "child",
      maxMessageSize: MAX_MESSAGE_SIZE,
      onOpen: this.#receive,
      onDefine: this.#define,
      onClosed: () => this.#leave(),
    });
    this.#effects = Effects.make(this.#link, options);
    this.#link.hooks = this.#effects.hooks;
    this.child = {
      name: options.command.name,
      pid: PIDS + options.number,
      link: this.#parent,
      exited: Deferred.await(this.#exited),
      ready: Effect.succeed({ failures: [] }),
      serves: Effect.succeed(true),
      serving: () => true,
      status: () => this.#status,
      kill: (signal) => Effect.sync(() => this.#kill(signal)),
      stdout: nothing,
      stderr: nothing,
    };
  }

  /** Ends the child as SIGKILL would. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    this.#kill("SIGKILL");
    return Effect.zipRight(this.child.exited, Effect.promise(() => this.#effects.release()));
  });

  #kill(signal: Signal): boolean {
    return this.#end({ _tag: "Signaled", signal });
  }

  /** Ends the child: nothing that it still does is seen. */
  #end(status: ExitStatus): boolean {
    if (this.#status !== undefined) return false;
    this.#status = status;
    // Messages that the child has sent before arrive.
    this.#link.flushed(() => {
      this.#link.destroy();
      this.#parent.onClosed(() => Deferred.unsafeDone(this.#exited, Effect.succeed(status)));
    });
    for (const open of this.#open) open.onCancel?.();
    return true;
  }

  /** The parent has closed the link: the child releases what it has, and ends in good order. */
  #leave(): void {
    if (this.#status !== undefined) return;
    for (const open of this.#open) open.onCancel?.();
    this.#effects.release().then(() => this.#end({ _tag: "Exited", code: 0 }));
  }

  // Requests

  readonly #define = (id: number, message: Incoming): void => {
    const [url, name] = Codec.decode(message.bytes, { attachments: [], hooks: [], link: this.#link }) as [
      string,
      string,
    ];
    this.#tasks.set(id, { url, name });
  };

  readonly #receive = (channel: Channel, message: Incoming): Receiver => {
    if (message.bytes[0] === Router.OBJECT) return Router.receive(channel, message);
    if (message.bytes[0] === Request.PROBE) {
      channel.exit((writer) => writeExit(writer, { _tag: "Success", value: MEMORY }, []));
      return { closed: () => {} };
    }
    const request = Request.read(message.bytes);
    const task = request && this.#tasks.get(request.task);
    if (request === undefined || task === undefined) {
      throw new ProtocolError("Cannot read from the peer: a request for a task that it has not named");
    }
    const open = openRequest(channel, request, message.attachments);
    this.#open.add(open);
    if (request.queued) this.#line.add(open, () => this.#start(open, task));
    else this.#start(open, task);
    return {
      cancel: () => {
        open.cancelled = true;
        if (this.#line.leave(open)) this.#answer(open, Refusals.interrupted);
        else open.onCancel?.();
      },
      credit: (count) => addCredit(open, count),
      closed: () => {
        open.cancelled = true;
        open.onCancel?.();
      },
    };
  };

  #start(open: OpenRequest, task: Request.TaskRef): void {
    this.#suffer(task.name, "received", () => this.#run(open, task));
  }

  #run(open: OpenRequest, task: Request.TaskRef): void {
    if (open.cancelled) return this.#answer(open, Refusals.interrupted);
    const definition = lookup(task.url, task.name);
    if (definition === undefined) return this.#answer(open, Refusals.refusal(Refusals.notDefined(task)));
    const body = { bytes: open.request.payload, attachments: open.attachments };
    const begin = (): void => {
      const args = Codec.decode(body.bytes, {
        attachments: open.attachments,
        hooks: this.#link.hooks,
        link: this.#link,
      }) as ReadonlyArray<unknown>;
      const answer = (exit: ExitData): void => this.#suffer(task.name, "answered", () => this.#answer(open, exit));
      const work = { open, name: task.name, definition, progress: undefined };
      if (open.request.mode !== Request.MAP_REDUCE) return this.#effects.run({ ...work, args }, answer);
      const [url, name, items] = args as [string, string, ReadonlyArray<unknown>];
      const combining = lookup(url, name);
      if (combining === undefined) return answer(Refusals.refusal(Refusals.notDefined({ url, name })));
      this.#effects.run({ ...work, mode: Request.MAP, args: items }, (exit) => {
        if (exit._tag !== "Success") return answer(exit);
        const results = exit.value as ReadonlyArray<unknown>;
        this.#effects.run({ ...work, mode: Request.REDUCE, name, definition: combining, args: results }, answer);
      });
    };
    const loading = this.#effects.load(body);
    if (loading === undefined) begin();
    else loading.then(begin);
  }

  #answer(open: OpenRequest, exit: ExitData): void {
    this.#open.delete(open);
    if (this.#status !== undefined || this.#link.closed !== undefined) return;
    const error = Answers.send(open, exit, this.#link.hooks);
    if (error !== undefined) Answers.sendInstead(open, exit, this.#link.hooks, error);
    if (open.request.queued) this.#line.advance(open, this.#link);
    // A process that was started for one task ends with it.
    if (open.request.once) {
      this.#parent.onClosed(() => this.#end({ _tag: "Exited", code: exit._tag === "Success" ? 0 : 1 }));
    }
  }

  // Faults

  /** Lets the faults happen that are due, then goes on, if the child is still alive. */
  #suffer(task: string, when: "received" | "answered", goOn: () => void): void {
    const { number, script } = this.#options;
    const actions = [...script.due({ worker: number, task, when })];
    const next = (): void => {
      if (this.#status !== undefined) return;
      const action = actions.shift();
      if (action === undefined) goOn();
      else this.#act(action, next);
    };
    next();
  }

  #act(action: Action, next: () => void): void {
    switch (action._tag) {
      case "Kill":
        return void this.#kill(action.signal);
      case "Exit":
        return void this.#end({ _tag: "Exited", code: action.code });
      case "Crash":
        return void this.#end({ _tag: "Crashed", message: action.message });
      case "OutOfMemory":
        return void this.#end({ _tag: "Signaled", signal: "SIGTRAP" });
      case "Delay":
        return this.#options.after(action.duration, next);
      case "Hang":
        // It neither goes on nor listens to an interruption.
        return;
    }
  }
}
