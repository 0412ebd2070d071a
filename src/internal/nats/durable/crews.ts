/**
 * The children of an agent that run the tasks of durable pools: a crew for each program.
 *
 * A crew has children while there are tasks for it. The agent passes requests and answers on as bytes, and decodes none.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import type { Backend, Child } from "../../../Backend.ts";
import { ProcessDied } from "../../child/errors.ts";
import { died } from "../../child/call.ts";
import { make as subprocesses } from "../../child/backends/subprocess_backend.ts";
import type { Incoming } from "../../codec/message.ts";
import { after } from "../../os/timer.ts";
import type { Dispatcher } from "../../pool/dispatcher.ts";
import { PoolError } from "../../pool/errors.ts";
import { type Begin, type Job, unlimited } from "../../pool/job.ts";
import { Workers } from "../../pool/workers.ts";
import type { SourceStore } from "../source_store.ts";
import { shared as sharedPermissions } from "../permissions.ts";
import type { JetStream } from "../jetstream.ts";
import type { Program, Task } from "./messages.ts";
import { loadFile, loadProgram } from "./programs.ts";

/** How long a child is kept without a task, in milliseconds. */
const IDLE = 30_000;

/** How long a task may take to stop before its child is killed, in milliseconds. */
const GRACE = 1000;

/** How long a crew without a task is remembered, in milliseconds. Its children have ended long before. */
const FORGOTTEN = 3600 * 1000;

/** How a task has ended here. */
export type End =
  | { readonly _tag: "Answered"; readonly child: Child; readonly answer: Incoming }
  | { readonly _tag: "Died"; readonly error: ProcessDied }
  | { readonly _tag: "Timeout" }
  /** It was stopped, or could not be run at all. */
  | { readonly _tag: "Stopped" }
  | { readonly _tag: "Failed"; readonly message: string };

/** The children for one program. */
class Crew {
  /** The hash of its sources, if it has some. */
  readonly sources: string | undefined;
  readonly #workers: Workers;
  readonly #dispatcher: Dispatcher;
  #used = performance.now();

  constructor(workers: Workers, sources: string | undefined) {
    this.#workers = workers;
    this.#dispatcher = workers.dispatcher;
    this.sources = sources;
  }

  /** How long it has had no task, in milliseconds. */
  get idle(): number {
    return this.#dispatcher.busy + this.#dispatcher.waiting > 0 ? 0 : performance.now() - this.#used;
  }

  /** Whether it settles every task at once, because its children cannot be started. */
  get isBroken(): boolean {
    return this.#dispatcher.refuses;
  }

  /** Runs a task, and calls back once. Returns a function that stops it. */
  run({ name, timeout, url }: Task, { attachments, bytes }: Incoming, done: (end: End) => void): () => void {
    this.#used = performance.now();
    let stopped = false;
    let by: Child | undefined;
    const begin: Begin = (child, settle) => {
      by = child;
      const { link } = child;
      const number = link.define(`${url} ${name}`, () => [url, name]);
      const channel = link.open((writer) => {
        writer.reserve(bytes.length);
        writer.buffer.set(bytes, writer.position);
        // The number by which this child knows the task.
        writer.view.setUint32(writer.position + 1, number, true);
        writer.position += bytes.length;
        return { attachments, onSend: [] };
      }, {
        exit: ({ attachments, bytes }) => settle(Exit.succeed({ attachments, bytes: bytes.slice() })),
        closed: () => settle(died(child, name, () => "unknown")),
      });
      return {
        interruptible: false,
        report: undefined,
        cancel: () => channel.cancel(),
        forget: () => channel.forget(),
      };
    };
    const work = { task: name, idempotent: false, queueable: false, long: false, encoding: 0, begin };
    const job: Job = this.#dispatcher.submit(work, (exit) => {
      if (Exit.isSuccess(exit)) return done({ _tag: "Answered", child: by!, answer: exit.value as Incoming });
      const error = Option.getOrUndefined(Cause.failureOption(exit.cause));
      if (stopped) return done({ _tag: "Stopped" });
      if (error instanceof ProcessDied) return done({ _tag: "Died", error });
      if (error instanceof PoolError && error.reason === "Timeout") return done({ _tag: "Timeout" });
      done({ _tag: "Failed", message: error instanceof Error ? error.message : Cause.pretty(exit.cause) });
    }, { ...unlimited, timeout: timeout ?? Infinity });
    return () => {
      stopped = true;
      if (this.#dispatcher.cancel(job)) done({ _tag: "Stopped" });
    };
  }

  /** Kills all children. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => this.#workers.end);
}

/** Settings of {@link Crews}. */
export interface Settings {
  readonly space: string;
  /** Largest number of children of a crew. */
  readonly slots: number;
  /** Absolute path of the folder for the work of children. */
  readonly folder: string;
  readonly store: SourceStore;
}

