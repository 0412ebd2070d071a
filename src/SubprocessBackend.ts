/**
 * Children as Deno subprocesses. Each child has a process, a heap and permissions of its own, and can be killed at any time.
 *
 * - A child is `deno run` with this program's main module, so that Deno finds the same configuration, lock file and
 *   import map for it, whatever the working directory. The module is not loaded unless it has the task, and it is never
 *   run as the main module.
 * - A child gets the permissions in the options, by default those that this program is known to have, and never more. It
 *   needs no permission to load the modules of its tasks.
 * - A child does not outlive this program, for whatever reason the program ends: idle or busy, the child ends within a second.
 * - The link to a child is a socket of its own. Its end of file tells each side that the other one has died.
 *
 * This program needs `--allow-run` (of the Deno executable) and `--allow-env`.
 *
 * ## Permissions of children
 *
 * Permissions are given by `SubprocessBackend.layer({ permissions })` or, for one process, by `Process.spawnWith(task,
 * args, { permissions })`. A permission that is not named is denied.
 *
 * - The default is {@link inherited}: the permissions that this program was granted whole. `--allow-read` is passed on,
 *   `--allow-read=/data` is not, because Deno does not tell which parts were granted. Name the parts to pass them on.
 * - A child never gets more than its parent has: that is a `SpawnError`, `PermissionExceeded`.
 * - A child needs no permission to load the modules of its tasks.
 * - Workers share the permissions of the program. Permissions for a worker are a `SpawnError`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const may = Mp.Task.make(import.meta, "may", () => {
 *   const has = (name: "read" | "net") => Deno.permissions.querySync({ name }).state === "granted" ? "yes" : "no";
 *   return `read ${has("read")}, net ${has("net")}`;
 * });
 *
 * const program = Effect.gen(function* () {
 *   const inherited = Mp.SubprocessBackend.inherited();
 *   console.log("inherited:", yield* Mp.Process.run(may).pipe(Effect.provide(Mp.SubprocessBackend.layer())));
 *   const layer = Mp.SubprocessBackend.layer({ permissions: { ...inherited, net: false } });
 *   console.log("less:", yield* Mp.Process.run(may).pipe(Effect.provide(layer)));
 *   const none = Effect.flatMap(Mp.Process.spawnWith(may, [], { permissions: {} }), (process) => process.join);
 *   console.log("none:", yield* Effect.scoped(none).pipe(Effect.provide(layer)));
 *   console.log("worker:", yield* Mp.Process.run(may).pipe(Effect.provide(Mp.WorkerBackend.layer())));
 * });
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * inherited: read yes, net yes
 * less: read yes, net no
 * none: read no, net no
 * worker: read yes, net yes
 * ```
 *
 * `deno test -A tests/api/permissions_test.ts` tries each permission in a child that has it, and in one that does not.
 *
 * ## The environment
 *
 * `env` adds variables. `clearEnv` starts from an empty environment instead of this program's, except for the variables
 * that Deno itself needs to find modules: those of its cache, registries, certificates, proxies and the resolution of
 * packages (see {@link Options.clearEnv}). Variables with credentials, such as `DENO_AUTH_TOKENS`, are not kept; name
 * them in `env` if the child needs them.
 *
 * ## The link
 *
 * The parent listens for its child at a Unix socket in a new folder of mode 700, or at a port of the loopback interface
 * on a system without Unix sockets. One variable of the child's environment holds the address and a one-time token of 16
 * random bytes. The child removes the variable, connects, shows the token, and gives back the permissions that it got
 * for this, before the code of its tasks is loaded. The socket and its folder are removed once the child is connected. A
 * parent that may neither listen at such a socket nor at such a port passes a socket pair on descriptor 3 instead,
 * which takes longer to start.
 *
 * ## Standby children
 *
 * `layer({ standby: 2 })` keeps two children started and idle, with the modules of all tasks and those in `preload`
 * loaded. The next process takes one of them over, and another is started in its place. A process then takes a third of
 * the time of a cold start, from the request to its end: `deno task bench --filter=process.start`.
 *
 * `layer({ standby: "auto" })` keeps one child from the first process on, with the modules of the processes that were
 * started so far. A minute after the last use it ends; the next process starts in the ordinary way, and a new one is kept
 * from then on. It belongs to the layer: provide the layer once for the whole program, not for each process.
 *
 * - The default is 0: each standby child costs the memory of an idle process, and runs the top level of the modules of tasks.
 * - A module that cannot be preloaded is logged as a warning. So is a child that dies before it was used; another one is
 *   started.
 * - A process with permissions of its own, or whose module was not loaded, is started in the ordinary way.
 *
 * ## Groups
 *
 * `SubprocessBackend.layer({ detached: true })` makes each child the leader of a process group. A signal to the child
 * then also ends the programs that it has started. Ctrl-C reaches such a child only through this program. It needs the
 * whole of `--allow-run`.
 *
 * ## No orphan
 *
 * A subprocess does not outlive its parent, by whatever means the parent ends. If its event loop turns, it notices the end
 * of its link. For a child whose event loop does not turn there are three ways, and the first available one is used:
 *
 * | way | available | cost for each child |
 * | --- | --- | --- |
 * | it is started by `/usr/bin/setpriv`: the kernel kills it | on Linux, if this program may run that | not measurable |
 * | it asks the kernel itself, by FFI | on Linux, if the child has the whole of `--allow-ffi` | not measurable |
 * | a small worker in it checks four times a second whether its parent lives | always | about 20 ms of its start, and one thread |
 *
 * In each case the child ends within a second, idle, busy, just starting, or a grandchild: `deno test -A
 * tests/faults/orphans_test.ts`. The first way needs `--allow-run=DENO,/usr/bin/setpriv`. Note that a program that may run
 * `setpriv` may run anything. These commands show the cost of each way:
 *
 * ```sh
 * deno run -A tests/bench/main.ts --filter=process.start.cold                                           # setpriv
 * deno run -A --deny-run=/usr/bin/setpriv tests/bench/main.ts --filter=process.start.cold               # FFI
 * deno run -A --deny-run=/usr/bin/setpriv --deny-ffi tests/bench/main.ts --filter=process.start.cold    # a worker
 * ```
 *
 * A child that is killed in this way runs no finalizers.
 *
 * ## Children of children
 *
 * A task that needs `Backend` starts its children on a backend of the same kind as that of its own process. For those
 * children, and for their children in turn, the options of the layer mean:
 *
 * | option | in a child of a child |
 * | --- | --- |
 * | `permissions` | those of its parent, and never more |
 * | `cwd` | the working directory of its parent |
 * | `env`, `clearEnv` | the environment of its parent |
 * | `v8Flags`, `denoFlags` | the same |
 * | `maxMessageSize` | the same |
 * | `observe` | the same |
 * | `stdout`, `stderr` | `"inherit"`: it writes to where its parent writes |
 * | `stdin` | `"null"`: only a child reads the input of the program |
 * | `detached` | `false`: it belongs to the group of its parent, and gets the signals for that group |
 * | `standby`, `preload` | none: idle processes do not multiply |
 *
 * The kill policy is an option of each process and pool, and is not passed on. A task that provides a layer of its own
 * decides all this itself. (On workers, `maxMessageSize` and
 * `observe` are passed on, `standby` and `preload` are not.)
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | the start method `spawn` | `SubprocessBackend.layer()` |
 * | the start method `forkserver`, `set_forkserver_preload` | `SubprocessBackend.layer({ standby: 2, preload: [url] })` |
 * | `set_executable` | none: a child runs the Deno of this program; `denoFlags` and `v8Flags` add to it |
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { Backend, type Permissions } from "./Backend.ts";
import type { Observe } from "./Telemetry.ts";
import * as Permission from "./internal/child/permissions.ts";
import { layerRefusingEffect4 } from "./internal/os/effect4.ts";
import { lazily } from "./internal/os/lazy.ts";

const implementation = lazily(() => import("./internal/child/backends/subprocess_backend.ts"));

/** Never called: naming the modules that children load makes Deno fetch and cache them together with this one. */
const _children = (): ReadonlyArray<Promise<unknown>> => [
  import("./internal/entry/subprocess.ts"),
  import("./internal/entry/followed.ts"),
];

