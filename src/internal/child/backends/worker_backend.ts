/**
 * The backend whose children are Web Workers. The worker's side is `entry/worker.ts`.
 *
 * A worker does not report its end. It therefore holds a lock for life, and the host waits for that lock, which it gets when the
 * thread has ended. Messages that the worker has posted until then are counted in shared memory, and received before the host
 * declares the end.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Metric from "effect/Metric";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import type { Backend, Child, Command, ExitStatus, Signal } from "../../../Backend.ts";
import type { Options } from "../../../WorkerBackend.ts";
import { Unsupported } from "../../objects/errors.ts";
import { lateStream } from "../../os/late_stream.ts";
import { end as endMappings, makeTable, sweep } from "../../os/worker_mappings.ts";
import { declareEnded, ownerOf } from "../../os/doorbell_words.ts";
import { port, type PortTransport, posted } from "../../transport/transport.ts";
import { Attachment } from "./attachment.ts";
import * as Capabilities from "../capabilities.ts";
import { SpawnError } from "../errors.ts";
import { hasLocks, locks } from "../locks.ts";
import { makeBackend } from "./make_backend.ts";
import { mainModule, own } from "../modules.ts";
import { telemetry, workerChecks, wrongOptions, wrongSignal } from "../options.ts";
import { within } from "../stop.ts";
import type { LockNotice, Start } from "../worker_messages.ts";

/** How long a terminated thread may take to end before it counts as stuck, in milliseconds. */
const TERMINATION = 1000;

/** How long processes that share memory with a terminated worker wait for the end of its thread, in milliseconds. */
const MERCY = 300;

let stuck = 0;

const gauge = Metric.gauge("multiprocessing_workers_quarantined", {
  description: "Threads that were terminated and still run, since they never turn their event loop",
});

const countStuck = (change: number): void => {
  stuck += change;
  gauge.unsafeUpdate(stuck, []);
};

/** Number of terminated threads that still run; see `WorkerBackend.quarantined`. */
export const quarantined: Effect.Effect<number> = Effect.sync(() => stuck);

/** Throws if the end of a worker could not be noticed. */
const demandLocks = (): void => {
  if (hasLocks) return;
  throw new SpawnError({
    reason: "Unsupported",
    message:
      `Cannot start a worker: workers need Deno 2.9 or later, this is Deno ${Deno.version.deno}: upgrade it by \`deno upgrade\`, or use SubprocessBackend`,
  });
};

/** Throws if a worker could not load its own module: such a worker crashes and prints the reason, where nothing can read it. */
const demandRead = (): void => {
  const url = new URL(own("../../entry/worker.ts", import.meta));
  if (url.protocol !== "file:") return;
  if (Deno.permissions.querySync({ name: "read", path: url }).state === "granted") return;
  throw new SpawnError({
    reason: "PermissionDenied",
    message:
      `Cannot start a worker: it could not load ${url.href}; workers need --allow-read for the modules that they load`,
  });
};

/** Throws if so many threads run that cannot be stopped that no more may be risked. */
const demandCores = (limit: number = Infinity): void => {
  if (stuck < limit) return;
  throw new SpawnError({
    reason: "Quarantine",
    message:
      `Cannot start a worker: ${stuck} terminated threads still run, since they never turn their event loop; raise maxQuarantined (${limit}), or use SubprocessBackend for tasks that can get stuck`,
  });
};

/** The output of a worker is that of its program. */
const nothing = lateStream(({ empty }) => empty);

/** A thread of this process. */
class WorkerThread {
  readonly child: Child;
  readonly #attachment: Attachment;
  readonly #worker: Worker;
  readonly #transport: PortTransport;
  /** Name of the lock that the worker holds for life. */
  readonly #lock = `~multiprocessing/${crypto.randomUUID()}`;
  /** Memory that the worker has mapped, and that the end of its thread does not free. */
  readonly #mappings = makeTable();
  /** Shared with the worker. As of a process, 8 bits of an exit code are kept. */
  readonly #exitCode = new Uint8Array(new SharedArrayBuffer(1));
  /** How the worker is ending. Its thread may still run. */
  #ending: ExitStatus | undefined;
  /** Resolves when the thread has ended. Known from the moment at which the worker holds its lock. */
  #threadEnded: Promise<unknown> | undefined;
  /** Resolves when the last message of the worker was received. */
  readonly #silent = Promise.withResolvers<void>();

