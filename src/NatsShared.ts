/**
 * Objects that programs on several machines share: queues, locks, semaphores, events and dicts that a NATS server with JetStream keeps.
 *
 * The programs need no common parent: those that name the same objects in the same space share them. The objects have the types of
 * this library, so that a program replaces the constructor only.
 *
 * ```sh
 * nats-server -js                        # on some machine, `broker`
 * deno run -A main.ts                    # the program, on any number of machines
 * ```
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const shared = yield* NatsShared.make({ servers: "nats://127.0.0.1:1", name: "orders", connectTimeout: "100 millis" });
 *   const jobs = yield* shared.queue<string>("jobs", { capacity: 100 });
 *   const daily = yield* shared.lock("daily", { lease: "10 seconds" });
 *   const gate = yield* shared.semaphore("gate", { permits: 4 });
 *   const ready = yield* shared.event("ready");
 *   const settings = yield* shared.dict<string, number>("settings");
 *
 *   yield* ready.wait;
 *   yield* daily.withLock(jobs.put("clean up")); // one program at a time
 *   const job = yield* jobs.get;
 *   yield* gate.withPermits(Effect.log(job)); // four at once, in all programs together
 *   yield* settings.change("jobs", (jobs = 0) => jobs + 1); // no change is lost
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
 * `deno task example:nats_shared` starts a server and several programs on one machine, and kills one of them while it holds a lock.
 *
 * - An operation that has returned is on the disk of the server. Every operation that begins later, in any program, sees it.
 * - Objects are made by their first use, and stay in the server with their content when all programs have ended.
 * - While the server is away, operations wait for it. An operation whose answer was lost is made once.
 * - Only data can be stored. A handle in an item or a value is an `EncodeError`. The objects themselves cannot be sent: a task that needs
 *   them calls {@link make}.
 *
 * ## Leases
 *
 * A program that holds a lock or permits gives a sign of life three times within the `lease`. The other programs count its silence by
 * their own clocks, from the moment at which they have seen the last sign: no clocks of two machines are compared. A program that
 * waits takes over when the silence is as long as the lease, and learns it by `abandoned`. The holder gives up somewhat earlier: when it
 * could give no sign of life for nine tenths of the lease, it has lost the lock or the permits.
 *
 * - `withLock` and `withPermits` interrupt their effect then, and fail with the `SyncError` `LeaseLost`. So does `release`.
 * - After `take` or `acquire`, race the work against `lock.lost`.
 * - A program that is stopped, whose event loop is busy or whose machine sleeps cannot be interrupted. The lock may have another holder
 *   when it goes on, and it may still write before it learns of that. A resource that must be safe from that compares fences: each holder has a larger one than all before.
 *
 * ```ts
 * import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
 * import { Effect } from "effect";
 *
 * // The database refuses a report with a smaller fence than that of the last one.
 * const writeReport = (fence: number) => Effect.log("write", fence);
 *
 * export const report = Effect.gen(function* () {
 *   const shared = yield* NatsShared.make({ servers: "nats://broker:4222", name: "reports" });
 *   const lock = yield* shared.lock("report", { lease: "5 seconds" });
 *   const { abandoned, fence } = yield* lock.acquire;
 *   if (abandoned) yield* Effect.logWarning("the last program has left its report unfinished");
 *   yield* Effect.raceFirst(writeReport(fence), lock.lost);
 * }).pipe(Effect.scoped);
 * ```
 *
 * ## Queues
 *
 * ```ts
 * import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
 * import { Effect, Stream } from "effect";
 *
 * // Runs on any number of machines. A job whose machine fails is done by another one.
 * export const worker = Effect.gen(function* () {
 *   const shared = yield* NatsShared.make({ servers: "nats://broker:4222", name: "orders" });
 *   const jobs = yield* shared.queue<string>("jobs", { capacity: 1000, redeliver: true, ackWait: "5 seconds" });
 *   yield* Stream.runForEach(jobs.toStream, (job) => Effect.zipRight(Effect.log(job), jobs.taskDone()));
 * }).pipe(Effect.scoped);
 * ```
 *
 * - A `put` that has returned is on the disk of the server, once: an item whose answer was lost is stored again under the same id, which
 *   the server remembers for two minutes.
 * - An item is taken when its mark is on disk, and then `get` returns it. It comes once: programs and servers that are killed, and networks
 *   that break, do not change that. A program that is killed loses the items that it has taken, as with `Queue.make`: one of a loop of
 *   `get`, up to `count` of `takeUpTo(count)`.
 * - Items that were sent to a program, and that it has not taken, go back when it ends or its calls are interrupted. If it is killed or
 *   cut off, they go to others after `ackWait`.
 * - With `redeliver: true`, an item goes to another program if the one that took it ends, or is not heard for `ackWait`, before it has
 *   reported the item with `taskDone`. A program that works gives signs of life for the items that it has.
 * - Items leave in the order in which they were put, and those that go back come before the others. An item that is in another program's
 *   hand when that one is killed is overtaken. Calls of one program that wait are served in their order.
 * - Calls of `get` that follow each other within 20 ms have up to 16 items sent ahead, which go back after 20 ms without a call; not in a
 *   queue that redelivers.
 * - Programs that put into a queue with a `capacity` at the same time take turns, and a turn that is lost costs a round trip more. Without
 *   a `capacity`, they do not hinder each other. `putAll` and `takeUpTo` move several times as many items in a second as `put` and `get`.
 *
 * ## Differences from objects of one family
 *
 * | object | difference |
 * | --- | --- |
 * | all | cannot be sent. `host` is `NatsShared(NAME)`, `carrier` is `"messages"` |
 * | lock | holding it ends with its lease. `take` and `acquire` give the `fence` as well; `lost`. A `Condition` cannot use it |
 * | semaphore | has a bound. A program releases only permits that it has taken, or fails with `OverRelease`. Taking more permits than there are fails with `InvalidArgument` |
 * | event | `waitingProcesses` counts this program only |
 * | dict | has the operations of a manager's dict, and `change`. It is no proxy. `update` and `clear` change, and `getMany` reads, one key after the other. The task of `modify` runs in this program, and again if another program has changed the key meanwhile. A watch has no `Clear`; after a break it has the last change of each key |
 * | queue | is first in, first out; `confirm: false` is not offered. `close` and `shutdown` hold for ever: a queue of another name is a new one. An item is a message of the server at most (`MessageTooLarge`). `takers` and `putters` are those of this program. With `redeliver`, `size` and `capacity` count items that were taken and not reported as well. `maxBytes` counts about 150 bytes more for each item; several programs may exceed it by what they put at the same moment, unless there is a `capacity`. Two programs that report the same item may end a `join` early |
 *
 * The programs that wait for a lock or for permits stand in one line, and so do the fibers of each program: they are served in the order
 * in which they came.
 *
 * ## Failures
 *
 * | event | effect |
 * | --- | --- |
 * | a program ends in good order | its locks and permits are free at once; items that it had not taken go back |
 * | a program is killed or cut off | its locks and permits are free after their leases, if another program waits; items that it had not taken go back after `ackWait` |
 * | a program is stopped for longer than a lease | the same; it learns of its loss when it goes on |
 * | the server is killed and comes back | a delay, unless that is longer than a lease |
 * | an operation is interrupted | a lock, permits or a value that it has taken are given back first, for at most 5 seconds. A change of an event or of a dict may have been made |
 * | a value is larger than a message of the server (`max_payload`, 1 MB) | `MessageTooLarge` |
 * | more than 1000 programs wait for a lock or a semaphore | the `SyncError` `TooMany` |
 * | the scope of {@link make} was closed | `Unreachable` |
 * | the server refuses an operation, by its permissions for instance | `Unreachable`, whose `cause` says why |
 *
 * ## The server
 *
 * JetStream must be on (`nats-server -js`, or `jetstream {}` in its configuration). With `replicas: 3` in a cluster of three servers, one
 * of them may fail. That needs version 2.9.21 or later: earlier clusters may accept two changes of one state, so that {@link make}
 * fails with `Unsupported`. While a cluster elects a leader, later ones may do so as well; the fence of a lock is safe from that. A queue
 * with replicas needs version 2.15 or later, and is `Unsupported` otherwise: a cluster of version 2.10.27 lost items when its servers
 * were killed one after the other.
 *
 * | stream | content |
 * | --- | --- |
 * | `mp+SPACE+shared+NAME` | the states of locks, semaphores and events; the keys of dicts with their values |
 * | `mp+SPACE+queue+NAME+QUEUE` | the items of a queue |
 * | `mp+SPACE+taken+NAME+QUEUE`, `mp+SPACE+done+NAME+QUEUE` | for some minutes, which items were taken; how many were reported done |
 *
 * Nothing removes the streams of objects that are not used any more: `nats stream rm` does. A deleted key of a dict leaves a mark of about
 * 100 bytes, which a program that uses the dict removes after two minutes. The users of the server need these subjects, where `S` is the
 * space and `N` the name:
 *
 * | user | may publish | may subscribe |
 * | --- | --- | --- |
 * | program | `mp.S.s.N.>`, `$JS.API.>`, `$JS.ACK.>`, `$JS.FC.>` | `mp.S.r.>`, `mp.S.s.N.queue.>` |
 *
 * ## From Python
 *
 * Python's `multiprocessing` shares objects with programs on other machines by a manager, which one of the programs must be. Here a server
 * keeps them, as Redis does for Celery and RQ; the lock is what `redis.lock.Lock` is, with a lease that renews itself and a fence.
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Events from "./Event.ts";
import type { NatsError } from "./internal/network/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { SyncFailure } from "./internal/sync/errors.ts";
import type * as Locks from "./Lock.ts";
import type * as Manager from "./Manager.ts";
import type { ServerOptions } from "./NatsBackend.ts";
import type * as Queue from "./Queue.ts";
import type * as Semaphores from "./Semaphore.ts";

export { NatsError, type NatsErrorReason } from "./internal/network/errors.ts";
export { SyncError, type SyncFailure } from "./internal/sync/errors.ts";
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
  /** The largest number of bytes that the items take up, each with about 150 bytes of the server's. @default 268435456 */
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
 * Options of a lock or a semaphore.
 *
 * @since 0.1.0
 * @category models
 */
