/** An object of the program's own class, in a server process: `deno task example:manager_class`. */
import { Manager, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

class Maths {
  #calls = 0;

  add(x: number, y: number): number {
    this.#calls++;
    return x + y;
  }

  mul(x: number, y: number): number {
    this.#calls++;
    return x * y;
  }

  divide(x: number, y: number): number {
    if (y === 0) throw new RangeError("division by zero");
    return x / y;
  }

  calls(): number {
    return this.#calls;
  }
}

const maths = Manager.type(import.meta, "Maths", Maths);

/** Runs in a child, which needs only the type of the class. */
const addInChild = Task.make(
  import.meta,
  "addInChild",
  (proxy: Manager.ProxyOf<typeof maths>) => proxy.add(20, 22),
);

const program = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const proxy = yield* manager.create(maths);

  yield* Console.log(`add: ${yield* proxy.add(4, 3)}`);
  yield* Console.log(`mul: ${yield* proxy.mul(7, 8)}`);
  yield* Console.log(`in a child: ${yield* Process.run(addInChild, proxy)}`);
  yield* Console.log(`calls: ${yield* proxy.calls()}`);

  const error = yield* Effect.flip(proxy.divide(1, 0));
  yield* Console.log(error.message);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
