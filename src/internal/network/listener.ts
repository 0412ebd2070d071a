/**
 * The implementation of `Listener`.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Connection, Listener, Options, Statistics } from "../../Listener.ts";
import { BrokenPipe, EndOfFile } from "../objects/errors.ts";
import { FifoGate } from "../objects/fifo_gate.ts";
import { passGate } from "../objects/interruption.ts";
import { type Waitable, WaitId } from "../objects/waitable.ts";
import { func, invalidArgument, invalidOption, wrong as wrongArgument, wrongOptions } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { type Address, show } from "./address.ts";
import { openConnection } from "./connection.ts";
import { type AuthenticationError, ListenerClosed, ListenError } from "./errors.ts";
import { MESSAGES } from "./handshake.ts";
import { type Acceptor, listen } from "./listen.ts";
import { listenChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "./options.ts";

export const TypeId = "~multiprocessing/Listener" as const;

/** Connections that were not accepted yet, in the order in which they were authenticated. */
class AcceptQueue<A, B> {
  readonly ready: Array<Connection<A, B>> = [];
  readonly gate = new FifoGate(() => this.isReady);
  readonly watchers = new Set<() => void>();
  last: Address | undefined;
  closed = false;

  /** True if `accept` can complete now. */
  get isReady(): boolean {
    return this.ready.length > 0 || this.closed;
  }

  add(connection: Connection<A, B>): void {
    this.ready.push(connection);
    this.#wake();
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }

  #wake(): void {
    this.gate.check();
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** Logs that a client was rejected: as a warning if `warn` is set, unless the client has only disconnected. */
export const logRejected =
  (runtime: Runtime.Runtime<never>, subject: string) =>
  (error: AuthenticationError, peer: Address, warn: boolean): void => {
    const log = warn && error.reason !== "Closed" ? Effect.logWarning : Effect.logDebug;
    Runtime.runFork(runtime)(log(`${subject} rejected a client from ${show(peer)}: ${error.message}`));
  };

/** Makes a listener for as long as the scope is open. */
export const make = <A, B>(options: Options): Effect.Effect<Listener<A, B>, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions(options, listenChecks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new ListenError("InvalidOption", invalidOption("listener", wrong)));
    }
    const {
      backlog = 128,
      handshakeTimeout = "10 seconds",
      maxBytes = MAX_BYTES,
      maxConnections = 1024,
      maxHandshakes = 128,
      maxMessageSize = MAX_MESSAGE_SIZE,
    } = options;
    const handshakeMillis = Duration.toMillis(handshakeTimeout);
    const runtime = yield* Effect.runtime<never>();
    const queue = new AcceptQueue<A, B>();
    const releases = new Set<() => void>();
    const limits = { maxBytes, maxMessageSize };
    const acceptor: Acceptor = yield* listen({
      address: options.address,
      authKey: options.authKey,
      tls: options.tls,
      purpose: MESSAGES,
      limits,
      maxConnections,
      maxHandshakes,
      handshakeMillis,
    }, {
      accepted: (session) => {
        const { connection, release } = openConnection<A, B>(session, limits, () => releases.delete(release));
        releases.add(release);
        queue.add(connection);
        if (queue.ready.length >= backlog) acceptor.pause(true);
      },
      rejected: logRejected(runtime, "The listener"),
      closed: () => queue.close(),
    });
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        acceptor.close();
        for (const release of [...releases]) release();
      })
    );
    return new ListenerImpl(acceptor, queue, backlog);
  });

/** The cause to log when a handler has failed; none if it was interrupted, or if the connection has ended. */
const unexpected = (exit: Exit.Exit<unknown, unknown>): Cause.Cause<unknown> | undefined => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return undefined;
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause));
  return failure instanceof EndOfFile || failure instanceof BrokenPipe ? undefined : exit.cause;
};

