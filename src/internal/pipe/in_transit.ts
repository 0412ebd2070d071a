/**
 * What moves with a message is kept where that waits to be received: if nobody will receive it, it ends.
 *
 * @module
 */
import { call, local } from "../rpc/router.ts";
import * as Codec from "../codec/codec.ts";
import { finding } from "../objects/handles.ts";
import type { Packet } from "../objects/packets.ts";
import type { Place } from "./end.ts";
import type { PipeHost } from "./host.ts";
import { KEEP } from "./protocol.ts";

/** Keeps the ends of pipes that move with a message. Returns what lets go of them: those that nobody has received end. */
export const keep = ({ attachments, bytes }: Packet): () => void => {
  const kept: Array<() => void> = [];
  const hooks = finding((kind, data) => {
    if (kind === "connection") kept.push(keepEnd(data as Place));
  });
  try {
    Codec.decode(bytes, { attachments, hooks, link: undefined });
  } catch {
    // Whoever receives it will be told.
  }
  return () => {
    for (const letGo of kept.splice(0)) letGo();
  };
};

const keepEnd = (place: Place): () => void => {
  const { end, turn } = place;
  const here = local(place) as PipeHost | undefined;
  if (here !== undefined) return here.keep(end, turn, () => {});
  const line = call(place, KEEP, (writer) => {
    writer.varint(end);
    writer.varint(turn);
    return undefined;
  }, { exit: () => {} });
  return () => line.cancel();
};
