/**
 * Blocks of memory that several processes share without copies, and the guide to all objects in shared memory.
 *
 * An item of a queue is copied. A block of shared memory exists once for all processes: other processes see a write at
 * once.
 *
 * | module | content | use |
 * | --- | --- | --- |
 * | `SharedMemory` | a block of bytes | typed arrays, `DataView`, `SharedArrayBuffer`, WebAssembly |
 * | `Array` | numbers of one type | by element, atomically; or as a typed array |
 * | `Value` | one number, a struct of numbers, or bytes | each operation is atomic |
 * | `ShareableList` | strings, bytes, numbers, booleans, nulls | by element, which may change its type |
 * | `SharedMemoryManager` | an owner of blocks and lists | for blocks that outlive the task that makes them |
 *
 * All of them are handles. They can be sent to any process, in any part of a message, and each copy refers to the same
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
 * - The memory of a block is reserved when the block is made. If there is not enough memory, making it fails with the
 *   `MemoryError` `Full`, and leaves nothing behind. A later write never ends a process.
 * - A process that has received a block keeps it, even after the maker has closed it. The memory is freed when its last
 *   user has closed it or has ended, by any means. If a handle arrives after that, {@link SharedMemory.attached} fails, and
 *   the plain getters throw the same `MemoryError`.
 * - When the scope closes, the views of the block have length 0. The use of such a view does nothing; it does not crash.
 * - Accesses of several processes by plain views are not ordered. Use a `Value` or an `Array` for numbers that several
 *   processes change, or exclude each other by a `Lock`.
 *
 * `memory.shared` is the block as a genuine `SharedArrayBuffer`, if its size is a multiple of 65,536. It can be posted to
 * workers of any kind and used with `Atomics.wait`, while subprocesses see the same memory. `memory.wasm` is the block as a
 * `WebAssembly.Memory`. Neither can be detached: after the block is closed, they are all zeros, and private to each
 * process.
 *
 * ## By name
 *
 * Unrelated programs can find a block by its name, including programs in Python (`SharedMemory(name)`) or C (`shm_open`).
 * The block is the file `/dev/shm/name`.
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
 * The scope that created a block removes its name, once. Attaching a block never destroys it. A program that is killed
 * leaves its name behind. A lock on the file, which the kernel releases, tells that the owner has ended: `attach` then fails
 * with `Gone`, `create` of the same name replaces the block, and the first `create` of any program removes all such
 * leftovers of its user, as `SharedMemory.sweep` does. Files of other software are not touched, not even opened. Before
 * Python 3.13, Python's resource tracker removes each block that a Python program has attached when that program ends: call
 * `resource_tracker.unregister` there, or use Python 3.13 with `track=False`.
 *
 * ## Where it works
 *
 * | maker of the block | user of the block | works |
 * | --- | --- | --- |
 * | `--allow-ffi`, Linux, x86-64 or arm64 | a subprocess with `--allow-ffi` | yes |
 * | the same | a worker | yes, and subprocesses see the same memory |
 * | the same | without `--allow-ffi` | no: `Unsupported`, which names the flag |
 * | the option `experimental`, `--allow-ffi`, macOS or Windows | a subprocess with `--allow-ffi` | written, but it never ran there |
 * | no `--allow-ffi`, or another system | a worker of this program | yes |
 * | no `--allow-ffi`, or another system | a subprocess | no: `Unsupported`, which says what works |
 *
 * Locks, events, values, arrays and lists work in all these cases, by messages where their memory cannot be mapped. The
 * option `experimental` of `make` uses a file in `/tmp` on macOS, which a program that is killed leaves behind, and a
 * section of the paging file on Windows. `memory.shared` and `memory.wasm` fail with `Unsupported` then.
 *
 * Names always need `--allow-ffi` and Linux. A child has the permissions of this program, unless it was given others.
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
 * | the resource tracker | `SharedMemory.sweep`, and the first `create`: they remove the blocks of killed owners only |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
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
  /** Constructs a view. */
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
  /** Size of an element, in bytes. */
  readonly BYTES_PER_ELEMENT: number;
}

