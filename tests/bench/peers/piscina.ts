/** piscina, on threads. */

import { common, type Open } from "./pool.ts";
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
  return common(open);
});
