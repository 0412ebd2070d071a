/** A namespace that several processes share: `deno task example:manager_namespace`. */
import { Manager, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

interface Settings {
  readonly colour: string;
  readonly limits: { readonly users: number };
}

/** Changes a nested value: receives a copy, and returns the new value. */
const raise = Task.make(import.meta, "raise", (limits: Settings["limits"], by: number) => ({
  users: limits.users + by,
}));

const change = Task.make(import.meta, "change", (settings: Manager.Namespace<Settings>) =>
  Effect.gen(function* () {
    yield* settings.set("colour", "blue");
    yield* settings.modify("limits", raise, 5);
  }));

const program = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const settings = yield* manager.namespace<Settings>({ colour: "red", limits: { users: 10 } });
  yield* Process.run(change, settings);

  const { colour, limits } = yield* settings.toObject;
  yield* Console.log(`colour: ${colour}, users: ${limits.users}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
