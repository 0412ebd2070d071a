/**
 * Finds the reason why a child ended before it served its link. Deno's message went to the stderr of the child, which is usually
 * the user's terminal and cannot be read. The same command line is therefore run once more, with its stderr in a pipe and with a
 * program that does nothing.
 *
 * @module
 */
import { SpawnError } from "../errors.ts";

/** Number of characters of a report that are kept. */
const MAX_REPORT = 4096;

/** The time limit of a rehearsal, in milliseconds. */
const PATIENCE = 10_000;

/** A running rehearsal. */
export interface Rehearsal {
  /** Its output on stderr. Resolves when the rehearsal has ended. */
  readonly report: Promise<string>;
  readonly stop: () => void;
}

/** Starts a rehearsal. Throws the errors of the system. */
export const rehearse = (
  program: string,
  args: ReadonlyArray<string>,
  cwd: string | undefined,
  env: Readonly<Record<string, string>> | undefined,
): Rehearsal => {
  const process = new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, NO_COLOR: "1" },
    clearEnv: env !== undefined,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stop = (): void => {
    try {
      process.kill("SIGKILL");
    } catch {
      // The process has ended.
    }
  };
  const read = async (): Promise<string> => {
    const timer = setTimeout(stop, PATIENCE);
    let text = "";
    for await (const part of process.stderr.pipeThrough(new TextDecoderStream())) {
      if (text.length < MAX_REPORT) text += part;
    }
    await process.status;
    clearTimeout(timer);
    return text.slice(0, MAX_REPORT).trim();
  };
  return { report: read(), stop };
};

/** The exit code of `setpriv`, as that of a shell, for a program that does not exist. */
const NO_PROGRAM = 127;

/** The error for a child that exited with this code before it served its link. */
export const unserved = (code: number, report: string): SpawnError =>
  new SpawnError({
    reason: code === NO_PROGRAM ? "NotFound" : "Failed",
    message: `Cannot start a subprocess: it exited with code ${code} before it could run anything${
      report === "" ? "; it may have written to stderr why, and a second attempt succeeded" : `: ${report}`
    }`,
  });
