/**
 * Queues that every process of the family can use: first in first out, last in first out, or by priority.
 *
 * A queue lives in the process that makes it, its host. Other processes receive a handle, at any time: as an argument
 * or a result of a task, in an item of a queue, or in a message of a pipe. All handles denote the same queue. Several
 * fibers and processes can put and take at once.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const square = Mp.Task.make(
 *   import.meta,
 *   "square",
 *   (numbers: Mp.Queue.Queue<number>, squares: Mp.Queue.Queue<number>) =>
 *     numbers.toStream.pipe(Stream.map((n) => n * n), Stream.run(squares.toSink)),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const numbers = yield* Mp.Queue.make<number>({ capacity: 100 });
 *   const squares = yield* Mp.Queue.make<number>();
 *   const child = yield* Mp.Process.spawn(square, numbers, squares);
 *   yield* numbers.put(1);
 *   yield* numbers.putAll([2, 3]);
 *   console.log(yield* squares.get, yield* squares.get, yield* squares.get);
 *
 *   yield* numbers.close; // ends the Stream in the child, which then is done
 *   yield* child.join;
 *   console.log(yield* squares.size, (yield* Effect.flip(numbers.put(4)))._tag);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 1 4 9
 * 0 QueueClosed
 * ```
 *
 * `Queue.make` gives the oldest item first, `Queue.lifo` the newest. `Queue.priority` gives the smallest item, or the
 * item with the smallest key; of equal items, the oldest. `Queue.fromStream` is filled by a Stream.
 *
 * ## The end of a queue
 *
 * | | `close` | `shutdown` | its scope closes, or its host ends |
 * | --- | --- | --- | --- |
 * | items in it | can still be taken | are dropped | are dropped |
 * | `put`, waiting ones too | `QueueClosed` | `QueueClosed` | `Unreachable` |
 * | `get`, waiting ones too | an item; `QueueClosed` when none is left | `QueueClosed` | `Unreachable` |
 * | `toStream` | the remaining items, then the end | fails with `QueueClosed` | fails with `Unreachable` |
 * | `join` | waits until all items are reported done | `QueueClosed` | `Unreachable` |
 * | `size` and others | succeed | succeed | `Unreachable` |
 *
 * `close` and `shutdown` take effect for all processes. Neither is required: a queue ends with its scope, and a handle is
 * only data.
 *
 * | process that ends | effect on the queue |
 * | --- | --- |
 * | a process that puts | An item whose `put` has returned stays. Any other `put` is in the queue whole, or not at all. |
 * | a process that takes | The items that its `get` has returned are lost with it, and so is the item that its stream has handed on. All other items that were sent to it go back, in order. With `redeliver: true`, the items that it has not reported with `taskDone` go back as well. |
 * | the last process that uses the queue, except the host | None. The items stay. |
 * | every process that puts | None, so consumers wait. `close` the queue then, as the example `queue_producers_consumers` does. |
 *
 * ## Bounds
 *
 * `capacity` bounds the number of items in the queue, and is unlimited by default. `maxBytes` bounds the bytes of the
 * encoded items, and is 256 MiB by default, so no queue is unbounded. A `put` for which there is no room waits in its own
 * fiber, and holds up no other fiber. An item that is larger than `maxBytes` fails with the `QueueError` `TooLarge`.
 *
 * `Effect.timeout` limits any wait. An interrupted `get` has taken nothing, and an interrupted `put` has put nothing,
 * whenever the interruption comes. A first part of an interrupted `putAll` may have been put.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Option, Schedule } from "effect";
 *
 * const take = Mp.Task.make(import.meta, "take", (queue: Mp.Queue.Queue<unknown>) => queue.get);
 *
 * const program = Effect.gen(function* () {
 *   const queue = yield* Mp.Queue.make<unknown>({ capacity: 1 });
 *   console.log(yield* Effect.flip(Effect.timeout(queue.get, "50 millis")).pipe(Effect.map(({ _tag }) => _tag)));
 *
 *   // A consumer that is killed in `get` keeps nothing from the others.
 *   const consumer = yield* Mp.Process.spawn(take, queue);
 *   yield* queue.statistics.pipe(
 *     Effect.repeat({ until: ({ takers }) => takers === 1, schedule: Schedule.spaced("10 millis") }),
 *   );
 *   yield* consumer.kill;
 *
 *   // An item is encoded when it is put.
 *   const item = [1];
 *   yield* queue.put(item);
 *   item.push(2);
 *   console.log(yield* queue.size, yield* queue.isFull, yield* queue.tryPut("no room"));
 *   console.log(yield* queue.get, Option.isNone(yield* queue.tryGet));
 *
 *   const refused = yield* Effect.flip(queue.put(() => 1));
 *   console.log(refused.message);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * TimeoutException
 * 1 true false
 * [ 1 ] true
 * Cannot encode item: functions do not cross a process boundary; define a Task and send its arguments
 * ```
 *
 * ## Taken items
 *
 * An item is taken in the step that hands it over: when `get`, `tryGet` or `takeUpTo` returns it, or when a stream
 * hands it on. Until then an item that was sent to a process is still in the queue: `size` counts it, and other
 * consumers may get it. If the process dies, or the consumer fails or is interrupted, the item is in its place again,
 * before later items.
 *
 * Therefore a consumer that is killed loses only the items that it has taken: one item of a loop of `get` or of `toStream`,
 * up to `count` of `takeUpTo(count)`, up to `chunkSize` of `toStreamWith({ chunkSize })`, and up to `lookAhead` chunks
 * of a pool's `mapStream` over a stream of the queue. Operators that read ahead, such as `Stream.buffer`, hold the
 * items that they have read. No item is taken twice.
 *
 * ## Redelivery
 *
 * A queue that is made with `redeliver: true` gives an item to another consumer if the process that took it ends before
 * it has reported the item done with `taskDone`. Each item is then processed at least once. If a consumer is killed
 * after its work and before its report, the work is done again, so it must be work that can be repeated.
 *
 * - `taskDone` reports items of the calling process, in the order in which the process took them: first the items that
 *   the calling fiber took, then any. So each of several fibers can get, work and report. Work that is spread over
 *   other fibers has to be reported in the order of the items, as the results of `Stream.mapEffect` and of a pool's
 *   `mapStream` come, and not `unordered`. Reporting more items than the process has taken is a `QueueError`,
 *   `TooManyDone`.
 * - When a process ends for any reason, the items that it has not reported go back to their places.
 * - When a stream fails or is interrupted, the items that it has handed on and that were not reported go back at once.
 *   When a stream ends because no more of it is wanted, as with `Stream.take`, its items stay with the process.
 * - When a fiber is interrupted after its `get` or `takeUpTo` has returned, the items stay with the process, which can
 *   still report them.
 * - `join` waits until all items are reported, including items that were given a second time. Each item counts once.
 * - A closed queue ends for a consumer when no item can come back: no other process has an item that it has not reported.
 * - Items that were taken and not reported are not part of `size` and take no place of the `capacity`; their bytes
 *   count.
 * - An item that kills each of its consumers comes back each time. A handle that moves, such as the end of a pipe,
 *   cannot be given a second time.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const work = Mp.Task.make(
 *   import.meta,
 *   "work",
 *   (jobs: Mp.Queue.Queue<number>, results: Mp.Queue.Queue<number>) =>
 *     Stream.runForEach(jobs.toStream, (job) => Effect.zipRight(results.put(job * job), jobs.taskDone())),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const jobs = yield* Mp.Queue.make<number>({ redeliver: true });
 *   const results = yield* Mp.Queue.make<number>();
 *   yield* jobs.putAll([1, 2, 3]);
 *   yield* jobs.close;
 *   // If either of the two dies, the other one does the rest.
 *   yield* Mp.Process.spawn(work, jobs, results);
 *   yield* Mp.Process.spawn(work, jobs, results);
 *   yield* jobs.join;
 *   console.log((yield* results.takeUpTo(10)).toSorted());
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * ```
 *
 * ## Order
 *
 * - Items that one fiber puts stay in order. Items of different fibers and processes are ordered by their arrival.
 * - Waiting calls of `put` and of `get` are served in the order in which they came.
 * - `size`, `isEmpty` and `isFull` are consistent snapshots. A process that learns of a `put` by another queue, a pipe or
 *   a result finds the item in the queue, unless the item has been taken.
 *
 * ## Near and far
 *
 * In its host, a queue is an object in memory. Every other process uses it over a link to the host:
 *
 * | between | the link |
 * | --- | --- |
 * | parent and child subprocess | the socket between them |
 * | parent and child worker | the message ports between them |
 * | two subprocesses that are not parent and child | a socket of their own, which they open with the first call |
 * | two workers of one program | a pair of ports of their own |
 * | two processes of which neither may open or reach a socket | a tunnel through the processes between them, which do not decode the messages |
 *
 * A `put` returns when the queue has the item. From another process this costs a round trip, and lets any process that
 * learns of the item find it in the queue; a later `put` comes behind it. A queue that is made with `confirm: false` lets a
 * `put` from another process return as soon as the item will outlive that process, in a third of the time; a process
 * that learns of the item by another way may then look before it has arrived. A pipe between two children is best made by
 * one of them. A queue between two children is about as fast in their parent as in one of the two; one of the two spares
 * the parent the work.
 *
 * ```sh
 * deno task bench --filter=queue.siblings # the queue in the parent, and in one of the two (own)
 * deno task bench --filter=pipe.siblings
 * ```
 *
 * `toStream` and calls of `get` that follow each other within 20 ms read ahead: the queue sends items before they are
 * asked for, and taking one costs no message. `toStream` hands on one item at a time; `toStreamWith({ chunkSize })`
 * hands on several at once, and moves several times as many items in a second, as `putAll` and `takeUpTo` do.
 *
 * Reading ahead needs a queue that gives the oldest item first, and something that both processes share:
 *
 * - memory, as workers do, and subprocesses with `--allow-ffi` on Linux; or
 * - a file, on every system, where both processes have `--allow-read` and `--allow-write`. It contains numbers and no
 *   items, lies in a folder for temporary files that only this user can enter, and loses its name as soon as both have it
 *   open. An item costs a few microseconds more than with memory.
 *
 * Where neither is possible, each item of `get` or `toStream` is a round trip to the queue: use `chunkSize` for short
 * work. The filters `queue.throughput`, `queue.put` and `queue.get` of the benchmark show the difference.
 *
 * ## Compared with a pipe and a Stream
 *
 * | | a queue | a pipe | a Stream of a task |
 * | --- | --- | --- | --- |
 * | users | any number of processes | one owner of each end | a task and its caller |
 * | direction | from producers to consumers | both | one |
 * | end | when a process closes it | with the owner of either end | with the task, or with the reader |
 * | failure of one side | not seen by the other | end of file | fails the Stream, with its type |
 *
 * ## Compared with Python
 *
 * | Python's queues | here |
 * | --- | --- |
 * | A consumer is killed in `get`, and the others wait for ever. | No lock can be left behind. Items that were sent to the consumer go back. |
 * | A producer is killed in `put`, and half an item blocks the others. | Half a message is dropped with its sender. |
 * | An item changes after it was put. | It is encoded in `put`. |
 * | An item that cannot be pickled is lost, and `join` waits for ever. | `put` fails with an `EncodeError`; the item is not counted. |
 * | A process cannot end, nor be joined, until its items are taken. | A `put` that has returned has left the process. Only a `put` without room waits. |
 * | `empty()` is true just after a `put`; `qsize()` is approximate. | `size` is a consistent snapshot. |
 * | A queue can be given to a process only when that is started. | It can be sent at any time. |
 * | `close` in one process has no effect on the others. | `close` ends the queue for all processes. |
 *
 * `deno test -A tests/api/Queue_test.ts` checks these guarantees.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Queue(maxsize)` | `Queue.make({ capacity })` |
 * | `SimpleQueue`, `JoinableQueue` | the same: every queue has `taskDone` and `join` |
 * | `LifoQueue`, `PriorityQueue` | `Queue.lifo`, `Queue.priority` |
 * | `put(item)`, `get()` | `queue.put(item)`, `queue.get` |
 * | `put(item, timeout=1)`, `get(timeout=1)` | `Effect.timeout(queue.put(item), "1 second")`, `Effect.timeout(queue.get, "1 second")` |
 * | `put_nowait`, `Full` | `queue.tryPut(item)`: whether the item was put |
 * | `get_nowait`, `Empty` | `queue.tryGet`: an Option |
 * | `qsize`, `empty`, `full` | `queue.size`, `queue.isEmpty`, `queue.isFull`: exact, on each system |
 * | `task_done`, `join` | `queue.taskDone()`, `queue.join`; one too many is a `QueueError`, `TooManyDone` |
 * | `close()` of a queue | not needed; `queue.close` does more: no process can put any more, and consumers get the remaining items and then the end |
 * | `join_thread`, `cancel_join_thread` | not needed: there is no feeder thread, and a `put` that has returned does not delay the end of its process |
 * | a `None` for each consumer | `queue.close`; see the example `queue_poison_pill` |
 * | (not possible) | `putAll`, `takeUpTo`, `toStream`, `toSink`, `Queue.fromStream`, `shutdown`; a queue in an item of a queue |
 * | (not possible) | `redeliver: true`: items that a dead consumer has not reported done go to other consumers |
 *
 * @module
 */
