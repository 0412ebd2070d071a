/** Tasks of the tests of the module `Promise`. */
import * as Mp from "../../src/Promise.ts";

export const square = Mp.task(import.meta, "square", (n: number) => n * n);

export const add = Mp.task(import.meta, "add", (a: number, b: number) => Promise.resolve(a + b));

export const refuse = Mp.task(import.meta, "refuse", () => {
  throw new RangeError("no room");
});

export const exit = Mp.task(import.meta, "exit", (code: number) => Deno.exit(code));

export const spin = Mp.task(import.meta, "spin", async (begun: Mp.Queue<string>) => {
  await begun.put("begun");
  while (true);
});

export const rest = Mp.task(import.meta, "rest", async (begun: Mp.Queue<string>) => {
  await begun.put("begun");
  await new Promise(() => setInterval(() => {}, 1000));
});

export const lengths = Mp.task(import.meta, "lengths", async (from: Mp.Queue<string>, to: Mp.Queue<number>) => {
  for await (const text of from) await to.put(text.length);
  await to.close();
});

export const shout = Mp.task(import.meta, "shout", async (connection: Mp.Connection<string>) => {
  await using end = connection;
  for await (const text of end) await end.send(text.toUpperCase());
});

interface Objects {
  readonly lock: Mp.Lock;
  readonly semaphore: Mp.Semaphore;
  readonly event: Mp.Event;
  readonly barrier: Mp.Barrier;
  readonly memory: Mp.SharedMemory;
  readonly value: Mp.Value<"i32">;
  readonly array: Mp.SharedArray<"f64">;
  readonly deep: ReadonlyArray<{ readonly queue: Mp.Queue<Mp.Queue<string>> }>;
}

/** Uses one object of each kind, with the queue nested in other values. */
export const useAll = Mp.task(import.meta, "useAll", async (objects: Objects) => {
  const { array, barrier, deep, event, lock, memory, semaphore, value } = objects;
  await lock.withLock(() => memory.array(Int32Array)[0] = 7);
  await value.add(await semaphore.withPermit(() => semaphore.available()));
  await array.set(1, await array.get(0) * 2);
  const inner = await deep[0].queue.get();
  await inner.put("from the child");
  await event.set();
  await barrier.wait();
  return inner;
});

export const die = Mp.task(import.meta, "die", async (lock: Mp.Lock) => {
  await lock.take();
  Deno.exit(1);
});

export const nest = Mp.task(
  import.meta,
  "nest",
  async (backend: "subprocess" | "worker") => await Mp.run(square, [12], { backend }),
);

export const print = Mp.task(import.meta, "print", () => console.log("hello", Deno.env.get("WHO")));
