/**
 * Whoever has called a server: what he sent is read, and he is answered with what he can read, whatever there is to be answered.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Exit from "effect/Exit";
import type { ObjectHook } from "../../hosted/handles.ts";
import type { Fill } from "../../link/link.ts";
import { type Line, tooLarge } from "../../link/router.ts";
import * as Codec from "../../wire/codec.ts";
import { DecodeError, EncodeError } from "../../wire/errors.ts";
import { type Incoming, MessageTooLarge } from "../../wire/frames.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";
import { Thrown } from "./tasks.ts";

/** The object is no more. */
export class Freed {}

/** One call of his. */
export class Caller {
  readonly line: Line;
  readonly hooks: ReadonlyArray<ObjectHook>;
  /** Whether he is of another family. */
  readonly stranger: boolean;

  constructor(line: Line, hooks: ReadonlyArray<ObjectHook>, stranger: boolean) {
    this.line = line;
    this.hooks = hooks;
    this.stranger = stranger;
  }

  /** What he sent, from a position on. Throws a `ManagerError`. */
  decode({ attachments, bytes }: Incoming, at: number): unknown {
    try {
      const body = at === 0 ? bytes : bytes.subarray(at);
      return Codec.decode(body, { attachments, hooks: this.hooks, link: undefined });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new ManagerError("InvalidArguments", `Cannot read the arguments of the call: ${error.message}`);
    }
  }

  /** Ends the call with one byte. */
  end(status: number): void {
    this.line.exit((writer) => void writer.byte(status));
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
    if (error instanceof Freed) return this.end(P.FREED);
    if (error instanceof ManagerError) return this.#send(P.REFUSED, [error.reason, error.message]);
    if (error instanceof EncodeError) return this.#send(P.UNENCODABLE, [error.reason, error.path]);
    if (error instanceof MessageTooLarge) return this.line.exit(tooLarge(error));
    if (error instanceof Thrown) return this.#send(P.THREW, [error.method, error.error]);
    this.#send(P.EXIT, exit);
  }

  /** Sends something, and the call goes on. */
  send(value: unknown): void {
    this.line.data((writer) => Codec.encodeInto(writer, value, { hooks: this.hooks }));
  }

  #send(status: number, content: unknown): void {
    try {
      this.line.exit(this.#filled(status, content));
    } catch (error) {
      if (error instanceof MessageTooLarge) return this.line.exit(tooLarge(error));
      if (!(error instanceof EncodeError)) throw error;
      if (status === P.VALUE) return this.line.exit(this.#filled(P.UNENCODABLE, [error.reason, error.path]));
      // What was thrown cannot be sent: its text can.
      const what = Deno.inspect(content, { depth: 4 });
      this.line.exit(this.#filled(P.THREW, ["the call", new Error(`${what} (in which something cannot be sent)`)]));
    }
  }

  #filled(status: number, content: unknown): Fill {
    return (writer) => {
      writer.byte(status);
      return Codec.encodeInto(writer, content, { hooks: this.hooks, root: "result" });
    };
  }
}
