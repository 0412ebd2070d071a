/**
 * The backend whose children are Deno subprocesses. `launch.ts` and `command_line.ts` start one; the child's side is
 * `entry/subprocess.ts`.
 *
 * @module
 */
import { isPermissionMessage } from "../../os/deno_workarounds.ts";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Backend, Child, Command, ExitStatus, Signal } from "../../../Backend.ts";
import type { Options } from "../../../SubprocessBackend.ts";
import { lateStream } from "../../os/late_stream.ts";
import { launchWithParent } from "../../os/orphan.ts";
import { Attachment } from "./attachment.ts";
import * as Capabilities from "../capabilities.ts";
import { commandLine, environment, executable } from "./command_line.ts";
import { SpawnError } from "../errors.ts";
import * as Launch from "./launch.ts";
import { subprocessChecks, telemetry, wrongOptions, wrongSignal } from "../options.ts";
import { makeBackend } from "./make_backend.ts";
import * as Permission from "../permissions.ts";
import { type Rehearsal, rehearse, unserved } from "./rehearsal.ts";

/** The exit code of a child whose real one cannot be known, because another part of the program has waited for the process. */
const LOST = 255;

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

const output = (readable: AsyncIterable<Uint8Array> | null): Stream.Stream<Uint8Array> =>
  lateStream(({ empty, fromAsyncIterable, orDie }) =>
    readable === null ? empty : orDie(fromAsyncIterable(readable, (error) => error))
  );

/** A process that the system has started. */
class Subprocess {
  readonly child: Child;
  readonly #attachment: Attachment;
  readonly #detached: boolean;
  readonly #process: Launch.Launched;
  /** Runs the same command line again, to find the reason of its failure. */
  readonly #rehearse: () => Rehearsal;
  #rehearsal: Rehearsal | undefined;
  #released = false;

  constructor(process: Launch.Launched, rehearse: () => Rehearsal, options: Options, command: Command) {
    const { denoFlags, maxMessageSize, v8Flags } = options;
    this.#process = process;
    this.#rehearse = rehearse;
    this.#detached = options.detached === true;
    this.#attachment = new Attachment({
      backend: "subprocess",
      command,
      transport: process.transport,
      maxMessageSize,
      nested: {
        ...(v8Flags === undefined ? {} : { v8Flags }),
        ...(denoFlags === undefined ? {} : { denoFlags }),
        ...(maxMessageSize === undefined ? {} : { maxMessageSize }),
        ...telemetry(options.observe),
      },
      onUnlinked: () => {
        if (!this.#signal("SIGKILL")) this.#end({ _tag: "Exited", code: LOST });
      },
      onClosed: () => this.#judge(),
    });
    process.ended.then(this.#ended);
    this.child = this.#attachment.child({
      pid: process.pid,
      kill: (name: Signal) =>
        Effect.suspend(() => {
          const wrong = wrongSignal(name);
          if (wrong !== undefined) return Effect.fail(wrong);
          return Effect.succeed(this.#attachment.status === undefined && this.#signal(name));
        }),
      stdout: output(process.stdout),
      stderr: output(process.stderr),
    });
  }

  /** Kills the process, waits for its end, and closes its descriptors. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#attachment.status === undefined) this.#signal("SIGKILL");
    return Effect.map(Effect.zipRight(this.#attachment.exited, Effect.promise(() => this.#endRehearsal())), () => {
      // The leader has ended; programs that it has started may live.
      if (this.#detached) signalGroup(this.#process.pid, "SIGKILL");
      this.#attachment.link.destroy();
      this.#process.release();
    });
  });

  #signal(name: Deno.Signal): boolean {
    return this.#detached ? signalGroup(this.#process.pid, name) : this.#process.signal(name);
  }

  readonly #ended = ({ code, signal }: Launch.ProcessEnd): void => {
    const { crash } = this.#attachment;
    if (signal !== null) this.#end({ _tag: "Signaled", signal });
    else if (crash !== undefined) this.#end({ _tag: "Crashed", message: crash });
    else this.#end({ _tag: "Exited", code: code ?? LOST });
  };

  #end(status: ExitStatus): void {
    if (this.#attachment.status !== undefined) return;
    this.#attachment.end(status);
    // Data that the process has sent outlives it.
    const { transport } = this.#process;
    transport.drained(() => transport.lost());
    this.#judge();
  }

  /** Finds out whether the child ever served its link, once it has ended and its last message was received. */
  #judge(): void {
    const { link, serving, status } = this.#attachment;
    if (status === undefined || link.closed === undefined || serving || this.#rehearsal !== undefined) return;
    if (status._tag !== "Exited" || this.#released) return this.#attachment.unserved();
    try {
      this.#rehearsal = this.#rehearse();
      this.#rehearsal.report.then((report) => this.#attachment.unserved(unserved(status.code, report)));
    } catch (error) {
      this.#attachment.unserved(spawnError(error));
    }
  }

  async #endRehearsal(): Promise<void> {
    this.#released = true;
    this.#rehearsal?.stop();
    await this.#rehearsal?.report;
  }
}

/** Makes the one call to the system. */
const start = (options: Options, command: Command): Effect.Effect<Subprocess, SpawnError> =>
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
      return Effect.map(launched, (process) => new Subprocess(process, again, options, command));
    } catch (error) {
      return Effect.fail(failed(error));
    }
  });

const acquire = (options: Options, command: Command): Effect.Effect<Child, SpawnError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(start(options, command), (subprocess) => subprocess.release),
    ({ child }) => child,
  );

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
