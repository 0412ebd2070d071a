/**
 * The connection to the server of a manager in another program: an object of this process that passes on all calls, also
 * those of other processes of the family.
 *
 * When the connection breaks, open calls end, and the next call connects again. Calls that arrive meanwhile wait.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import { SmallSet } from "../os/small.ts";
import { Link, type Receiver } from "../rpc/link.ts";
import { CANCELLED, GONE, type Hosted, type Line } from "../rpc/router.ts";
import { dial, type DialOptions } from "../network/dial.ts";
import type { AuthenticationError, ConnectError } from "../network/errors.ts";
import type { TcpTransport } from "../network/tcp_transport.ts";
import type { Incoming } from "../codec/message.ts";
import { forward, resend } from "../rpc/call.ts";
import { DeferredReceiver } from "./deferred_receiver.ts";
import * as P from "./protocol.ts";

/** A call that waits for a connection. */
interface WaitingCall {
  readonly connected: (link: Link) => void;
  readonly failed: () => void;
}

/** The connection to one server. */
export class ServerConnection implements Hosted {
  readonly #options: DialOptions;
  readonly #waiting = new SmallSet<WaitingCall>();
  #link: Link | undefined;
  #transport: TcpTransport | undefined;
  #dialing: Fiber.RuntimeFiber<Link, unknown> | undefined;
  #closed = false;

  constructor(options: DialOptions) {
    this.#options = options;
  }

  /** Connects. */
  get connect(): Effect.Effect<Link, ConnectError | AuthenticationError> {
    const { limits } = this.#options;
    return dial(this.#options, (session) =>
      Effect.sync(() => {
        const link = new Link(session.transport, {
          side: "child",
          maxMessageSize: Math.min(limits.maxMessageSize, session.limits.maxMessageSize),
          onClosed: () => {
            if (this.#link === link) this.#link = undefined;
          },
        });
        this.#link = link;
        this.#transport = session.transport;
        return link;
      }));
  }

  /** Closes the connection, which ends all calls. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#closed = true;
      const stopped = this.#dialing === undefined ? Effect.void : Fiber.interrupt(this.#dialing);
      return Effect.zipRight(
        stopped,
        Effect.async<void>((resume) => {
          this.#link?.destroy();
          if (this.#transport === undefined) resume(Effect.void);
          else this.#transport.released(() => resume(Effect.void));
        }),
      );
    });
  }

  readonly open = (operation: number, line: Line, message: Incoming): Receiver => {
    const end = (status: number): void => line.exit((writer) => void writer.byte(status));
    if (this.#closed) {
      end(GONE);
      return { closed: () => {} };
    }
    if (this.#link !== undefined) return forwardOver(this.#link, operation, line, message);
    const deferred = new DeferredReceiver();
    const call: WaitingCall = {
      connected: (link) => deferred.open(forwardOver(link, operation, line, message)),
      failed: () => end(P.UNSENT),
    };
    this.#waiting.add(call);
    this.#dial();
    return {
      data: deferred.data,
      credit: deferred.credit,
      cancel: () => {
        if (this.#waiting.delete(call)) end(CANCELLED);
        else deferred.cancel();
      },
      closed: (reason) => {
        if (!this.#waiting.delete(call)) deferred.closed(reason);
      },
    };
  };

  #dial(): void {
    if (this.#dialing !== undefined) return;
    const fiber = this.#dialing = Effect.runFork(this.connect);
    fiber.addObserver((exit) => {
      this.#dialing = undefined;
      const calls = [...this.#waiting];
      this.#waiting.clear();
      for (const { connected, failed } of calls) {
        if (Exit.isSuccess(exit)) connected(exit.value);
        else failed();
      }
    });
  }
}

/** Forwards a call over the connection. The first byte of its message is the operation. */
const forwardOver = (link: Link, operation: number, line: Line, message: Incoming): Receiver =>
  forward(line, P.LOST, (receiver) =>
    link.open((writer) => {
      writer.byte(operation);
      return resend(message)(writer);
    }, receiver));

/** Connects for as long as the scope is open. */
export const make = (
  options: DialOptions,
): Effect.Effect<ServerConnection, ConnectError | AuthenticationError, Scope.Scope> =>
  Effect.tap(
    Effect.acquireRelease(Effect.sync(() => new ServerConnection(options)), (connection) => connection.close),
    (connection) => connection.connect,
  );
