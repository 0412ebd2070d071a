/**
 * The child's side of its start: how it comes to its parent; see `launch.ts`.
 *
 * @module
 */
import { Connection } from "../link/connection.ts";
import { enter } from "../link/door.ts";
import { socket, type WatchedTransport } from "../link/transport.ts";
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
const giveBack = ({ added, at }: Summons): void => {
  for (const name of added) {
    if (name === "env") Deno.permissions.revokeSync({ name, variable: VARIABLE });
    else if (name === "net") {
      Deno.permissions.revokeSync({ name, host: "unix" in at ? `unix:${at.unix}` : `127.0.0.1:${at.port}` });
    } else if ("unix" in at) Deno.permissions.revokeSync({ name, path: at.unix });
  }
};

const come = async (summons: Summons): Promise<Awaited<ReturnType<typeof enter>>> => {
  const token = Uint8Array.from(summons.token.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  try {
    return await enter({ at: summons.at, token });
  } finally {
    giveBack(summons);
  }
};

/** The link to the parent: over a socket of its own, or the one on descriptor 3. */
export const toParent = async (): Promise<WatchedTransport> => {
  const summons = take();
  if (summons !== undefined) return new Connection(come(summons));
  const { Socket } = await import("node:net");
  return socket(new Socket({ fd: 3 }));
};
