/**
 * The guard of commands: a shell that kills them when this program is gone, however it ended.
 *
 * A command is any program: it cannot be told to watch its parent, and a launcher such as `setpriv` would hide whether the
 * program exists and would not reach the programs that the command starts. The shell reads the process groups of the running
 * commands from a pipe whose only writer is this program, and kills them at the end of file.
 *
 * @module
 */

/** The shell's program: `+` adds a target, `-` removes it, `x` kills it. */
const SCRIPT = `trap '' HUP INT QUIT TERM
all=
while read -r operation target; do
  case $operation in
    +) all="$all $target" ;;
    x) kill -s KILL -- "$target" ;;
    -)
      rest=
      for other in $all; do [ "$other" = "$target" ] || rest="$rest $other"; done
      all=$rest
      ;;
  esac
done
for target in $all; do kill -s KILL -- "$target"; done`;

/** The program that guards. */
export const SHELL = "/bin/sh";

interface Shell {
  readonly process: Deno.ChildProcess;
  readonly writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly ended: Promise<unknown>;
}

const encoder = new TextEncoder();

/** Guards the commands of one layer. It runs while the layer or a command holds it, from the first command on. */
export class Guard {
  /** Targets of `kill`: a process, or a group as a negative number. */
  readonly #targets = new Set<number>();
  #holders = 0;
  #shell: Shell | undefined;

  /** Keeps the guard, until {@link release}. */
  hold(): void {
    this.#holders++;
  }

  /** The last release ends the shell, and waits for its end. */
  async release(): Promise<void> {
    const shell = this.#shell;
    if (--this.#holders > 0 || shell === undefined) return;
    this.#shell = undefined;
    shell.process.ref();
    // A shell that was killed has closed it already.
    await shell.writer.close().catch(() => {});
    await shell.ended;
  }

  /** Sees to it that the shell runs. Throws what Deno does. */
  start(): void {
    if (this.#shell !== undefined) return;
    const process = new Deno.Command(SHELL, {
      args: ["-c", SCRIPT],
      // Ctrl-C of a terminal must not reach it.
      detached: true,
      cwd: "/",
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    process.unref();
    const ended = process.status.then(({ signal }) => {
      if (this.#shell !== shell) return;
      this.#shell = undefined;
      shell.writer.close().catch(() => {});
      // A shell that was killed is replaced. One that ended by itself would do so again: the next command tries.
      if (signal !== null && this.#targets.size > 0) this.start();
    });
    const shell: Shell = { process, writer: process.stdin.getWriter(), ended };
    this.#shell = shell;
    for (const target of this.#targets) this.#tell("+", target);
  }

  /** Guards a process or group. */
  add(target: number): void {
    this.#targets.add(target);
    this.#tell("+", target);
  }

  /** Guards it no longer. */
  remove(target: number): void {
    if (this.#targets.delete(target)) this.#tell("-", target);
  }

  /** Kills what is left of a group, where this program may not. */
  kill(target: number): void {
    this.#tell("x", target);
  }

  #tell(operation: "+" | "-" | "x", target: number): void {
    // If the shell is gone, `ended` sees to it.
    this.#shell?.writer.write(encoder.encode(`${operation} ${target}\n`)).catch(() => {});
  }
}
