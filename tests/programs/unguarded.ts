/** A program that does not check whether it is the main program. */
import * as Effect from "effect/Effect";
import * as Pool from "../../src/Pool.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";

const echo = Task.make(import.meta, "echo", (n: number) => n);

console.log("loaded");
const layer = Deno.args[0] === "worker" ? WorkerBackend.layer() : SubprocessBackend.layer();
const program = Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.map(echo, [1, 2, 3], { chunkSize: 1 }));
runMain(Effect.provide(Effect.scoped(program), layer));
