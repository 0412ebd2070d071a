/**
 * Programs that use the library and run as users run them: with their own command line.
 *
 * @module
 */
import { processEntry, until } from "./leaks.ts";

/** A running program. */
export interface Script {
  readonly pid: number;
  /** Waits for a line of output that begins with this word, and returns the rest of the line. */
  readonly line: (word: string) => Promise<string>;
  readonly kill: (signal: Deno.Signal) => void;
  /** Waits for the end of the program. */
  readonly ended: Promise<Ended>;
}

/** A program that has ended. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program of `programs/` with these flags of `deno run`. */
export const script = (
  name: string,
  args: ReadonlyArray<string>,
  flags: ReadonlyArray<string> = ["-A"],
  executable: string = Deno.execPath(),
  env: Readonly<Record<string, string>> = {},
): Script => {
  const child = new Deno.Command(executable, {
    args: [
      "run",
      "--no-check",
      "--no-prompt",
      ...flags,
      new URL(`../programs/${name}`, import.meta.url).href,
      ...args,
    ],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let stdout = "";
  let finished = false;
  let notify = (): void => {};
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      stdout += text;
      notify();
    }
    finished = true;
    notify();
  })();
  const stderr = new Response(child.stderr).text();
  return {
    pid: child.pid,
    line: async (word) => {
      while (true) {
        const complete = stdout.slice(0, stdout.lastIndexOf("\n") + 1).split("\n");
        const found = complete.find((line) => line === word || line.startsWith(`${word} `));
        if (found !== undefined) return found.slice(word.length + 1);
        if (finished) throw new Error(`it ended without a line "${word}":\n${stdout}\n${await stderr}`);
        await new Promise<void>((resolve) => notify = resolve);
      }
    },
    kill: (signal) => child.kill(signal),
    ended: (async () => {
      const { code, signal } = await child.status;
      await reading;
      return { code, signal, stdout, stderr: await stderr };
    })(),
  };
};

/** Waits until these processes no longer exist. */
export const gone = async (pids: ReadonlyArray<number>): Promise<void> => {
  const before = new Map(pids.map((pid) => [pid, processEntry(pid)?.started]));
  await until(`${pids} have ended`, () =>
    pids.every((pid) => {
      const entry = processEntry(pid);
      return entry === undefined || entry.state === "Z" || entry.started !== before.get(pid);
    }));
};
