/**
 * The connection to the server of another program: an object of this process, to which all calls go, also those of its family.
 *
 * When it breaks, calls under way end, and the next one connects again. Calls that come meanwhile wait for that.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import { Link, type Receiver } from "../rpc/link.ts";
import { CANCELLED, GONE, type Hosted, type Line } from "../rpc/router.ts";
import { dial, type DialOptions } from "../network/dial.ts";
import type { AuthenticationError, ConnectError } from "../network/errors.ts";
import type { TcpTransport } from "../network/tcp_transport.ts";
import type { Incoming } from "../codec/message.ts";
import { passOn } from "../rpc/relay.ts";
import * as P from "./protocol.ts";

/** A call that waits until there is a connection. */
interface Waiting {
  readonly go: (link: Link) => void;
  readonly fail: () => void;
}

/** See above. */
export class Connection implements Hosted {
  readonly #options: DialOptions;
  readonly #waiting = new Set<Waiting>();
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

  /** Ends it, and every call. */
  get release(): Effect.Effect<void> {
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
    const status = (value: number): void => line.exit((writer) => void writer.byte(value));
    const link = this.#link;
    if (this.#closed) {
      status(GONE);
      return { closed: () => {} };
    }
    if (link !== undefined) return pass(link, operation, line, message);
    let receiver: Receiver | undefined;
    const later: Array<(receiver: Receiver) => void> = [];
    const do_ = (action: (receiver: Receiver) => void): void => {
      if (receiver === undefined) later.push(action);
      else action(receiver);
    };
    const waiting: Waiting = {
      go: (link) => {
        receiver = pass(link, operation, line, message);
        for (const action of later) action(receiver);
      },
      fail: () => status(P.UNSENT),
    };
    this.#waiting.add(waiting);
    this.#dial();
    return {
      data: (message) => do_((receiver) => receiver.data?.(message)),
      credit: (count) => do_((receiver) => receiver.credit?.(count)),
      cancel: () => {
        if (this.#waiting.delete(waiting)) status(CANCELLED);
        else receiver?.cancel?.();
      },
      closed: (reason) => {
        if (!this.#waiting.delete(waiting)) receiver?.closed(reason);
      },
    };
  };

  #dial(): void {
    if (this.#dialing !== undefined) return;
    const fiber = this.#dialing = Effect.runFork(this.connect);
    fiber.addObserver((exit) => {
      this.#dialing = undefined;
      const all = [...this.#waiting];
      this.#waiting.clear();
      for (const { fail, go } of all) {
        if (Exit.isSuccess(exit)) go(exit.value);
        else fail();
      }
    });
  }
}

const pass = (link: Link, operation: number, line: Line, { attachments, bytes }: Incoming): Receiver =>
  passOn(line, P.LOST, (receiver) =>
    link.open((writer) => {
      writer.byte(operation);
      writer.bytes(bytes);
      return attachments.length === 0 ? undefined : { attachments, onSend: [] };
    }, receiver));

/** Connects for as long as the scope is open. */
export const make = (
  options: DialOptions,
): Effect.Effect<Connection, ConnectError | AuthenticationError, Scope.Scope> =>
  Effect.tap(
    Effect.acquireRelease(Effect.sync(() => new Connection(options)), (connection) => connection.release),
    (connection) => connection.connect,
  );
