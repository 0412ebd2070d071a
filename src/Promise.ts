/**
 * Processes, pools, queues, pipes, locks and shared memory for scripts that are written with Promises.
 *
 * - Every operation that may wait gives a Promise, and takes an `AbortSignal` as `{ signal }`. A call that is aborted
 *   takes, puts and holds nothing; a task that runs for it is stopped. The Promise rejects with the reason of the signal
 *   once the task has stopped.
 * - A Promise rejects with the failure itself: the error that the task has thrown, a `ProcessDied`, a `QueueClosed`.
 * - What is made here is disposed of by `await using`: a pool finishes the calls that it has, a process is joined (or
 *   terminated, if it is a daemon), a queue, a pipe, a lock and a block of memory are gone for all processes.
 * - The objects are the same as those of the other modules: the same processes, the same guarantees, the same errors.
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
 * A queue, an end of a pipe, a lock, an event and so on can be an argument or a result of a task, and an item of a queue.
 * The task receives the same kind of object:
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
 * `run`, `spawn` and `pool` start subprocesses. With `{ backend: "worker" }` they start workers; with
 * `{ backend: SubprocessBackend.layer({ ... }) }` they start subprocesses with other permissions, variables or streams.
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
 * ## What is not here
 *
 * Managers, listeners and clients, `Condition`, `RLock`, `ReadWriteLock` and `ShareableList` have no such form: an `RLock`,
 * for one, belongs to a fiber, which a Promise has none of. `Effect.runPromise` runs any Effect of the other modules.
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

/** What can be given to every operation that may wait. @since 0.1.0 @category models */
export interface Waiting {
  /** Stops the operation: see the head of this module. @default never */
  readonly signal?: AbortSignal | undefined;
}

/** Where processes are started. @since 0.1.0 @category models */
export interface BackendOptions {
  /** `"subprocess"`, `"worker"`, or a layer that gives a backend. @default "subprocess" */
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
  /** Its label. */
  readonly name: string;
  /** Whether it is terminated, not joined, when it is disposed of. */
  readonly daemon: boolean;
  /** Process id; on the worker backend that of the process which hosts it. */
  readonly pid: number;
  /** Bytes that it writes, if its backend pipes stdout; empty otherwise. To be read once. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** Bytes that it writes, if its backend pipes stderr; empty otherwise. To be read once. */
  readonly stderr: ReadableStream<Uint8Array>;
  /** Waits until it has ended, and gives its task's result. Rejects as the task failed. A signal stops the waiting. */
  join(options?: Waiting): Promise<A>;
  /** Waits until it has ended, and says how: exit code or signal. A signal stops the waiting. */
  status(options?: Waiting): Promise<ExitStatus>;
  /** Waits until it has ended, and gives its exit code; `-n` if signal `n` ended it. A signal stops the waiting. */
  exitCode(options?: Waiting): Promise<number>;
  /** Whether it has not ended yet. */
  isAlive(): Promise<boolean>;
  /** Ends it by its kill policy, and waits for its end. Does nothing if it has ended. */
  terminate(): Promise<void>;
  /** Ends it without asking, and waits for its end. Does nothing if it has ended. */
  kill(): Promise<void>;
  /** Sends a signal of the system; `false` if it has ended. */
  signal(signal: Signal): Promise<boolean>;
}

/**
 * A set of processes that run tasks. Calls start at once and run side by side; `await` each, or all of them together.
 *
 * *Release:* finishes the calls that it has, then ends its workers. {@link Pool.terminate} does not finish them.
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
  /** Runs a task for each item, and gives the results in the order of the items. The first failure stops the rest. */
  map<I, A, E>(task: Task.Task<[I], A, E>, items: Iterable<I>, options?: MapOptions): Promise<Array<A>>;
  /** {@link Pool.map} for tasks of several arguments: each item is a list of them. */
  starmap<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Args>,
    options?: MapOptions,
  ): Promise<Array<A>>;
  /**
   * Runs a task for each item, no more than `lookAhead` ahead of the reader of the results. The first failure, and a reader
   * that stops early, stop the rest.
   */
  mapStream<I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: MapStreamOptions,
  ): AsyncIterableIterator<A>;
  /** Runs a task that is a Stream in one worker. A reader that stops early stops the task. */
  stream<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    args: Args,
    options?: Waiting,
  ): AsyncIterableIterator<A>;
  /** Takes no more calls. Those that it has are finished. */
  close(): Promise<void>;
  /** Waits until the calls of a closed pool are done and its workers have ended. */
  join(options?: Waiting): Promise<void>;
  /** Stops everything, and waits until the workers have ended. Calls that were not done reject with `Terminated`. */
  terminate(): Promise<void>;
  /** Numbers of workers and tasks. */
  statistics(): Promise<Pools.Statistics>;
}