/**
 * A block of shared memory, as one process uses it.
 *
 * - Other processes see a write at once. A new block is all zeros.
 * - Its memory is reserved from the beginning: a write never ends a process because the system has run out of memory.
 * - A process that has received or attached it keeps it, also when its maker has closed it, until it is closed here, or its last view was
 *   collected, or the process ends.
 * - After `close`, and when the scope that made or attached it has closed, its views here have length 0, and using one does
 *   nothing. Only SharedArrayBuffers ({@link SharedMemory.shared}, and all memory without `--allow-ffi`) cannot be taken back.
 * - Attaching and closing never destroy a block, and a block that could not be attached is unchanged.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemory extends Pipeable {
  /** Marks shared memory. */
  readonly [TypeId]: TypeId;
  /** Size of the block, in bytes. */
  readonly size: number;
  /** The name by which other programs can attach the block; `undefined` if it has none. */
  readonly name: string | undefined;
  /** Whether the block was closed in this process. */
  readonly closed: boolean;
  /**
   * The bytes of the block. Fails with a {@link MemoryError} if the block was closed here, was gone when its handle arrived, or cannot be
   * attached by this process. An Effect that receives a handle should begin with this: the plain getters throw the same error, which
   * would be a defect of the Effect.
   */
  readonly attached: Effect.Effect<Uint8Array<ArrayBufferLike>, MemoryError>;
  /**
   * The bytes of the block; none after it was closed here. Python's `buf`. Throws a {@link MemoryError} if the block was gone when its
   * handle arrived (`Gone`), or cannot be attached by this process.
   */
  readonly bytes: Uint8Array<ArrayBufferLike>;
  /** The block as a DataView, for numbers of any type at any offset. Throws as {@link SharedMemory.bytes} does. */
  readonly view: DataView<ArrayBufferLike>;
  /**
   * The block as a typed array of `length` elements, beginning with byte `offset`; of all that follow by default. Throws an
   * {@link OutOfRange} if they exceed the block or the offset is not a multiple of the size of an element, and otherwise as
   * {@link SharedMemory.bytes} does.
   */
  readonly array: <A>(View: ViewConstructor<A>, offset?: number, length?: number) => A;
  /**
   * The block as a genuine SharedArrayBuffer, which can be posted to workers of any kind, used with `Atomics.wait`, or kept. The size of
   * the block must be a multiple of 65,536. After the block is closed, the buffer is all zeros, and private to this process. Throws a
   * {@link MemoryError}, also after the block was closed.
   */
  readonly shared: SharedArrayBuffer;
  /**
   * The block as a WebAssembly.Memory, which an instance can import. Size, lifetime and errors are those of {@link SharedMemory.shared}.
   * Needs `--allow-ffi`.
   */
  readonly wasm: WebAssembly.Memory;
  /** Closes this handle in this process. Other handles and processes are not affected. Closing twice does nothing. */
  readonly close: Effect.Effect<void>;
}

/**
 * A named block, for the process that made it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Owned extends SharedMemory {
  /** Removes the name before the scope closes: no process can attach the block any more. Processes that use it keep it. Idempotent. */
  readonly unlink: Effect.Effect<void>;
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Size of the block, in bytes. */
  readonly size: number;
  /**
   * On macOS and Windows, with `--allow-ffi`: makes a block that subprocesses can attach, by code that was written from the documentation
   * of these systems and **never ran there**. A fault of it could end the program. Where it cannot make such a block, and on Linux, the
   * option changes nothing. @default false
   */
  readonly experimental?: boolean | undefined;
}

/**
 * Options of {@link create}.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateOptions {
  /** Size of the block, in bytes. */
  readonly size: number;
  /** The name: 1 to 255 bytes without `/`, except for a leading one, which is ignored. @default "mp_" and 16 random digits */
  readonly name?: string | undefined;
}

/**
 * Makes a block without a name. A process that receives a handle of the block attaches it on receipt.
 *
 * Fails with a {@link MemoryError}: `Full` if there is not enough memory, `InvalidArgument` if the size is not a positive integer.
 *
 * *Release:* closes the block in this process. Processes that have attached it keep it; no other process can attach it any more.
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
 * The block belongs to this scope. If the program is killed before the scope closes, the name and the memory remain: the next program of
 * this user that creates a block of this name replaces it, and the next one that creates any block, or calls {@link sweep}, removes it.
 * Blocks of other software are never touched.
 *
 * Fails with a {@link MemoryError}: `Exists` if a block of that name exists whose owner lives, or a file of other software; `Full` if there
 * is not enough memory; `InvalidArgument` if the name or the size is not valid; `Unsupported` without `--allow-ffi`.
 *
 * *Release:* removes the name, once, and closes the block in this process. Processes that have attached it keep it.
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
 * Attaches a block of any program by its name. Python's `SharedMemory(name)`.
 *
 * Fails with a {@link MemoryError}, and has then changed nothing: `NotFound` if there is no such block, `Gone` if its owner was killed,
 * `Denied` if it belongs to another user, `Unsupported` without `--allow-ffi`.
 *
 * *Release:* closes the block in this process, and does not affect the block itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const attach = (name: string): Effect.Effect<SharedMemory, MemoryError, Scope.Scope> =>
  implementation(({ attachMemory }) => attachMemory(name));

/**
 * Removes the blocks that killed programs of this user have left behind, and returns their names: only blocks of this library whose owner
 * has ended. The first {@link create} of a program does the same.
 *
 * @since 0.1.0
 * @category operations
 */
export const sweep: Effect.Effect<ReadonlyArray<string>, MemoryError> = implementation(({ sweepMemory }) =>
  sweepMemory
);

/**
 * Whether a value is a block of shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSharedMemory = (value: unknown): value is SharedMemory =>
  typeof value === "object" && value !== null && TypeId in value;
