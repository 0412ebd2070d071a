/**
 * Owners of shared memory. Any process can ask for blocks and lists, which live until the scope of the owner closes.
 *
 * A block belongs to the scope that made it, and the scope of a task closes when the task is done. A task that makes a
 * block for other processes therefore asks a manager for it.
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
 *   const manager = yield* Mp.SharedMemoryManager.make();
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
 * | `SharedMemoryManager()`, its `shutdown()` | `SharedMemoryManager.make()`, its scope, or `manager.shutdown` |
 * | `smm.SharedMemory(size)`, `smm.ShareableList(sequence)` | `manager.memory({ size })`, `manager.list(values)` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
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
 * Why a manager could not make an object, or could not be called.
 *
 * @since 0.1.0
 * @category errors
 */
export type SharedMemoryManagerFailure = MemoryError | OutOfRange | ServiceError;

/**
 * An object that a manager owns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Segment {
  /** A block, or a list. */
  readonly kind: "memory" | "list";
  /** Name of the object; `undefined` if it has none. */
  readonly name: string | undefined;
  /** Size, in bytes. */
  readonly size: number;
}

/**
 * An owner of shared memory. It lives in the process whose scope made it, and can be sent to any other process, which uses it in the same
 * way.
 *
 * - Its objects live until its scope closes, it is shut down, or they are released. They do not end with the process that asked for them.
 * - After its scope has closed, its process has ended, or it was shut down, a use fails with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemoryManager extends Pipeable {
  /** Marks a manager of shared memory. */
  readonly [TypeId]: TypeId;
  /** Name of the process that hosts the manager. */
  readonly host: string;
  /**
   * Makes a block, like `SharedMemory.make`, or with a name like `SharedMemory.create`. *Interruption:* the block may have been made; the
   * manager then owns it.
   */
  readonly memory: (options: CreateOptions) => Effect.Effect<SharedMemory, SharedMemoryManagerFailure>;
  /** Makes a list, like `ShareableList.make`. *Interruption:* as for `memory`. */
  readonly list: <A>(
    values: Iterable<A & Element>,
    options?: ListOptions,
  ) => Effect.Effect<ShareableList<A>, SharedMemoryManagerFailure>;
  /** The objects that it owns. */
  readonly segments: Effect.Effect<ReadonlyArray<Segment>, ServiceError>;
  /** Releases an object, and returns whether the manager owned it. Processes that have attached a block keep it. */
  readonly release: (
    object: SharedMemory | Pick<ShareableList, "memory">,
  ) => Effect.Effect<boolean, SharedMemoryManagerFailure>;
  /** Releases all objects, and makes no more. Idempotent. */
  readonly shutdown: Effect.Effect<void, ServiceError>;
}

/**
 * Makes an owner of shared memory in this process.
 *
 * *Release:* releases all its objects, and removes their names. Processes that have attached a block keep it.
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
 *   const manager = yield* Mp.SharedMemoryManager.make();
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
export const make = (): Effect.Effect<SharedMemoryManager, never, Scope.Scope> => implementation(({ make }) => make);

/**
 * Whether a value is a manager of shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSharedMemoryManager = (value: unknown): value is SharedMemoryManager =>
  typeof value === "object" && value !== null && TypeId in value;
