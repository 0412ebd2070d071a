/**
 * All kinds of objects that can be made again from a handle, each with the module that registers it.
 *
 * A process loads a kind when the first handle of that kind arrives; see {@link load} in `handles.ts`. Deno does not follow these
 * addresses when a child starts; `backend/everything.ts` names them all.
 *
 * @module
 */

const memory = (): Promise<unknown> => import(import.meta.resolve("./values/objects.ts"));
const lock = (): Promise<unknown> => import(import.meta.resolve("./sync/lock.ts"));

/** Loads the module of a kind. */
export const modules: ReadonlyMap<string, () => Promise<unknown>> = new Map([
  ["array", memory],
  ["barrier", () => import(import.meta.resolve("./sync/barrier.ts"))],
  ["bytes", memory],
  ["condition", () => import(import.meta.resolve("./sync/condition.ts"))],
  ["connection", () => import(import.meta.resolve("./pipe/client.ts"))],
  ["event", () => import(import.meta.resolve("./sync/event.ts"))],
  ["list", memory],
  ["lock", lock],
  ["memory", memory],
  ["memory manager", memory],
  ["promise", () => import(import.meta.resolve("./promise/objects.ts"))],
  ["process", () => import(import.meta.resolve("./child/process_handle.ts"))],
  ["proxy", () => import(import.meta.resolve("./manager/proxies.ts"))],
  ["queue", () => import(import.meta.resolve("./queue/client.ts"))],
  ["readwritelock", () => import(import.meta.resolve("./sync/read_write_lock.ts"))],
  ["rlock", lock],
  ["semaphore", () => import(import.meta.resolve("./sync/semaphore.ts"))],
  ["struct", memory],
  ["value", memory],
]);
