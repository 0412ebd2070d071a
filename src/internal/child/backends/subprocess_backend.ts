/**
 * The backend whose children are Deno subprocesses. `launch.ts` and `command_line.ts` start one, and `adopt.ts` makes it a
 * child of this process; the child's side is `entry/subprocess.ts`.
 *
 * @module
 */
import { isPermissionMessage } from "../../os/deno_workarounds.ts";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, Child, Command } from "../../../Backend.ts";
import type { Options } from "../../../SubprocessBackend.ts";
import { launchWithParent } from "../../os/orphan.ts";
import { adopt, type RawChild } from "./adopt.ts";
import * as Capabilities from "../capabilities.ts";
import { commandLine, environment, executable } from "./command_line.ts";
import { SpawnError } from "../errors.ts";
import * as Launch from "./launch.ts";
import { subprocessChecks, telemetry, wrongOptions } from "../options.ts";
import { makeBackend } from "./make_backend.ts";
import * as Permission from "../permissions.ts";
import { type Rehearsal, rehearse, unserved } from "./rehearsal.ts";

/** Sends a signal to a process group. The result is `false` if no process is left in it. */
const signalGroup = (leader: number, name: Deno.Signal): boolean => {
  try {
    Deno.kill(-leader, name);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

const spawnError = (error: unknown): SpawnError => {
  if (error instanceof SpawnError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Deno.errors.NotCapable || isPermissionMessage(message)) {
    return new SpawnError({
      reason: "PermissionDenied",
      message: `Cannot start a subprocess: ${message}; subprocesses need --allow-run=${executable()} and --allow-env`,
      cause: error,
    });
  }
  if (error instanceof Deno.errors.NotFound || /ENOENT|No such file|not found/i.test(message)) {
    return new SpawnError({
      reason: "NotFound",
      message: `Cannot start a subprocess: ${message}; check the working directory (cwd) and the Deno executable`,
      cause: error,
    });
  }
  return new SpawnError({ reason: "Failed", message: `Cannot start a subprocess: ${message}`, cause: error });
};

/** Throws if the working directory does not exist: this Deno leaks a descriptor if a start fails for that reason. */
const demandFolder = (cwd: string | undefined): void => {
  if (cwd === undefined || Deno.permissions.querySync({ name: "read", path: cwd }).state !== "granted") return;
  if (!Deno.statSync(cwd).isDirectory) throw new Deno.errors.NotFound(`${cwd} is no directory`);
};

/** Throws if this program could not end a detached child: signals to a group need the whole permission. */
const demandGroups = ({ detached }: Options): void => {
  if (detached !== true || Deno.permissions.querySync({ name: "run" }).state === "granted") return;
  throw new SpawnError({
    reason: "PermissionDenied",
    message: "Cannot start a detached subprocess: to signal a process group needs --allow-run for everything",
  });
};

const demandDeno = (): void => {
  if (!Deno.build.standalone) return;
  throw new SpawnError({
    reason: "Unsupported",
    message: "Cannot start a subprocess from a compiled program: there is no Deno to run it with; use WorkerBackend",
  });
};

/** Runs the same command line again, to find the reason of its failure. */
const explain = (rehearsal: () => Rehearsal) => {
  let running: Rehearsal | undefined;
  let released = false;
  return {
    explain: async (code: number): Promise<SpawnError | undefined> => {
      if (released) return undefined;
      try {
        running = rehearsal();
        return unserved(code, await running.report);
      } catch (error) {
        return spawnError(error);
      }
    },
    stop: async (): Promise<void> => {
      released = true;
      running?.stop();
      await running?.report;
    },
  };
};

/** A process that the system has started, without a link. */
const rawChild = (process: Launch.Launched, rehearsal: () => Rehearsal, { detached }: Options): RawChild => {
  const { pid, stderr, stdout, transport } = process;
  const explanation = explain(rehearsal);
  return {
    pid,
    transport,
    stdout,
    stderr,
    ended: process.ended,
    signal: (name) => Effect.sync(() => detached === true ? signalGroup(pid, name) : process.signal(name)),
    explain: explanation.explain,
    release: async () => {
      await explanation.stop();
      // The leader has ended; programs that it has started may live.
      if (detached === true) signalGroup(pid, "SIGKILL");
      process.release();
    },
  };
};

/** Makes the one call to the system. */
export const launch = (options: Options, command: Command): Effect.Effect<RawChild, SpawnError> =>
  Effect.suspend(() => {
    let listening: Launch.ChildListener | undefined;
    const failed = (error: unknown): SpawnError => {
      listening?.listener.close();
      return spawnError(error);
    };
    try {
      demandDeno();
      demandFolder(options.cwd);
      demandGroups(options);
      const permissions = command.permissions ?? options.permissions ?? Permission.inherited();
      Permission.demand(permissions);
      listening = Launch.listen(permissions);
      const launcher = launchWithParent();
      const env = environment(options);
      const [program, ...args] = commandLine(options, command, listening?.permissions ?? permissions, launcher);
      const plan: Launch.Plan = {
        program,
        args,
        cwd: options.cwd,
        env,
        detached: options.detached === true,
        stdin: options.stdin ?? "null",
        stdout: options.stdout ?? "inherit",
        stderr: options.stderr ?? "inherit",
      };
      const again = (): Rehearsal => {
        const [program, ...args] = commandLine(options, command, permissions, launcher, true);
        return rehearse(program, args, options.cwd, env);
      };
      const launched = listening === undefined
        ? Effect.tryPromise({ try: () => Launch.launchWithDescriptor(plan), catch: failed })
        : Effect.succeed(Launch.launchWithListener(plan, listening));
      return Effect.map(launched, (process) => rawChild(process, again, options));
    } catch (error) {
      return Effect.fail(failed(error));
    }
  });

const acquire = (options: Options, command: Command): Effect.Effect<Child, SpawnError, Scope.Scope> => {
  const { denoFlags, maxMessageSize, observe, v8Flags } = options;
  return adopt(launch(options, command), {
    backend: "subprocess",
    command,
    maxMessageSize,
    nested: {
      ...(v8Flags === undefined ? {} : { v8Flags }),
      ...(denoFlags === undefined ? {} : { denoFlags }),
      ...(maxMessageSize === undefined ? {} : { maxMessageSize }),
      ...telemetry(observe),
    },
  });
};

/** Makes the backend; see `SubprocessBackend.make`. */
export const make = (options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  makeBackend({
    name: "subprocess",
    capabilities: Capabilities.subprocess,
    unusable: wrongOptions("SubprocessBackend", options, subprocessChecks),
    observe: options?.observe,
    standby: options?.standby,
    preload: options?.preload,
    acquire: (command) => acquire(options, command),
  });
