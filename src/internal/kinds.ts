/**
 * Composition root: names the module of each kind of handle, so that lower subjects can load it on demand.
 *
 * A process loads the module of a kind of handle when the first handle of that kind arrives; see `load` in
 * `objects/handles.ts`. The backends, `Manager` and the entry modules of children load this list. The addresses are not
 * literals, so Deno does not load these modules when a process starts; `entry/followed.ts` names all of them.
 *
 * @module
 */
import { type Load, provide } from "./objects/on_demand.ts";

const memory: Load = () => import(import.meta.resolve("./values/objects.ts"));

/** The kinds of handles, each with the module that registers it. */
export const kinds: ReadonlyArray<readonly [kind: string, load: Load]> = [
  ["array", memory],
  ["barrier", () => import(import.meta.resolve("./sync/barrier.ts"))],
  ["bytes", memory],
  ["condition", () => import(import.meta.resolve("./sync/condition.ts"))],
  ["connection", () => import(import.meta.resolve("./pipe/client.ts"))],
  ["event", () => import(import.meta.resolve("./sync/event.ts"))],
  ["list", memory],
  ["lock", () => import(import.meta.resolve("./sync/lock.ts"))],
  ["memory", memory],
  ["memory manager", memory],
  ["promise", () => import(import.meta.resolve("./promise/objects.ts"))],
  ["process", () => import(import.meta.resolve("./child/process_handle.ts"))],
  ["proxy", () => import(import.meta.resolve("./manager/proxies.ts"))],
  ["queue", () => import(import.meta.resolve("./queue/client.ts"))],
  ["readwritelock", () => import(import.meta.resolve("./sync/read_write_lock.ts"))],
  ["rlock", () => import(import.meta.resolve("./sync/rlock.ts"))],
  ["semaphore", () => import(import.meta.resolve("./sync/semaphore.ts"))],
  ["struct", memory],
  ["value", memory],
];

provide(kinds);