export interface LeaseOptions {
  /**
   * How long this program may be unheard by the server before other programs may take the lock or the permits from it: 100 ms or more. It gives a sign of
   * life three times within a lease. All uses of one object in a program have the same lease. @default 10 seconds
   */
  readonly lease?: Duration.DurationInput | undefined;
}

/**
 * Options of a semaphore.
 *
 * @since 0.1.0
 * @category models
 */
export interface SemaphoreOptions extends LeaseOptions {
  /**
   * The number of permits, for all programs: the first program sets it, a later one that names it changes it. @default 1
   */
  readonly permits?: number | undefined;
}

/**
 * The result of taking a lock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Held extends Locks.Held {
  /**
   * A number that is larger than those of all earlier holders. A resource that the lock protects, such as a database, can refuse
   * requests with a number below the largest one that it has seen: they are from a holder that has lost the lock without knowing it yet.
   */
  readonly fence: number;
}

/**
 * A lock that one program holds at a time.
 *
 * - A program that is not heard for the lease loses the lock. `withLock` then interrupts its effect, and fails with the `SyncError`
 *   `LeaseLost`, before another program has the lock. After `take` and `acquire`, race the work against {@link Lock.lost}.
 * - The next holder learns by `abandoned` that the last one has lost its lease.
 * - Programs take turns in the order in which they came, and so do the fibers of one program.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends Locks.Lock {
  /** The name of the lock. */
  readonly name: string;
  /** Takes the lock, waiting until it is free. *Interruption:* the lock is not taken. */
  readonly take: Effect.Effect<Held, SyncFailure>;
  /** Takes the lock until the scope closes. *Interruption:* of the wait: the lock is not taken. *Release:* releases the lock. */
  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope>;
  /**
   * Fails with the `SyncError` `LeaseLost` when this program loses the lock that it holds now, and with `NotOwner` if it holds none. Never
   * ends if the lock is released. *Interruption:* changes nothing.
   */
  readonly lost: Effect.Effect<never, SyncFailure>;
}

