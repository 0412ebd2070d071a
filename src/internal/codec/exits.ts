/**
 * How a piece of work ended, as plain data: what Effect calls a Cause, without needing Effect to say it. A process that
 * runs plain functions reports its failures with this and never loads Effect.
 *
 * @module
 */

import * as Codec from "./codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE, MessageTooLarge } from "./message.ts";

/** One way to fail, or several at once. `trace` names the spans that were open where it happened, innermost first. */
export type CauseData =
  | { readonly _tag: "Empty" }
  | {
    readonly _tag: "Fail";
    readonly error: unknown;
    readonly trace: ReadonlyArray<string>;
  }
  | {
    readonly _tag: "Die";
    readonly defect: unknown;
    readonly trace: ReadonlyArray<string>;
  }
  | { readonly _tag: "Interrupt" }
  | {
    readonly _tag: "Sequential" | "Parallel";
    readonly left: CauseData;
    readonly right: CauseData;
  };

/** An answer to a request. */
export type ExitData =
  | { readonly _tag: "Success"; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly cause: CauseData }
  /** The work ended well, but its result cannot be sent. */
  | {
    readonly _tag: "Unencodable";
    readonly path: string;
    readonly reason: string;
  }
  /** The work ended well, but its result is larger than a message may be. */
  | { readonly _tag: "TooLarge"; readonly size: number; readonly limit: number }
  /** The work was never begun. */
  | {
    readonly _tag: "Refused";
    readonly reason: Refusal;
    readonly message: string;
    readonly cause: unknown;
  };

/** Why a task was not run. */
export type Refusal =
  | "ModuleNotFound"
  | "LoadFailed"
  | "NotDefined"
  | "InvalidPayload"
  | "LayerFailed";

/** Bytes of an exit beside what it holds, at most. */
const EXIT_OVERHEAD = 256;

/**
 * Writes an exit. Most are successes: they go as their value behind one byte. With `lenient`, what cannot be sent of a failure
 * is replaced by a description of it, and the message has at most that many bytes.
 */
export const writeExit = <Link>(
  writer: Codec.Writer,
  exit: ExitData,
  hooks: ReadonlyArray<Codec.Hook<Link>>,
  lenient?: number,
): Codec.Extras<Link> | undefined => {
  writer.reserve(1);
  const success = exit._tag === "Success";
  writer.buffer[writer.position++] = success ? 0 : 1;
  return Codec.encodeInto(writer, success ? exit.value : exit, {
    hooks,
    root: success ? "result" : "exit",
    lenient,
  });
};

/** Reads what {@link writeExit} wrote. Throws a `DecodeError`. */
export const readExit = <Link>(
  message: Incoming,
  hooks: ReadonlyArray<Codec.Hook<Link>>,
  link: Link,
): ExitData => {
  const value = Codec.decode(message.bytes.subarray(1), {
    attachments: message.attachments,
    hooks,
    link,
  });
  return message.bytes[0] === 0 ? { _tag: "Success", value } : value as ExitData;
};

/**
 * Sends a failure as it is; or, if that cannot be sent, without what cannot be: `send` is then called with what to give to the
 * codec as `lenient`. Throws what `send` throws if no message can be small enough.
 */
export const sendFailure = (send: (lenient?: number) => void): void => {
  let lenient: number | undefined;
  while (true) {
    try {
      return send(lenient);
    } catch (error) {
      const before = lenient ?? Infinity;
      if (error instanceof MessageTooLarge) lenient = error.limit - EXIT_OVERHEAD;
      else if (error instanceof Codec.EncodeError) lenient = MAX_MESSAGE_SIZE;
      else throw error;
      if (lenient >= before || lenient <= 0) throw error;
    }
  }
};
