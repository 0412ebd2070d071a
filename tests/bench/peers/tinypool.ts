/** tinypool, with child processes. */

import { common, memory, type Open, recover } from "./pool.ts";
import { serve } from "./serve.ts";

const specifier: string = "npm:tinypool@2.2.0";

interface Tinypool {
  readonly run: (value: unknown, options: { readonly name: string }) => Promise<unknown>;
  readonly destroy: () => Promise<void>;
}

await serve(specifier, async () => {
  const { Tinypool } = await import(specifier) as { Tinypool: new (options: unknown) => Tinypool };
  const filename = import.meta.resolve("./tasks.ts");
  const open: Open = (size, least = size) => {
    const pool = new Tinypool({ filename, runtime: "child_process", minThreads: least, maxThreads: size });
    return Promise.resolve({ run: (name, value) => pool.run(value, { name }), end: () => pool.destroy() });
  };
  return {
    ...common(open),
    "pool.recover": recover(open),
    "pool.memory": memory(open),
  };
});
