/** comlink: always one worker, because it has no pool. */

import { apply, burst, bytes, type Open, start } from "./pool.ts";
import { serve } from "./serve.ts";

const specifier: string = "npm:comlink@4.4.2";

type Remote = Readonly<Record<string, (value?: unknown) => Promise<unknown>>>;

await serve(specifier, async () => {
  const { wrap } = await import(specifier) as { wrap: (worker: Worker) => Remote };
  const open: Open = () => {
    const worker = new Worker(new URL("comlink_worker.ts", import.meta.url), { type: "module" });
    const remote = wrap(worker);
    return Promise.resolve({ run: (name, value) => remote[name](value), end: () => worker.terminate() });
  };
  return {
    "process.start.cold": start(open),
    "pool.apply": apply(open),
    "pool.burst": burst(open),
    "pool.bytes": bytes(open),
  };
});
