/**
 * Composition root: names the module of each kind of handle, so that lower subjects can load it on demand.
 *
 * A process loads the module of a kind of handle when the first handle of that kind arrives; see `load` in
 * `objects/handles.ts`. The backends, `Manager` and the entry modules of children load this list. The addresses are not
 * literals, so Deno does not load these modules when a process starts; `entry/followed.ts` names all of them.
 *
 * @module
 */
import { own } from "./child/modules.ts";
import { type Load, provide } from "./objects/on_demand.ts";

const memory: Load = () => import(own("./values/objects.ts", import.meta));

/** The kinds of handles, each with the module that registers it. */
export const kinds: ReadonlyArray<readonly [kind: string, load: Load]> = [
  ["array", memory],
  ["barrier", () => import(own("./sync/barrier.ts", import.meta))],
  ["bytes", memory],
  ["condition", () => import(own("./sync/condition.ts", import.meta))],
  ["connection", () => import(own("./pipe/client.ts", import.meta))],
  ["event", () => import(own("./sync/event.ts", import.meta))],
  ["list", memory],
  ["lock", () => import(own("./sync/lock.ts", import.meta))],
  ["memory", memory],
  ["memory manager", memory],
  ["promise", () => import(own("./promise/objects.ts", import.meta))],
  ["process", () => import(own("./child/process_handle.ts", import.meta))],
  ["proxy", () => import(own("./manager/proxies/make.ts", import.meta))],
  ["queue", () => import(own("./queue/client.ts", import.meta))],
  ["readwritelock", () => import(own("./sync/read_write_lock.ts", import.meta))],
  ["rlock", () => import(own("./sync/rlock.ts", import.meta))],
  ["semaphore", () => import(own("./sync/semaphore.ts", import.meta))],
  ["struct", memory],
  ["value", memory],
];

provide(kinds);
