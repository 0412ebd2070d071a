/**
 * A child must not outlive its parent, even if the parent was killed and the child is too busy to see the end of its link.
 * There are three ways to ensure this, cheapest first:
 *
 * 1. `setpriv --pdeathsig KILL` as the launcher (Linux, under a millisecond): the kernel kills the child. Needs the
 *    permission to run it.
 * 2. `prctl(PR_SET_PDEATHSIG)` by the child itself (Linux, under a millisecond). Needs `--allow-ffi` in the child.
 * 3. A small worker in the child that polls the parent's process id (any system, about 10 ms and 16 MB). Needs nothing.
 *
 * @module
 */
/** The guard of a child: its launcher, or the child itself. */
export type OrphanGuard = "launcher" | "self";

const SETPRIV = "/usr/bin/setpriv";

let launcher: ReadonlyArray<string> | undefined;

/** Command prefix that makes the kernel kill the command with this process. Empty if this is not possible. */
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