/**
 * A queue. See the module `Queue` for its guarantees. Iterating takes each item when it is handed to the loop, and ends when
 * the queue is closed and empty.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`. A queue that was received is not released by its receiver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue<in out A> extends AsyncDisposable, AsyncIterable<A> {
  /** Items that it holds at most. */
  readonly capacity: number;
  /** Puts an item, when there is room, and returns when the queue has it. A signal stops waiting for room. */
  put(item: A, options?: Waiting): Promise<void>;
  /** Puts many items in their order, as there is room, in far fewer messages. */
  putAll(items: Iterable<A>, options?: Waiting): Promise<void>;
  /** Puts an item if there is room for it now; answers whether it has. */
  tryPut(item: A): Promise<boolean>;
  /** Takes the next item, when there is one. Rejects with `QueueClosed` if there will be none. A signal takes nothing. */
  get(options?: Waiting): Promise<A>;
  /** Takes the next item if there is one now. */
  tryGet(): Promise<{ readonly item: A } | undefined>;
  /** Takes up to `count` items, when there is at least one. A signal takes nothing. */
  takeUpTo(count: number, options?: Waiting): Promise<ReadonlyArray<A>>;
  /** Reports items done that were taken, one unless a number is given. */
  taskDone(count?: number): Promise<void>;
  /** Waits until every item that was put has been reported done. A signal stops the waiting. */
  join(options?: Waiting): Promise<void>;
  /** Items that are there to be taken. */
  size(): Promise<number>;
  /** No more puts, from any process. The items that are there can be taken. */
  close(): Promise<void>;
  /** No more puts and no more gets: the items are dropped. */
  shutdown(): Promise<void>;
}

/**
 * One end of a pipe. See the module `Pipe` for its guarantees. Iterating receives until the end of file.
 *
 * *Release:* closes this end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends AsyncDisposable, AsyncIterable<A> {
  /** Sends a value. Waits while the other end has too much to receive; a signal then sends nothing. */
  send(value: B, options?: Waiting): Promise<void>;
  /** Receives the next value. Rejects with `EndOfFile` if there will be none. A signal receives nothing. */
  recv(options?: Waiting): Promise<A>;
  /** Sends bytes, as one message. */
  sendBytes(bytes: ArrayBufferLike | ArrayBufferView, options?: Waiting): Promise<void>;
  /** Receives bytes that were sent with {@link Connection.sendBytes}. A signal receives nothing. */
  recvBytes(options?: Waiting): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether there is a message, or an end of file, now. */
  poll(): Promise<boolean>;
  /** Ends it: the other end gets `EndOfFile`. */
  close(): Promise<void>;
}

/**
 * A lock for the processes that have it.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`. A lock that was received is not released by its receiver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends AsyncDisposable {
  /**
   * Takes it when it is free. `using held = await lock.take()` gives it back at the end of the block. A signal takes nothing.
   */
  take(options?: Waiting): Promise<Held>;
  /** Takes it if it is free now. */
  tryTake(): Promise<Held | undefined>;
  /** Runs a function while holding it. A signal stops waiting for the lock, not the function. */
  withLock<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A>;
  /** Whether anybody holds it. */
  isLocked(): Promise<boolean>;
}

/** A lock that is held. @since 0.1.0 @category models */
export interface Held extends Disposable {
  /** Whether the holder before has died with the lock, so that the data that the lock protects may be half written. */
  readonly abandoned: boolean;
  /** Gives the lock back. A second call does nothing. */
  release(): void;
}

