/**
 * Workers of `@effect/platform` as processes: the side that starts them.
 *
 * @module
 */
import * as Worker from "@effect/platform/Worker";
import { WorkerError } from "@effect/platform/WorkerError";
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberSet from "effect/FiberSet";
import * as Scope from "effect/Scope";
import { Backend, SpawnError } from "../../Backend.ts";
import * as Pipe from "../../Pipe.ts";
import * as Process from "../../Process.ts";
import type { Runner } from "../../PlatformWorker.ts";
import * as Arguments from "../os/arguments.ts";
import { processChecks, wrongOptions } from "../child/options.ts";
import { detach, type Port } from "./transfer.ts";

const failed = (reason: WorkerError["reason"]) => (cause: unknown): WorkerError =>
  cause instanceof WorkerError ? cause : new WorkerError({ reason, cause });

/** A process whose runner is ready. */
interface Incarnation {
  readonly scope: Scope.CloseableScope;
  readonly port: Port;
  /** Fails with the reason when the process has ended. */
  readonly ended: Effect.Effect<never, WorkerError>;
}

/** Receives a message. Does not return after the end of the connection, whose reason the process reports. */
const received = (port: Port): Effect.Effect<unknown, WorkerError> =>
  Effect.catchAll(
    port.recv,
    (error) => error._tag === "EndOfFile" ? Effect.never : Effect.fail(failed("spawn")(error)),
  );

/** Starts a process, and waits until its runner serves. It ends with `parent`, or when its own scope is closed. */
const start = (
  runner: Runner,
  options: Process.Options,
  parent: Scope.Scope,
): Effect.Effect<Incarnation, WorkerError, Backend> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(parent, parent.strategy);
      const starting = Effect.gen(function* () {
        const [port, theirs] = yield* Effect.mapError(Pipe.make<unknown>(), failed("spawn"));
        const process = yield* Effect.mapError(
          Process.spawnWith(runner, [theirs], { ...options, daemon: true }),
          failed("spawn"),
        );
        const ended = (reason: WorkerError["reason"]): Effect.Effect<never, WorkerError> =>
          Effect.flatMap(process.exit, (outcome) => {
            switch (outcome._tag) {
              case "Died":
                return Effect.fail(failed(reason)(outcome.error));
              case "Rejected":
                return Effect.fail(failed("spawn")(outcome.error));
              case "Failure":
                return Effect.fail(failed(reason)(Cause.squash(outcome.cause)));
              case "Success":
                return Effect.fail(failed(reason)(new Error(`${process.name} has ended: its runner returned`)));
            }
          });
        // Its first message says that it serves.
        yield* Effect.raceFirst(received(port), ended("spawn"));
        return { scope, port, ended: ended("unknown") };
      });
      return yield* restore(Effect.provideService(starting, Scope.Scope, scope)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
      );
    })
  );

/** Whether a message must be sent again to each process that replaces the first. */
type IsInitial = (message: unknown) => boolean;

/** The initial message of `@effect/rpc`, which has no answer. */
const isRpcInitial: IsInitial = (message) =>
  typeof message === "object" && message !== null && (message as { readonly _tag?: unknown })._tag === "InitialMessage";

/** Errors of a connection whose process has died. `run` is about to fail, which fails each open request. */
const gone = new Set(["BrokenPipe", "Unreachable"]);

class Backing {
  readonly #start: Effect.Effect<Incarnation, WorkerError>;
  readonly #isInitial: IsInitial;
  /** The process that `spawn` has started, until `run` takes it. */
  #first: Incarnation | undefined;
  #port: Port | undefined;
  /** Messages for the next process. */
  #early: Array<readonly [message: unknown, transfers: ReadonlyArray<unknown>]> = [];
  #initial: unknown;

  constructor(first: Incarnation, start: Effect.Effect<Incarnation, WorkerError>, isInitial: IsInitial) {
    this.#first = first;
    this.#start = start;
    this.#isInitial = isInitial;
  }

  send(message: unknown, transfers: ReadonlyArray<unknown> = []): Effect.Effect<void, WorkerError> {
    return Effect.suspend(() => {
      if (this.#initial === undefined && this.#isInitial(message)) {
        // A transferred buffer would be detached when the message is sent again.
        this.#initial = transfers.length === 0 ? message : structuredClone(message);
      }
      const port = this.#port;
      if (port !== undefined) return this.#post(port, message, transfers);
      this.#early.push([message, transfers]);
      return Effect.void;
    });
  }

