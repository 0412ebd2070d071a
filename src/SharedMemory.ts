/**
 * Blocks of memory that several processes see at once, byte by byte and without copies; and the guide to all objects in
 * shared memory.
 *
 * An item of a queue is copied. A block of shared memory exists once for all processes: a write of one process is seen
 * by the others.
 *
 * | module | what it is | how it is used |
 * | --- | --- | --- |
 * | `SharedMemory` | a block of bytes | typed arrays, `DataView`, `SharedArrayBuffer`, WebAssembly |
 * | `Array` | numbers of one type | by element, each in one step; or as a typed array |
 * | `Value` | one number, a struct of them, or some bytes | each operation is one step |
 * | `ShareableList` | texts, bytes, numbers, booleans, nulls | by element, which may become another kind |
 * | `SharedMemoryManager` | an owner of blocks and lists | for blocks that outlive the task that makes them |
 *
 * All of them are handles. They can be sent to any process, deep within any message, and each copy denotes the same
 * object.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const count = Mp.Task.make(
 *   import.meta,
 *   "count",
 *   (memory: Mp.SharedMemory.SharedMemory, found: Mp.Value.Of<"u32">, n: number) => {
 *     const numbers = memory.array(Float64Array);
 *     for (let i = 0; i < numbers.length; i++) if (numbers[i] % n === 0) found.raw.add(1); // no addition is lost
 *   },
 * );
 *
 * const program = Effect.gen(function* () {
 *   const memory = yield* Mp.SharedMemory.make({ size: 8 * 1000 });
 *   memory.array(Float64Array).forEach((_, i, all) => all[i] = i + 1);
 *   const found = yield* Mp.Value.make("u32");
 *
 *   yield* Effect.all([Mp.Process.run(count, memory, found, 2), Mp.Process.run(count, memory, found, 3)], {
 *     concurrency: 2,
 *   });
 *   console.log(yield* found.get);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 833
 * ```
 *
 * - A block has real memory from the beginning. If there is too little memory, making a block fails with the
 *   `MemoryError` `Full`, and leaves nothing behind. Writing into a block never ends a process.
 * - A process that has received a block keeps it, also when the maker has closed it. The memory is freed when its last
 *   user has closed it or has ended, by any means. A handle that arrives after that is reported by {@link
 *   SharedMemory.attached}.
 * - When the scope closes, the views of the block have length 0. Using such a view does nothing; it does not crash.
 * - Nothing orders what two processes do to plain views. Use a `Value` or an `Array` for numbers that several processes
 *   change, or take turns with a `Lock`.
 *
 * `memory.shared` gives the block as a genuine `SharedArrayBuffer`, if its size is a multiple of 65,536: it can be
 * posted to workers of any kind, used with `Atomics.wait`, and seen by subprocesses at the same time. `memory.wasm` is
 * the same as a `WebAssembly.Memory`. These cannot be taken back: when the block is closed they are all zeros, and
 * private to each program.
 *
 * ## By name
 *
 * A block with a name can be found by unrelated programs, also by programs in Python or C: it is what they call
 * `SharedMemory(name)` or `shm_open`, the file `/dev/shm/name`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const memory = yield* Mp.SharedMemory.create({ name: "temperatures", size: 800 });
 *   memory.array(Float64Array)[0] = 21.5; // Python: struct.unpack_from("d", SharedMemory("temperatures").buf)
 *
 *   const seen = yield* Mp.SharedMemory.attach("temperatures"); // as any other program does
 *   console.log(seen.size, seen.array(Float64Array)[0]);
 *
 *   const again = Mp.SharedMemory.create({ name: "temperatures", size: 800 });
 *   console.log((yield* Effect.flip(again)).reason);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 800 21.5
 * Exists
 * ```
 *
 * The scope that created a block removes its name, once. To attach a block, or to fail to, never destroys it. A program
 * that is killed leaves its name behind. The kernel knows that the owner is gone, by a lock on the file: an `attach`
 * then fails with `Gone`, a `create` of the same name replaces the block, and the first `create` of any program removes
 * all such leftovers of its user, as `SharedMemory.sweep` does. Names of other software are not touched, not even
 * opened. Python's own resource tracker, before 3.13, removes each block that a Python program has attached when that
 * program ends: there call `resource_tracker.unregister`, or use 3.13 with `track=False`.
 *
 * ## Where it works
 *
 * | the process that makes it | the process that uses it | works |
 * | --- | --- | --- |
 * | with `--allow-ffi`, Linux, x86-64 or arm64 | a subprocess with `--allow-ffi` | yes |
 * | the same | a worker | yes, and subprocesses see the same memory |
 * | the same | without `--allow-ffi` | no: `Unsupported`, which names the flag |
 * | without, or another system | a worker of this program | yes |
 * | without, or another system | a subprocess | no: `Unsupported`, which says what works |
 *
 * Names need `--allow-ffi` in any case. A child has this program's permissions, unless it was given others.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `SharedMemory(create=True, size=n)` | `SharedMemory.make({ size })`, without a name |
 * | `SharedMemory(name, create=True, size=n)` | `SharedMemory.create({ name, size })` |
 * | `SharedMemory(name)` | `SharedMemory.attach(name)` |
 * | `buf` | `memory.bytes`, `memory.view`, `memory.array(Float64Array)` |
 * | `name`, `size` | the same |
 * | `close()`, `unlink()` | the scope, once; or `memory.close`, and `memory.unlink` by the creator |
 * | the resource tracker | `SharedMemory.sweep`, and each `create`: they remove the blocks of killed owners, and nothing else |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { lazily } from "./internal/os/lazy.ts";
import { MemoryError, type MemoryErrorReason, OutOfRange, type OutOfRangeReason } from "./internal/values/errors.ts";

export { MemoryError, OutOfRange };
export type { MemoryErrorReason, OutOfRangeReason };

const implementation = lazily(() => import("./internal/values/constructors.ts"));

/**
 * Marks shared memory.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/SharedMemory" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * A class of typed arrays, `Float64Array` for example.
 *
 * @since 0.1.0
 * @category models
 */
