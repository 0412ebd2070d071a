/** What the system knows of processes. */

/**
 * Private memory of a process in megabytes: the memory that its end would free. The resident set also includes the
 * pages of the executable, which all processes of the same program share, and the proportional set depends on their
 * number.
 */
export const privateMemory = (pid: number): number => {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm).reduce((sum, [, kB]) => sum + Number(kB), 0) / 1024;
};

/** Processor time of processes so far, in milliseconds; the system counts it in steps of ten. */
export const processorTime = (pids: Iterable<number>): number => {
  let ticks = 0;
  for (const pid of pids) {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
    ticks += Number(user) + Number(system);
  }
  return 10 * ticks;
};