class ListenerImpl<A, B> implements Listener<A, B> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #acceptor: Acceptor;
  readonly #queue: AcceptQueue<A, B>;
  readonly #backlog: number;

  constructor(acceptor: Acceptor, queue: AcceptQueue<A, B>, backlog: number) {
    this.#acceptor = acceptor;
    this.#queue = queue;
    this.#backlog = backlog;
  }

  get [WaitId](): Waitable[typeof WaitId] {
    const queue = this.#queue;
    return {
      look: (answer) => answer(queue.isReady),
      watch: (ready) => {
        const watcher = (): void => {
          if (queue.isReady && queue.watchers.delete(watcher)) ready();
        };
        queue.watchers.add(watcher);
        watcher();
        return () => queue.watchers.delete(watcher);
      },
    };
  }

  get address(): Address {
    return this.#acceptor.address;
  }

  get accept(): Effect.Effect<Connection<A, B>, ListenerClosed> {
    return passGate(this.#queue.gate, 0, () => this.#take());
  }

  get connections(): Stream.Stream<Connection<A, B>> {
    return Stream.repeatEffectOption(Effect.mapError(this.accept, () => Option.none()));
  }

  readonly serve = <E, R>(
    handler: (connection: Connection<A, B>) => Effect.Effect<unknown, E, R>,
  ): Effect.Effect<void, ListenError, R> => {
    const wrong = wrongArgument({ handler }, { handler: func });
    if (wrong !== undefined) {
      return Effect.fail(new ListenError("InvalidOption", invalidArgument("listener.serve", wrong)));
    }
    return Effect.scopedWith((scope) =>
      Effect.uninterruptibleMask((restore) => {
        const fibers = new Set<Fiber.Fiber<unknown>>();
        const handle = (connection: Connection<A, B>): Effect.Effect<void, never, R> =>
          Effect.suspend(() => handler(connection)).pipe(
            restore,
            Effect.exit,
            Effect.flatMap((exit) => {
              const cause = unexpected(exit);
              return cause === undefined
                ? Effect.void
                : Effect.logWarning(`The handler of a connection from ${show(connection.peer)} has failed`, cause);
            }),
            Effect.zipRight(connection.close),
          );
        const loop: Effect.Effect<void, never, R> = Effect.matchEffect(restore(this.accept), {
          onFailure: () => Effect.void,
          onSuccess: (connection) =>
            Effect.flatMap(Effect.forkIn(handle(connection), scope), (fiber) => {
              fibers.add(fiber);
              fiber.addObserver(() => fibers.delete(fiber));
              return loop;
            }),
        });
        return Effect.zipRight(
          loop,
          restore(Effect.suspend(() => Effect.forEach([...fibers], Fiber.await, { discard: true }))),
        );
      })
    );
  };

  get lastAccepted(): Effect.Effect<Option.Option<Address>> {
    return Effect.sync(() => Option.fromNullable(this.#queue.last));
  }

  get close(): Effect.Effect<void> {
    return Effect.promise(() => {
      this.#acceptor.close();
      for (const connection of this.#queue.ready.splice(0)) Effect.runSync(connection.close);
      return this.#acceptor.unbound;
    });
  }

  get statistics(): Effect.Effect<Statistics> {
    return Effect.sync(() => {
      const { accepted, dropped, failed, open, refused } = this.#acceptor.counts;
      return {
        open,
        waiting: this.#queue.ready.length,
        handshakes: this.#acceptor.handshakes,
        authenticated: accepted,
        failed,
        dropped,
        refused,
        state: this.#acceptor.closed ? "closed" : "listening",
      };
    });
  }

  toString(): string {
    return `Listener(${show(this.address)})`;
  }

  /** Takes the connection that has waited longest. */
  #take(): Effect.Effect<Connection<A, B>, ListenerClosed> {
    const queue = this.#queue;
    const connection = queue.closed ? undefined : queue.ready.shift();
    if (connection === undefined) return Effect.fail(new ListenerClosed());
    queue.last = connection.peer;
    if (queue.ready.length < this.#backlog) this.#acceptor.pause(false);
    return Effect.succeed(connection);
  }
}
inspectable(ListenerImpl);
