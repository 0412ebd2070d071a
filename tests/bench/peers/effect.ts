/**
 * The worker pool of `@effect/platform` 0.97, over Web Workers. Without `pool.burst`: it does not finish 20 000 tasks
 * in 24 seconds.
 */

import { apply, type Open, start } from "./pool.ts";
import { serve } from "./serve.ts";

const effect: string = "npm:effect@3.22.4";
const platform: string = "npm:@effect/platform@0.97.2";
const browser: string = "npm:@effect/platform-browser@0.77.1";

await serve(platform, async () => {
  const { Effect, Exit, Scope } = await import(effect);
  const { Worker: Platform } = await import(platform);
  const { BrowserWorker } = await import(browser);
  const open: Open = async (size) => {
    const workers: Array<Worker> = [];
    const layer = BrowserWorker.layer(() => {
      const worker = new Worker(new URL("effect_worker.ts", import.meta.url), { type: "module" });
      workers.push(worker);
      return worker;
    });
    const scope = Effect.runSync(Scope.make());
    const pool = await Effect.runPromise(
      Platform.makePool({ size }).pipe(Scope.extend(scope), Effect.provide(layer)),
    );
    return {
      run: (name, n) => Effect.runPromise(pool.executeEffect([name, n])),
      end: async () => {
        await Effect.runPromise(Scope.close(scope, Exit.void));
        // This only requests their end.
        for (const worker of workers) worker.terminate();
      },
    };
  };
  return { "process.start.cold": start(open), "pool.apply": apply(open) };
});
