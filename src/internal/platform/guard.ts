/**
 * The guard of commands: a shell that kills them when this program has ended in any way.
 *
 * A command is any program: it cannot be told to watch its parent, and a launcher such as `setpriv` would hide whether the
 * program exists and would not kill the programs that the command starts. The shell reads the process groups of the running
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

/** The program of the guard. */
export const SHELL = "/bin/sh";

interface Shell {
  readonly process: Deno.ChildProcess;
  readonly writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly ended: Promise<unknown>;
}

const encoder = new TextEncoder();

/** The guard of one layer's commands. It runs from the first command on, until the layer and all commands release it. */
export class CommandGuard {
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
    // The writer is broken if the shell was killed.
    await shell.writer.close().catch(() => {});
    await shell.ended;
  }

  /** Starts the shell unless it runs. Throws the errors of Deno. */
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
      // A shell that was killed is replaced. One that exited would exit again, so the next command starts it.
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

  /** Stops guarding a process or group. */
  remove(target: number): void {
    if (this.#targets.delete(target)) this.#tell("-", target);
  }

  /** Kills the rest of a group that this program may not signal. */
  kill(target: number): void {
    this.#tell("x", target);
  }

  #tell(operation: "+" | "-" | "x", target: number): void {
    // A write fails only if the shell has died; the handler of `ended` replaces it.
    this.#shell?.writer.write(encoder.encode(`${operation} ${target}\n`)).catch(() => {});
  }
}
