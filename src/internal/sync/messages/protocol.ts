/**
 * The messages between an object's host and a process that uses the object by messages. The object's own protocol in shared memory
 * runs at the host, which stands in for each such process; see `gateway.ts` and `session.ts`.
 *
 * A session is one call, which stays open until the object or either process ends. Each message is an array that the codec encodes:
 *
 * | direction | message |
 * | --- | --- |
 * | first, to the host | `[client, pid]`: a random name of the calling process, and its process id |
 * | to the host | `[id, operation, acknowledged, ...args]` |
 * | to the host | `[id, WITHDRAW, acknowledged]` |
 * | to the caller | `[id, result]`, or `[id, undefined, message]` after a defect |
 *
 * - An operation that waits is answered when the wait is over.
 * - `WITHDRAW` ends a wait, or gives back what the answer has granted meanwhile. The caller sends it only before it has the answer.
 *   `acknowledged` are the ids of the grants that it has received, which the host will not give back any more.
 * - The host runs the operations of one session in order.
 *
 * @module
 */

/** The operation of a hosted object that opens a session. */
export const ATTACH = 6;

/** Withdraws an operation. */
export const WITHDRAW = 0;

/** Exit of a session: too many processes use the object, or this program has too many open calls to the host's program. */
export const TOO_MANY = 18;

/** Where an object is hosted. */
export interface Location {
  /** Address of the host. */
  readonly address: string;
  /** Number of the hosted object there, or of a manager's server. */
  readonly object: number;
  /** Number of the object at that server; 0 if the object has no server. */
  readonly number: number;
}

/** The content of a message. */
export type Content = ReadonlyArray<unknown>;
