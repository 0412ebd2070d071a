/**
 * Children as Web Workers: threads of this process, quick to start, which share its permissions and its fate.
 *
 * - A worker that ends in any way, `self.close()` and `Deno.exit()` included, throws, or cannot load its module is
 *   noticed at once, with the reason: it holds a lock for life, and the backend waits for that lock.
 * - A worker that never turns its event loop cannot be stopped by this Deno (`capabilities.killBusy` is `false`).
 * - Workers have no signals, exit codes, streams or permissions of their own.
 *
 * This program needs `--allow-read` for its own modules, since Deno asks for it when a worker loads them. `deno task
 * bench --filter=process.start.cold` compares the start of workers with that of subprocesses.
 *
 * ## A worker that cannot be stopped
 *
 * - A caller that waits for it is freed at once, and a pool has another worker a second later.
 * - Its thread burns on until the program ends; it is logged, and counted by {@link quarantined}.
 * - `runMain` ends the program all the same.
 *
 * Use `SubprocessBackend` for tasks that can get stuck.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger, LogLevel } from "effect";
 *
 * const half = Mp.Task.make(import.meta, "half", (n: number) => n / 2);
 * const spin = Mp.Task.make(import.meta, "spin", () => {
 *   while (true);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 1, gracePeriod: "100 millis" });
 *   console.log(yield* pool.apply(half, 8));
 *   const late = yield* Effect.flip(Effect.timeout(pool.apply(spin), "500 millis"));
 *   console.log(late._tag, yield* pool.apply(half, 10));
 *   console.log("quarantined:", yield* Mp.WorkerBackend.quarantined);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide([Mp.WorkerBackend.layer(), Logger.minimumLogLevel(LogLevel.Error)]), // there is a warning
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 4
 * TimeoutException 5
 * quarantined: 1
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.dummy`, `multiprocessing.pool.ThreadPool` | the same program with `WorkerBackend.layer()` |
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as FiberId from "effect/FiberId";
import * as Layer from "effect/Layer";
import * as Metric from "effect/Metric";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, type Child, type Command, type ExitStatus, SpawnError, TypeId, Unsupported } from "./Backend.ts";
import { hooks } from "./internal/child/call.ts";
import type { Notice, Start } from "./internal/child/worker.ts";
import * as Capabilities from "./internal/child/capabilities.ts";
import { workerChecks, wrongCommand, wrongOptions, wrongSignal } from "./internal/child/options.ts";
import { locks } from "./internal/child/locks.ts";
import { mainModule } from "./internal/child/modules.ts";
import { authKey, type Introduction, type Message, type Readiness, self } from "./internal/rpc/identity.ts";
import { within } from "./internal/child/stop.ts";
import { standby } from "./internal/child/standby.ts";
import { allowed } from "./internal/child/starting.ts";
import { Link } from "./internal/rpc/link.ts";
import * as Router from "./internal/rpc/router.ts";
import { port, posted } from "./internal/transport/transport.ts";
import { declareEnded, ownerOf } from "./internal/sync/protocol/doorbell.ts";
import { end as endMappings, makeTable, sweep } from "./internal/os/worker_mappings.ts";
import { MAX_MESSAGE_SIZE } from "./internal/transport/frames.ts";

/**
 * Options of the backend, for all its children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The largest message in either direction, in bytes. @default 1 GiB */
  readonly maxMessageSize?: number | undefined;
  /**
   * Workers to start before they are needed, with the modules of all tasks loaded: taking one over costs less than a
   * millisecond. `"auto"` keeps one ready after the first start, with the modules that were used, and ends it after a minute
   * without use; `false` is 0. @default 0
   */
  readonly standby?: number | "auto" | false | undefined;
  /** URLs of modules that standby workers load besides. */
  readonly preload?: ReadonlyArray<string> | undefined;
}

/** How long a worker may live on after its link has ended, in milliseconds. */
const LINKLESS = 1000;

/** How long a terminated thread may take to end before it counts as stuck, in milliseconds. */
const TERMINATION = 1000;

/** Milliseconds after which those who share memory with a terminated worker go on as if its thread had ended. */
const MERCY = 300;

/** Never called: by naming what children load it makes Deno fetch and cache that together with this module. */
export const entry = (): ReadonlyArray<Promise<unknown>> => [
  import("./internal/child/worker.ts"),
  import("./internal/child/followed.ts"),
];

