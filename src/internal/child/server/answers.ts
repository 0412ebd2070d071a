/**
 * Sends the answer of a request, or the part of it that can be sent.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import { EncodeError } from "../../codec/errors.ts";
import { type ExitData, sendFailure, writeExit } from "../../codec/exits.ts";
import { MessageTooLarge } from "../../codec/message.ts";
import type { Link } from "../../rpc/link.ts";
import type { OpenRequest } from "./open_requests.ts";
import * as Refusals from "../refusals.ts";

type Hooks = Link["hooks"];

const write = (open: OpenRequest, exit: ExitData, hooks: Hooks, lenient?: number): void =>
  open.channel.exit((writer) => writeExit(writer, exit, hooks, lenient));

/** Sends an answer, or returns the reason why it cannot be sent. */
export const send = (open: OpenRequest, exit: ExitData, hooks: Hooks): EncodeError | MessageTooLarge | undefined => {
  try {
    write(open, exit, hooks);
  } catch (error) {
    if (error instanceof EncodeError || error instanceof MessageTooLarge) return error;
    throw error;
  }
};

/** For a result that cannot be sent, sends that error; for a failure, sends those parts of it that can be sent. */
export const sendInstead = (
  open: OpenRequest,
  exit: ExitData,
  hooks: Hooks,
  error: EncodeError | MessageTooLarge,
): void => {
  const answer = exit._tag === "Success" ? unsendable(open, exit.value, hooks, error) : exit;
  try {
    sendFailure((lenient) => write(open, answer, hooks, lenient));
  } catch {
    // Even the shortened failure is too large.
    write(open, Refusals.unsendable(error), hooks);
  }
};

/** The answer for a result that cannot be sent. Of a list of exits, those that can be sent are kept. */
const unsendable = (
  open: OpenRequest,
  value: unknown,
  hooks: Hooks,
  error: EncodeError | MessageTooLarge,
): ExitData => {
  if (!open.request.settled || error instanceof MessageTooLarge) return Refusals.unsendable(error);
  const sendable = (exit: ExitData): ExitData => {
    try {
      if (exit._tag === "Success") Codec.encode(exit.value, { hooks, root: "result" });
      return exit;
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      return Refusals.unsendable(error);
    }
  };
  return { _tag: "Success", value: (value as ReadonlyArray<ExitData>).map(sendable) };
};
