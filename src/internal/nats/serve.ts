/**
 * An agent as a resource, and as a program.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Path from "node:path";
import { parseArgs } from "node:util";
import type * as Public from "../../agent.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { Agent } from "./agent.ts";
import { NatsError } from "../network/errors.ts";
import { randomName } from "./protocol.ts";
import { connect, serverChecks } from "./server.ts";

const checks: Arguments.Checks = {
  ...serverChecks,
  slots: Arguments.optional(Arguments.positive),
  labels: Arguments.optional(Arguments.texts),
  folder: Arguments.optional(Arguments.name),
  keep: Arguments.optional(positiveDuration),
};

const temporary = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync({ prefix: "mp-agent-" })),
  (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
);

/** Runs an agent; see `agent.serve`. */
export const serve = (options: Public.Options): Effect.Effect<Public.Agent, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption("agent", wrong)));
    }
    const { space = "default", slots = navigator.hardwareConcurrency, labels = [], keep = "30 days" } = options;
    const folder = options.folder === undefined ? yield* temporary : Path.resolve(options.folder);
    const name = randomName();
    const server = yield* connect(options, `multiprocessing agent ${name}`, `mp.${space}.r.${name}`);
    const runtime = yield* Effect.runtime<never>();
    const { runFork } = yield* Effect.promise(() => import("effect/Runtime"));
    const log = (message: string): void => void runFork(runtime)(Effect.logInfo(message));
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent(server, { space, name, slots, labels, folder, keep: Duration.toMillis(keep), log })),
      (agent) => Effect.promise(() => agent.close()),
    );
    // Callers find the agent from now on.
    yield* Effect.promise(() => server.flush());
    void agent.look();
    return { name, running: Effect.sync(() => agent.running) };
  });

const USAGE =
  `usage: agent --servers=nats://HOST:4222 [--space=NAME] [--slots=N] [--labels=A,B] [--folder=PATH] [--keep=DAYS]
             [--user=NAME --password-file=PATH | --token-file=PATH | --creds=PATH]
             [--tls | --ca=PATH [--cert=PATH --key=PATH]]`;

/** A day in milliseconds. */
const DAY = 86_400_000;

const secret = (path: string): string => Deno.readTextFileSync(path).trim();

/** The options that a command line names. Throws an `Error` with the usage. */
export const parse = (args: ReadonlyArray<string>): Public.Options => {
  const text = { type: "string" } as const;
  let flags: { readonly [name: string]: string | boolean | undefined };
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        servers: text,
        space: text,
        slots: text,
        labels: text,
        folder: text,
        keep: text,
        user: text,
        "password-file": text,
        "token-file": text,
        creds: text,
        tls: { type: "boolean" },
        ca: text,
        cert: text,
        key: text,
      },
    }).values;
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`);
  }
  const of = (name: string): string | undefined => flags[name] as string | undefined;
  const list = (name: string): ReadonlyArray<string> | undefined => of(name)?.split(",").filter((part) => part !== "");
  const servers = list("servers");
  if (servers === undefined) throw new Error(`--servers is missing\n${USAGE}`);
  const passwordFile = of("password-file");
  const tokenFile = of("token-file");
  const user = of("user");
  const credentials = of("creds");
  return {
    servers,
    space: of("space"),
    slots: of("slots") === undefined ? undefined : Number(of("slots")),
    labels: list("labels"),
    folder: of("folder"),
    keep: of("keep") === undefined ? undefined : Number(of("keep")) * DAY,
    auth: user !== undefined && passwordFile !== undefined
      ? { user, password: secret(passwordFile) }
      : tokenFile !== undefined
      ? { token: secret(tokenFile) }
      : credentials !== undefined
      ? { credentials }
      : undefined,
    tls: of("ca") === undefined && of("cert") === undefined
      ? flags.tls === true
      : { ca: of("ca"), cert: of("cert"), key: of("key") },
  };
};
