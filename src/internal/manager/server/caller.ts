/**
 * Whoever has called a server: what he sent is read, and he is answered with what he can read, whatever there is to be answered.
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
import { Thrown } from "./tasks.ts";

/** The object is no more. */
export class Freed {
  readonly _tag = "Freed";
}

/** The arguments have handles of kinds that are being loaded. */
export class Loading {
  constructor(readonly done: Promise<void>) {}
}

/** One call of his. */
export class Caller {
  readonly line: Line;
  readonly hooks: ReadonlyArray<ObjectHook>;
  /** Whether he is of another family. */
  readonly stranger: boolean;
  /** Ends of pipes that the arguments brought. */
  readonly #ends: Array<Connection<unknown, unknown>> = [];
  #over = false;

  /** `abroad` are the hooks for a caller of another family. */
  constructor(line: Line, abroad?: ReadonlyArray<ObjectHook>) {
    this.line = line;
    this.hooks = abroad ?? hooks;
    this.stranger = abroad !== undefined;
  }

  /** What the caller sent, from a position on. Throws a `ManagerError`, or {@link Loading}. */
  decode({ attachments, bytes }: Incoming, at: number): unknown {
    const body = at === 0 ? bytes : bytes.subarray(at);
    const loading = this.stranger ? undefined : load({ attachments, bytes: body });
    if (loading !== undefined) throw new Loading(loading);
    const hooks = this.stranger ? this.hooks : taking((made, kind) => {
      if (kind === "connection") this.#ends.push(made as Connection<unknown, unknown>);
    });
    try {
      return Codec.decode(body, { attachments, hooks, link: undefined });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new ManagerError("InvalidArguments", `Cannot read the arguments of the call: ${error.message}`);
    }
  }

  /** Ends the call with one byte. */
  end(status: number): void {
    this.#exit(() => this.line.exit((writer) => void writer.byte(status)));
  }

  /** Ends the call with a value. */
  value(value: unknown): void {
    this.#send(P.VALUE, value);
  }

  /** Ends the call with what became of an Effect. */
  answer(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return this.value(exit.value);
    const failure = Cause.failureOption(exit.cause);
    if (failure._tag === "None") return this.#send(P.EXIT, exit);
    this.refuse(failure.value, exit);
  }

  /** Ends the call with a failure. */
  refuse(error: unknown, exit: Exit.Exit<unknown, unknown> = Exit.fail(error)): void {
    // What is refused closes what it brought. A method that fails may have kept it.
    if (isInstance(error, Freed) || isInstance(error, ManagerError)) {
      for (const end of this.#ends) Effect.runSync(end.close);
    }
    if (isInstance(error, Freed)) return this.end(P.FREED);
    if (isInstance(error, ManagerError)) return this.#send(P.REFUSED, [error.reason, error.message]);
    if (isInstance(error, EncodeError)) return this.#send(P.UNENCODABLE, [error.reason, error.path]);
    if (isInstance(error, MessageTooLarge)) return this.#exit(() => this.line.exit(tooLarge(error)));
    if (isInstance(error, Thrown)) return this.#send(P.THREW, [error.method, error.error]);
    this.#send(P.EXIT, exit);
  }

  /** Sends something, and the call goes on. What cannot be sent refuses the call; `unsent` is called before. */
  send(value: unknown, unsent: () => void): void {
    this.#settled(() => {
      if (this.#over) return;
      try {
        this.line.data((writer) => Codec.encodeInto(writer, value, { hooks: this.hooks, root: "result" }));
      } catch (error) {
        if (!(error instanceof EncodeError || error instanceof MessageTooLarge)) throw error;
        unsent();
        this.refuse(error);
      }
    });
  }

  /** A result that cannot be sent is a failure of its own; of a failure, all that can be sent is. */
  #send(status: number, content: unknown): void {
    const send = (lenient?: number): void => this.line.exit(this.#filled(status, content, lenient));
    this.#exit(() => {
      try {
        if (status === P.VALUE) send();
        else sendFailure(send);
      } catch (error) {
        if (error instanceof MessageTooLarge) return this.line.exit(tooLarge(error));
        if (!(error instanceof EncodeError)) throw error;
        this.line.exit(this.#filled(P.UNENCODABLE, [error.reason, error.path]));
      }
    });
  }

  #exit(exit: () => void): void {
    this.#over = true;
    this.#settled(exit);
  }

  /** The caller keeps the ends that the call brought until it is answered: an answer waits until their pipes know whose they are. */
  #settled(action: () => void): void {
    if (this.#ends.length === 0) action();
    else whenAttached(action);
  }

  #filled(status: number, content: unknown, lenient?: number): Fill {
    return (writer) => {
      writer.byte(status);
      return Codec.encodeInto(writer, content, { hooks: this.hooks, root: "result", lenient });
    };
  }
}