export interface ViewConstructor<out A> {
  /** Makes a view. */
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
  /** Bytes of an element. */
  readonly BYTES_PER_ELEMENT: number;
}

/**
 * A block of shared memory, as one process has it.
 *
 * - What one writes, all others see at once. A new block is all zeros.
 * - It has real memory from the beginning: to write into it never ends a process for want of memory.
 * - A process that has received or attached it keeps it, also when its maker has closed it, until it is closed here, or its last view was
 *   collected, or the process ends.
 * - After `close`, and when the scope that made or attached it has closed, its views here have length 0: to use one does nothing. Only
 *   SharedArrayBuffers ({@link SharedMemory.shared}, and all memory without `--allow-ffi`) cannot be taken back.
 * - Attaching and closing never destroy a block, and one that could not be attached is as it was.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemory {
  /** Marks it as shared memory. */
  readonly [TypeId]: TypeId;
  /** In bytes. */
  readonly size: number;
  /** Under which name others can attach it; `undefined` if it has none. */
  readonly name: string | undefined;
  /** Whether it was closed here. */
  readonly closed: boolean;
  /**
   * Its bytes, if the memory could be had here; fails otherwise: it is gone, or not supported. A handle may arrive after its block
   * is gone. An Effect that uses a handle which it has received begins with this: the views of such a handle throw the same error,
   * which is a defect in an Effect.
   */
  readonly attached: Effect.Effect<Uint8Array<ArrayBufferLike>, MemoryError>;
  /** Its bytes; none when it was closed. Python's `buf`. Throws a {@link MemoryError} if the memory could not be had here. */
  readonly bytes: Uint8Array<ArrayBufferLike>;
  /** The same as a DataView: numbers of any type, at any place. */
  readonly view: DataView<ArrayBufferLike>;
  /**
   * The same as elements, so many from byte `offset` on; all that follow, if no length is given. Throws an {@link OutOfRange} if
   * they are not all in the block, or the offset is no multiple of the size of an element.
   */
  readonly array: <A>(View: ViewConstructor<A>, offset?: number, length?: number) => A;
  /**
   * The same as a genuine SharedArrayBuffer, to be posted to workers of any kind, used with `Atomics.wait`, or kept. Its size must
   * be a multiple of 65,536. It stays valid when the memory is closed, and is then no longer shared with other processes: all
   * zeros, and each program's own. Throws a {@link MemoryError}.
   */
  readonly shared: SharedArrayBuffer;
  /**
   * The same as the memory of WebAssembly, to be given to an instance as its import. Has the size, the life and the errors of
   * {@link SharedMemory.shared}, and needs `--allow-ffi`.
   */
  readonly wasm: WebAssembly.Memory;
  /** Gives it up in this process, for this handle. Others have it as before. Closing twice does nothing. */
  readonly close: Effect.Effect<void>;
}

