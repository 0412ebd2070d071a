/**
 * Processes, pools, queues, pipes, locks and shared memory for scripts that are written with Promises.
 *
 * - Every operation that may wait returns a Promise and accepts an `AbortSignal` as `{ signal }`. An aborted call
 *   takes, puts and holds nothing, and the task that it runs is stopped. The Promise rejects with the reason of the
 *   signal once the task has stopped.
 * - A Promise rejects with the failure itself: the error that the task threw, a `ProcessDied`, a `QueueClosed`.
 * - `await using` disposes of every object made here: it finishes the calls of a pool, joins a process (or terminates a
 *   daemon), and removes a queue, a pipe, a lock or a block of memory for all processes.
 * - The objects are those of the other modules, with the same processes, guarantees and errors.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const square = Mp.task(import.meta, "square", (n: number) => n * n);
 *
 * if (import.meta.main) {
 *   await using pool = await Mp.pool({ size: 2 });
 *   console.log(await pool.map(square, [1, 2, 3]));
 *   for await (const result of pool.mapStream(square, [4, 5])) console.log(result);
 * }
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * 16
 * 25
 * ```
 *
 * A queue, an end of a pipe, a lock, an event or any other object can be an argument or a result of a task, and an item
 * of a queue. The task receives the same kind of object:
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const work = Mp.task(import.meta, "work", async (jobs: Mp.Queue<string>, results: Mp.Queue<number>) => {
 *   for await (const job of jobs) await results.put(job.length);
 * });
 *
 * if (import.meta.main) {
 *   await using jobs = await Mp.queue<string>({ capacity: 10 });
 *   await using results = await Mp.queue<number>();
 *   await using worker = await Mp.spawn(work, [jobs, results]);
 *   await jobs.putAll(["one", "three"]);
 *   await jobs.close();
 *   console.log(await results.get() + await results.get());
 *   await worker.join();
 * }
 * ```
 *
 * ```text
 * 8
 * ```
 *
 * ## Backends
 *
 * `run`, `spawn` and `pool` start subprocesses by default. `{ backend: "worker" }` starts workers;
 * `{ backend: SubprocessBackend.layer({ ... }) }` starts subprocesses with other permissions, variables or streams.
 *
 * ## Failures and timeouts
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const refuse = Mp.task(import.meta, "refuse", () => {
 *   throw new RangeError("no room");
 * });
 * export const spin = Mp.task(import.meta, "spin", () => {
 *   while (true);
 * });
 *
 * if (import.meta.main) {
 *   await using pool = await Mp.pool({ size: 1, gracePeriod: "100 millis" });
 *   await pool.apply(refuse, []).catch((error) => console.log(error.message));
 *   const signal = AbortSignal.timeout(300);
 *   await pool.apply(spin, [], { signal }).catch((error) => console.log(error.name)); // the core is free again
 * }
 * ```
 *
 * ```text
 * no room
 * TimeoutError
 * ```
 *
 * ## Limits
 *
 * Managers, listeners and clients, `Condition`, `RLock`, `ReadWriteLock` and `ShareableList` have no Promise form. An
 * `RLock`, for example, belongs to a fiber, and a Promise has no fiber. `Effect.runPromise` runs any Effect of the
 * other modules.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `with Pool(4) as pool` | `await using pool = await Mp.pool({ size: 4 })` |
 * | `pool.apply(f, (1, 2))`, `pool.map(f, items)` | `await pool.apply(f, [1, 2])`, `await pool.map(f, items)` |
 * | `pool.apply_async(f, (1, 2))` | `pool.apply(f, [1, 2])` without `await` |
 * | `pool.imap(f, items)`, `imap_unordered` | `pool.mapStream(f, items)`, with `{ unordered: true }` |
 * | `Process(target=f, args=(1, 2)).start()` | `await Mp.spawn(f, [1, 2])` |
 * | `Queue()`, `Pipe()`, `Lock()`, `Event()` | `await Mp.queue()`, `await Mp.pipe()`, `await Mp.lock()`, `await Mp.event()` |
 *
 * @module
 */
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import type * as Layer from "effect/Layer";
import type * as Arrays from "./Array.ts";
import type { Backend, ExitStatus, Signal, SpawnError } from "./Backend.ts";
import type { ViewConstructor } from "./SharedMemory.ts";
import type * as Pools from "./Pool.ts";
import type * as Processes from "./Process.ts";
import type * as Queues from "./Queue.ts";
import type * as Pipes from "./Pipe.ts";
import type * as Semaphores from "./Semaphore.ts";
import * as Task from "./Task.ts";
import type * as Values from "./Value.ts";

