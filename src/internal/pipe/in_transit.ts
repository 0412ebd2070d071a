/**
 * Ends of pipes that move with a message, while the message is stored in a queue, a pipe or a managed call. If no process will
 * receive the message, its ends are closed.
 *
 * @module
 */
import { local } from "../rpc/router.ts";
import * as Codec from "../codec/codec.ts";
import { finding } from "../objects/handles.ts";
import type { Packet } from "../objects/packets.ts";
import { request } from "../objects/request.ts";
import { varints } from "../codec/varint.ts";
import type { ConnectionHandle } from "./end.ts";
import type { PipeHost } from "./host.ts";
import { RETAIN } from "./protocol.ts";

/** Retains the ends that move with a message. Returns a function that releases them: an end that was not received is closed. */
export const retainEnds = ({ attachments, bytes }: Packet): () => void => {
  const releases: Array<() => void> = [];
  const hooks = finding((kind, data) => {
    if (kind === "connection") releases.push(retainEnd(data as ConnectionHandle));
  });
  try {
    Codec.decode(bytes, { attachments, hooks, link: undefined });
  } catch {
    // The receiver of the message gets the error when it decodes the message.
  }
  return () => {
    for (const release of releases.splice(0)) release();
  };
};

const retainEnd = (handle: ConnectionHandle): () => void => {
  const { end, generation } = handle;
  const host = local(handle) as PipeHost | undefined;
  if (host !== undefined) return host.retain(end, generation, () => {});
  return request(handle, RETAIN, varints(end, generation), () => {});
};
