/**
 * All kinds of objects that can be made again from a handle. Loaded by a process when the first handle comes.
 *
 * @module
 */
import "./process_handle.ts";
import "./pipe_client.ts";
import "./queue_client.ts";

export { handles } from "./handles.ts";