/** Option of every operation that may wait. @since 0.1.0 @category models */
export interface Waiting {
  /** Stops the operation. The documentation of this module describes the effect. @default never */
  readonly signal?: AbortSignal | undefined;
}

/** Option for the backend that starts the processes. @since 0.1.0 @category models */
export interface BackendOptions {
  /** `"subprocess"`, `"worker"`, or a layer that provides a backend. @default "subprocess" */
  readonly backend?: "subprocess" | "worker" | Layer.Layer<Backend, SpawnError> | undefined;
}

/** Options of {@link run}. @since 0.1.0 @category models */
export interface RunOptions extends Processes.Options, BackendOptions, Waiting {}

/** Options of {@link spawn}. @since 0.1.0 @category models */
export interface SpawnOptions extends Processes.Options, BackendOptions, Waiting {}

/** Options of {@link pool}. @since 0.1.0 @category models */
export interface PoolOptions extends Pools.Options, BackendOptions, Waiting {}

/** Options of {@link Pool.map}. @since 0.1.0 @category models */
export interface MapOptions extends Pools.MapOptions, Waiting {}

/** Options of {@link Pool.mapStream}. @since 0.1.0 @category models */
export interface MapStreamOptions extends Pools.MapStreamOptions, Waiting {}

/**
 * A running process.
 *
 * *Release:* joins the process, or terminates it if it is a daemon.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process<out A> extends AsyncDisposable {
  /** Label of the process. */
  readonly name: string;
  /** Whether disposal terminates the process instead of joining it. */
  readonly daemon: boolean;
  /** Process id. On the worker backend, the id of the process that hosts the worker. */
  readonly pid: number;
  /** Bytes that the process writes to stdout, if its backend pipes stdout; empty otherwise. Can be read once. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** Bytes that the process writes to stderr, if its backend pipes stderr; empty otherwise. Can be read once. */
  readonly stderr: ReadableStream<Uint8Array>;
  /**
   * Waits for the end of the process and returns the result of its task. Rejects if the task failed. A signal stops the
   * waiting.
   */
  join(options?: Waiting): Promise<A>;
  /** Waits for the end of the process and returns its exit code or signal. A signal stops the waiting. */
  status(options?: Waiting): Promise<ExitStatus>;
  /**
   * Waits for the end of the process and returns its exit code, or `-n` if signal `n` ended it. A signal stops the
   * waiting.
   */
  exitCode(options?: Waiting): Promise<number>;
  /** Whether the process is still running. */
  isAlive(): Promise<boolean>;
  /** Ends the process by its kill policy, and waits for its end. Does nothing if the process has ended. */
  terminate(): Promise<void>;
  /** Kills the process at once, and waits for its end. Does nothing if the process has ended. */
  kill(): Promise<void>;
  /** Sends a signal of the operating system. Returns `false` if the process has ended. */
  signal(signal: Signal): Promise<boolean>;
}

/**
 * A set of processes that run tasks. Calls start at once and run concurrently; `await` each of them, or all together.
 *
 * *Release:* finishes the pending calls, then ends the workers. {@link Pool.terminate} ends them without finishing the
 * calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool extends AsyncDisposable {
  /** Number of workers. */
  readonly size: number;
  /** Runs a task in one worker. A signal stops the task. */
  apply<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options?: Waiting,
  ): Promise<A>;
  /**
   * Runs a task for each item, and returns the results in the order of the items. The first failure stops the others.
   */
  map<I, A, E>(task: Task.Task<[I], A, E>, items: Iterable<I>, options?: MapOptions): Promise<Array<A>>;
  /** Like {@link Pool.map}, for tasks with several arguments: each item is a list of arguments. */
  starmap<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options?: MapOptions,
  ): Promise<Array<A>>;
  /**
   * Runs a task for each item, at most `lookAhead` items ahead of the reader of the results. The first failure stops
   * the other tasks, and so does a reader that stops early.
   */
  mapStream<I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: MapStreamOptions,
  ): AsyncIterableIterator<A>;
  /** Runs a Stream task in one worker. A reader that stops early stops the task. */
  stream<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    args: Args,
    options?: Waiting,
  ): AsyncIterableIterator<A>;
  /** Closes the pool to new calls. Pending calls are finished. */
  close(): Promise<void>;
  /** Waits until the calls of a closed pool are done and its workers have ended. */
  join(options?: Waiting): Promise<void>;
  /** Stops all tasks, and waits until the workers have ended. Pending calls reject with `Terminated`. */
  terminate(): Promise<void>;
  /** Counts of workers and tasks. */
  statistics(): Promise<Pools.Statistics>;
}

