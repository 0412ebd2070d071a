/**
 * Children on other machines. An agent runs on each machine, and a NATS server connects the agents with the programs that use
 * them: a program on several machines differs from one on a single machine by its layer.
 *
 * ```sh
 * nats-server                                                                          # on some machine, `broker`
 * deno run -A jsr:@effect-deno/multiprocessing/agent --servers=nats://broker:4222      # on each machine that runs processes
 * deno run -A main.ts                                                                  # the program
 * ```
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as NatsBackend from "@effect-deno/multiprocessing/NatsBackend";
 * import { Effect } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (n: number) => n * n);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make();
 *   console.log(yield* pool.map(square, [1, 2, 3]));
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(NatsBackend.layer({ servers: "nats://127.0.0.1:1", connectTimeout: "100 millis" })),
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
 * `deno task example:nats` starts a server, two agents and a program on one machine.
 *
 * - A child is a Deno process on the machine of an agent. Processes, pools, queues, pipes, streams, managers, interruption and
 *   kills work as with `SubprocessBackend`, and objects of this program are used by messages.
 * - Each child takes a slot of its agent. A start goes to the agent with the largest part of its slots free. A pool has as many
 *   workers as the agents have slots, unless it is told otherwise.
 * - Children of a child run on the machine of that child, and take no slot.
 * - The server only carries messages. JetStream is not needed. The program, the agents and the server may lose their
 *   connections for a while: nothing is lost or done twice.
 * - The connection, and with it all children, ends with the scope of the layer. Provide the layer once for the whole program.
 *
 * ## What travels
 *
 * The program packs the local files (`file:`) that the modules of its tasks import, together with the import map and the lock
 * file, and each agent fetches the files that it does not have, by the hash of their content. An agent executes nothing else.
 *
 * - Modules from `https:`, `jsr:` and `npm:` are not packed. Each machine loads them itself, with the versions of the lock
 *   file.
 * - Files that no import names, such as data or modules whose address is computed, are added by {@link Options.include}. They
 *   lie at the same place relative to the modules: use `import.meta.dirname`.
 * - Of the configuration (`deno.json`), `name`, `exports`, `imports`, `scopes`, `compilerOptions` and `unstable` are used. `node_modules` and the
 *   members of a workspace are not.
 * - The files are read once, when the first process with the module is started.
 * - A child runs the version of this library that the program has. Agents of another version of the protocol are not used: if
 *   there are no others, a start is the `SpawnError` `Incompatible`.
 *
 * The standard output of a child is written to that of this program, or is a Stream (`"pipe"`). Output that is not read holds
 * up the process that writes it, and nothing else. A child starts with the variables that Deno needs and those in `env`, in a
 * folder of its agent.
 *
 * Shared memory does not reach other machines. A lock, an event, a value or an array of this program works there by messages;
 * a handle of shared memory is `Unsupported`, and the message names both machines.
 *
 * ## Permissions
 *
 * A child gets the permissions in the options. An agent that does not have one of them itself refuses the start with the
 * `SpawnError` `PermissionExceeded`, which names its machine. By default a child gets those that this program was granted
 * whole and that the agent has as well. Paths and hosts are those of the agent's machine.
 *
 * This program needs `--allow-net` (of the server), `--allow-run` (of the Deno executable) and `--allow-read` (of its sources),
 * both only to find the sources, and `--allow-env`.
 *
 * ## Failures
 *
 * | event | effect |
 * | --- | --- |
 * | the connection of this program, of an agent, or the server breaks for less than `lostAfter` | a delay |
 * | an agent is killed, or its machine ends | its children are `Lost` after `lostAfter`; their callers fail with `ProcessDied` |
 * | an agent is cut off without notice, or stopped | its children are `Lost` after `lease` and a second |
 * | this program is killed | the agents kill its children after `lostAfter` |
 * | this program is cut off without notice, or stopped | the agents kill its children after `lease` |
 * | the server is away for longer than `lostAfter` less a second | the agents kill the children: their programs may have been told that they are lost |
 * | no agent with the labels answers within `placeTimeout` | a start is the `SpawnError` `NoAgent`; a pool waits to replace a worker |
 * | all slots are taken for `placeTimeout` | a start is the `SpawnError` `Full`; a pool waits to replace a worker |
 *
 * `ProcessDied.host` names the machine. A child is ended before its program gives it up, with one exception: while an agent is
 * stopped (SIGSTOP) it can end nothing, and ends its children when it goes on. A pool retries the tasks of a lost worker as those
 * of any other dead worker: if they may run twice.
 *
 * ## Safety
 *
 * A program that may publish to the subjects of an agent runs code there, with the permissions of the agent. Use TLS and
 * credentials, and separate spaces by the permissions of the server's users. All subjects of the space `S` begin with `mp.S.`:
 *
 * | user | may publish | may subscribe |
 * | --- | --- | --- |
 * | program | `mp.S.bid`, `mp.S.a.>` and `mp.S.r.>` | `mp.S.c.>` and `mp.S.r.>` |
 * | agent | `mp.S.c.>` and `mp.S.r.>` | `mp.S.bid`, `mp.S.a.>` and `mp.S.r.>` |
 *
 * A certificate is checked for the name of the server in `servers`, which must not be an IP address.
 *
 * ```text
 * # nats-server.conf
 * tls { cert_file: "server.pem", key_file: "server.key", ca_file: "ca.pem", verify: true }
 * authorization {
 *   users: [
 *     { user: program, password: $PROGRAM, permissions: {
 *       publish: ["mp.S.bid", "mp.S.a.>", "mp.S.r.>"], subscribe: ["mp.S.c.>", "mp.S.r.>"] } }
 *     { user: agent, password: $AGENT, permissions: {
 *       publish: ["mp.S.c.>", "mp.S.r.>"], subscribe: ["mp.S.bid", "mp.S.a.>", "mp.S.r.>"] } }
 *   ]
 * }
 * ```
 *
 * ## From Python
 *
 * Python's `multiprocessing` stays on one machine. This module is what Dask, Ray or `ipyparallel` are used for there.
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { Backend, type Permissions } from "./Backend.ts";
import type { NatsError } from "./internal/network/errors.ts";
import { layerRefusingEffect4 } from "./internal/os/effect4.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { Observe } from "./Telemetry.ts";

export { NatsError, type NatsErrorReason } from "./internal/network/errors.ts";

const implementation = lazily(() => import("./internal/nats/backend.ts"));

/**
 * How a program or an agent connects to a NATS server.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions {
  /** Addresses of the servers, such as `nats://host:4222` or `tls://host:4222`. */
  readonly servers: string | ReadonlyArray<string>;
  /** Programs and agents of one space find each other: letters, digits, `-` and `_`. @default "default" */
  readonly space?: string | undefined;
  /** The credentials: a name and a password, a token, or the path of a credentials file. @default none */
  readonly auth?:
    | { readonly user: string; readonly password: string }
    | { readonly token: string }
    | { readonly credentials: string }
    | undefined;
  /** TLS: `true` for the authorities that Deno trusts, or paths of PEM files. @default false, or what the server requires */
  readonly tls?:
    | boolean
    | { readonly ca?: string | undefined; readonly cert?: string | undefined; readonly key?: string | undefined }
    | undefined;
  /** How long to try to reach a server. @default 4 seconds */
  readonly connectTimeout?: Duration.DurationInput | undefined;
}

