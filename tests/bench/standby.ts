/**
 * Prints the milliseconds from the request to the end of a standby child. It is a program of its own, because a standby child has loaded the
 * modules of all tasks, and those of other rows load Effect.
 */

import * as Effect from "effect/Effect";
import { Backend } from "../../src/Backend.ts";
import * as Process from "../../src/Process.ts";
import { warm } from "./harness.ts";
import { pid } from "./tasks.ts";
import { type Warm, withWarm } from "./warm.ts";

const takeOver = ({ backend, spare }: Warm): Promise<number> =>
  Effect.runPromise(Effect.gen(function* () {
    const ready = yield* spare;
    const start = performance.now();
    const used = yield* Effect.provideService(Process.run(pid), Backend, backend);
    const taken = performance.now() - start;
    return used === ready ? taken : yield* Effect.dieMessage("Cannot measure: the child was a cold one");
  }));

console.log(await withWarm((standby) => warm(() => takeOver(standby))));
