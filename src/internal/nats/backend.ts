/**
 * The backend whose children are started by agents on other machines. Loaded with the first program that connects.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, Child, Command } from "../../Backend.ts";
import type * as NatsBackend from "../../NatsBackend.ts";
import { adopt } from "../child/backends/adopt.ts";
import { makeBackend } from "../child/backends/make_backend.ts";
import * as Capabilities from "../child/capabilities.ts";
import { SpawnError } from "../child/errors.ts";
import { library } from "../child/modules.ts";
import { commonChecks, environment, permissions, telemetry } from "../child/options.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { Caller, type Started } from "./caller.ts";
import { NatsError } from "../network/errors.ts";
import { randomName } from "./protocol.ts";
import { connect, serverChecks } from "./server.ts";

/** How many milliseconds a child may take to serve its link: its machine may have to download modules first. */
const START = 120_000;

const { optional, texts } = Arguments;
const output = optional(Arguments.oneOf("inherit", "pipe", "agent", "null"));

const checks: Arguments.Checks = {
  ...serverChecks,
  labels: optional(texts),
  permissions: optional(permissions),
  env: optional(environment),
  v8Flags: optional(texts),
  include: optional(texts),
  lease: optional(positiveDuration),
  lostAfter: optional(positiveDuration),
  placeTimeout: optional(positiveDuration),
  stdout: output,
  stderr: output,
  maxMessageSize: commonChecks.maxMessageSize,
  observe: commonChecks.observe,
};

/** The property of a backend that has its caller. */
const key = Symbol.for("~multiprocessing/nats");

type Connected = Backend & { readonly [key]: Caller };

/** Starts a child, interruptibly. A child that was started for an interrupted fiber is killed. */
const start = (caller: Caller, command: Command): Effect.Effect<Started, SpawnError> =>
  Effect.suspend(() => {
    const aborting = new AbortController();
    let started: Started | undefined;
    const discard = ({ raw }: Started): Effect.Effect<void> =>
      Effect.zipRight(raw.signal("SIGKILL"), Effect.promise(() => raw.ended.then(() => raw.release())));
    const starting = Effect.async<Started, SpawnError>((resume) => {
      caller.start(command, aborting.signal).then((child) => {
        started = child;
        if (aborting.signal.aborted) Effect.runFork(discard(child));
        else resume(Effect.succeed(child));
      }, (error) =>
        resume(
          error instanceof SpawnError ? Effect.fail(error) : Effect.fail(
            new SpawnError({
              reason: "Failed",
              message: `Cannot start a process on another machine: ${(error as Error).message}`,
              cause: error,
            }),
          ),
        ));
    });
    return Effect.onInterrupt(Effect.interruptible(starting), () =>
      Effect.suspend(() => {
        aborting.abort();
        return started === undefined ? Effect.void : discard(started);
      }));
  });

const acquire = (
  caller: Caller,
  { maxMessageSize, observe }: NatsBackend.Options,
  command: Command,
): Effect.Effect<Child, SpawnError, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(start(caller, command), ({ raw }) => raw.signal("SIGKILL")),
    ({ folder, guardPid, host, main, raw }) =>
      adopt(Effect.succeed(raw), {
        backend: "nats",
        command,
        maxMessageSize,
        nested: { ...(maxMessageSize === undefined ? {} : { maxMessageSize }), ...telemetry(observe) },
        place: { guardPid, host, sources: { folders: folder === undefined ? [] : [folder], library, main } },
        startTimeout: START,
      }),
  );

/** Makes the backend; see `NatsBackend.make`. */
export const make = (options: NatsBackend.Options): Effect.Effect<Backend, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption("NatsBackend", wrong)));
    }
    const { space = "default", lease = "30 seconds", lostAfter = "5 seconds", placeTimeout = "10 seconds" } = options;
    const name = randomName();
    const server = yield* connect(options, `multiprocessing ${name}`, `mp.${space}.r.${name}`);
    const caller = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Caller(server, {
          space,
          name,
          labels: options.labels ?? [],
          permissions: options.permissions,
          env: options.env ?? {},
          v8Flags: options.v8Flags ?? [],
          include: options.include ?? [],
          lease: Duration.toMillis(lease),
          lostAfter: Duration.toMillis(lostAfter),
          placeTimeout: Duration.toMillis(placeTimeout),
          stdout: options.stdout ?? "inherit",
          stderr: options.stderr ?? "inherit",
        })
      ),
      (caller) => Effect.promise(() => caller.close()),
    );
    const backend = yield* makeBackend({
      name: "nats",
      capabilities: Capabilities.subprocess,
      unusable: undefined,
      observe: options.observe,
      standby: undefined,
      preload: undefined,
      capacity: Effect.map(
        Effect.promise((signal) => caller.agents(signal)),
        (agents) => Math.max(1, agents.reduce((sum, { slots }) => sum + slots, 0)),
      ),
      acquire: (command) => acquire(caller, options, command),
    });
    const connected: Connected = { ...backend, [key]: caller };
    return connected;
  });

/** The agents of a backend; see `NatsBackend.agents`. */
export const agents = (backend: Backend): Effect.Effect<ReadonlyArray<NatsBackend.Agent>, NatsError> => {
  const caller = (backend as Partial<Connected>)[key];
  if (caller === undefined) {
    return Effect.fail(
      new NatsError("Unsupported", `Cannot list agents: the ${backend.name} backend has none; provide NatsBackend`),
    );
  }
  return Effect.map(
    Effect.promise((signal) => caller.agents(signal)),
    (bids) =>
      bids.map(({ agent, deno, free, host, labels, slots }) => ({ name: agent, host, slots, free, labels, deno })),
  );
};