/**
 * A queue. The module `Queue` describes its guarantees. An iteration takes each item when it hands the item to the
 * loop, and ends when the queue is closed and empty.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`. The receiver of a queue does not release it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue<in out A> extends AsyncDisposable, AsyncIterable<A> {
  /** Maximum number of items in the queue. */
  readonly capacity: number;
  /** Puts an item. Waits for room, and returns when the queue has the item. A signal stops the waiting. */
  put(item: A, options?: Waiting): Promise<void>;
  /** Puts several items in order, as room allows, with far fewer messages than single puts. */
  putAll(items: Iterable<A>, options?: Waiting): Promise<void>;
  /** Puts an item if the queue has room now. Returns whether the item was put. */
  tryPut(item: A): Promise<boolean>;
  /**
   * Takes the next item. Waits for one; rejects with `QueueClosed` if none will come. An aborted call takes nothing.
   */
  get(options?: Waiting): Promise<A>;
  /** Takes the next item if the queue has one now. */
  tryGet(): Promise<{ readonly item: A } | undefined>;
  /** Takes up to `count` items. Waits for at least one. An aborted call takes nothing. */
  takeUpTo(count: number, options?: Waiting): Promise<ReadonlyArray<A>>;
  /** Reports taken items done: one item, or the given number. */
  taskDone(count?: number): Promise<void>;
  /** Waits until every item that was put has been reported done. A signal stops the waiting. */
  join(options?: Waiting): Promise<void>;
  /** Number of items in the queue. */
  size(): Promise<number>;
  /** Ends puts from all processes. The remaining items can still be taken. */
  close(): Promise<void>;
  /** Ends puts and gets for all processes, and drops the items. */
  shutdown(): Promise<void>;
}

/**
 * One end of a pipe. The module `Pipe` describes its guarantees. An iteration receives until the end of file.
 *
 * *Release:* closes this end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends AsyncDisposable, AsyncIterable<A> {
  /** Sends a value. Waits while the other end has too many unreceived messages. An aborted call sends nothing. */
  send(value: B, options?: Waiting): Promise<void>;
  /** Receives the next value. Rejects with `EndOfFile` if none will come. An aborted call receives nothing. */
  recv(options?: Waiting): Promise<A>;
  /** Sends bytes, as one message. */
  sendBytes(bytes: ArrayBufferLike | ArrayBufferView, options?: Waiting): Promise<void>;
  /** Receives bytes that {@link Connection.sendBytes} sent. An aborted call receives nothing. */
  recvBytes(options?: Waiting): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether a message or an end of file is available now. */
  poll(): Promise<boolean>;
  /** Closes this end. The other end gets `EndOfFile`. */
  close(): Promise<void>;
}

/**
 * A lock for all processes that have received it.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`. The receiver of a lock does not release it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends AsyncDisposable {
  /**
   * Takes the lock. Waits until it is free. `await using held = await lock.take()` gives it back at the end of the block. An
   * aborted call takes nothing.
   */
  take(options?: Waiting): Promise<Held>;
  /** Takes the lock if it is free now. */
  tryTake(): Promise<Held | undefined>;
  /** Runs a function while holding the lock. A signal stops the waiting for the lock, not the function. */
  withLock<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A>;
  /** Whether any process holds the lock. */
  isLocked(): Promise<boolean>;
}

/**
 * A lock that is held. `await using` gives it back at the end of its block, and waits until the host of the lock has it back. `using`
 * and {@link Held.release} do not wait: another process that learns of the release in another way may still find the lock taken, if
 * this process uses the lock by messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Held extends Disposable, AsyncDisposable {
  /** Whether the previous holder died with the lock, so that the data that the lock protects may be incomplete. */
  readonly abandoned: boolean;
  /** Gives the lock back. A second call does nothing. */
  release(): void;
}

