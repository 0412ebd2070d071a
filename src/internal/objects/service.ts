/**
 * Objects whose operations are Effects: each call runs one where the object lives, and brings its exit.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Fill } from "../rpc/link.ts";
import { call, CANCELLED, DONE, type Hosted, type Line, readTooLarge, type Target, TOO_LARGE } from "../rpc/router.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { sendFailure } from "../codec/exits.ts";
import { MessageTooLarge } from "../transport/frames.ts";
import { Unreachable } from "./errors.ts";
import { hooks, loaded } from "./handles.ts";

/** Where a service is, for its users. */
export interface Place extends Target {
  /** Name of the process that hosts it. */
  readonly host: string;
}

/** Why a call may fail, apart from the operation's own failures. */
export type ServiceError = Unreachable | EncodeError | DecodeError | MessageTooLarge;

/** By number. Whatever they are given came from another process. */
export type Operations = Readonly<Record<number, (argument: unknown) => Effect.Effect<unknown, unknown>>>;

/** The exit is that of the operation. */
const ANSWER = 8;
/** It cannot be sent: what cannot, and why, follow. */
const UNENCODABLE = 9;

/**
 * Hosts the operations. A call that is cancelled, or whose caller has died, is interrupted. What cannot be sent of a failure is
 * replaced by a description of it; the results of `reports` are such failures, as data.
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
    let silent = false;
    const cancel = Effect.runCallback(effect, {
      onExit: (exit) => silent || answer(line, exit, reports.includes(operation)),
    });
    return {
      cancel: () => {
        silent = true;
        cancel();
        line.exit((writer) => void writer.byte(CANCELLED));
      },
      closed: () => {
        silent = true;
        cancel();
      },
    };
  },
});

const answer = (line: Line, exit: Exit.Exit<unknown, unknown>, isReport: boolean): void => {
  const send = (status: number, value: unknown, lenient?: number): void =>
    line.exit((writer): ReturnType<Fill> => {
      writer.byte(status);
      return Codec.encodeInto(writer, value, { hooks, root: "result", lenient });
    });
  try {
    if (isReport || Exit.isFailure(exit)) sendFailure((lenient) => send(ANSWER, exit, lenient));
    else send(ANSWER, exit);
  } catch (error) {
    if (error instanceof EncodeError) return send(UNENCODABLE, [error.reason, error.path]);
    if (error instanceof MessageTooLarge) return send(UNENCODABLE, [error.message, "result"]);
    throw error;
  }
};

/** Calls an operation. *Interruption:* interrupts it there, without waiting for it. */
export const ask = (
  place: Place,
  kind: string,
  operation: number,
  argument: unknown = undefined,
): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    const fail = (error: unknown): void => resume(Effect.fail(error));
    let line: Line | undefined;
    try {
      const encoded = Codec.encode(argument, { hooks, root: "argument" });
      line = call(place, operation, (writer) => Codec.append(writer, encoded), {
        exit: (message) => {
          const { attachments } = message;
          const body = { bytes: message.bytes.subarray(1), attachments };
          const decoded = <A>(use: (value: unknown) => Effect.Effect<A, unknown>): void =>
            resume(loaded([body], () => {
              try {
                return use(Codec.decode(body.bytes, { attachments, hooks, link: undefined }));
              } catch (error) {
                return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
              }
            }));
          switch (message.bytes[0]) {
            case ANSWER:
              return decoded((exit) => exit as Exit.Exit<unknown, unknown>);
            case UNENCODABLE:
              return decoded((refused) => {
                const [reason, path] = refused as [string, string];
                return Effect.fail(new EncodeError(reason, { path }));
              });
            case TOO_LARGE:
              return fail(readTooLarge(message));
            case DONE:
            default:
              return fail(new Unreachable(kind, place.host));
          }
        },
      });
    } catch (error) {
      if (error instanceof EncodeError || error instanceof MessageTooLarge) return fail(error);
      throw error;
    }
    const open = line;
    return Effect.sync(() => open.cancel());
  });
