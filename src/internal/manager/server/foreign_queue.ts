/**
 * Calls of a queue of the server by another program.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import { HandleId } from "../../objects/handles.ts";
import { unpack } from "../../objects/packets.ts";
import { QueueClient } from "../../queue/client.ts";
import { CONFIRMED_ITEMS, ITEMS, PUT } from "../../queue/protocol.ts";
import type { Receiver } from "../../rpc/link.ts";
import { type Line, local } from "../../rpc/router.ts";
import type { Incoming } from "../../codec/message.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { ManagerError } from "../errors.ts";
import type { ManagedObject } from "./object_table.ts";

/**
 * Opens an operation of a queue; the message begins with its number, at `at`. Items of another program are data: a handle in
 * one would be used by the process of this family that takes the item, so it ends the connection.
 */
export const openQueue = (
  { handle, type }: ManagedObject,
  line: Line,
  { attachments, bytes }: Incoming,
  at: number,
): Receiver => {
  const operation = bytes[at];
  const queue = handle instanceof QueueClient ? local(handle[HandleId].encode()) : undefined;
  if (queue === undefined || operation === undefined) {
    throw new ManagerError("NotExposed", `Cannot use a ${type} as a queue`);
  }
  const checked = (message: Incoming): Incoming => {
    if (operation === PUT && (message.bytes[0] === ITEMS || message.bytes[0] === CONFIRMED_ITEMS)) {
      refuseHandles(message);
    }
    return message;
  };
  const first = checked({ attachments, bytes: bytes.subarray(at + 1) });
  const receiver = queue.open(operation, line, first, false);
  return { ...receiver, data: (message) => receiver.data?.(checked(message)) };
};

const refuseHandles = (message: Incoming): void => {
  for (const { bytes } of unpack(message, 1, "message")) {
    if (!Codec.requires(bytes).includes("handle")) continue;
    throw new ProtocolError("Cannot read from the peer: it puts a handle into a queue of another program");
  }
};
