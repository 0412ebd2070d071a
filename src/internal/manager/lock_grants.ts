/**
 * The managed locks that this process holds. A grant is a call to the lock that stays open until the lock is released, and that
 * ends with the process.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import { varints } from "../codec/varint.ts";
import { call, type Line } from "../rpc/router.ts";
import { type ObjectRef, readReply, serverOf } from "./calls.ts";
import * as P from "./protocol.ts";

/** The failure of a lock that was lost: the server has ended, or the connection to it. */
export type Lost = Effect.Effect<never, unknown>;

/** A lock that this process holds. */
export interface Grant {
  line: Line;
  /** Set if the lock was lost while it was held. */
  lost: Lost | undefined;
  /** Called when the lock is granted again after a wait in a condition, and when it is lost. */
  onChange: () => void;
}

/** The outcome of a request: a grant, or `"busy"` if another process holds the lock, or that the lock was lost. */
export type Outcome = Grant | "busy" | { readonly lost: Lost };

/** Identifies a lock among all servers. */
export const lockKey = ({ address, number, server }: ObjectRef): string => `${address}/${server}/${number}`;

/**
 * Requests a lock; if `waits` is false, another holder makes it `"busy"`. Calls `done` once. Returns a function that cancels the
 * request if it has no outcome yet.
 */
export const requestGrant = (lock: ObjectRef, waits: boolean, done: (outcome: Outcome) => void): () => void => {
  let state: "requested" | "granted" | "ended" = "requested";
  const line = call(serverOf(lock), P.ATTACH, varints(lock.number, waits ? 1 : 0), {
    data: () => {
      if (state === "granted") return grant.onChange();
      if (state === "ended") return;
      state = "granted";
      done(grant);
    },
    exit: (reply) => {
      if (state === "ended") return;
      if (state === "requested" && reply.bytes[0] === P.BUSY) {
        state = "ended";
        return done("busy");
      }
      // An exit that the server sends is a failure of the lock.
      const lost = readReply(lock, reply) as Lost;
      grant.lost = lost;
      if (state === "granted") return grant.onChange();
      state = "ended";
      done({ lost });
    },
  });
  const grant: Grant = { line, lost: undefined, onChange: () => {} };
  return () => {
    if (state !== "requested") return;
    state = "ended";
    line.cancel();
  };
};

/** The grants of this process, most recent last: any fiber of the process may release one. */
const grants = new Map<string, Array<Grant>>();

/** The most recent grant of a lock. */
export const findGrant = (lock: ObjectRef): Grant | undefined => grants.get(lockKey(lock))?.at(-1);

export const addGrant = (lock: ObjectRef, grant: Grant): void => {
  const key = lockKey(lock);
  const all = grants.get(key);
  if (all === undefined) grants.set(key, [grant]);
  else all.push(grant);
};

/** Returns whether the grant was there. */
export const removeGrant = (lock: ObjectRef, grant: Grant): boolean => {
  const key = lockKey(lock);
  const all = grants.get(key);
  const index = all?.indexOf(grant) ?? -1;
  if (index < 0) return false;
  if (all!.length === 1) grants.delete(key);
  else all!.splice(index, 1);
  return true;
};

/** Gives a lock back, unless it was given back before. */
export const releaseGrant = (lock: ObjectRef, grant: Grant): void => {
  if (removeGrant(lock, grant)) grant.line.finish();
};
