/** Keeps one core busy while its parent lives. `harness.ts` starts this program beside the rows. */
const parent = Deno.ppid;
do {
  const end = performance.now() + 200;
  while (performance.now() < end);
} while (Deno.ppid === parent);
