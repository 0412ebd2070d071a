/**
 * The agent of a machine: it offers slots, and starts the children of programs that use `NatsBackend`.
 *
 * ```sh
 * deno run -A jsr:@effect-deno/multiprocessing/agent --servers=nats://broker:4222 --slots=8 --labels=gpu,linux
 * ```
 *
 * | option | meaning |
 * | --- | --- |
 * | `--servers=A,B` | addresses of the NATS servers; required |
 * | `--space=NAME` | programs of the same space find the agent; `default` |
 * | `--slots=N` | number of processes that it runs at a time; the number of cores |
 * | `--labels=A,B` | labels by which programs choose agents; none |
 * | `--folder=PATH` | folder for sources and for the work of children; a temporary one |
 * | `--keep=DAYS` | sources that no child was started with for so long are removed; 30 |
 * | `--user=NAME --password-file=PATH`, `--token-file=PATH`, `--creds=PATH` | the credentials |
 * | `--tls`, `--ca=PATH`, `--cert=PATH`, `--key=PATH` | TLS with the authorities that Deno trusts, or with files |
 *
 * - The agent runs no code of a program itself. A child gets at most the permissions of the agent: start it with fewer than `-A`
 *   to grant fewer. It needs `--allow-net` (of the servers), `--allow-run`, `--allow-env`, `--allow-read` and `--allow-write` (of
 *   its folder), and `--allow-sys=hostname` to tell the name of the machine.
 * - It also runs the tasks of each `NatsPool` of its space whose labels it has, in the same slots, if its server has JetStream.
 * - Its children end with it, for whatever reason it ends. SIGTERM and SIGINT end it in good order: its programs are told.
 * - Files in the folder are named by the hash of their content, and are checked before they are used. A folder can be kept for the
 *   next start, and shared by agents.
 * - A child works in `FOLDER/work`, with the variables of the environment that Deno needs and those that its program names.
 *
 * An agent can also run inside another program:
 *
 * ```ts
 * import * as Agent from "@effect-deno/multiprocessing/agent";
 * import { runMain } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Agent.serve({ servers: "nats://127.0.0.1:1", slots: 2, connectTimeout: "100 millis" }).pipe(
 *   Effect.flatMap(({ name }) => Effect.log(`the agent ${name} runs`)),
 *   Effect.zipRight(Effect.never),
 *   Effect.scoped,
 *   Effect.catchTag("NatsError", ({ reason }) => Effect.sync(() => console.log("no agent:", reason))),
 * );
 *
 * if (import.meta.main) runMain(program);
 * ```
 *
 * ```text
 * no agent: Unreachable
 * ```
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { NatsError, ServerOptions } from "./NatsBackend.ts";
import { lazily } from "./internal/os/lazy.ts";

const implementation = lazily(() => import("./internal/nats/serve.ts"));

/**
 * Options of an agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ServerOptions {
  /** Number of processes that it runs at a time. @default the number of cores of this machine */
  readonly slots?: number | undefined;
  /** Labels by which programs choose agents. @default none */
  readonly labels?: ReadonlyArray<string> | undefined;
  /** Folder for sources and for the working directory of children. @default a temporary one */
  readonly folder?: string | undefined;
  /** How long sources are kept that no child is started with. @default "30 days" */
  readonly keep?: Duration.DurationInput | undefined;
}

/**
 * A running agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agent {
  /** Its name, which is new with each start. */
  readonly name: string;
  /** Number of processes that it runs now. */
  readonly running: Effect.Effect<number>;
}

/**
 * Runs an agent in this program. Programs find it as soon as this has succeeded. It fails with a `NatsError` if no server answers
 * within `connectTimeout`, if the server refuses the credentials, or if an option is invalid.
 *
 * *Interruption:* the attempt to connect ends. *Release:* kills the children, tells their programs, and closes the connection.
 *
 * ```ts
 * import * as Agent from "@effect-deno/multiprocessing/agent";
 * import { Effect } from "effect";
 *
 * export const running = Effect.scoped(Effect.flatMap(
 *   Agent.serve({ servers: "nats://broker:4222", labels: ["gpu"] }),
 *   (agent) => agent.running,
 * ));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const serve = (options: Options): Effect.Effect<Agent, NatsError, Scope.Scope> =>
  implementation(({ serve }) => serve(options));

if (import.meta.main) {
  const [{ runMain }, { program }] = await Promise.all([import("./Main.ts"), import("./internal/nats/main.ts")]);
  runMain(program(Deno.args));
}