// This file is longer than others, since it is the guide and the reference of queues. The code is in `internal/queue`.

import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type * as Order from "effect/Order";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Sink from "effect/Sink";
import type * as Stream from "effect/Stream";
import { lazily } from "./internal/os/lazy.ts";
import { QueueClosed, QueueError, type QueueErrorReason, Unreachable } from "./internal/objects/errors.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import type { DecodeError, EncodeError } from "./internal/codec/errors.ts";
import type { MessageTooLarge } from "./internal/codec/message.ts";

export { QueueClosed, QueueError, Unreachable };
export type { DecodeError, EncodeError, MessageTooLarge, QueueErrorReason };

const implementation = lazily(() => import("./internal/queue/make.ts"));

/**
 * Key of the property that every queue has.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Queue" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * Why an operation of a queue has failed.
 *
 * @since 0.1.0
 * @category errors
 */
export type QueueFailure = QueueClosed | Unreachable | MessageTooLarge;

/**
 * A snapshot of a queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of items that can be taken. */
  readonly size: number;
  /** The largest number of items that the queue holds. */
  readonly capacity: number;
  /** Bytes that the items take up, and those that are promised to producers. */
  readonly bytes: number;
  /** Number of `get` calls that wait. */
  readonly takers: number;
  /** Number of `put` calls that wait for room. */
  readonly putters: number;
  /** Number of items that were put and not reported done. */
  readonly unfinished: number;
  /** State of the queue. */
  readonly state: "open" | "closed" | "shut down";
}

