/**
 * The outcome of a piece of work as plain data: an Exit and its Cause, in a form that does not need Effect. A process that
 * runs only plain functions reports its failures in this form and never loads Effect.
 *
 * @module
 */

import * as Codec from "./codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE, MessageTooLarge } from "./message.ts";

/** One failure, or several at once. `trace` names the spans that were open at the failure, innermost first. */
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

/** The reply to a request. */
export type ExitData =
  /** `millis` is how long the work took, if that was measured. */
  | { readonly _tag: "Success"; readonly value: unknown; readonly millis?: number | undefined }
  | { readonly _tag: "Failure"; readonly cause: CauseData }
  /** The work succeeded, but its result cannot be sent. */
  | {
    readonly _tag: "Unencodable";
    readonly path: string;
    readonly reason: string;
  }
  /** The work succeeded, but its result exceeds the size limit of a message. */
  | { readonly _tag: "TooLarge"; readonly size: number; readonly limit: number }
  /** The work was not started. */
  | {
    readonly _tag: "Refused";
    readonly reason: Refusal;
    readonly message: string;
    readonly cause: unknown;
  };

/** The reason why a task was not run. */
export type Refusal =
  | "ModuleNotFound"
  | "LoadFailed"
  | "NotDefined"
  | "InvalidPayload"
  | "LayerFailed";

/** Maximum size of an exit besides its contents, in bytes. */
const EXIT_OVERHEAD = 256;

/** The first byte of a success. */
const SUCCESS = 0;
/** The first byte of any other exit. */
const OTHER = 1;
/** The first byte of a success that is followed by how long the work took, in milliseconds, as a 32-bit float. */
const MEASURED = 2;

/**
 * Writes an exit. A success, the common case, costs one byte besides its value. With `lenient`, the parts of a failure that
 * cannot be sent are replaced by descriptions, and the message has at most that number of bytes.
 */
export const writeExit = <Link>(
  writer: Codec.Writer,
  exit: ExitData,
  hooks: ReadonlyArray<Codec.Hook<Link>>,
  lenient?: number,
): Codec.Extras<Link> | undefined => {
  writer.reserve(5);
  const success = exit._tag === "Success";
  if (success && exit.millis !== undefined) {
    writer.buffer[writer.position++] = MEASURED;
    writer.view.setFloat32(writer.position, exit.millis, true);
    writer.position += 4;
  } else writer.buffer[writer.position++] = success ? SUCCESS : OTHER;
  return Codec.encodeInto(writer, success ? exit.value : exit, {
    hooks,
    root: success ? "result" : "exit",
    lenient,
  });
};

/** The body of an exit: the part of the message that the codec has written. */
export const bodyOf = ({ attachments, bytes }: Incoming): Incoming => ({
  attachments,
  bytes: bytes.subarray(bytes[0] === MEASURED ? 5 : 1),
});

/** For a number that a message has. To make another one would take longer than to copy the number. */
const scratch = new DataView(new ArrayBuffer(4));

/** Reads an exit that {@link writeExit} wrote. Throws a `DecodeError`. */
export const readExit = <Link>(
  message: Incoming,
  hooks: ReadonlyArray<Codec.Hook<Link>>,
  link: Link,
  body: Incoming = bodyOf(message),
): ExitData => {
  const value = Codec.decode(body.bytes, { attachments: body.attachments, hooks, link });
  const { bytes } = message;
  if (bytes[0] === MEASURED) {
    for (let i = 0; i < 4; i++) scratch.setUint8(i, bytes[1 + i]);
    const millis = scratch.getFloat32(0, true);
    return { _tag: "Success", value, millis };
  }
  return bytes[0] === SUCCESS ? { _tag: "Success", value } : value as ExitData;
};

/**
 * Sends a failure unchanged if possible, and otherwise without the parts that cannot be sent. In the second case, `send`
 * receives the value of the codec's option `lenient`. Throws the error of `send` if no message can be small enough.
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
