/**
 * One call of a server by another process: decodes the arguments, and encodes replies that the caller can read.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import { hooks, load, type ObjectHook, taking } from "../../objects/handles.ts";
import { whenAttached } from "../../objects/attaching.ts";
import type { Connection } from "../../../Pipe.ts";
import type { Fill } from "../../rpc/link.ts";
import { type Line, tooLarge } from "../../rpc/router.ts";
import * as Codec from "../../codec/codec.ts";
import { DecodeError, EncodeError } from "../../codec/errors.ts";
import { sendFailure } from "../../codec/exits.ts";
import { isInstance } from "../../codec/foreign.ts";
import { type Incoming, MessageTooLarge } from "../../codec/message.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";
import { Freed, HandlesLoading, Thrown } from "./results.ts";

/** One call by another process. */
export class IncomingCall {
  readonly line: Line;
  readonly hooks: ReadonlyArray<ObjectHook>;
  /** Whether the caller is another program. */
  readonly isForeign: boolean;
  /** Ends of pipes that came with the arguments. */
  readonly #ends: Array<Connection<unknown, unknown>> = [];
  #ended = false;

  /** `foreignHooks` are the hooks for a caller in another program. */
  constructor(line: Line, foreignHooks?: ReadonlyArray<ObjectHook>) {
    this.line = line;
    this.hooks = foreignHooks ?? hooks;
    this.isForeign = foreignHooks !== undefined;
  }

  /** Decodes the message from a position on. Throws a `ManagerError`, or {@link HandlesLoading}. */
  decode({ attachments, bytes }: Incoming, at: number): unknown {
    const body = at === 0 ? bytes : bytes.subarray(at);
    const loading = this.isForeign ? undefined : load({ attachments, bytes: body });
    if (loading !== undefined) throw new HandlesLoading(loading);
    const hooks = this.isForeign ? this.hooks : taking((made, kind) => {
      if (kind === "connection") this.#ends.push(made as Connection<unknown, unknown>);
    });
    try {
      return Codec.decode(body, { attachments, hooks, link: undefined });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new ManagerError("InvalidArguments", `Cannot read the arguments of the call: ${error.message}`);
    }
  }

  /** Ends the call with a status. */
  end(status: number): void {
    this.#end(() => this.line.exit((writer) => void writer.byte(status)));
  }

  /** Ends the call with a value. */
  succeed(value: unknown): void {
    this.#reply(P.VALUE, value);
  }

  /** Ends the call with an exit. */
  complete(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return this.succeed(exit.value);
    const failure = Cause.failureOption(exit.cause);
    if (failure._tag === "None") return this.#reply(P.EXIT, exit);
    this.fail(failure.value, exit);
  }

  /** Ends the call with an error; `exit` is sent for an error of the user's method. */
  fail(error: unknown, exit: Exit.Exit<unknown, unknown> = Exit.fail(error)): void {
    // A call that was refused has not used the ends that came with it. A method that has failed may have kept them.
    if (isInstance(error, Freed) || isInstance(error, ManagerError)) {
      for (const end of this.#ends) Effect.runSync(end.close);
    }
    if (isInstance(error, Freed)) return this.end(P.FREED);
    if (isInstance(error, ManagerError)) return this.#reply(P.REFUSED, [error.reason, error.message]);
    if (isInstance(error, EncodeError)) return this.#reply(P.UNENCODABLE, [error.reason, error.path]);
    if (isInstance(error, MessageTooLarge)) return this.#end(() => this.line.exit(tooLarge(error)));
    if (isInstance(error, Thrown)) return this.#reply(P.THREW, [error.method, error.error]);
    this.#reply(P.EXIT, exit);
  }

  /** Sends a value and leaves the call open. If the value cannot be sent, calls `onUnsent` and fails the call. */
  send(value: unknown, onUnsent: () => void): void {
    this.#afterAttach(() => {
      if (this.#ended) return;
      try {
        this.line.data((writer) => Codec.encodeInto(writer, value, { hooks: this.hooks, root: "result" }));
      } catch (error) {
        if (!(error instanceof EncodeError || error instanceof MessageTooLarge)) throw error;
        onUnsent();
        this.fail(error);
      }
    });
  }

  /** Parts of a failure that cannot be encoded are replaced. A value that cannot be encoded becomes a failure. */
  #reply(status: number, content: unknown): void {
    const send = (lenient?: number): void => this.line.exit(this.#fill(status, content, lenient));
    this.#end(() => {
      try {
        if (status === P.VALUE) send();
        else sendFailure(send);
      } catch (error) {
        if (error instanceof MessageTooLarge) return this.line.exit(tooLarge(error));
        if (!(error instanceof EncodeError)) throw error;
        this.line.exit(this.#fill(P.UNENCODABLE, [error.reason, error.path]));
      }
    });
  }

  #end(exit: () => void): void {
    this.#ended = true;
    this.#afterAttach(exit);
  }

  /**
   * The caller keeps the ends that came with the call until it has a reply. A reply therefore waits until the pipes know the
   * new owner of each end.
   */
  #afterAttach(action: () => void): void {
    if (this.#ends.length === 0) action();
    else whenAttached(action);
  }

  #fill(status: number, content: unknown, lenient?: number): Fill {
    return (writer) => {
      writer.byte(status);
      return Codec.encodeInto(writer, content, { hooks: this.hooks, root: "result", lenient });
    };
  }
}
