/**
 * How numbers in memory of this process are offered to other processes. Free of Effect.
 *
 * @module
 */
import type { Carrier } from "../../Lock.ts";
import { Gateway, type MessageOperations } from "../sync/messages/gateway.ts";
import { type Descriptor, offer } from "../sync/object.ts";
import type { ArenaObject } from "./arena_object.ts";

/** The way to numbers for the processes that receive their handle, and the function that closes it. */
export const hostNumbers = <P>(
  object: ArenaObject,
  raw: () => P,
  operations: MessageOperations<P>,
  carrier: Carrier | undefined,
): { readonly sent: Descriptor; readonly retract: () => void } => {
  const gateway = new Gateway<P>(object.arena, raw, operations);
  const { retract, sent } = offer(object.address, gateway, carrier);
  return {
    sent,
    retract: () => {
      retract();
      gateway.close();
    },
  };
};
