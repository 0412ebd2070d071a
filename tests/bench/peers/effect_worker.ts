import * as tasks from "./tasks.ts";

const effect: string = "npm:effect@3.22.4";
const platform: string = "npm:@effect/platform@0.97.2";
const browser: string = "npm:@effect/platform-browser@0.77.1";

const { Effect, Layer } = await import(effect);
const { WorkerRunner } = await import(platform);
const { BrowserWorkerRunner } = await import(browser);

const run = ([name, n]: readonly [name: "nothing" | "increment", n: number]): unknown =>
  Effect.sync(() => tasks[name](n));

Effect.runFork(WorkerRunner.launch(Layer.provide(WorkerRunner.layer(run), BrowserWorkerRunner.layer)));