/**
 * The operations that both sides of a queue have.
 *
 * @since 0.1.0
 * @category models
 */
export interface Base extends Waitable, Pipeable {
  /** Marks the object as a queue. */
  readonly [TypeId]: TypeId;
  /** The largest number of items that the queue holds. */
  readonly capacity: number;
  /** Name of the process that hosts the queue. */
  readonly host: string;
  /** Number of items that can be taken. Python's `qsize`. */
  readonly size: Effect.Effect<number, QueueFailure>;
  /** Whether no item can be taken. */
  readonly isEmpty: Effect.Effect<boolean, QueueFailure>;
  /** Whether a `put` would have to wait. */
  readonly isFull: Effect.Effect<boolean, QueueFailure>;
  /** Waits until every item that was put has been reported done. *Interruption:* stops the wait. */
  readonly join: Effect.Effect<void, QueueFailure>;
  /** Waits until there is an item, or none will come. Takes nothing. *Interruption:* stops the wait. */
  readonly ready: Effect.Effect<void, QueueFailure>;
  /** Closes the queue for all processes: no more items can be put. The remaining items can be taken; then `get` fails with `QueueClosed`. */
  readonly close: Effect.Effect<void, QueueFailure>;
  /** Shuts the queue down for all processes: its items are dropped, and waiting and later calls fail with `QueueClosed`. */
  readonly shutdown: Effect.Effect<void, QueueFailure>;
  /** A snapshot of the queue. */
  readonly statistics: Effect.Effect<Statistics, QueueFailure>;
}

