/**
 * Owners of shared memory: blocks and lists that any process asks for, and that live until the owner's scope closes.
 *
 * A block belongs to the scope that made it, and the scope of a task closes when the task is done. A task that makes a
 * block for other processes therefore has a manager make it.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const collect = Mp.Task.make(
 *   import.meta,
 *   "collect",
 *   (manager: Mp.SharedMemoryManager.SharedMemoryManager) =>
 *     Effect.gen(function* () {
 *       const list = yield* manager.list<string | number | null>(["größe", 1, null], { capacity: 16 });
 *       yield* list.update(1, (n) => Number(n) + 1);
 *       return list; // this process ends, the list does not
 *     }),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Mp.SharedMemoryManager.make;
 *   const list = yield* Mp.Process.run(collect, manager);
 *   yield* list.set(2, "nul\0");
 *   console.log(yield* list.toArray);
 *   console.log((yield* Effect.flip(list.set(0, "x".repeat(17)))).reason);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ "größe", 2, "nul\x00" ]
 * TooLong
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `SharedMemoryManager()`, its `shutdown()` | `SharedMemoryManager.make`, its scope, or `manager.shutdown` |
 * | `smm.SharedMemory(size)`, `smm.ShareableList(sequence)` | `manager.memory({ size })`, `manager.list(values)` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { Unreachable } from "./internal/objects/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { ServiceError } from "./internal/objects/service.ts";
import { MemoryError, type MemoryErrorReason, OutOfRange, type OutOfRangeReason } from "./internal/values/errors.ts";
import type { Element, Options as ListOptions, ShareableList } from "./ShareableList.ts";
import type { CreateOptions, SharedMemory } from "./SharedMemory.ts";
import type { DecodeError, EncodeError } from "./internal/codec/errors.ts";
import type { MessageTooLarge } from "./internal/codec/message.ts";

export { MemoryError, OutOfRange, Unreachable };
export type {
  CreateOptions,
  DecodeError,
  Element,
  EncodeError,
  ListOptions,
  MemoryErrorReason,
  MessageTooLarge,
  OutOfRangeReason,
  ServiceError,
};

const implementation = lazily(() => import("./internal/values/manager.ts"));

/**
 * Marks managers of shared memory.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/SharedMemoryManager" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * Why a manager made nothing, or could not be asked.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = MemoryError | OutOfRange | ServiceError;

/**
 * What a manager owns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Segment {
  /** Whether it is a block, or a list. */
  readonly kind: "memory" | "list";
  /** Its name; `undefined` if it has none. */
  readonly name: string | undefined;
  /** In bytes. */
  readonly size: number;
}

/**
 * An owner of shared memory. It lives in the process whose scope made it, and can be sent to any other, which asks it as if it were
 * there.
 *
 * - What it has made lives until its scope closes, or it is shut down, or that one is released: not with the process that asked for it,
 *   however that ends.
 * - When its scope has closed, or its process has ended, or it was shut down, it fails with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemoryManager {
  /** Marks it as a manager of shared memory. */
  readonly [TypeId]: TypeId;
  /** Name of the process in which it lives. */
  readonly host: string;
  /**
   * Makes a block, as `SharedMemory.make`, or with a name as `SharedMemory.create`. *Interruption:* it may have been made, and the
   * manager has it then.
   */
  readonly memory: (options: CreateOptions) => Effect.Effect<SharedMemory, Failure>;
  /** Makes a list, as `ShareableList.make`. *Interruption:* as with `memory`. */
  readonly list: <A>(
    values: Iterable<A & Element>,
    options?: ListOptions,
  ) => Effect.Effect<ShareableList<A>, Failure>;
  /** What it owns. */
  readonly segments: Effect.Effect<ReadonlyArray<Segment>, ServiceError>;
  /** Gives up something that it has made; answers whether it had. Processes that have attached a block keep it. */
  readonly release: (object: SharedMemory | Pick<ShareableList, "memory">) => Effect.Effect<boolean, Failure>;
  /** Gives up all that it has made, and makes no more. Twice does nothing. */
  readonly shutdown: Effect.Effect<void, ServiceError>;
}

/**
 * Makes an owner of shared memory, in this process.
 *
 * *Release:* gives up all that it has made. Processes that have attached a block keep it; names are removed.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const draw = Mp.Task.make(
 *   import.meta,
 *   "draw",
 *   (manager: Mp.SharedMemoryManager.SharedMemoryManager) =>
 *     Effect.tap(manager.memory({ size: 1000 }), ({ bytes }) => Effect.sync(() => bytes.fill(7))),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Mp.SharedMemoryManager.make;
 *   const memory = yield* Mp.Process.run(draw, manager); // its process has ended
 *   console.log(memory.bytes[999]); // 7
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<SharedMemoryManager, never, Scope.Scope> = implementation(({ make }) => make);

/**
 * Whether a value is a manager of shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSharedMemoryManager = (value: unknown): value is SharedMemoryManager =>
  typeof value === "object" && value !== null && TypeId in value;
