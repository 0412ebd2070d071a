/**
 * Rate per second of an operation that is repeated in sequence for about 300 ms, at least three times, after 100 ms of
 * warm-up.
 */
export const rate = async (operation: () => unknown): Promise<number> => {
  const run = async (millis: number): Promise<number> => {
    const start = performance.now();
    let calls = 0;
    while (calls < 3 || performance.now() < start + millis) {
      await operation();
      calls++;
    }
    return calls / (performance.now() - start) * 1000;
  };
  await run(100);
  return await run(300);
};