/** Where the output of a child goes: to that of this program, to a Stream, to that of the agent, or nowhere. @since 0.1.0 @category models */
export type Output = "inherit" | "pipe" | "agent" | "null";

/**
 * Options of the backend, for all its children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ServerOptions {
  /** Labels that an agent must have. @default none */
  readonly labels?: ReadonlyArray<string> | undefined;
  /** Permissions of children. Paths are those of the agent's machine. @default those of this program that the agent has as well */
  readonly permissions?: Permissions | undefined;
  /** Variables to add to the environment of children, which is otherwise what Deno needs. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Flags for V8, such as `--max-old-space-size=512` (MiB). */
  readonly v8Flags?: ReadonlyArray<string> | undefined;
  /** Paths or URLs of further files and folders that children need beside the modules that are found by their imports. */
  readonly include?: ReadonlyArray<string> | undefined;
  /** How long a child outlives the contact between its agent and this program. @default 30 seconds */
  readonly lease?: Duration.DurationInput | undefined;
  /** How long after the server has lost an agent its children are given up. @default 5 seconds */
  readonly lostAfter?: Duration.DurationInput | undefined;
  /** How long a start waits for an agent with a free place. @default 10 seconds */
  readonly placeTimeout?: Duration.DurationInput | undefined;
  /** The standard output of children. @default "inherit" */
  readonly stdout?: Output | undefined;
  /** The error output of children. @default "inherit" */
  readonly stderr?: Output | undefined;
  /** The largest message in either direction, in bytes. @default 1 GiB */
  readonly maxMessageSize?: number | undefined;
  /** The telemetry that children report; see `SubprocessBackend.Options`. @default false */
  readonly observe?: boolean | Observe | undefined;
}

