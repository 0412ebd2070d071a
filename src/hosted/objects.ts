/**
 * All kinds of objects that can be made again from a handle, each with the module that registers it.
 *
 * A process loads a kind when the first handle of that kind arrives; see {@link load} in `handles.ts`.
 *
 * @module
 */

const memory = (): Promise<unknown> => import("../memory/objects.ts");
const lock = (): Promise<unknown> => import("../shared/lock.ts");

/** Loads the module of a kind. */
export const modules: ReadonlyMap<string, () => Promise<unknown>> = new Map([
  ["array", memory],
  ["barrier", () => import("../shared/barrier.ts")],
  ["bytes", memory],
  ["condition", () => import("../shared/condition.ts")],
  ["connection", () => import("./pipe_client.ts")],
  ["event", () => import("../shared/event.ts")],
  ["list", memory],
  ["lock", lock],
  ["memory", memory],
  ["memory manager", memory],
  ["process", () => import("./process_handle.ts")],
  ["proxy", () => import("../manager/proxies.ts")],
  ["queue", () => import("./queue_client.ts")],
  ["readwritelock", () => import("../shared/readers.ts")],
  ["rlock", lock],
  ["semaphore", () => import("../shared/semaphore.ts")],
  ["struct", memory],
  ["value", memory],
]);
