/** workerpool, with processes. */

import { fileURLToPath } from "node:url";
import { common, memory, type Open, recover } from "./pool.ts";
import { serve } from "./serve.ts";

const specifier: string = "npm:workerpool@10.0.3";

interface Workerpool {
  readonly pool: (script: string, options: unknown) => {
    readonly exec: (name: string, args: ReadonlyArray<unknown>) => PromiseLike<unknown>;
    readonly terminate: () => PromiseLike<unknown>;
  };
}

await serve(specifier, async () => {
  const { pool: make } = await import(specifier) as Workerpool;
  const script = fileURLToPath(import.meta.resolve("./workerpool_worker.ts"));
  const open: Open = (size, least = size) => {
    const pool = make(script, { workerType: "process", minWorkers: least, maxWorkers: size });
    return Promise.resolve({ run: (name, value) => pool.exec(name, [value]), end: () => pool.terminate() });
  };
  return {
    ...common(open),
    "pool.recover": recover(open),
    "pool.memory": memory(open),
  };
});
