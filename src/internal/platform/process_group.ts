/**
 * The operating-system processes of one command: starting, signalling and ending a process with its group.
 *
 * @module
 */
import type * as Command from "@effect/platform/Command";
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import { within } from "../child/stop.ts";
import { show } from "./errors.ts";
import type { CommandGuard } from "./guard.ts";

/** How commands are run. */
export interface CommandSettings {
  readonly killSignal: Deno.Signal;
  readonly forceKillAfter: Duration.DurationInput;
  readonly maxBuffer: number;
  /** `undefined` for commands without a guard. */
  readonly guard: CommandGuard | undefined;
}

/** The longest pause between two checks of a group whose leader has ended, in milliseconds. */
const LOOK = 100;

/** The exit code of a process whose real one cannot be known. */
const LOST = 255;

/** How long a killed group may take to vanish, in milliseconds. */
const VANISH = 1000;

/** Whether an input or output of a command is inherited, in the terms of Deno. */
export const stdio = (value: Command.Command.Input | Command.Command.Output): "inherit" | "piped" =>
  value === "inherit" ? "inherit" : "piped";

/** The program and its arguments, by way of the shell if the command asks for one. */
const words = ({ args, command, shell }: Command.StandardCommand): readonly [string, ReadonlyArray<string>] => {
  if (shell === false) return [command, args];
  const line = [command, ...args].join(" ");
  return Deno.build.os === "windows"
    ? [typeof shell === "string" ? shell : "cmd.exe", ["/d", "/s", "/c", line]]
    : [typeof shell === "string" ? shell : "/bin/sh", ["-c", line]];
};

/** Whether a process of a group, as `/proc` lists it, still runs. */
const runsIn = (group: number, pid: string): boolean => {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name of the program comes first, and may contain spaces and brackets.
    const [state, _parent, its] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(its) === group && state !== "Z" && state !== "X";
  } catch (error) {
    // The process has ended meanwhile.
    if (error instanceof Deno.errors.NotFound || /No such process/.test(String(error))) return false;
    throw error;
  }
};

/** The signal that only asks whether a process exists. Deno accepts the number, but does not declare it. */
const EXISTS = 0 as unknown as Deno.Signal;

/** Whether a group has running members. Needs the permission to run anything. */
const hasMembers = (group: number): boolean => {
  try {
    Deno.kill(-group, EXISTS);
  } catch (error) {
    // A member may belong to another user.
    if (error instanceof Deno.errors.NotFound) return false;
  }
  if (Deno.build.os !== "linux") return true;
  try {
    // `kill` counts zombies as members, and some containers never reap them.
    return [...Deno.readDirSync("/proc")].some(({ name }) => /^\d+$/.test(name) && runsIn(group, name));
  } catch {
    // This program may not read `/proc`.
    return true;
  }
};

/**
 * A started process and its group. The process leads the group, so that the programs that it starts end with it, unless it
 * inherits stdin: only the group of this program may read the terminal.
 */
export class ProcessGroup {
  readonly leader: Deno.ChildProcess;
  readonly ended: Deferred.Deferred<Deno.CommandStatus> = Deferred.unsafeMake(FiberId.none);
  readonly #guard: CommandGuard | undefined;
  readonly #target: number;
  /** Whether this program may signal the group. */
  readonly #grouped: boolean;
  #running = true;
  /** Whether the group had members when its leader ended. Otherwise the system may have reused its number. */
  #left = false;

