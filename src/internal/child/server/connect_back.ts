/**
 * The child's side of its start: connects to its parent; see `launch.ts`.
 *
 * @module
 */
import { Connection, type Socket } from "../../transport/connection.ts";
import { connect, type Invitation, permissions } from "../../transport/one_time_listener.ts";
import { socket, type WatchedTransport } from "../../transport/transport.ts";
import type { ConnectBack } from "../backends/launch.ts";

const VARIABLE: typeof import("../backends/launch.ts").VARIABLE = "MULTIPROCESSING_PARENT";

/** Reads and removes the variable. It must not prompt: the permissions of the user may not cover the variable. */
const take = (): ConnectBack | undefined => {
  if (Deno.permissions.querySync({ name: "env", variable: VARIABLE }).state !== "granted") return undefined;
  const value = Deno.env.get(VARIABLE);
  if (value === undefined) return undefined;
  Deno.env.delete(VARIABLE);
  return JSON.parse(value);
};

/** Gives back the permissions that were added for the connection. */
const giveBack = (added: ConnectBack["added"], invitation: Invitation): void => {
  const { net, path } = permissions(invitation);
  for (const name of added) {
    if (name === "env") Deno.permissions.revokeSync({ name, variable: VARIABLE });
    else if (name === "net") Deno.permissions.revokeSync({ name, host: net });
    else if (path !== undefined) Deno.permissions.revokeSync({ name, path });
  }
};

const connectTo = async ({ added, at, token }: ConnectBack): Promise<Socket> => {
  const invitation = { at, token: Uint8Array.from(token) };
  try {
    return await connect(invitation);
  } finally {
    giveBack(added, invitation);
  }
};

/** The transport to the parent: a connection to the parent's listener, or the socket on descriptor 3. */
export const toParent = async (): Promise<WatchedTransport> => {
  const connectBack = take();
  if (connectBack !== undefined) return new Connection(connectTo(connectBack));
  const net = await import("node:net");
  return socket(new net.Socket({ fd: 3 }));
};