/** The crews of an agent. */
export class Crews {
  readonly #js: JetStream;
  readonly #settings: Settings;
  readonly #crews = new Map<string, Promise<Crew | undefined>>();
  /** Those that were made. */
  readonly #ready = new Map<string, Crew>();
  readonly #scope = Effect.runSync(Scope.make());
  #made = 0;

  constructor(js: JetStream, settings: Settings) {
    this.#js = js;
    this.#settings = settings;
  }

  /** The crew for the program with this hash; `undefined` if the server does not have the program any more. */
  async of(program: string): Promise<Crew | undefined> {
    const known = await this.#crews.get(program);
    if (known !== undefined && !known.isBroken) return known;
    if (known !== undefined) this.#crews.delete(program);
    let crew = this.#crews.get(program);
    if (crew === undefined) {
      this.#crews.set(program, crew = this.#make(program));
      crew.then((crew) => {
        if (crew === undefined) this.#crews.delete(program);
        else this.#ready.set(program, crew);
      }, () => this.#crews.delete(program));
    }
    return crew;
  }

  /** The hashes of the sources that crews use. Crews without a task for an hour are forgotten. */
  get sources(): ReadonlyArray<string> {
    for (const [program, crew] of this.#ready) {
      if (crew.idle < FORGOTTEN) continue;
      this.#ready.delete(program);
      this.#crews.delete(program);
    }
    return [...this.#ready.values()].flatMap(({ sources }) => sources === undefined ? [] : [sources]);
  }

  async close(): Promise<void> {
    await Effect.runPromise(Scope.close(this.#scope, Exit.void));
  }

  async #make(hash: string): Promise<Crew | undefined> {
    const { folder, space, store } = this.#settings;
    const program = await loadProgram(this.#js, space, hash);
    if (program === undefined) return undefined;
    const { library, main, modules, sources } = program;
    const local = sources &&
      await store.lay(sources, (hash, offset) => loadFile(this.#js, space, hash, offset));
    const place = {
      folders: sources === undefined || local === undefined ? [] : [{ original: sources.root, local }],
      library,
      main,
    };
    const cwd = `${folder}/work`;
    Deno.mkdirSync(cwd, { recursive: true });
    return await Effect.runPromise(
      Effect.gen(this, function* () {
        const backend = yield* subprocesses({
          cwd,
          env: program.env,
          clearEnv: true,
          permissions: permissionsOf(program),
          v8Flags: program.v8Flags,
        });
        const there: Backend = {
          ...backend,
          spawn: (command) => backend.spawn({ ...command, modules, sources: place }),
        };
        const workers = new Workers(there, {
          min: 0,
          max: this.#settings.slots,
          idleTimeToLive: IDLE,
          growAfter: 0,
          concurrency: 1,
          ahead: 0,
          measured: false,
          prefix: `NatsPoolWorker-${++this.#made}`,
          policy: { gracePeriod: GRACE },
          maxJobs: Infinity,
          maxAge: Infinity,
          maxMemory: Infinity,
          spare: false,
          initializer: undefined,
          modules: () => modules,
          timeline: undefined,
          after,
        }, yield* Effect.runtime<never>());
        const crew = new Crew(workers, sources?.hash);
        yield* workers.start(() => crew.end);
        return crew;
      }).pipe(Effect.provideService(Scope.Scope, this.#scope)),
    );
  }
}

const permissionsOf = ({ inherited, permissions }: Program) => permissions ?? sharedPermissions(inherited);
