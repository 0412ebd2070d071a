/**
 * The common part of the objects of one `NatsShared`: the connection, the names of streams and subjects, and the failures of their use.
 * A part in capitals stands for a name.
 *
 * | subject, after `mp.SPACE.s.NAME` | stream, after `mp+SPACE+` | content |
 * | --- | --- | --- |
 * | `.lock.LOCK`, `.semaphore.SEMAPHORE` | `shared+NAME` | its holders, and the line of the programs that wait |
 * | `.event.EVENT` | `shared+NAME` | whether it is set, and how often it was set |
 * | `.dict.DICT.KEY` | `shared+NAME` | a key with its value, or the news that it was deleted |
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Unreachable } from "../../objects/errors.ts";
import type { Handle, HandleId } from "../../objects/handles.ts";
import { Closed, Denied, type JetStream, JetStreamError, type Stored } from "../jetstream.ts";
import { Watch } from "../watch.ts";

/** The connection of a program to the objects of one name. */
export class Connection {
  readonly js: JetStream;
  readonly space: string;
  /** The name that all programs use which share the objects. */
  readonly name: string;
  /** The random name of this program. */
  readonly caller: string;
  /** The beginning of the subjects of answers to this program. */
  readonly inbox: string;
  /** Number of servers that keep each message; `undefined` leaves it as it is. */
  readonly replicas: number | undefined;
  /** What all subjects of the objects begin with. */
  readonly base: string;
  #watches = 0;
  #writes = 0;

  constructor(
    js: JetStream,
    inbox: string,
    caller: string,
    { name, replicas, space }: { readonly name: string; readonly replicas: number | undefined; readonly space: string },
  ) {
    this.js = js;
    this.inbox = inbox;
    this.caller = caller;
    this.name = name;
    this.replicas = replicas;
    this.space = space;
    this.base = `mp.${space}.s.${name}`;
  }

  /** What `host` of an object says, and the failures of its use. */
  get host(): string {
    return `NatsShared(${this.name})`;
  }

  /** The name of a stream, such as `mp+SPACE+shared+NAME`. */
  stream(kind: string): string {
    return `mp+${this.space}+${kind}+${this.name}`;
  }

  /** The number of a new write. With the name of this program, it is the id of a message, by which the server knows a repeated one. */
  nextWrite(): number {
    return ++this.#writes;
  }

  /** Watches the state of an object: its present message, if there is one, and then each new one. */
  watch(subject: string, seen: (message: Stored) => void, failed: (error: unknown) => void): Watch {
    const nothing = (): void => {};
    const viewer = { begun: nothing, complete: nothing, seen, failed };
    return new Watch(this.js, this.nextWatch(), this.stream("shared"), subject, viewer);
  }

  /** The beginning of the subjects of the messages of a new watch. */
  nextWatch(): string {
    return `${this.inbox}.w${++this.#watches}`;
  }

  /** The failure of a use of an object after the connection was closed. */
  gone(kind: string): Unreachable {
    return new Unreachable(kind, this.host);
  }

  /** The failure of a use of an object, from the failure of an operation of JetStream. Throws an error that is none. */
  failure(kind: string, error: unknown): Unreachable {
    if (error instanceof Closed) return this.gone(kind);
    if (error instanceof Denied || error instanceof JetStreamError) return new Unreachable(kind, this.host, error);
    throw error;
  }

  /**
   * Runs operations of JetStream, such as those of {@link JetStream.persist}, for an object of a kind, such as `"queue"`. *Interruption:*
   * does not wait for them; they may happen.
   */
  asking<A>(kind: string, ask: () => Promise<A>): Effect.Effect<A, Unreachable> {
    return Effect.async((resume) => {
      ask().then(
        (answer) => resume(Effect.succeed(answer)),
        (error) => resume(Effect.suspend(() => Effect.fail(this.failure(kind, error)))),
      );
    });
  }
}

/** The handle of an object that cannot be sent, since its program is connected to the server and a receiver is not. */
export const unsendable = (kind: string): Handle[typeof HandleId] => ({
  kind,
  encode: () => undefined,
  refusal: `a ${kind} of NatsShared cannot be sent: call NatsShared.make where it is needed, in the task`,
});
