/**
 * All error classes of the library in one place. Each is also exported by the module whose operations fail with it.
 *
 * - An error has a `_tag` for `Effect.catchTag`, and a message that says what to do. Many have a `reason`.
 * - An error is an Effect that fails with it: `yield* error` fails in `Effect.gen`, as with `Data.TaggedError`.
 * - An inspected `Exit` shows the message and the fields of the error.
 * - An error that crosses a process boundary arrives with its tag, message, stack and fields, without its class.
 *
 * This module does not load Effect. The documentation of `Backend` says which failure means what.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const queue = yield* Mp.Queue.make<number>();
 *   yield* queue.close;
 *   return yield* queue.put(1);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("QueueClosed", (error) => Effect.succeed(error instanceof Mp.Errors.QueueClosed && error.reason)),
 * );
 *
 * if (import.meta.main) Mp.runMain(Effect.flatMap(program, (reason) => Effect.sync(() => console.log(reason))));
 * ```
 *
 * ```text
 * Closed
 * ```
 *
 * @module
 */
import "./internal/os/runtime.ts";
export { InvalidAuthKey } from "./internal/child/errors.ts";
export { ProcessDied, SpawnError, TaskError } from "./internal/child/errors.ts";
export { DecodeError, EncodeError } from "./internal/codec/errors.ts";
export { GroupError } from "./internal/groups/errors.ts";
export { MessageTooLarge } from "./internal/codec/message.ts";
export { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./internal/manager/errors.ts";
export {
  AuthenticationError,
  type AuthenticationErrorReason,
  ConnectError,
  type ConnectErrorReason,
  ListenerClosed,
  ListenError,
  type ListenErrorReason,
  NatsError,
  type NatsErrorReason,
} from "./internal/network/errors.ts";
export {
  BrokenPipe,
  EndOfFile,
  InvalidArgument,
  PipeError,
  type PipeErrorReason,
  QueueClosed,
  QueueError,
  type QueueErrorReason,
  Unreachable,
  Unsupported,
} from "./internal/objects/errors.ts";
export { ReasonedError, TypedError } from "./internal/os/typed_error.ts";
export { Poisoned, PoolError } from "./internal/pool/errors.ts";
export { BrokenBarrier, type BrokenReason, SyncError, type SyncErrorReason } from "./internal/sync/errors.ts";
export { SupervisorError } from "./internal/supervision/errors.ts";
export { MemoryError, type MemoryErrorReason, OutOfRange, type OutOfRangeReason } from "./internal/values/errors.ts";