const start = (options: Options, command: Command, exited: Deferred.Deferred<ExitStatus>) => {
  const worker = new Worker(import.meta.resolve("./internal/child/worker.ts"), { type: "module", name: command.name });
  const { port1, port2 } = new MessageChannel();
  const counts = posted();
  const transport = port(port1, "parent", counts);
  /** How the worker is ending, and how it has ended: its thread sends nothing any more, unless the thread is stuck. */
  let ending: ExitStatus | undefined;
  let status: ExitStatus | undefined;
  let serving = false;
  const served = Deferred.unsafeMake<boolean, SpawnError>(FiberId.none);
  let deadline: ReturnType<typeof setTimeout> | undefined;
  /** Resolves when the thread has really ended; known only of a worker that has come as far as taking its lock. */
  let ended: Promise<unknown> | undefined;
  let heard: () => void;
  /** Resolves when all was heard that it has said. */
  const silent = new Promise<void>((resolve) => (heard = resolve));
  /** Ends the worker. `gone` says that its thread has ended and that all it has sent was heard. */
  const end = (reason: ExitStatus, gone: boolean = false): void => {
    if (ending !== undefined) return;
    ending = reason;
    clearTimeout(deadline);
    endMappings(mappings);
    worker.terminate();
    const done = (): void => {
      if (status !== undefined) return;
      status = reason;
      transport.lost();
      if (!serving) {
        const message = reason._tag === "Crashed" ? `Cannot start a worker: ${reason.message}` : undefined;
        const failure = message && new SpawnError({ reason: "Failed", message });
        Deferred.unsafeDone(served, failure ? Effect.fail(failure) : Effect.succeed(false));
      }
      Deferred.unsafeDone(exited, Effect.succeed(reason));
      heard();
    };
    if (gone) {
      declareEnded(mappings);
      return done();
    }
    // `terminate` returns before the thread stops: until then the thread sends messages and changes shared memory. The end of the
    // worker is told when that is over, and what it has sent has been heard.
    ended ??= locks.request(lock, () => {});
    // Until its thread turns it still uses what it shares with others; one that does not turn must not hold them up.
    const dead = setTimeout(() => declareEnded(mappings), MERCY);
    ended.then(() => {
      clearTimeout(dead);
      // Nobody there can be rung any more: those who share buffers with it know by that.
      transport.withdraw((buffer) => ownerOf(buffer) !== undefined);
    });
    // One that does not turn may not send any more either.
    const limit = setTimeout(() => transport.cut(done), TERMINATION);
    ended.then(() => {
      clearTimeout(limit);
      transport.drained(done);
    });
  };
  // A process keeps 8 bits of its exit code, too.
  const exitCode = new Uint8Array(new SharedArrayBuffer(1));
  const mappings = makeTable();
  /** What it has answered before it left may still be on its way. */
  const leave = (): void => {
    if (ending === undefined) transport.drained(() => end({ _tag: "Exited", code: exitCode[0] }, true));
  };
  const lock = `~multiprocessing/${crypto.randomUUID()}`;
  worker.onmessage = ({ data }: MessageEvent<Notice | undefined>) => {
    // Whatever else runs in the worker can post messages here, too.
    if (data?.token !== lock) return;
    // The worker holds the lock now: getting it means that the worker is no more.
    const over = locks.request(lock, () => {
      sweep(mappings);
      leave();
    });
    ended ??= over;
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const place = event.filename === "" ? "" : ` at ${event.filename}:${event.lineno}:${event.colno}`;
    end({ _tag: "Crashed", message: `${event.message}${place}` });
  };
  const { name, daemon = false, modules, preload = false } = command;
  const main = mainModule(modules);
  const maxMessageSize = options.maxMessageSize ?? MAX_MESSAGE_SIZE;
  worker.postMessage({ port: port2, posted: counts, lock, exitCode, mappings, main } satisfies Start, [port2]);
  const link = new Link(transport, {
    side: "parent",
    onOpen: Router.receive,
    maxMessageSize,
    onClosed: () => {
      if (link.closing || ending !== undefined) return;
      const { cause, message } = link.closed!;
      if (cause !== undefined) end({ _tag: "Crashed", message });
      // It has said goodbye, and ought to end now.
      else deadline = setTimeout(() => end({ _tag: "Signaled", signal: "SIGKILL" }), LINKLESS);
    },
  });
  link.hooks = hooks;
  const ready = Deferred.unsafeMake<Readiness | undefined>(FiberId.none);
  link.onClosed(() => Deferred.unsafeDone(ready, Effect.succeed(undefined)));
  link.onNotice = (notice) => {
    const message = notice as Message;
    if (message.serving === true) {
      serving = true;
      Deferred.unsafeDone(served, Effect.succeed(true));
    }
    if (message.ready !== undefined) Deferred.unsafeDone(ready, Effect.succeed(message.ready));
  };
  link.notify(
    {
      name,
      daemon,
      parent: { pid: Deno.pid, name: self().name },
      backend: "worker",
      address: Router.adopt(link, transport),
      authKey: authKey(),
      maxMessageSize,
      nested: options.maxMessageSize === undefined ? {} : { maxMessageSize },
      ...(preload ? { preload: modules } : {}),
    } satisfies Introduction,
  );
  return { link, end, ready, served, serving: () => serving, status: () => status, ended: () => ended, silent };
};

