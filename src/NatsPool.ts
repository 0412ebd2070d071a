/**
 * A pool whose tasks survive every process, that of their caller included. Tasks wait in a NATS server with JetStream until agents have
 * free places for them, and results wait there for the programs that want them.
 *
 * ```sh
 * nats-server -js                                                                      # on some machine, `broker`
 * deno run -A jsr:@effect-deno/multiprocessing/agent --servers=nats://broker:4222      # on each machine that runs tasks
 * deno run -A main.ts                                                                  # the program
 * ```
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as NatsPool from "@effect-deno/multiprocessing/NatsPool";
 * import { Effect } from "effect";
 *
 * const render = Mp.Task.make(import.meta, "render", (page: number) => `page ${page}`);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* NatsPool.make({ servers: "nats://127.0.0.1:1", name: "pages", connectTimeout: "100 millis" });
 *   console.log(yield* pool.map(render, [1, 2, 3])); // as with any pool
 *   yield* pool.submitWith(render, [4], { id: "page-4" }); // this program may end now
 *   const page = yield* pool.attach("page-4", render); // in this program, or in a later one
 *   console.log(yield* page.await);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("NatsError", ({ reason }) => Effect.sync(() => console.log("no pool:", reason))),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * no pool: Unreachable
 * ```
 *
 * `deno task example:nats_pool` starts a server, an agent and two programs on one machine, and kills the first program.
 *
 * - A submission has succeeded when the server has the task on disk. From then on the task has exactly one outcome: a result, or a dead
 *   letter. The death of a process, an agent, the server or the caller changes nothing of that.
 * - A task whose process or agent has died is run again, `retries` times. Then it becomes a dead letter, and its caller fails with
 *   `Poisoned`. So a task may run more than once, in part or, if its agent is cut off, as a whole; the first result that is stored counts.
 *   The failure of a task itself is a result: it is not run again.
 * - Agents take tasks for their free places only, and up to as many again if tasks are short. While an agent has a task, it renews its
 *   lease. If an agent is not heard for `ackWait`, its tasks go to others.
 * - The modules of a task travel as with `NatsBackend`, and stay in the server for 30 days after their last use. The standard output of
 *   a task goes to that of its agent.
 * - Programs that name the same pool in the same space share its tasks. An agent serves all pools of its space whose `labels` it has.
 *
 * ## Differences from other pools
 *
 * A `NatsPool` is a `Pool.Pool`, with the following differences.
 *
 * | | |
 * | --- | --- |
 * | arguments and results | are data. A queue, a lock or another handle is an `EncodeError`, as its process may end before the task runs |
 * | `submit`, `submitWith` | return when the server has the task. Submissions stay in the server when the scope of the pool closes: the program does not wait for them |
 * | `priority` | has three levels: above zero, zero, and below |
 * | `timeout` | counts from the start of the task on its agent |
 * | `retry` | submits a failed call as a new task; not for submissions, whose number of `retries` is that of the pool |
 * | `deadline` | for calls only |
 * | `stream`, `broadcast`, `queueTimeout`, `affinity` | fail with the `PoolError` `Unsupported` |
 * | interruption of a call | takes its tasks back, or has them stopped. If the server does not answer within 5 seconds, it ends all the same, and the tasks are taken back later |
 * | `size`, `statistics`, `insights` | are those of the calls of this program |
 *
 * ## Ids
 *
 * A submission with an `id` is made once: if the id is known, it is the submission that was made before, with its result if there is one.
 * A program that repeats its submissions after a restart does nothing twice, as long as results are kept (`keepResults`). An id belongs to
 * a pool; submissions of one id must have the same priority, or two of them may wait at the same time.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as NatsPool from "@effect-deno/multiprocessing/NatsPool";
 * import { Effect } from "effect";
 *
 * const bill = Mp.Task.make(import.meta, "bill", (order: number) => ({ order, total: 10 * order }));
 *
 * // May be run by several programs, or again after a crash: each order is billed once.
 * export const program = Effect.gen(function* () {
 *   const pool = yield* NatsPool.make({ servers: "nats://broker:4222", name: "bills", keepResults: "30 days" });
 *   const bills = yield* Effect.forEach([1, 2, 3], (order) => pool.submitWith(bill, [order], { id: `order-${order}` }));
 *   return yield* Effect.forEach(bills, (bill) => bill.await);
 * }).pipe(Effect.scoped);
 * ```
 *
 * ## Dead letters
 *
 * ```ts
 * import * as NatsPool from "@effect-deno/multiprocessing/NatsPool";
 * import { Console, Effect } from "effect";
 *
 * // After the cause was mended.
 * export const program = Effect.gen(function* () {
 *   const pool = yield* NatsPool.make({ servers: "nats://broker:4222", name: "bills" });
 *   for (const { id, message } of yield* pool.deadLetters) {
 *     yield* Console.log(id, message);
 *     yield* pool.retryDead(id);
 *   }
 * }).pipe(Effect.scoped);
 * ```
 *
 * ## Failures
 *
 * | event | effect |
 * | --- | --- |
 * | a process that runs a task dies | the task runs again after 0.1 seconds and more, on any agent; after `retries` it is a dead letter |
 * | an agent is killed or cut off | its tasks run again on others after `ackWait` |
 * | an agent ends in good order | its tasks run again on others at once |
 * | the server is killed and comes back | a delay |
 * | the caller is killed | its tasks run; their results can be had by {@link NatsPool.attach} |
 * | a task's modules or its arguments are gone from the server | the `SpawnError` `Failed` |
 * | no agent can start the processes of a task | the `SpawnError` `Failed`, after `retries` |
 * | there are `maxQueued` tasks | a call waits, or fails with `QueueFull` |
 * | the user of the program lacks a permission, or the server refuses a task otherwise | the `PoolError` `Broken`, whose message says why |
 *
 * ## The server
 *
 * JetStream must be on (`nats-server -js`, or `jetstream {}` in its configuration). The tests have run with the versions 2.9.10, 2.10.27 and
 * 2.15.1. A server that is killed may forget deletions (2.9), or its place in an empty stream (2.10); agents mend both. With `replicas: 3`
 * in a cluster of three servers, one of them may fail.
 *
 * | stream | content | kept |
 * | --- | --- | --- |
 * | `mp+SPACE+tasks+POOL` | tasks without an outcome | until they have one |
 * | `mp+SPACE+results+POOL` | results | `keepResults` |
 * | `mp+SPACE+dead+POOL` | dead letters with their tasks | `keepDead` |
 * | `mp+SPACE+parts+POOL` | arguments of more than 900 KB | as long as their task or its dead letter |
 * | `mp+SPACE+files` | modules and other files | 30 days after their last use |
 *
 * Nothing removes the streams of a pool that is not used any more: `nats stream rm` does. Beside the subjects in the table of
 * `NatsBackend`, which hold for agents as well, the users of the server need these:
 *
 * | user | may publish | may subscribe |
 * | --- | --- | --- |
 * | program | `mp.S.bid`, `mp.S.pools`, `mp.S.p.>`, `mp.S.f.>`, `$JS.API.>` | `mp.S.p.*.told.>`, `mp.S.r.>` |
 * | agent | `mp.S.p.>`, `mp.S.r.>`, `$JS.API.>`, `$JS.ACK.>` | `mp.S.pools`, `mp.S.p.*.stop`, `mp.S.r.>` |
 *
 * A program that may publish to the subjects of a space runs code on its agents, with the permissions of these.
 *
 * ## From Python
 *
 * Python's `multiprocessing` has nothing of the kind. This module is what Celery, RQ or Dramatiq are used for there.
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { EncodeError, Permissions, ProcessDied } from "./Backend.ts";
import type { NatsError } from "./internal/network/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { ServerOptions } from "./NatsBackend.ts";
import type * as Pool from "./Pool.ts";
import type * as Task from "./Task.ts";

export { NatsError, type NatsErrorReason } from "./internal/network/errors.ts";
export type { ServerOptions } from "./NatsBackend.ts";

const implementation = lazily(() => import("./internal/nats/durable/make.ts"));

/**
 * Options of a pool. Those that say "for all programs" are kept by the server: the first program sets them, a later one that names them
 * changes them, and one that does not leaves them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ServerOptions {
  /** The name of the pool: 1 to 100 letters, digits, `-` and `_`. */
  readonly name: string;
  /** Number of places by which calls choose their chunks and look-ahead. @default the slots of the agents that answer, at least 1 */
  readonly size?: number | undefined;
  /** Number of servers that keep each message, for all programs. @default 1 */
  readonly replicas?: number | undefined;
  /** Maximal number of tasks without an outcome, for all programs. @default 1 000 000 */
  readonly maxQueued?: number | undefined;
  /**
   * What a call does when there are `maxQueued` tasks: `"wait"` for room, or `"refuse"` with the `PoolError` `QueueFull`.
   * @default "wait"
   */
  readonly whenFull?: "wait" | "refuse" | undefined;
  /** How long an agent may be silent before its tasks are given to others, for all programs. @default 10 seconds */
  readonly ackWait?: Duration.DurationInput | undefined;
  /** How often a task is run again whose process or agent has died. @default 2 */
  readonly retries?: number | undefined;
  /** Tasks above zero are run before all others, tasks below zero after all others. @default 0 */
  readonly priority?: number | undefined;
  /** How long a task may run before it is stopped and fails with the `PoolError` `Timeout`. @default unlimited */
  readonly timeout?: Duration.DurationInput | undefined;
  /** How long a result is kept, for all programs. @default 1 hour */
  readonly keepResults?: Duration.DurationInput | undefined;
  /** How long a dead letter is kept, for all programs. @default 30 days */
  readonly keepDead?: Duration.DurationInput | undefined;
  /** Labels that an agent must have, for all programs. @default none */
  readonly labels?: ReadonlyArray<string> | undefined;
  /** Permissions of the processes. Paths are those of the agent's machine. @default those of this program that the agent has as well */
  readonly permissions?: Permissions | undefined;
  /** Variables to add to the environment of the processes, which is otherwise what Deno needs. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Flags for V8, such as `--max-old-space-size=512` (MiB). */
  readonly v8Flags?: ReadonlyArray<string> | undefined;
  /** Paths or URLs of further files and folders that tasks need beside the modules that are found by their imports. */
  readonly include?: ReadonlyArray<string> | undefined;
}

