/**
 * Sends the answer of a request, or the part of it that can be sent.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import { EncodeError } from "../../codec/errors.ts";
import { type ExitData, sendFailure, writeExit } from "../../codec/exits.ts";
import { MessageTooLarge, sizeOf } from "../../codec/message.ts";
import type { Link } from "../../rpc/link.ts";
import type { OpenRequest } from "./open_requests.ts";
import * as Refusals from "../refusals.ts";
import { MAP_UNTIL, type Part } from "../request.ts";

type Hooks = Link["hooks"];

/** More than the number of bytes of a refusal in a list of exits. */
const REFUSAL_BYTES = 128;

const write = (open: OpenRequest, exit: ExitData, hooks: Hooks, lenient?: number): void =>
  open.channel.exit((writer) => {
    const start = writer.position;
    const extras = writeExit(writer, exit, hooks, lenient);
    if (extras?.moving === undefined) return extras;
    // Content of an answer that is too large stays, because a part of the answer may be sent.
    const size = sizeOf({ attachments: extras.attachments, bytes: writer.buffer.subarray(start, writer.position) });
    const { maxMessageSize } = open.channel.link;
    if (size > maxMessageSize) throw new MessageTooLarge(size, maxMessageSize);
    return Codec.take([extras])[0];
  });

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

/** The list of exits without the largest results, so that the others have room in a message. */
const shortened = (exits: ReadonlyArray<ExitData>, hooks: Hooks, error: MessageTooLarge): ExitData => {
  const sizes = exits.map((exit) => exit._tag === "Success" ? sizeOf(Codec.encode(exit.value, { hooks })) : 0);
  let total = error.size;
  const kept = [...exits];
  for (const { at, size } of sizes.map((size, at) => ({ at, size })).toSorted((a, b) => b.size - a.size)) {
    if (total <= error.limit) break;
    kept[at] = Refusals.unsendable(error);
    total -= size - REFUSAL_BYTES;
  }
  return { _tag: "Success", value: kept };
};

/** The answer for a result that cannot be sent. Of a list of exits, those that can be sent are kept; of a part, those before the first one that cannot. */
const unsendable = (
  open: OpenRequest,
  value: unknown,
  hooks: Hooks,
  error: EncodeError | MessageTooLarge,
): ExitData => {
  const { mode, settled } = open.request;
  if (settled && error instanceof MessageTooLarge) return shortened(value as ReadonlyArray<ExitData>, hooks, error);
  if (error instanceof MessageTooLarge || !settled && mode !== MAP_UNTIL) return Refusals.unsendable(error);
  /** The answer in place of a result that cannot be sent. */
  const refused = (result: unknown): ExitData | undefined => {
    try {
      Codec.encode(result, { hooks, root: "result" });
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      return Refusals.unsendable(error);
    }
  };
  if (settled) {
    const sendable = (exit: ExitData): ExitData => exit._tag === "Success" ? refused(exit.value) ?? exit : exit;
    return { _tag: "Success", value: (value as ReadonlyArray<ExitData>).map(sendable) };
  }
  const part = Array.isArray(value) ? undefined : value as Part;
  const results = part?.results ?? value as ReadonlyArray<unknown>;
  for (const [i, result] of results.entries()) {
    const exit = refused(result);
    if (exit !== undefined) return { _tag: "Success", value: { results: results.slice(0, i), exit } satisfies Part };
  }
  return { _tag: "Success", value };
};
