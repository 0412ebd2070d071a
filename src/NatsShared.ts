/**
 * Objects that programs on several machines share, and that a NATS server with JetStream keeps.
 *
 * The programs need no common parent: those that name the same objects in the same space share them. The objects have the types of
 * this library, so that a program replaces the constructor only.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const shared = yield* NatsShared.make({ servers: "nats://127.0.0.1:1", name: "orders", connectTimeout: "100 millis" });
 *   return shared.name;
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("NatsError", ({ reason }) => Effect.sync(() => console.log("nothing is shared:", reason))),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * nothing is shared: Unreachable
 * ```
 *
 * ## From Python
 *
 * Python's `multiprocessing` shares objects with programs on other machines by a manager, which one of the programs must be. Here a server
 * keeps them, as Redis does for Celery and RQ.
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { NatsError } from "./internal/network/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { ServerOptions } from "./NatsBackend.ts";
import type * as Queue from "./Queue.ts";

export { NatsError, type NatsErrorReason } from "./internal/network/errors.ts";
export type { ServerOptions } from "./NatsBackend.ts";

const implementation = lazily(() => import("./internal/nats/shared/make.ts"));

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ServerOptions {
  /** The name that all programs use which share the objects: 1 to 100 letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * Number of servers that keep each message, for all programs: the first program sets it, a later one that names it changes it.
   * @default 1
   */
  readonly replicas?: number | undefined;
}

/**
 * Options of a queue. Its first program sets them; a later one that names them changes them for all programs, `redeliver` excepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueOptions {
  /** The largest number of items that the queue holds. Further calls of `put` wait. @default Infinity */
  readonly capacity?: number | undefined;
  /** The largest number of bytes that the items take up, each with about 200 bytes of the server's. @default 268435456 */
  readonly maxBytes?: number | undefined;
  /**
   * Whether an item goes back to its place if the program that took it ends, or is not heard for `ackWait`, before it has reported the
   * item done with `taskDone`. Each item is then processed at least once. @default false
   */
  readonly redeliver?: boolean | undefined;
  /**
   * How long a program may be silent before the items that were sent to it, and that it has not taken or reported, are given to others.
   * @default 10 seconds
   */
  readonly ackWait?: Duration.DurationInput | undefined;
}

/**
 * The objects of one name. They are made by their first use, and stay in the server when all programs have ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface NatsShared {
  /** The name that all programs use which share the objects. */
  readonly name: string;
  /** The space; see `space` in {@link ServerOptions}. */
  readonly space: string;
  /**
   * Makes the queue of this name, or joins it, until the scope closes. Fails with a `QueueError` if the name or an option is invalid, and
   * with `Unreachable` if the server refuses the queue.
   *
   * *Interruption:* a queue that was made stays. *Release:* items that this program has not taken go back to their places; later calls fail with
   * `Unreachable`. The queue stays in the server, with its items.
   */
  readonly queue: <A>(
    name: string,
    options?: QueueOptions,
  ) => Effect.Effect<Queue.Queue<A>, Queue.QueueError | Queue.Unreachable, Scope.Scope>;
}

/**
 * Connects to the objects of a name. Fails with a `NatsError`: `Unreachable` if no server answers within `connectTimeout`, `Unsupported`
 * if the server has no JetStream, `Refused` if it refuses the credentials or a stream, `InvalidOption` if an option is invalid.
 *
 * While the server is away, operations of the objects wait for it.
 *
 * *Interruption:* the attempt to connect ends; a stream that was made stays. *Release:* closes the connection. The objects stay in the
 * server, with their content.
 *
 * ```ts
 * import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
 *
 * export const shared = NatsShared.make({
 *   servers: ["tls://broker-1:4222", "tls://broker-2:4222", "tls://broker-3:4222"],
 *   name: "orders",
 *   replicas: 3,
 * });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<NatsShared, NatsError, Scope.Scope> =>
  implementation(({ make }) => Effect.withSpan(make(options), "NatsShared.make"));