/**
 * The permissions that this program is known to have: the kinds that were granted whole. The default of
 * {@link Options.permissions}; spread it to remove some of them.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 *
 * export const layer = Mp.SubprocessBackend.layer({
 *   permissions: { ...Mp.SubprocessBackend.inherited(), net: false },
 * });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const inherited: () => Permissions = Permission.inherited;

/** How a standard stream is connected. @since 0.1.0 @category models */
export type Stdio = "inherit" | "pipe" | "null";

/**
 * Options of the backend, for all its children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Permissions of children. @default those that this program is known to have: {@link inherited} */
  readonly permissions?: Permissions | undefined;
  /** Working directory. @default this program's */
  readonly cwd?: string | undefined;
  /** Variables to add to the environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Start from an empty environment instead of this program's. Variables that Deno itself needs are kept: those for its cache
   * (`DENO_DIR`, `HOME`, `XDG_CACHE_HOME`), for registries (`JSR_URL`, `NPM_CONFIG_REGISTRY`), certificates (`DENO_CERT`,
   * `DENO_TLS_CA_STORE`, `NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`, `SSL_CERT_DIR`), proxies (`HTTP_PROXY`, `HTTPS_PROXY`,
   * `ALL_PROXY`, `NO_PROXY`) and the resolution of packages (`DENO_CONDITIONS`, `DENO_NO_PACKAGE_JSON`), and
   * `LD_LIBRARY_PATH` if this program may run anything. Name others in `env`, `DENO_AUTH_TOKENS` for instance. @default false
   */
  readonly clearEnv?: boolean | undefined;
  /** Flags for V8, such as `--max-old-space-size=512` (MiB). */
  readonly v8Flags?: ReadonlyArray<string> | undefined;
  /**
   * Further flags of `deno run`, such as `--config=other.json`. In a project with `"nodeModulesDir": "auto"`, Deno checks
   * `node_modules` for each module that imports an npm package, which adds about 0.3 seconds to the start of each process.
   * Once all packages are installed, `--node-modules-dir=manual` spares that; give it to this program as well.
   */
  readonly denoFlags?: ReadonlyArray<string> | undefined;
  /** The standard input of children. @default "null" */
  readonly stdin?: "inherit" | "null" | undefined;
  /** The standard output of children. With `"pipe"`, a child blocks while its output is not read. @default "inherit" */
  readonly stdout?: Stdio | undefined;
  /** The error output of children. With `"pipe"`, a child blocks while its output is not read. @default "inherit" */
  readonly stderr?: Stdio | undefined;
  /** The largest message in either direction, in bytes. @default 1 GiB */
  readonly maxMessageSize?: number | undefined;
  /**
   * Make each child the leader of a process group, and send signals to the whole group, so that programs that a task has
   * started end with the child. Ctrl-C then reaches a child only through this program. Needs `--allow-run` for everything.
   * @default false
   */
  readonly detached?: boolean | undefined;
  /**
   * Number of children to start before they are needed, with the modules of all tasks loaded. Using one costs about a
   * millisecond, and the memory of an idle process until then. `"auto"` keeps one ready after the first start, and ends it
   * after a minute without use; `false` is 0. @default 0
   */
  readonly standby?: number | "auto" | false | undefined;
  /** URLs of further modules that standby children load. */
  readonly preload?: ReadonlyArray<string> | undefined;
  /**
   * The telemetry that children report about the Effects of their tasks: `true` for all kinds, or a selection. Log entries go to
   * the loggers of the fiber that started the child, spans to its tracer; `Telemetry.metrics` gives the state of the metrics.
   * Children of children inherit the option. @default false
   */
  readonly observe?: boolean | Observe | undefined;
}

/**
 * Makes the backend, for programs that build their own layers.
 *
 * If an option is invalid, each start fails with the `SpawnError` `InvalidArgument`, which names the option.
 *
 * *Release:* ends the standby children.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Backend, never, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Provides a `Backend` whose children are Deno subprocesses. Python calls this the start method `spawn`, or with `standby`
 * `forkserver`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 *
 * export const layer = Mp.SubprocessBackend.layer({
 *   permissions: { read: ["/data"] },
 *   v8Flags: ["--max-old-space-size=512"],
 * });
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Backend> =>
  layerRefusingEffect4(Layer.scoped(Backend, make(options)));
