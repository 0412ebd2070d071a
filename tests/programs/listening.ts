/** Listens without an address, and connects to the resulting address. */
import * as Effect from "effect/Effect";
import * as Client from "../../src/Client.ts";
import * as Listener from "../../src/Listener.ts";
import * as Manager from "../../src/Manager.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";

const program = Effect.gen(function* () {
  const { accept, address } = yield* Listener.make<string, string>();
  const [theirs, ours] = yield* Effect.all([accept, Client.connect<string, string>({ address })], { concurrency: 2 });
  yield* ours.send("hello");
  console.log(yield* theirs.recv);
  const served = yield* Manager.serve({ authKey: new Uint8Array(32) });
  const manager = yield* Manager.connect({ address: served.address, authKey: new Uint8Array(32) });
  console.log((yield* manager.statistics).objects);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
