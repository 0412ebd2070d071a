/**
 * All kinds of objects that can be made again from a handle. Loaded by a process when the first handle comes.
 *
 * @module
 */
import "./process_handle.ts";
import "./pipe_client.ts";
import "./queue_client.ts";
import "../memory/objects.ts";
import "../shared/barrier.ts";
import "../shared/condition.ts";
import "../shared/event.ts";
import "../shared/lock.ts";
import "../shared/readers.ts";
import "../shared/semaphore.ts";
import "../manager/proxies.ts";

export { handles } from "./handles.ts";
