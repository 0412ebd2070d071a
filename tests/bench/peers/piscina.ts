/** piscina, on threads. */

import { apply, burst, bytes, fib, grow, type Open, start } from "./pool.ts";
import { serve } from "./serve.ts";

const specifier: string = "npm:piscina@5.3.2";

interface Piscina {
  readonly run: (value: unknown, options: { readonly name: string }) => Promise<unknown>;
  readonly destroy: () => Promise<void>;
}

await serve(specifier, async () => {
  const { Piscina } = await import(specifier) as { Piscina: new (options: unknown) => Piscina };
  const filename = import.meta.resolve("./tasks.ts");
  const open: Open = (size, least = size) => {
    const pool = new Piscina({ filename, minThreads: least, maxThreads: size });
    return Promise.resolve({ run: (name, value) => pool.run(value, { name }), end: () => pool.destroy() });
  };
  return {
    "process.start.cold": start(open),
    "pool.apply": apply(open),
    "pool.burst": burst(open),
    "pool.bytes": bytes(open),
    "pool.fib": fib(open),
    "pool.grow": grow(open),
  };
});