  #post(port: Port, message: unknown, transfers: ReadonlyArray<unknown>): Effect.Effect<void, WorkerError> {
    return port.send(message).pipe(
      Effect.zipRight(Effect.sync(() => detach(transfers))),
      Effect.catchAll((error) => gone.has(error._tag) ? Effect.void : Effect.fail(failed("send")(error))),
    );
  }

  /** Sends the initial message to a process that replaces another. */
  #restore(port: Port): Effect.Effect<void, WorkerError> {
    return Effect.suspend(() => {
      const initial = this.#initial;
      if (initial === undefined) return Effect.void;
      const sent = this.#post(port, initial, []);
      if (isRpcInitial(initial)) return sent;
      // The answer to a request: [data, [id, kind, ...]].
      return Effect.zipRight(sent, received(port)).pipe(
        Effect.flatMap((answer) => {
          const [, kind, cause] = (answer as readonly [1, Worker.Worker.Response<unknown>])[1];
          if (kind === 0 || kind === 1) return Effect.void;
          return Effect.fail(failed("spawn")(kind === 2 ? cause : Cause.squash(WorkerError.decodeCause(cause))));
        }),
      );
    });
  }

  run<A, E, R>(
    handler: (message: Worker.BackingWorker.Message<never>) => Effect.Effect<A, E, R>,
  ): Effect.Effect<never, E | WorkerError, R> {
    const serve = Effect.gen(this, function* () {
      const first = this.#first;
      this.#first = undefined;
      const { ended, port } = yield* Effect.acquireRelease(
        Effect.interruptible(first === undefined ? this.#start : Effect.succeed(first)),
        ({ scope }) => Scope.close(scope, Exit.void),
      );
      const handlers = yield* FiberSet.make<unknown, E>();
      const fork = yield* FiberSet.runtime(handlers)<R>();
      if (first === undefined) {
        const died = Effect.mapError(ended, failed("spawn"));
        yield* Effect.raceFirst(this.#restore(port), died);
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => void (this.#port = undefined)));
      this.#port = port;
      for (const [message, transfers] of this.#early.splice(0)) yield* this.#post(port, message, transfers);
      fork(handler([0]));
      const receive = Effect.forever(
        Effect.map(port.recv, (message) => fork(handler(message as Worker.BackingWorker.Message<never>))),
      ).pipe(
        // The process reports why the pipe has ended.
        Effect.catchAll((error) => error._tag === "EndOfFile" ? ended : Effect.fail(failed("unknown")(error))),
      );
      return yield* Effect.raceFirst(receive, FiberSet.join(handlers) as Effect.Effect<never, E>);
    });
    return Effect.scoped(serve).pipe(
      // This failure fails each request so far, so none of them may reach the next process.
      Effect.onError(() => Effect.sync(() => void (this.#early = []))),
    ) as Effect.Effect<never, E | WorkerError, R>;
  }
}

const wrongSpawner = (spawner: unknown): SpawnError | undefined => {
  const wrong = Arguments.wrong({ spawn: spawner }, { spawn: Arguments.func });
  if (wrong === undefined) return undefined;
  const message = Arguments.invalidArgument("PlatformWorker.layer", wrong);
  return new SpawnError({ reason: "InvalidArgument", message });
};

/** Starts a worker. */
type Spawn = <I, O>(
  id: number,
  isInitial: IsInitial,
) => Effect.Effect<Worker.BackingWorker<I, O>, WorkerError, Worker.Spawner>;

const platform = (spawn: Worker.PlatformWorker["spawn"]): Worker.PlatformWorker => ({
  [Worker.PlatformWorkerTypeId]: Worker.PlatformWorkerTypeId,
  spawn,
});

const spawnIn =
  (backend: Backend, options: Process.Options, scope: Scope.Scope): Spawn => <I, O>(id: number, isInitial: IsInitial) =>
    Effect.flatMap(Worker.Spawner, (spawner) => {
      const wrong = wrongOptions("PlatformWorker", options, processChecks) ?? wrongSpawner(spawner);
      if (wrong !== undefined) return Effect.fail(failed("spawn")(wrong));
      const named = options.name === undefined ? options : { ...options, name: `${options.name}-${id}` };
      const begin = Effect.provideService(
        Effect.suspend(() => start(spawner(id) as Runner, named, scope)),
        Backend,
        backend,
      );
      return Effect.map(begin, (first): Worker.BackingWorker<I, O> => {
        const backing = new Backing(first, begin, isInitial);
        return {
          send: (message, transfers) => backing.send(message, transfers),
          run: (handler) => backing.run(handler),
        };
      });
    });

/** Starts workers in processes. */
export const makePlatform = (
  options: Process.Options,
): Effect.Effect<Worker.PlatformWorker, never, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const spawn = spawnIn(yield* Backend, options, yield* Effect.scope);
    return platform((id) => spawn(id, isRpcInitial));
  });

/**
 * The manager of the platform. It also marks the initial message, so that a process that replaces another receives it as well.
 */
export const makeManager = (
  options: Process.Options,
): Effect.Effect<Worker.WorkerManager, never, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const spawn = spawnIn(yield* Backend, options, yield* Effect.scope);
    let count = 0;
    return {
      [Worker.WorkerManagerTypeId]: Worker.WorkerManagerTypeId,
      spawn: <I, O, E>(worker: Worker.Worker.Options<I>) =>
        Effect.suspend(() => {
          const id = count++;
          let initial = worker.initialMessage !== undefined;
          const isInitial = (): boolean => {
            const is = initial;
            initial = false;
            return is;
          };
          const own = platform(() => spawn(id, isInitial));
          return Worker.makeManager.pipe(
            Effect.provideService(Worker.PlatformWorker, own),
            Effect.flatMap((manager) => manager.spawn<I, O, E>(worker)),
            Effect.map((made) => ({ ...made, id })),
          );
        }),
    };
  });