/**
 * The putting side of a queue, for tasks that only put.
 *
 * @since 0.1.0
 * @category models
 */
export interface Enqueue<in A> extends Base {
  /**
   * Puts an item when there is room, and returns when the queue has the item: every `get`, `tryGet` and `size` that begins later, in
   * any process, sees the item, and it leaves a FIFO queue before every item whose `put` begins later (see `confirm` in
   * {@link Options}). Fails with an `EncodeError` if the item cannot be encoded, with nothing put. *Interruption:* nothing is put while
   * the call waits for room.
   */
  readonly put: (item: A) => Effect.Effect<void, EncodeError | QueueError | QueueFailure>;
  /**
   * Puts several items in their order, as there is room, in far fewer messages. All items are encoded before the first one is put.
   * *Interruption:* the items for which there was room are put, the others are not.
   */
  readonly putAll: (items: Iterable<A>) => Effect.Effect<void, EncodeError | QueueError | QueueFailure>;
  /**
   * Puts an item if there is room for it now. Returns whether the item was put. Python's `put_nowait`. *Interruption:* nothing is
   * put while the call asks for room.
   */
  readonly tryPut: (item: A) => Effect.Effect<boolean, EncodeError | QueueError | QueueFailure>;
  /**
   * Puts the elements of a Stream, and holds the Stream back while there is no room. The next elements of a chunk are encoded while
   * the queue receives those before them; an element that cannot be encoded fails the Sink when those before it are put. Does not
   * close the queue. *Interruption:* a first part of the chunk may have been put.
   */
  readonly toSink: Sink.Sink<void, A, never, EncodeError | QueueError | QueueFailure>;
}