  constructor(options: Options, command: Command) {
    const { port1, port2 } = new MessageChannel();
    const counts = posted();
    this.#worker = new Worker(own("../../entry/worker.ts", import.meta), { type: "module", name: command.name });
    this.#transport = port(port1, "parent", counts);
    this.#worker.onmessage = this.#receive;
    this.#worker.onerror = this.#crash;
    const start: Start = {
      port: port2,
      posted: counts,
      lock: this.#lock,
      exitCode: this.#exitCode,
      mappings: this.#mappings,
      main: mainModule(command.modules),
    };
    this.#worker.postMessage(start, [port2]);
    const { maxMessageSize } = options;
    this.#attachment = new Attachment({
      backend: "worker",
      command,
      transport: this.#transport,
      port: this.#transport,
      maxMessageSize,
      nested: {
        ...(maxMessageSize === undefined ? {} : { maxMessageSize }),
        ...telemetry(options.observe),
      },
      onUnlinked: () => this.end({ _tag: "Signaled", signal: "SIGKILL" }),
      onClosed: () => {
        const { closed, closing } = this.#attachment.link;
        if (!closing && closed?.cause !== undefined) this.end({ _tag: "Crashed", message: closed.message });
      },
    });
    this.child = this.#attachment.child({
      pid: Deno.pid,
      kill: (signal) => this.#kill(signal),
      stdout: nothing,
      stderr: nothing,
    });
  }

  /** Terminates the worker, waits for the end of its thread as long as that is worthwhile, and for its last message. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    this.end({ _tag: "Signaled", signal: "SIGKILL" });
    return Effect.zipRight(this.#settled, Effect.promise(() => this.#silent.promise));
  });

  /** Terminates the worker. Only the first call counts. */
  end(status: ExitStatus): void {
    if (!this.#begin(status)) return;
    // `terminate` returns before the thread stops: until then the thread sends messages and changes shared memory. The end is
    // declared when that is over, and when everything that it has sent was received.
    const ended = this.#threadEnded ??= locks.request(this.#lock, () => {});
    // Until its event loop turns, the thread uses the memory that it shares with other threads. A thread that never turns must not
    // block them.
    const dead = setTimeout(() => declareEnded(this.#mappings), MERCY);
    // A thread that never turns is kept from sending any more.
    const limit = setTimeout(() => this.#transport.cut(() => this.#declare(status)), TERMINATION);
    ended.then(() => {
      clearTimeout(dead);
      // The worker cannot be woken any more. Processes that share its buffers learn of its end from this.
      this.#transport.withdraw((buffer) => ownerOf(buffer) !== undefined);
      clearTimeout(limit);
      this.#transport.drained(() => this.#declare(status));
    });
  }

  /** The first step of the end; `false` if the worker is ending already. */
  #begin(status: ExitStatus): boolean {
    if (this.#ending !== undefined) return false;
    this.#ending = status;
    this.#attachment.keep();
    endMappings(this.#mappings);
    this.#worker.terminate();
    return true;
  }

  /** The last step of the end: the worker sends no more messages. */
  #declare(status: ExitStatus): void {
    if (this.#attachment.status !== undefined) return;
    this.#attachment.end(status);
    this.#transport.lost();
    if (!this.#attachment.serving) {
      this.#attachment.unserved(
        status._tag === "Crashed"
          ? new SpawnError({ reason: "Failed", message: `Cannot start a worker: ${status.message}` })
          : undefined,
      );
    }
    this.#silent.resolve();
  }

  readonly #receive = ({ data }: MessageEvent<LockNotice | undefined>): void => {
    // Other code in the worker can post messages here as well.
    if (data?.token !== this.#lock) return;
    // The worker holds the lock now. This process gets it when the thread has ended.
    const ended = locks.request(this.#lock, () => {
      sweep(this.#mappings);
      if (this.#ending === undefined) this.#transport.drained(this.#left);
    });
    this.#threadEnded ??= ended;
  };

  /** The thread has ended by itself, and its last message was received. */
  readonly #left = (): void => {
    const status: ExitStatus = { _tag: "Exited", code: this.#exitCode[0] };
    if (!this.#begin(status)) return;
    declareEnded(this.#mappings);
    this.#declare(status);
  };

  readonly #crash = (event: ErrorEvent): void => {
    event.preventDefault();
    const place = event.filename === "" ? "" : ` at ${event.filename}:${event.lineno}:${event.colno}`;
    this.end({ _tag: "Crashed", message: `${event.message}${place}` });
  };

  #kill(signal: Signal): Effect.Effect<boolean, Unsupported> {
    return Effect.suspend(() => {
      const wrong = wrongSignal(signal);
      if (wrong !== undefined) return Effect.fail(wrong);
      if (this.#attachment.status !== undefined) return Effect.succeed(false);
      if (signal !== "SIGKILL" && signal !== "SIGTERM") {
        return Effect.fail(new Unsupported(`Cannot send ${signal} to a worker: workers have no signals, only an end`));
      }
      this.end({ _tag: "Signaled", signal });
      return Effect.succeed(true);
    });
  }

  /** Waits for the end of the thread. A thread that does not end is counted as stuck until it does. */
  get #settled(): Effect.Effect<void> {
    const ended = this.#threadEnded;
    if (ended === undefined) return Effect.void;
    return Effect.flatMap(
      within(Effect.promise(() => ended), TERMINATION),
      Option.match({
        onSome: () => Effect.void,
        onNone: () => {
          countStuck(1);
          ended.then(() => countStuck(-1));
          return Effect.logWarning(
            `The thread of ${this.child.name} cannot be stopped: it never turns its event loop, and uses a core until the program ends`,
          );
        },
      }),
    );
  }
}

const acquire = (options: Options, command: Command): Effect.Effect<Child, SpawnError, Scope.Scope> => {
  if (command.permissions !== undefined) {
    return Effect.fail(
      new SpawnError({
        reason: "Unsupported",
        message:
          "Cannot start a worker with permissions of its own: workers share those of the program; use SubprocessBackend",
      }),
    );
  }
  const start = Effect.try({
    try: () => {
      demandLocks();
      demandRead();
      demandCores(options.maxQuarantined);
      return new WorkerThread(options, command);
    },
    catch: (error) =>
      error instanceof SpawnError ? error : new SpawnError({
        reason: "Failed",
        message: `Cannot start a worker: ${error instanceof Error ? error.message : error}`,
        cause: error,
      }),
  });
  return Effect.map(Effect.acquireRelease(start, (worker) => worker.release), ({ child }) => child);
};

/** Makes the backend; see `WorkerBackend.make`. */
export const make = (options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  makeBackend({
    name: "worker",
    capabilities: Capabilities.worker,
    unusable: wrongOptions("WorkerBackend", options, workerChecks),
    observe: options?.observe,
    standby: options?.standby,
    preload: options?.preload,
    acquire: (command) => acquire(options, command),
  });