let stuck = 0;

const gauge = Metric.gauge("multiprocessing_workers_quarantined", {
  description: "Threads that were terminated and still run, since they never turn their event loop",
});

const count = (change: number): void => {
  stuck += change;
  gauge.unsafeUpdate(stuck, []);
};

/** Waits for a terminated worker's thread to end. One that does not is counted until it does. */
const settle = (command: Command, ended: Promise<unknown> | undefined): Effect.Effect<void> =>
  ended === undefined ? Effect.void : Effect.flatMap(
    within(Effect.promise(() => ended), TERMINATION),
    Option.match({
      onSome: () => Effect.void,
      onNone: () => {
        count(1);
        ended.then(() => count(-1));
        return Effect.logWarning(
          `The thread of ${command.name} cannot be stopped: it never turns its event loop, and burns on until the program ends`,
        );
      },
    }),
  );

/**
 * Threads of this program that were terminated and run on, because they never turn their event loop. Nothing waits for
 * them, and each costs a core: a program whose tasks can get stuck belongs on `SubprocessBackend`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const quarantined: Effect.Effect<number> = Effect.sync(() => stuck);

/** A worker that may not read its own module only crashes, and prints that: better to say it here. */
const demandRead = (): void => {
  const url = new URL(import.meta.resolve("./internal/child/worker.ts"));
  if (url.protocol !== "file:") return;
  if (Deno.permissions.querySync({ name: "read", path: url }).state === "granted") return;
  throw new SpawnError({
    reason: "PermissionDenied",
    message:
      `Cannot start a worker: it could not load ${url.href}; workers need --allow-read for the modules that they load`,
  });
};

const unsupported = new SpawnError({
  reason: "Unsupported",
  message:
    "Cannot start a worker with permissions of its own: workers share those of the program; use SubprocessBackend",
});

const acquire = (options: Options, command: Command): Effect.Effect<Child, SpawnError, Scope.Scope> =>
  command.permissions !== undefined
    ? Effect.fail(unsupported)
    : Effect.flatMap(Deferred.make<ExitStatus>(), (exited) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.try({
            try: () => {
              demandRead();
              return start(options, command, exited);
            },
            catch: (error) =>
              error instanceof SpawnError ? error : new SpawnError({
                reason: "Failed",
                message: `Cannot start a worker: ${error instanceof Error ? error.message : error}`,
                cause: error,
              }),
          }),
          ({ end, ended, silent }) =>
            Effect.suspend(() => {
              end({ _tag: "Signaled", signal: "SIGKILL" });
              return Effect.zipRight(settle(command, ended()), Effect.promise(() => silent));
            }),
        ),
        ({ link, end, ready, served, serving, status }): Child => ({
          name: command.name,
          pid: Deno.pid,
          link,
          exited: Deferred.await(exited),
          ready: Deferred.await(ready),
          serves: Deferred.await(served),
          serving,
          status,
          kill: (signal) =>
            Effect.suspend(() => {
              const wrong = wrongSignal(signal);
              if (wrong !== undefined) return Effect.fail(wrong);
              if (status() !== undefined) return Effect.succeed(false);
              if (signal !== "SIGKILL" && signal !== "SIGTERM") {
                return Effect.fail(
                  new Unsupported(`Cannot send ${signal} to a worker: workers know no signals, only their end`),
                );
              }
              end({ _tag: "Signaled", signal });
              return Effect.succeed(true);
            }),
          stdout: Stream.empty,
          stderr: Stream.empty,
        }),
      ));

/**
 * Makes the backend, for programs that build their own layers.
 *
 * If an option makes no sense, each start fails with the `SpawnError` `InvalidArgument`, which names the option.
 *
 * *Release:* ends the standby workers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Backend, never, Scope.Scope> => {
  const unusable = wrongOptions("WorkerBackend", options, workerChecks);
  const backend: Backend = {
    [TypeId]: TypeId,
    name: "worker",
    capabilities: Capabilities.worker,
    spawn: (command) => {
      const wrong = unusable ?? wrongCommand(command);
      return wrong !== undefined
        ? Effect.fail(wrong)
        : Effect.withSpan(Effect.zipRight(allowed, acquire(options, command)), "Backend.spawn", {
          attributes: { "process.name": command.name, backend: "worker" },
        });
    },
  };
  return unusable === undefined && options.standby
    ? standby(backend, { size: options.standby, modules: options.preload ?? [] })
    : Effect.succeed(backend);
};

/**
 * Provides a `Backend` whose children are Web Workers: what Python's `multiprocessing.dummy` is to `multiprocessing`, but
 * in parallel.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Backend> => Layer.scoped(Backend, make(options));