/** Options of {@link Dequeue.toStreamWith}. @since 0.1.0 @category models */
export interface StreamOptions {
  /**
   * The largest number of items that the stream hands on, and thereby takes, in one step: a consumer that dies loses up to that
   * number. A stream of larger chunks moves several times as many items in a second. @default 1
   */
  readonly chunkSize?: number | undefined;
}

/**
 * The taking side of a queue, for tasks that only take.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dequeue<out A> extends Base {
  /**
   * Takes the next item when there is one. Fails with `QueueClosed` if none will come. *Interruption:* takes nothing.
   */
  readonly get: Effect.Effect<A, DecodeError | QueueFailure>;
  /** Takes the next item if there is one now. Python's `get_nowait`. *Interruption:* takes nothing. */
  readonly tryGet: Effect.Effect<Option.Option<A>, DecodeError | QueueFailure>;
  /** Takes up to `count` items when there is at least one. *Interruption:* takes nothing. */
  readonly takeUpTo: (count: number) => Effect.Effect<ReadonlyArray<A>, DecodeError | QueueError | QueueFailure>;
  /**
   * Reports `count` taken items done, one by default. In a queue that redelivers these are the oldest items that this fiber has taken,
   * then the oldest of this process. Python's `task_done`. *Interruption:* a report that has begun stands.
   */
  readonly taskDone: (count?: number) => Effect.Effect<void, QueueError | QueueFailure>;
  /**
   * The items as they come. Ends when the queue is closed and empty. Each item is taken when the stream hands it on, one at a time:
   * if the consumer fails, is interrupted or is killed, all later items are still in the queue, in their places. *Interruption:* takes
   * no more items.
   */
  readonly toStream: Stream.Stream<A, DecodeError | QueueFailure>;
  /**
   * Like {@link toStream}, with several items in a chunk, which are taken together. Fails with a `QueueError` if `chunkSize` is not a
   * positive integer.
   */
  readonly toStreamWith: (options: StreamOptions) => Stream.Stream<A, DecodeError | QueueError | QueueFailure>;
}