/**
 * An agent that answers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agent {
  /** Its name, which is new with each start. */
  readonly name: string;
  /** Name of its machine. */
  readonly host: string;
  /** Number of processes that it runs at a time. */
  readonly slots: number;
  /** Number of processes that it could start now. */
  readonly free: number;
  /** Its labels. */
  readonly labels: ReadonlyArray<string>;
  /** Its version of Deno. */
  readonly deno: string;
}

/**
 * Connects to a server, and makes the backend, for programs that build their own layers.
 *
 * *Interruption:* the attempt to connect ends. *Release:* all children of the backend are lost, which their agents learn, and
 * the connection is closed.
 *
 * ```ts
 * import * as NatsBackend from "@effect-deno/multiprocessing/NatsBackend";
 * import { Effect } from "effect";
 *
 * export const names = Effect.scoped(Effect.map(
 *   NatsBackend.make({ servers: "nats://broker:4222" }),
 *   ({ name }) => name,
 * ));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Backend, NatsError, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Provides a `Backend` whose children run on the machines of agents. It fails with a `NatsError` if no server answers within
 * `connectTimeout`, if the server refuses the credentials, or if an option is invalid.
 *
 * *Release:* as of {@link make}.
 *
 * ```ts
 * import * as NatsBackend from "@effect-deno/multiprocessing/NatsBackend";
 *
 * export const layer = NatsBackend.layer({
 *   servers: ["tls://broker-1:4222", "tls://broker-2:4222"],
 *   space: "team",
 *   auth: { credentials: "/etc/program.creds" },
 *   tls: { ca: "/etc/ca.pem" },
 *   labels: ["gpu"],
 *   permissions: { read: ["/data"] },
 * });
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Backend, NatsError> =>
  layerRefusingEffect4(Layer.scoped(Backend, make(options)));

/**
 * The agents that answer within 0.3 seconds and have the labels of the backend. It fails with the `NatsError` `Unsupported` on any other
 * backend. *Interruption:* changes nothing.
 *
 * ```ts
 * import * as NatsBackend from "@effect-deno/multiprocessing/NatsBackend";
 * import { Effect } from "effect";
 *
 * export const places = Effect.map(NatsBackend.agents, (agents) => agents.map(({ free, host }) => `${free} on ${host}`));
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const agents: Effect.Effect<ReadonlyArray<Agent>, NatsError, Backend> = Effect.flatMap(
  Backend,
  (backend) => implementation(({ agents }) => agents(backend)),
);
