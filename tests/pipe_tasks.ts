/**
 * Tasks that are given connections.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { type Pipe, Task } from "../mod.ts";

/** Sends back all that comes. */
export const echo = Task.make(
  import.meta,
  "echo",
  (connection: Pipe.Connection<unknown>) => Stream.run(connection.toStream, connection.toSink),
);
