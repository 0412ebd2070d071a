/**
 * Why a child ended before it served its link. What Deno had to say went to the stderr that the child was given, most often
 * the user's terminal, and cannot be read from there. So the same command line is run once more, with its stderr in a pipe
 * and with a program that does nothing.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { SpawnError } from "../Backend.ts";

/** Characters of a report that are kept. */
const MAX_REPORT = 4096;

/** How long a rehearsal may take, in milliseconds. */
const PATIENCE = 10_000;

/** A rehearsal under way. */
export interface Rehearsal {
  /** What it wrote to stderr, when it has ended. */
  readonly report: Promise<string>;
  readonly stop: () => void;
}

/** Listens to a process that was started for a rehearsal. */
export const listen = (process: ChildProcess): Rehearsal => {
  const stop = (): void => void process.kill("SIGKILL");
  const report = new Promise<string>((resolve) => {
    let text = "";
    const timer = setTimeout(stop, PATIENCE);
    const end = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    process.stderr!.setEncoding("utf8").on("data", (part: string) => {
      if (text.length < MAX_REPORT) text += part;
    });
    process.once("error", (error) => end(error.message));
    process.once("close", () => end(text.slice(0, MAX_REPORT).trim()));
  });
  return { report, stop };
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