/**
 * A block with a name, as its maker has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Owned extends SharedMemory {
  /** Takes its name away before its scope does it: no process can attach it any more, and processes that have it keep it. Once is enough. */
  readonly unlink: Effect.Effect<void>;
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** In bytes. */
  readonly size: number;
}

/**
 * Options of {@link create}.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateOptions extends Options {
  /** 1 to 255 bytes without `/`, apart from one in front that is ignored. @default "mp_" and 16 random digits */
  readonly name?: string | undefined;
}

/**
 * Makes a block without a name. A process that receives its handle attaches it on receipt.
 *
 * Fails with a {@link MemoryError}: `Full` if there is not so much memory, `InvalidArgument` if the size is no positive integer.
 *
 * *Release:* closes it here. Processes that have attached it keep it; no other process can attach it any more.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const fill = Mp.Task.make(import.meta, "fill", (memory: Mp.SharedMemory.SharedMemory) => {
 *   memory.array(Float64Array).fill(1.5);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const memory = yield* Mp.SharedMemory.make({ size: 8 * 1000 });
 *   yield* Mp.Process.run(fill, memory);
 *   console.log(memory.array(Float64Array)[999]); // 1.5
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<SharedMemory, MemoryError, Scope.Scope> =>
  implementation(({ memory }) => memory(options));

/**
 * Creates a block with a name, which must be free. Python's `SharedMemory(name, create=True, size=size)`.
 *
 * It belongs to this scope alone. If the program is killed before that has closed, the name stays, and with it the memory: the next
 * program of this user that creates a block of this name replaces it, and the next that creates any block, or calls {@link sweep},
 * removes it. Blocks of other programs are never touched.
 *
 * Fails with a {@link MemoryError}: `Exists` if there is a block of that name whose owner lives, or that is none of this library's;
 * `Full` if there is not so much memory; `InvalidArgument` for a name or a size that cannot be; `Unsupported` without
 * `--allow-ffi`.
 *
 * *Release:* takes the name away, once, and closes the block here. Processes that have attached it keep it.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const published = Effect.gen(function* () {
 *   const memory = yield* Mp.SharedMemory.create({ name: "temperatures", size: 4096 });
 *   memory.view.setFloat64(0, 21.5, true);
 *   yield* Effect.never; // meanwhile, in Python: SharedMemory("temperatures").buf
 * }).pipe(Effect.scoped);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const create = (options: CreateOptions): Effect.Effect<Owned, MemoryError, Scope.Scope> =>
  implementation(({ namedMemory }) => namedMemory(options));

/**
 * Attaches a block by its name, whichever program has created it. Python's `SharedMemory(name)`.
 *
 * Fails with a {@link MemoryError}, and has then changed nothing: `NotFound` if there is none, `Gone` if it is what a program has
 * left that was killed, `Denied` if it is another user's, `Unsupported` without `--allow-ffi`.
 *
 * *Release:* closes it here, and does nothing to the block.
 *
 * @since 0.1.0
 * @category constructors
 */
export const attach = (name: string): Effect.Effect<SharedMemory, MemoryError, Scope.Scope> =>
  implementation(({ attachMemory }) => attachMemory(name));

/**
 * Removes the blocks that killed programs of this user have left, and gives their names. Only blocks of this library count, and
 * only if the kernel says that their owner is no more. The first {@link create} of a program does the same.
 *
 * @since 0.1.0
 * @category operations
 */
export const sweep: Effect.Effect<ReadonlyArray<string>, MemoryError> = implementation(({ sweepMemory }) =>
  sweepMemory
);

/**
 * Whether a value is shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSharedMemory = (value: unknown): value is SharedMemory =>
  typeof value === "object" && value !== null && TypeId in value;