  constructor(leader: Deno.ChildProcess, leads: boolean, guard: CommandGuard | undefined) {
    this.leader = leader;
    this.#guard = guard;
    this.#target = leads ? -leader.pid : leader.pid;
    this.#grouped = leads && Deno.permissions.querySync({ name: "run" }).state === "granted";
    guard?.hold();
    guard?.add(this.#target);
    // The status is missing if another part of this program has awaited the process.
    leader.status.catch((): Deno.CommandStatus => ({ success: false, code: LOST, signal: null })).then((status) => {
      this.#running = false;
      this.#left = this.#grouped && hasMembers(leader.pid);
      if (!this.#left) guard?.remove(this.#target);
      Deferred.unsafeDone(this.ended, Effect.succeed(status));
    });
  }

  /** Whether the process has not ended. */
  get running(): boolean {
    return this.#running;
  }

  /** Whether the process or a member of its group has not ended. */
  get alive(): boolean {
    return this.#running || (this.#left &&= hasMembers(this.leader.pid));
  }

  /** Sends a signal to the group, or to the process. Throws the errors of Deno. */
  signal(name: Deno.Signal): void {
    if (!this.alive) return;
    try {
      if (this.#grouped) Deno.kill(-this.leader.pid, name);
      else this.leader.kill(name);
    } catch (error) {
      // The process has ended, but its status has not arrived.
      if (error instanceof Deno.errors.NotFound || /already terminated/.test(String(error))) return;
      throw error;
    }
  }

  /** Waits until the process and its group have ended. */
  readonly gone: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(Deferred.await(this.ended), this.#vanished(1))
  );

  /** Polls the group, at growing intervals. */
  #vanished(pause: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.alive ? Effect.zipRight(Effect.sleep(pause), this.#vanished(Math.min(2 * pause, LOOK))) : Effect.void
    );
  }

  /** Kills the members of the group that this program may not signal. */
  sweep(): void {
    if (!this.#grouped && this.#target < 0) this.#guard?.kill(this.#target);
  }

  /** Releases the guard, after the end. */
  async release(): Promise<void> {
    this.#guard?.remove(this.#target);
    await this.#guard?.release();
  }
}

/** Ends a process and its group by the kill policy. */
export const end = (
  group: ProcessGroup,
  command: Command.StandardCommand,
  settings: CommandSettings,
): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function* () {
    if (!group.alive) return;
    const { pid } = group.leader;
    const send = (name: Deno.Signal): Effect.Effect<boolean> =>
      Effect.try(() => group.signal(name)).pipe(
        Effect.as(true),
        Effect.catchAll(({ error }) =>
          Effect.as(Effect.logWarning(`"${show(command)}" (pid ${pid}) cannot be ended: ${String(error)}`), false)
        ),
      );
    if (!(yield* send(settings.killSignal))) return;
    if (Option.isNone(yield* within(group.gone, settings.forceKillAfter))) {
      const waited = Duration.format(Duration.decode(settings.forceKillAfter));
      yield* Effect.logWarning(
        `"${show(command)}" (pid ${pid}) had to be killed: it had not ended ${waited} after ${settings.killSignal}; ` +
          "a larger forceKillAfter gives it more time",
      );
      if (!(yield* send("SIGKILL"))) return;
      yield* Deferred.await(group.ended);
      // The system takes a moment to kill the members.
      yield* within(group.gone, VANISH);
    }
    group.sweep();
  }));

/** Starts a command as the leader of a group. The stdin of a `silent` one is empty. Throws the errors of Deno. */
export const spawn = (command: Command.StandardCommand, { guard }: CommandSettings, silent: boolean): ProcessGroup => {
  const [program, args] = words(command);
  const env = Object.fromEntries(command.env);
  const leads = command.stdin !== "inherit" && Deno.build.os !== "windows";
  const child = new Deno.Command(program, {
    args: [...args],
    ...(Option.isNone(command.cwd) ? {} : { cwd: command.cwd.value }),
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(Option.isNone(command.uid) ? {} : { uid: command.uid.value }),
    ...(Option.isNone(command.gid) ? {} : { gid: command.gid.value }),
    clearEnv: !command.extendEnv,
    detached: leads,
    stdin: silent && command.stdin === "pipe" ? "null" : stdio(command.stdin),
    stdout: stdio(command.stdout),
    stderr: stdio(command.stderr),
  }).spawn();
  return new ProcessGroup(child, leads, guard);
};
