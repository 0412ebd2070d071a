/**
 * Private memory of a process in megabytes: the memory that its end would free. The resident set also includes the
 * pages of the executable, which all processes of the same program share, and the proportional set depends on their
 * number.
 */
export const privateMemory = (pid: number): number => {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm).reduce((sum, [, kB]) => sum + Number(kB), 0) / 1024;
};
