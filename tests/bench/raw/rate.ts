/** How often a second an operation is done, one after the other, for about 300 ms after 100 ms to warm up; at least three times. */
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