/**
 * A semaphore whose permits programs share. A program can release only permits that it has taken; permits of a program that is not
 * heard for the lease come back. `withPermits` then interrupts its effect, and fails with the `SyncError` `LeaseLost`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends Semaphores.Semaphore {
  /** The name of the semaphore. */
  readonly name: string;
  /** The number of permits when this program made the object. */
  readonly bound: number;
}

/**
 * An event. It stays set until a program clears it, also when all programs have ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends Events.Event {
  /** The name of the event. */
  readonly name: string;
}

/**
 * A dict. Each key is in one message of the server; a change of it is seen by every operation that begins later, in any program.
 *
 * It has the operations of a dict of a {@link Manager.Manager}, with these differences: it is no proxy; `update` and `clear` change, and
 * `getMany` reads, one key after the other; the task of `modify` runs in this program, and again if another program has changed the key
 * meanwhile; a watch never has a `Clear`, but each key that was deleted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dict<in out K, in out V> extends Manager.DictOperations<K, V>, Pipeable {
  /** The name of the dict. */
  readonly name: string;
  /**
   * Changes the value of a key by a function, and returns the new value. The function is called again if another program has changed the
   * key meanwhile, so that no change is lost. An exception of the function is a defect. *Interruption:* the key may have been changed.
   */
  readonly change: (key: K, change: (value: V | undefined) => V) => Effect.Effect<V, Manager.ManagerFailure>;
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
   * A queue. Fails with a `NatsError`: `InvalidOption` if the name or an option is invalid, `Refused` if the server refuses it,
   * `Unsupported` if it is to have replicas in a cluster that may lose items.
   *
   * *Interruption:* it may have been made. *Release:* with these objects; items that this program has not taken go back to their places.
   * The queue stays in the server, with its items.
   */
  readonly queue: <A>(
    name: string,
    options?: QueueOptions,
  ) => Effect.Effect<Queue.Queue<A>, NatsError>;
  /**
   * The lock of a name: 1 to 100 letters, digits, `-` and `_`. Fails with the `NatsError` `InvalidOption` if the name or the lease is
   * invalid, or if this program uses the lock with another lease.
   */
  readonly lock: (name: string, options?: LeaseOptions) => Effect.Effect<Lock, NatsError>;
  /**
   * The semaphore of a name. Fails with a `NatsError`: `InvalidOption` as for {@link NatsShared.lock}, `Refused` if the server refuses to
   * store it. *Interruption:* it may have been made, or its number of permits changed.
   */
  readonly semaphore: (name: string, options?: SemaphoreOptions) => Effect.Effect<Semaphore, NatsError>;
  /** The event of a name. Fails with the `NatsError` `InvalidOption` if the name is invalid. */
  readonly event: (name: string) => Effect.Effect<Event, NatsError>;
  /** The dict of a name. Fails with the `NatsError` `InvalidOption` if the name is invalid. */
  readonly dict: <K, V>(name: string) => Effect.Effect<Dict<K, V>, NatsError>;
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
