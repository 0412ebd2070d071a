/** Keeps one core busy for as long as its parent lives: a program of its own, that `harness.ts` starts beside the rows. */
const parent = Deno.ppid;
do {
  const end = performance.now() + 200;
  while (performance.now() < end);
} while (Deno.ppid === parent);
