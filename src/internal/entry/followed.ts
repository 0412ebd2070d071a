/**
 * Names the modules that a process loads on demand. Elsewhere their addresses are not literals, so that Deno does not load
 * them at the start of a process.
 *
 * A backend names this module in a function that is never called. Deno therefore caches all of these modules together with
 * the backend, and a program without permission to read them can load them. A child without that permission has this
 * module on its command line.
 *
 * @module
 */

/** Never called. */
export const everything = (): ReadonlyArray<Promise<unknown>> => [
  import("./subprocess.ts"),
  import("./worker.ts"),
  import("../kinds.ts"),
  import("../child/server/effects.ts"),
  import("../child/portable.ts"),
  import("../child/schemas.ts"),
  import("../child/backends/subprocess_backend.ts"),
  import("../child/backends/worker_backend.ts"),
  import("../pipe/client.ts"),
  import("../pipe/schemas.ts"),
  import("../child/process_handle.ts"),
  import("../queue/client.ts"),
  import("../manager/proxies/make.ts"),
  import("../promise/objects.ts"),
  import("../values/objects.ts"),
  import("../sync/barrier.ts"),
  import("../sync/condition.ts"),
  import("../sync/event.ts"),
  import("../sync/lock.ts"),
  import("../sync/read_write_lock.ts"),
  import("../sync/semaphore.ts"),
];