/**
 * A number of permits.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends AsyncDisposable {
  /** Takes permits, one unless a number is given, when they are there. A signal takes none. */
  take(permits?: number, options?: Waiting): Promise<void>;
  /** Takes permits if they are there now; answers whether it has. */
  tryTake(permits?: number): Promise<boolean>;
  /** Gives permits back. */
  release(permits?: number): Promise<void>;
  /** Runs a function while having one permit. A signal stops waiting for the permit, not the function. */
  withPermit<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A>;
  /** Permits that are there. */
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
  /** Sets it. */
  set(): Promise<void>;
  /** Clears it. */
  clear(): Promise<void>;
  /** Whether it is set. */
  isSet(): Promise<boolean>;
  /** Waits until it is set. A signal stops the waiting. */
  wait(options?: Waiting): Promise<void>;
}

/**
 * A meeting point of a number of parties.
 *
 * *Release:* later uses, in any process, fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier extends AsyncDisposable {
  /** Number of parties. */
  readonly parties: number;
  /** Waits for the others, and gives this party's place in the round, from 0. A signal breaks the barrier. */
  wait(options?: Waiting): Promise<number>;
  /** Breaks it. */
  abort(): Promise<void>;
  /** Starts a new round, also if it is broken. */
  reset(): Promise<void>;
}

/**
 * A block of shared memory.
 *
 * *Release:* the memory is gone here, and for those who have not attached it yet. Views of it have length 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedMemory extends AsyncDisposable {
  /** In bytes. */
  readonly size: number;
  /** Its bytes. Throws a `MemoryError` if the memory is gone. */
  readonly bytes: Uint8Array<ArrayBufferLike>;
  /** The same as elements, `length` of them from byte `offset` on. Throws a `MemoryError` or an `OutOfRange`. */
  array<A>(View: ViewConstructor<A>, offset?: number, length?: number): A;
}

/**
 * A number or boolean in shared memory.
 *
 * *Release:* its use fails from then on, in all processes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Value<T extends Values.Type> extends AsyncDisposable {
  /** The operations, which answer at once. They throw a `MemoryError` or an `OutOfRange`. */
  readonly raw: Values.Of<T>["raw"];
}

/**
 * An array of numbers or booleans in shared memory.
 *
 * *Release:* its use fails from then on, in all processes.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedArray<T extends Arrays.Type> extends AsyncDisposable {
  /** How many elements there are. */
  readonly length: number;
  /** The operations, which answer at once, and the elements as a typed array. They throw a `MemoryError` or an `OutOfRange`. */
  readonly raw: Arrays.Of<T>["raw"];
}

/** Loads the implementation with the first call, so that a child that only defines tasks does not load it. */
const load = (): Promise<typeof import("./internal/promise/make.ts")> => import("./internal/promise/make.ts");

/**
 * Defines a task: work that runs in other processes, and is known by its module and its name. Define it at the top level of a
 * module. The function may return a value, a Promise or an Effect. It is `Task.make`, which says more.
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
 * Runs a task in a process of its own, and gives its result. A signal stops the task, and ends the process.
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
 * Starts a process that runs a task. A signal stops waiting for the start.
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
 * Starts a pool. Its Promise resolves when the workers can run tasks; a signal stops waiting for that.
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
 * Makes a queue. Its options are those of `Queue.make`.
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
 * Makes a pipe of two ends. Its options are those of `Pipe.make`, without `duplex`.
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
 *   using held = await lock.take();
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
 * Makes a semaphore of one permit, or of as many as `permits` says.
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
 * Makes an event, which is not set.
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
 * Makes a barrier for a number of parties.
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
 * Makes a block of shared memory of a number of bytes.
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
 * Makes a value of a type in shared memory; see `Value.make`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * await using counter = await Mp.value("i32", 40);
 * counter.raw.add(2);
 * console.log(counter.raw.value);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const value = async <T extends Values.Type>(type: T, initial: Values.Values[T]): Promise<Value<T>> =>
  await (await load()).value(type, initial);

/**
 * Makes an array of a type in shared memory, of a number of elements or of these; see `Array.make`.
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
