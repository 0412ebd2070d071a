/**
 * The child's side of its start: how it comes to its parent; see `launch.ts`.
 *
 * @module
 */
import { Connection, type Socket } from "../transport/connection.ts";
import { enter, type Invitation, permissions } from "../transport/accept.ts";
import { socket, type WatchedTransport } from "../transport/transport.ts";
import type { Summons } from "./launch.ts";

const VARIABLE: typeof import("./launch.ts").VARIABLE = "MULTIPROCESSING_PARENT";

/** What the parent has said; nothing may be asked for it, since the user's permissions may not cover it. */
const take = (): Summons | undefined => {
  if (Deno.permissions.querySync({ name: "env", variable: VARIABLE }).state !== "granted") return undefined;
  const value = Deno.env.get(VARIABLE);
  if (value === undefined) return undefined;
  Deno.env.delete(VARIABLE);
  return JSON.parse(value);
};

/** Gives back what was granted only for the way. */
const giveBack = (added: Summons["added"], invitation: Invitation): void => {
  const { net, path } = permissions(invitation);
  for (const name of added) {
    if (name === "env") Deno.permissions.revokeSync({ name, variable: VARIABLE });
    else if (name === "net") Deno.permissions.revokeSync({ name, host: net });
    else if (path !== undefined) Deno.permissions.revokeSync({ name, path });
  }
};

const come = async ({ added, at, token }: Summons): Promise<Socket> => {
  const invitation = { at, token: Uint8Array.from(token) };
  try {
    return await enter(invitation);
  } finally {
    giveBack(added, invitation);
  }
};

/** The link to the parent: over a socket of its own, or the one on descriptor 3. */
export const toParent = async (): Promise<WatchedTransport> => {
  const summons = take();
  if (summons !== undefined) return new Connection(come(summons));
  const net = await import("node:net");
  return socket(new net.Socket({ fd: 3 }));
};