/**
 * A queue. It lives in the process whose scope made it, and can be sent to any other process: as an argument or result of a task,
 * or in an item of another queue. Every copy of the handle denotes the same queue.
 *
 * - Items of one fiber stay in order. Waiting calls are served in the order in which they came.
 * - An item is encoded when it is put: later changes of the object do not change the item.
 * - An item whose `put` has returned outlives the process that put it. An item that was sent to a process goes back to its place if
 *   that process dies before its `get` has returned, or before its stream has handed the item on.
 * - `size` is a consistent snapshot, and no process learns of a `put` before the queue has the item.
 * - When its scope closes, or its process ends, every use fails with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Queue<in out A> extends Enqueue<A>, Dequeue<A> {}

/**
 * Options of a queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The largest number of items that the queue holds. Further calls of `put` wait. @default Infinity */
  readonly capacity?: number | undefined;
  /** The largest number of bytes that the encoded items take up. Further calls of `put` wait. @default 268435456 */
  readonly maxBytes?: number | undefined;
  /**
   * Whether an item goes back to its place if the process that took it ends before it has reported the item done with `taskDone`.
   * Each item is then processed at least once. @default false
   */
  readonly redeliver?: boolean | undefined;
  /**
   * Whether `put` returns when the queue has the item: every later operation of any process then sees the item, and a later `put`
   * comes behind it. With `false`, a `put` from another process returns as soon as the item will outlive that process, in a third of
   * the time; a process that learns of the item by another way may then look before it has arrived. @default true
   */
  readonly confirm?: boolean | undefined;
}

/**
 * Makes a queue that gives the oldest item first. Python's `Queue`, `JoinableQueue` and `SimpleQueue`.
 *
 * Fails with the `QueueError` `InvalidOption` if an option is not a positive integer.
 *
 * *Release:* drops the items. Waiting and later calls fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const produce = Mp.Task.make(import.meta, "produce", (queue: Mp.Queue.Queue<number>) => queue.putAll([1, 2, 3]));
 *
 * const program = Effect.gen(function* () {
 *   const queue = yield* Mp.Queue.make<number>({ capacity: 10 });
 *   yield* Mp.Process.spawn(produce, queue);
 *   console.log(yield* queue.get, yield* queue.get, yield* queue.get);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(options: Options = {}): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  implementation(({ make }) => make<A>(options));

/**
 * Makes a queue that gives the newest item first. Python's `LifoQueue`.
 *
 * *Release:* as with {@link make}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const lifo = <A>(options: Options = {}): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  implementation(({ lifo }) => lifo<A>(options));

/**
 * Options of a priority queue. It orders its items by themselves or by their keys, with the natural order or with `order`. The
 * functions are called in the process that made the queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface PriorityOptions<A, K = A> extends Options {
  /** The key by which an item is ordered. @default the item itself */
  readonly key?: ((item: A) => K) | undefined;
  /** The order of the keys. @default numbers, bigints, strings and Dates ascending, arrays by their first difference */
  readonly order?: Order.Order<K> | undefined;
}

/**
 * Makes a queue that gives the smallest item first, and of equal items the oldest. Python's `PriorityQueue`.
 *
 * The `put` of an item that has no place in the order fails with the `QueueError` `NotOrderable`.
 *
 * *Release:* as with {@link make}.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Order } from "effect";
 *
 * interface Job {
 *   readonly urgency: number;
 *   readonly name: string;
 * }
 *
 * export const jobs = Mp.Queue.priority<Job, number>({
 *   key: (job) => job.urgency,
 *   order: Order.reverse(Order.number),
 * });
 *
 * export const pairs = Effect.gen(function* () {
 *   const queue = yield* Mp.Queue.priority<[priority: number, name: string]>();
 *   yield* queue.putAll([[2, "sweep"], [1, "wash"]]);
 *   return yield* queue.get; // [1, "wash"]
 * }).pipe(Effect.scoped);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const priority = <A, K = A>(
  options: PriorityOptions<A, K> = {},
): Effect.Effect<Queue<A>, QueueError, Scope.Scope> => implementation(({ priority }) => priority(options));

/**
 * Makes a queue that is filled from a Stream. The queue is closed when the Stream ends, and shut down when it fails.
 *
 * *Release:* interrupts the Stream; then as with {@link make}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromStream = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  options: Options = {},
): Effect.Effect<Queue<A>, QueueError, R | Scope.Scope> =>
  implementation(({ fromStream }) => fromStream(stream, options));

/**
 * Whether a value is a queue.
 *
 * @since 0.1.0
 * @category guards
 */
export const isQueue = (value: unknown): value is Queue<unknown> =>
  typeof value === "object" && value !== null && TypeId in value;