/**
 * A semaphore: a fixed number of permits.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends AsyncDisposable {
  /** Takes one permit, or the given number. Waits until they are free. An aborted call takes none. */
  take(permits?: number, options?: Waiting): Promise<void>;
  /** Takes permits if they are free now. Returns whether they were taken. */
  tryTake(permits?: number): Promise<boolean>;
  /** Gives permits back. */
  release(permits?: number): Promise<void>;
  /** Runs a function while holding one permit. A signal stops the waiting for the permit, not the function. */
  withPermit<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A>;
  /** Number of free permits. */
  available(): Promise<number>;
}

/**
 * A flag that processes set and wait for.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends AsyncDisposable {
  /** Sets the event. */
  set(): Promise<void>;
  /** Clears the event. */
  clear(): Promise<void>;
  /** Whether the event is set. */
  isSet(): Promise<boolean>;
  /** Waits until the event is set. A signal stops the waiting. */
  wait(options?: Waiting): Promise<void>;
}

/**
 * A meeting point for a fixed number of parties.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier extends AsyncDisposable {
  /** Number of parties. */
  readonly parties: number;
  /**
   * Waits for the other parties, and returns the place of this party in the round, from 0. A signal breaks the barrier.
   */
  wait(options?: Waiting): Promise<number>;
  /** Breaks the barrier. */
  abort(): Promise<void>;
  /** Starts a new round, even if the barrier is broken. */
  reset(): Promise<void>;
}

/**
 * A block of shared memory.
 *
 * *Release:* unmaps the memory in this process, and later attachments fail. Views of it have length 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemory extends AsyncDisposable {
  /** Size in bytes. */
  readonly size: number;
  /** The bytes of the block. Throws a `MemoryError` if the memory is released. */
  readonly bytes: Uint8Array<ArrayBufferLike>;
  /** The memory as `length` elements from byte `offset` on. Throws a `MemoryError` or an `OutOfRange`. */
  array<A>(View: ViewConstructor<A>, offset?: number, length?: number): A;
}

/**
 * A number or boolean in shared memory.
 *
 * *Release:* later uses, in any process, fail.
 *
 * @since 0.1.0
 * @category models
 */
export interface Value<T extends Values.Type> extends AsyncDisposable {
  /** The current value. */
  get(): Promise<Values.Values[T]>;
  /** Sets the value. */
  set(value: Values.Values[T]): Promise<void>;
  /** Adds to a number, in one step, and returns the value before. */
  add(value: Values.Values[T] & (number | bigint)): Promise<Values.Values[T]>;
  /**
   * Changes the value by a function that other processes do not disturb, and returns the new value. The function may run
   * several times, and must not have effects of its own.
   */
  update(change: (value: Values.Values[T]) => Values.Values[T]): Promise<Values.Values[T]>;
  /**
   * The same operations and more, synchronously. They throw a `MemoryError` or an `OutOfRange`. Only a process that can
   * map the memory has them: on Linux, with `--allow-ffi`, or a worker.
   */
  readonly raw: Values.Of<T>["raw"];
}

/**
 * An array of numbers or booleans in shared memory.
 *
 * *Release:* later uses, in any process, fail.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedArray<T extends Arrays.Type> extends AsyncDisposable {
  /** Number of elements. */
  readonly length: number;
  /** The element at an index. A negative index counts from the end. */
  get(at: number): Promise<Arrays.Values[T]>;
  /** Sets the element at an index. */
  set(at: number, value: Arrays.Values[T]): Promise<void>;
  /** Adds to the element at an index, in one step, and returns the value before. */
  add(at: number, value: Arrays.Values[T] & (number | bigint)): Promise<Arrays.Values[T]>;
  /** The elements from `start` to before `end`, as a copy. @default all */
  slice(start?: number, end?: number): Promise<ReadonlyArray<Arrays.Values[T]>>;
  /**
   * The same operations and more, synchronously, and the elements as a typed array. They throw a `MemoryError` or an
   * `OutOfRange`. Only a process that can map the memory has them: on Linux, with `--allow-ffi`, or a worker.
   */
  readonly raw: Arrays.Of<T>["raw"];
}

/** Loads the implementation with the first call, because a child that only defines tasks does not need it. */
const load = (): Promise<typeof import("./internal/promise/make.ts")> => import("./internal/promise/make.ts");

