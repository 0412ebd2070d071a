/**
 * Objects whose operations are Effects: a call runs the Effect in the process that hosts the object, and brings back its exit.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Fill } from "../rpc/link.ts";
import { CANCELLED, type Hosted, type Line, readTooLarge, type Target, TOO_LARGE } from "../rpc/router.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { sendFailure } from "../codec/exits.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { Unreachable } from "./errors.ts";
import { hooks, loaded } from "./handles.ts";
import { request } from "./request.ts";

/** Handle of a service. */
export interface ServiceHandle extends Target {
  /** Name of the process that hosts it. */
  readonly host: string;
}

/** Why a call may fail, apart from the operation's own failures. */
export type ServiceError = Unreachable | EncodeError | DecodeError | MessageTooLarge;

/** Operations by number. An argument comes from another process, and has to be checked. */
export type Operations = Readonly<Record<number, (argument: unknown) => Effect.Effect<unknown, unknown>>>;

/** The message ends with the exit of the operation. */
const EXIT = 8;
/** The exit cannot be encoded. The message continues with the reason, and with the path of the value. */
const UNENCODABLE = 9;

/**
 * Hosts operations. A call that is cancelled, or whose caller has died, is interrupted. A part of a failure that cannot be
 * encoded is replaced by a description. The results of the operations in `reports` are failures in the form of data, and
 * treated like failures.
 */
export const service = (operations: Operations, reports: ReadonlyArray<number> = []): Hosted => ({
  open: (operation, line, { attachments, bytes }) => {
    const run = operations[operation];
    const effect = Effect.suspend(() => {
      if (run === undefined) return Effect.dieMessage(`there is no operation ${operation}`);
      return loaded(
        [{ attachments, bytes }],
        () => Effect.suspend(() => run(Codec.decode(bytes, { attachments, hooks, link: undefined }))),
      );
    });
    let over = false;
    const interrupt = Effect.runCallback(effect, {
      onExit: (exit) => over || reply(line, exit, reports.includes(operation)),
    });
    return {
      cancel: () => {
        over = true;
        interrupt();
        line.exit((writer) => void writer.byte(CANCELLED));
      },
      closed: () => {
        over = true;
        interrupt();
      },
    };
  },
});

const reply = (line: Line, exit: Exit.Exit<unknown, unknown>, isReport: boolean): void => {
  const send = (status: number, value: unknown, lenient?: number): void =>
    line.exit((writer): ReturnType<Fill> => {
      writer.byte(status);
      return Codec.encodeInto(writer, value, { hooks, root: "result", lenient });
    });
  try {
    if (isReport || Exit.isFailure(exit)) sendFailure((lenient) => send(EXIT, exit, lenient));
    else send(EXIT, exit);
  } catch (error) {
    if (error instanceof EncodeError) return send(UNENCODABLE, [error.reason, error.path]);
    if (error instanceof MessageTooLarge) return send(UNENCODABLE, [error.message, "result"]);
    throw error;
  }
};

/** Decodes the rest of a reply, once the kinds of its handles are loaded, and passes the value to `use`. */
const decoded = (
  { attachments, bytes }: Incoming,
  use: (value: unknown) => Effect.Effect<unknown, unknown>,
): Effect.Effect<unknown, unknown> => {
  const body = { bytes: bytes.subarray(1), attachments };
  return loaded([body], () => {
    try {
      return use(Codec.decode(body.bytes, { attachments, hooks, link: undefined }));
    } catch (error) {
      return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
    }
  });
};

/** Calls an operation. *Interruption:* interrupts the operation, without waiting for its end. */
export const ask = (
  handle: ServiceHandle,
  kind: string,
  operation: number,
  argument: unknown = undefined,
): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    let cancel: () => void;
    try {
      const encoded = Codec.encode(argument, { hooks, root: "argument" });
      cancel = request(handle, operation, (writer) => Codec.append(writer, encoded), (message) => {
        switch (message.bytes[0]) {
          case EXIT:
            return resume(decoded(message, (exit) => exit as Exit.Exit<unknown, unknown>));
          case UNENCODABLE:
            return resume(decoded(message, (refused) => {
              const [reason, path] = refused as [string, string];
              return Effect.fail(new EncodeError(reason, { path }));
            }));
          case TOO_LARGE:
            return resume(Effect.fail(readTooLarge(message)));
          default:
            return resume(Effect.fail(new Unreachable(kind, handle.host)));
        }
      });
    } catch (error) {
      if (error instanceof EncodeError || error instanceof MessageTooLarge) return resume(Effect.fail(error));
      throw error;
    }
    return Effect.sync(cancel);
  });
