/**
 * Children as Web Workers: threads of this process, quick to start, sharing its permissions and its fate.
 *
 * - A worker that ends in any way, `self.close()` and `Deno.exit()` included, is noticed at once: it holds a lock for life,
 *   and the backend waits for that lock.
 * - A worker that never turns its event loop cannot be stopped by this Deno: `terminate()` frees its caller, and the thread
 *   burns on until the program ends (`capabilities.killBusy` is `false`). `runMain` ends the program all the same.
 * - Workers have no signals, exit codes, streams or permissions of their own.
 *
 * This program needs `--allow-read` for its own modules, since Deno asks for it when a worker loads them.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, type Child, type Command, type ExitStatus, SpawnError, TypeId, Unsupported } from "./Backend.ts";
import { hooks } from "./backend/call.ts";
import type { Notice } from "./backend/worker.ts";
import * as Capabilities from "./backend/capabilities.ts";
import { locks } from "./backend/locks.ts";
import { self } from "./backend/self.ts";
import type { Options as ServeOptions } from "./backend/serve.ts";
import { Link } from "./link/link.ts";
import { port } from "./link/transport.ts";
import { MAX_MESSAGE_SIZE } from "./wire/frames.ts";

/**
 * Options of the backend, for all its children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The largest message in either direction, in bytes. @default 1 GiB */
  readonly maxMessageSize?: number | undefined;
}

/** Never called: by naming the entry it makes Deno fetch and cache it together with this module. */
export const entry = (): Promise<unknown> => import("./backend/worker.ts");

const start = (options: Options, command: Command, exited: Deferred.Deferred<ExitStatus>) => {
  const worker = new Worker(import.meta.resolve("./backend/worker.ts"), { type: "module", name: command.name });
  const { port1, port2 } = new MessageChannel();
  const transport = port(port1);
  let status: ExitStatus | undefined;
  const watch = new AbortController();
  const end = (reason: ExitStatus): void => {
    if (status !== undefined) return;
    status = reason;
    watch.abort();
    worker.terminate();
    transport.lost();
    Deferred.unsafeDone(exited, Effect.succeed(reason));
  };
  const lock = `~multiprocessing/${crypto.randomUUID()}`;
  worker.onmessage = ({ data }: MessageEvent<Notice>) => {
    if (data.exit !== undefined) return end({ _tag: "Exited", code: data.exit });
    // The worker holds the lock now: getting it means that the worker is no more.
    locks.request(lock, { signal: watch.signal }, () => transport.drained(() => end({ _tag: "Exited", code: 0 })))
      .catch((error: unknown) => {
        if (!watch.signal.aborted) throw error;
      });
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const place = event.filename === "" ? "" : ` at ${event.filename}:${event.lineno}:${event.colno}`;
    end({ _tag: "Crashed", message: `${event.message}${place}` });
  };
  const serveOptions: ServeOptions = {
    name: command.name,
    parent: { pid: Deno.pid, name: self().name },
    backend: "worker",
    maxMessageSize: options.maxMessageSize ?? MAX_MESSAGE_SIZE,
    gracePeriod: 0,
  };
  worker.postMessage({ port: port2, lock, options: serveOptions }, [port2]);
  const link = new Link(transport, {
    side: "parent",
    maxMessageSize: serveOptions.maxMessageSize,
    onClosed: () => {
      if (!link.closing) end({ _tag: "Crashed", message: link.closed?.message ?? "the link ended" });
    },
  });
  link.hooks = hooks;
  return { link, end, status: () => status };
};

const acquire = (options: Options, command: Command): Effect.Effect<Child, SpawnError, Scope.Scope> =>
  Effect.flatMap(Deferred.make<ExitStatus>(), (exited) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.try({
          try: () => start(options, command, exited),
          catch: (error) =>
            new SpawnError({
              reason: "Failed",
              message: `Cannot start a worker: ${error instanceof Error ? error.message : error}`,
              cause: error,
            }),
        }),
        ({ end }) => Effect.sync(() => end({ _tag: "Signaled", signal: "SIGKILL" })),
      ),
      ({ link, end, status }): Child => ({
        name: command.name,
        pid: Deno.pid,
        link,
        exited: Deferred.await(exited),
        status,
        kill: (signal) =>
          Effect.suspend(() => {
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
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Backend> =>
  Effect.sync(() => ({
    [TypeId]: TypeId,
    name: "worker",
    capabilities: Capabilities.worker,
    spawn: (command) =>
      Effect.withSpan(acquire(options, command), "Backend.spawn", {
        attributes: { "process.name": command.name, backend: "worker" },
      }),
  }));

/**
 * Provides a `Backend` whose children are Web Workers: what Python's `multiprocessing.dummy` is to `multiprocessing`, but
 * in parallel.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Backend> => Layer.effect(Backend, make(options));