/**
 * Options of one submission. `queueTimeout`, `affinity`, `deadline` and `retry` are `Unsupported`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubmitOptions<A, E> extends Pool.SubmitOptions<A, E> {
  /** The id: 1 to 100 letters, digits, `-` and `_`. @default a new one */
  readonly id?: string | undefined;
}

/**
 * A submitted task.
 *
 * @since 0.1.0
 * @category models
 */
export interface Submission<out A, out E> extends Pool.Submission<A, E> {
  /** The id, by which any program can {@link NatsPool.attach} to it. */
  readonly id: string;
}

/**
 * A task that was given up, because its process was killed too often.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeadLetter {
  /** The id of the submission. */
  readonly id: string;
  /** Name of the task. */
  readonly task: string;
  /** URL of the module of the task. */
  readonly module: string;
  /** When it was given up. */
  readonly time: Date;
  /** How often it was given to an agent. */
  readonly attempts: number;
  /** Why it was given up. */
  readonly message: string;
  /** The deaths that the last of its agents has seen, in their order. */
  readonly deaths: ReadonlyArray<ProcessDied>;
}

/**
 * What the server has of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Contents {
  /** Number of tasks without an outcome, which wait or run. */
  readonly tasks: number;
  /** Number of dead letters. */
  readonly deadLetters: number;
  /** Number of parts of large arguments. */
  readonly parts: number;
}

