/**
 * Names the modules that a process loads when it needs them, by addresses that Deno does not follow when the process starts.
 *
 * A child follows none of them until a task needs one. A backend names this module in a function that is never called, so that
 * Deno caches all of them together with the backend, and lets a program load them that has no permission to read them. A child
 * without that permission has this module on its command line.
 *
 * @module
 */

/** Never called. */
export const everything = (): ReadonlyArray<Promise<unknown>> => [
  import("./effects.ts"),
  import("./schemas.ts"),
  import("./subprocess_backend.ts"),
  import("./worker_backend.ts"),
  import("../pipe/client.ts"),
  import("../pipe/schemas.ts"),
  import("./process_handle.ts"),
  import("../queue/client.ts"),
  import("../manager/proxies.ts"),
  import("../promise/objects.ts"),
  import("../values/objects.ts"),
  import("../sync/barrier.ts"),
  import("../sync/condition.ts"),
  import("../sync/event.ts"),
  import("../sync/lock.ts"),
  import("../sync/read_write_lock.ts"),
  import("../sync/semaphore.ts"),
];
