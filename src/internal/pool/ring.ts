/**
 * Offers a worker memory for the tickets of requests; see `../child/tickets.ts`.
 *
 * @module
 */
import { RING } from "../child/request.ts";
import { BYTES, Tickets } from "../child/tickets.ts";
import * as Codec from "../codec/codec.ts";
import { readExit } from "../codec/exits.ts";
import { words } from "../os/atomics.ts";
import type { Link } from "../rpc/link.ts";

/** Calls back if the worker uses the memory. A worker that cannot map it, or ends before it has answered, never calls back. */
export const offerRing = async (
  link: Link,
  kind: "worker" | "subprocess",
  done: (tickets: Tickets) => void,
): Promise<void> => {
  const { create, preferred, RegionError } = await import("../os/mapping.ts");
  if (link.closed !== undefined || kind === "subprocess" && preferred() !== "memory") return;
  let region: ReturnType<typeof create>;
  try {
    region = create(BYTES, kind === "worker" ? "buffer" : "memory");
  } catch (error) {
    // There is no memory, or no descriptor is left: the pool goes on without.
    if (error instanceof RegionError) return;
    throw error;
  }
  const tickets = new Tickets(words(region.buffer), region.close);
  link.onClosed(() => tickets.close());
  link.open((writer) => {
    writer.byte(RING);
    Codec.encodeInto(writer, region.token);
    return undefined;
  }, {
    exit: (message) => {
      const exit = readExit(message, [], link);
      if (exit._tag === "Success" && exit.value === true) done(tickets);
      else tickets.close();
    },
    closed: () => {},
  });
};