/**
 * A pool whose tasks are kept by a NATS server.
 *
 * @since 0.1.0
 * @category models
 */
export interface NatsPool extends Pool.Pool {
  /** The name of the pool. */
  readonly name: string;
  /**
   * Stores a task in the server, and returns when the server has it. Fails at once if the arguments cannot be sent, and with `QueueFull` if
   * the queue is full and the pool refuses more. *Interruption:* the task is taken back, if it was stored.
   */
  readonly submit: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<Submission<A, E | Pool.PoolFailure>, EncodeError | Pool.PoolError>;
  /**
   * {@link NatsPool.submit} with options. With the `id` of an earlier submission it is that submission: `args` are not used then, and
   * `cancel` concerns all programs that wait for it. *Interruption:* the task is taken back, unless it was stored with an `id`.
   */
  readonly submitWith: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: SubmitOptions<A, E>,
  ) => Effect.Effect<Submission<A, E | Pool.PoolFailure>, EncodeError | Pool.PoolError>;
  /**
   * The submission with this id, of any program. `task` says how its result is decoded, and is not run. Fails with the `PoolError`
   * `InvalidArgument` if the server knows no such id. *Interruption:* changes nothing.
   */
  readonly attach: <Args extends ReadonlyArray<unknown>, A, E>(
    id: string,
    task: Task.Task<Args, A, E>,
  ) => Effect.Effect<Submission<A, E | Pool.PoolFailure>, Pool.PoolError>;
  /** The dead letters, the oldest first. *Interruption:* changes nothing. */
  readonly deadLetters: Effect.Effect<ReadonlyArray<DeadLetter>, Pool.PoolError>;
  /**
   * Puts the task of a dead letter into the queue again, with all its attempts, and removes the letter. Programs that attach to its id
   * wait for the new outcome. Fails with the `PoolError` `InvalidArgument` if there is no dead letter of this id, and with `QueueFull` if
   * there are `maxQueued` tasks. *Interruption:* it may have happened.
   */
  readonly retryDead: (id: string) => Effect.Effect<void, Pool.PoolError>;
  /** What the server has of the pool. *Interruption:* changes nothing. */
  readonly contents: Effect.Effect<Contents, Pool.PoolError>;
}

/**
 * Makes a pool, or joins the one of this name. Fails with a `NatsError`: `Unreachable` if no server answers within `connectTimeout`,
 * `Unsupported` if the server has no JetStream, `Refused` if it refuses the credentials or a stream, `InvalidOption` if an option is invalid.
 *
 * While the server is away, operations of the pool wait for it.
 *
 * *Interruption:* the attempt to connect ends; streams that were made stay. *Release:* takes back the tasks of calls that have not ended,
 * and closes the connection. Submissions stay in the server; a submission that is still awaited here fails with `Terminated`.
 *
 * ```ts
 * import * as NatsPool from "@effect-deno/multiprocessing/NatsPool";
 *
 * export const pool = NatsPool.make({
 *   servers: ["tls://broker-1:4222", "tls://broker-2:4222", "tls://broker-3:4222"],
 *   name: "reports",
 *   replicas: 3,
 *   maxQueued: 10_000,
 *   ackWait: "5 seconds",
 *   timeout: "10 minutes",
 *   labels: ["gpu"],
 * });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<NatsPool, NatsError, Scope.Scope> =>
  implementation(({ make }) => Effect.withSpan(make(options), "NatsPool.make"));
