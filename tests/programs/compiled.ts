/** Starts a process as in a program that `deno compile` has made, and prints why that fails. */
import * as Effect from "effect/Effect";
import { Process, SubprocessBackend, Task } from "../../mod.ts";

const nothing = Task.make(import.meta, "nothing", () => {});

Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });

if (import.meta.main) {
  const error = await Process.run(nothing).pipe(
    Effect.provide(SubprocessBackend.layer()),
    Effect.flip,
    Effect.runPromise,
  );
  console.log(error._tag === "SpawnError" && error.reason, error.message);
}
