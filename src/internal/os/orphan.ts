/**
 * A child must not outlive its parent, not even when the parent was killed and the child is busy, so that it cannot see
 * the end of its link. Three ways to see to that, the cheapest first:
 *
 * 1. `setpriv --pdeathsig KILL` as the launcher (Linux, under a millisecond): the kernel kills the child. Needs the
 *    permission to run it.
 * 2. `prctl(PR_SET_PDEATHSIG)` by the child itself (Linux, under a millisecond). Needs `--allow-ffi` in the child.
 * 3. A small worker in the child that looks at the parent's process id (anywhere, about 10 ms and 16 MB). Needs nothing.
 *
 * @module
 */
/** How a child is to see to it itself, if its launcher does not. */
export type Guard = "launcher" | "self";

const SETPRIV = "/usr/bin/setpriv";

let launcher: ReadonlyArray<string> | undefined;

/** What to put in front of a command so that the kernel kills it with this process; nothing where that cannot be had. */
export const launchWithParent = (): ReadonlyArray<string> => {
  if (launcher === undefined) {
    const prefix = [SETPRIV, "--pdeathsig", "KILL", "--"];
    const usable = Deno.build.os === "linux" &&
      Deno.permissions.querySync({ name: "run", command: SETPRIV }).state === "granted" &&
      new Deno.Command(prefix[0], {
          args: [...prefix.slice(1), SETPRIV, "--version"],
          stdin: "null",
          stdout: "null",
          stderr: "null",
        }).outputSync().code === 0;
    launcher = usable ? prefix : [];
  }
  return launcher;
};
