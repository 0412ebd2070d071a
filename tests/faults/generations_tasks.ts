/** Tasks that start processes in every way that is open to a task. */
import * as Effect from "effect/Effect";
import * as ManagedRuntime from "effect/ManagedRuntime";
import * as Runtime from "effect/Runtime";
import type * as Backend from "../../src/Backend.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { add } from "../api/values_tasks.ts";

const own = (name: string) => name === "worker" ? WorkerBackend.layer() : SubprocessBackend.layer();

/** Made when the module is loaded, and built at its first use. */
const runtimes = {
  subprocess: ManagedRuntime.make(SubprocessBackend.layer()),
  worker: ManagedRuntime.make(WorkerBackend.layer()),
};

/** Starts when the module is loaded, and continues while tasks run. */
Effect.runFork(Effect.forever(Effect.sleep("1 millis")));

export const byEffect = Task.make(import.meta, "byEffect", (_: string) => Process.run(add, 1, 2));
/** Starts the process in a later turn of the event loop, as some of the following tasks do. */
export const byOwnLayer = Task.make(
  import.meta,
  "byOwnLayer",
  (name: string) => Effect.provide(Effect.zipRight(Effect.sleep(0), Process.run(add, 1, 2)), own(name)),
);
export const byPlain = Task.make(
  import.meta,
  "byPlain",
  (name: string) => Effect.runPromise(Effect.provide(Process.run(add, 1, 2), own(name))),
);
export const byManagedRuntime = Task.make(
  import.meta,
  "byManagedRuntime",
  async (name: "subprocess" | "worker") => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const sum = await runtimes[name].runPromise(Process.run(add, 1, 2));
    await runtimes[name].dispose();
    return sum;
  },
);
/** A runtime that was captured in a task, and is used outside of its fiber. */
export const byCaptured = Task.make(
  import.meta,
  "byCaptured",
  (_: string) =>
    Effect.flatMap(
      Effect.runtime<Backend.Backend>(),
      (runtime) =>
        Effect.promise(() =>
          new Promise<number>((resolve, reject) => {
            setTimeout(() => Runtime.runPromise(runtime)(Process.run(add, 1, 2)).then(resolve, reject), 0);
          })
        ),
    ),
);