/**
 * Defines a task: work that other processes run, named by its module and its name. Define it at the top level of a
 * module. The function may return a value, a Promise or an Effect. This is `Task.make`, which describes tasks in full.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const length = Mp.task(import.meta, "length", async (url: string) => (await (await fetch(url)).text()).length);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const task: typeof Task.make = Task.make;

/**
 * Runs a task in its own process, and returns its result. A signal stops the task and ends the process.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const add = Mp.task(import.meta, "add", (a: number, b: number) => a + b);
 *
 * if (import.meta.main) console.log(await Mp.run(add, [1, 2]));
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = async <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.Task<Args, A, E>,
  args: Args,
  options: RunOptions = {},
): Promise<A> => await (await load()).run(task, args, options);

/**
 * Starts a process that runs a task. A signal stops the waiting for the start.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const add = Mp.task(import.meta, "add", (a: number, b: number) => a + b);
 *
 * if (import.meta.main) {
 *   await using process = await Mp.spawn(add, [1, 2], { name: "adder" });
 *   console.log(process.name, await process.join(), await process.exitCode());
 * }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = async <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.Task<Args, A, E>,
  args: Args,
  options: SpawnOptions = {},
): Promise<Process<A>> => await (await load()).spawn(task, args, options);

/**
 * Starts a pool. The Promise resolves when the workers can run tasks. A signal stops the waiting.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * export const square = Mp.task(import.meta, "square", (n: number) => n * n);
 *
 * if (import.meta.main) {
 *   await using pool = await Mp.pool({ size: 2, backend: "worker" });
 *   console.log(await Promise.all([pool.apply(square, [2]), pool.apply(square, [3])]));
 * }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const pool = async (options: PoolOptions = {}): Promise<Pool> => await (await load()).pool(options);

/**
 * Makes a queue. The options are those of `Queue.make`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using queue = await Mp.queue<string>({ capacity: 10 });
 * await queue.put("hello");
 * console.log(await queue.get());
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const queue = async <A>(options: Queues.Options = {}): Promise<Queue<A>> =>
  await (await load()).queue<A>(options);

/**
 * Makes a pipe with two ends. The options are those of `Pipe.make`, except `duplex`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * const [mine, theirs] = await Mp.pipe<string>();
 * await mine.send("hello");
 * console.log(await theirs.recv());
 * await mine.close();
 * await theirs.close();
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const pipe = async <A, B = A>(
  options: Omit<Pipes.Options, "duplex"> = {},
): Promise<readonly [Connection<A, B>, Connection<B, A>]> => await (await load()).pipe<A, B>(options);

/**
 * Makes a lock.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using lock = await Mp.lock();
 * {
 *   await using held = await lock.take();
 *   console.log(held.abandoned, await lock.isLocked());
 * }
 * console.log(await lock.isLocked());
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const lock = async (): Promise<Lock> => await (await load()).lock();

/**
 * Makes a semaphore with one permit, or with `permits` permits.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using semaphore = await Mp.semaphore({ permits: 2 });
 * console.log(await semaphore.withPermit(() => semaphore.available()));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const semaphore = async (options: Semaphores.Options = {}): Promise<Semaphore> =>
  await (await load()).semaphore(options);

/**
 * Makes an event that is not set.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using event = await Mp.event();
 * await event.set();
 * await event.wait();
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const event = async (): Promise<Event> => await (await load()).event();

/**
 * Makes a barrier for the given number of parties.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using barrier = await Mp.barrier(2);
 * console.log(await Promise.all([barrier.wait(), barrier.wait()]));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const barrier = async (parties: number): Promise<Barrier> => await (await load()).barrier(parties);

/**
 * Makes a block of shared memory with the given number of bytes.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using memory = await Mp.sharedMemory(1024);
 * memory.array(Float64Array)[0] = 1.5;
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const sharedMemory = async (size: number): Promise<SharedMemory> => await (await load()).sharedMemory(size);

/**
 * Makes a value of the given type in shared memory, as `Value.make` does.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using counter = await Mp.value("i32", 40);
 * await counter.add(2);
 * console.log(await counter.get());
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const value = async <T extends Values.Type>(type: T, initial: Values.Values[T]): Promise<Value<T>> =>
  await (await load()).value(type, initial);

/**
 * Makes an array of the given type in shared memory, from a number of elements or from the elements, as `Array.make`
 * does.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using numbers = await Mp.array("f64", [1, 2, 3]);
 * numbers.raw.view[0] = 10;
 * console.log(numbers.raw.slice());
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const array = async <T extends Arrays.Type>(
  type: T,
  initial: number | Iterable<Arrays.Values[T]>,
): Promise<SharedArray<T>> => await (await load()).array(type, initial);
