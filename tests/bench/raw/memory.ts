/**
 * Memory operations without any message. Prints operations per second.
 *
 *     deno run -A memory.ts swap|copy|fill|sum|add|wakeup
 *
 * Swap: a word there and back. Copy: one megabyte. Fill: 16 fresh megabytes. Sum: 2 Mi numbers, half of the row's sum.
 * Add and wakeup use two threads: both add to one word; each wakes the other.
 */
import { rate } from "./rate.ts";

/** The name of the other thread, which runs this module too. */
const OTHER = "other";

const MB = 1024 * 1024;
const OFTEN = 100_000;

/** The other thread: it adds, or answers each wake-up, without end. */
const other = (words: Int32Array<SharedArrayBuffer>, what: string): void => {
  for (;;) {
    if (what === "add") Atomics.add(words, 0, 1);
    else {
      Atomics.wait(words, 0, 0);
      Atomics.store(words, 0, 0);
      Atomics.store(words, 1, 1);
      Atomics.notify(words, 1);
    }
  }
};

const words = new Int32Array(new SharedArrayBuffer(8));
const often = (operation: () => unknown) => async (): Promise<number> =>
  OFTEN * await rate(() => {
    for (let left = OFTEN; left > 0; left--) operation();
  });

const copy = (): Promise<number> => {
  const [from, to] = [new Uint8Array(64 * MB).fill(1), new Uint8Array(64 * MB).fill(1)];
  return rate(() => to.set(from)).then((times) => times * 64);
};

const together = async (measure: () => Promise<number>): Promise<number> => {
  const worker = new Worker(import.meta.url, { type: "module", name: OTHER });
  worker.postMessage([words, Deno.args[0]]);
  await new Promise((resolve) => worker.onmessage = resolve);
  return await measure();
};

const measures: Readonly<Record<string, () => Promise<number>>> = {
  swap: often(() => Atomics.compareExchange(words, 0, 0, 1) + Atomics.exchange(words, 0, 0)),
  copy,
  fill: () => rate(() => new Uint8Array(16 * MB).fill(1)),
  sum: () => {
    const numbers = new Float64Array(2 * MB).fill(0.5);
    return rate(() => {
      let sum = 0;
      for (let at = 0; at < numbers.length; at++) sum += numbers[at];
      if (sum !== MB) throw new Error(`The sum is wrong: ${sum}`);
    });
  },
  add: () =>
    together(async () => {
      const [start, before] = [performance.now(), Atomics.load(words, 0)];
      await often(() => Atomics.add(words, 0, 1))();
      return ((Atomics.load(words, 0) - before) >>> 0) / (performance.now() - start) * 1000;
    }),
  wakeup: () =>
    together(() =>
      rate(() => {
        Atomics.store(words, 0, 1);
        Atomics.notify(words, 0);
        Atomics.wait(words, 1, 0);
        Atomics.store(words, 1, 0);
      })
    ),
};

if (self.name !== OTHER) {
  console.log(await measures[Deno.args[0]]());
  Deno.exit();
} else {
  const scope = self as unknown as {
    onmessage: (event: MessageEvent<[typeof words, string]>) => void;
    postMessage: (message: number) => void;
  };
  scope.onmessage = ({ data: [words, what] }) => {
    scope.postMessage(1);
    other(words, what);
  };
}
