/**
 * Several operations at a time, but not all of them.
 *
 * @module
 */

/** The number of operations at a time. */
const AT_A_TIME = 32;

/** Runs a function for each number below `count`, some at a time. */
export const each = async (count: number, run: (index: number) => Promise<void>): Promise<void> => {
  const next = Array.from({ length: count }, (_, i) => i).values();
  const work = async (): Promise<void> => {
    for (const index of next) await run(index);
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count) }, work));
};
