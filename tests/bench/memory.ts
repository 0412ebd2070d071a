/**
 * Megabytes that a process has for itself: what its end would give back. Its resident set has in it besides the pages of the executable, which all
 * processes of the same program share, and its proportional one depends on how many of them there happen to be.
 */
export const privateMemory = (pid: number): number => {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm).reduce((sum, [, kB]) => sum + Number(kB), 0) / 1024;
};
