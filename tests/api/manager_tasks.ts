/** Types and tasks of the tests of managers. */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import type * as Barrier from "../../src/Barrier.ts";
import type * as Condition from "../../src/Condition.ts";
import type * as Event from "../../src/Event.ts";
import type * as Lock from "../../src/Lock.ts";
import * as Manager from "../../src/Manager.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Semaphore from "../../src/Semaphore.ts";
import type * as ShareableList from "../../src/ShareableList.ts";
import type * as SharedMemory from "../../src/SharedMemory.ts";
import * as Task from "../../src/Task.ts";

export class Maths {
  readonly #steps: Array<string> = [];

  constructor(readonly start: number = 0) {
    if (start < 0) throw new RangeError("start must not be negative");
  }

  add(x: number, y: number): number {
    return this.start + x + y;
  }

  mul(x: number, y: number): number {
    return x * y;
  }

  divide(x: number, y: number): number {
    if (y === 0) throw new RangeError("division by zero");
    return x / y;
  }

  async later(x: number): Promise<number> {
    await Promise.resolve();
    if (x < 0) throw new RangeError("too early");
    return x;
  }

  checked(x: number): Effect.Effect<number, Shortage> {
    return x > 0 ? Effect.succeed(x) : Effect.fail(new Shortage(x));
  }

  *upTo(n: number): Generator<number> {
    for (let i = 0; i < n; i++) yield i;
  }

  async *slowly(n: number): AsyncGenerator<number> {
    for (let i = 0; i < n; i++) {
      await Promise.resolve();
      yield i;
    }
    if (n === 13) throw new RangeError("unlucky");
  }

  forever(): Stream.Stream<number> {
    return Stream.iterate(0, (n) => n + 1);
  }

  step(name: string): Maths {
    this.#steps.push(name);
    return this;
  }

  child(start: number): Maths {
    return new Maths(start);
  }

  hangs(told: Queue.Queue<string>): Effect.Effect<never> {
    return Effect.onInterrupt(
      Effect.zipRight(told.put("begun"), Effect.never),
      () => Effect.ignore(told.put("interrupted")),
    ) as Effect.Effect<never>;
  }

  closure(): () => void {
    return () => {};
  }

  exits(): void {
    Deno.exit(3);
  }

  _secret(): string {
    return "secret";
  }
}

export class Shortage extends Error {
  readonly _tag = "Shortage";
  constructor(readonly missing: number) {
    super(`${missing} missing`);
  }
}

export const child = Manager.type(import.meta, "Child", Maths, { exposed: ["add", "_secret"] });

export const maths = Manager.type(import.meta, "Maths", Maths, {
  streams: ["upTo", "slowly", "forever"],
  returns: { child },
});

export const disposed = Manager.type(import.meta, "Disposed", (told: Queue.Queue<string>) =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Effect.ignore(told.put("scope")));
    return {
      ping: () => "pong",
      [Symbol.asyncDispose]: () => Effect.runPromise(Effect.ignore(told.put("dispose"))),
    };
  }));

/** Receives the proxy of a managed class, whose type is named after the class. */
export const sum = Task.make(
  import.meta,
  "sum",
  (proxy: Manager.ProxyOf<typeof maths>, x: number, y: number) => proxy.add(x, y),
);

/** Calls a proxy that it receives. */
export const caller = Manager.type(import.meta, "Caller", () => ({
  size: (dict: Manager.Dict<unknown, unknown>) => dict.size,
}));

export const increment = Task.make(import.meta, "increment", (n: number | undefined, by: number) => (n ?? 0) + by);

export interface Shelf {
  readonly apples: number;
  readonly boxes: Array<string>;
}

export const pack = Task.make(import.meta, "pack", (shelf: Shelf | undefined, box: string): Shelf => {
  const { apples, boxes } = shelf ?? { apples: 0, boxes: [] };
  boxes.push(box);
  return { apples: apples + 1, boxes };
});

export const spoil = Task.make(import.meta, "spoil", (shelf: Shelf | undefined): Shelf => {
  shelf?.boxes.push("spoilt");
  throw new RangeError("spoilt");
});

/** A change that reports its begin, and ends when it is allowed to. */
export const slowly = Task.make(
  import.meta,
  "slowly",
  (n: number | undefined, begun: Queue.Queue<string>, go: Queue.Queue<number>) =>
    Effect.zipRight(begun.put("begun"), Effect.map(go.get, (by) => (n ?? 0) + by)),
);

export const fillDict = Task.make(
  import.meta,
  "fillDict",
  (dict: Manager.Dict<string, number>, list: Manager.List<number>, n: number) =>
    Effect.gen(function* () {
      yield* dict.set(`child ${n}`, n);
      yield* list.push(n);
      yield* dict.modify("sum", increment, n);
    }),
);

export const lengthOf = Task.make(import.meta, "lengthOf", (list: Manager.List<unknown>) => list.length);

/** Acquires the lock, reports so, and holds it until the process ends. */
export const holds = Task.make(
  import.meta,
  "holds",
  (lock: Lock.Lock | Semaphore.Semaphore, told: Queue.Queue<string>) => {
    const take: Effect.Effect<unknown, unknown> = Semaphore.isSemaphore(lock) ? lock.take() : lock.take;
    return Effect.zipRight(take, Effect.zipRight(told.put("held"), Effect.never));
  },
);

/** Makes a dict, sends it away, and ends when it is told to. */
export const lends = Task.make(
  import.meta,
  "lends",
  (manager: Manager.Manager, back: Queue.Queue<Manager.Dict<string, number>>, end: Queue.Queue<unknown>) =>
    Effect.scoped(Effect.gen(function* () {
      const dict = yield* manager.dict([["lent", 1]]);
      yield* back.put(dict);
      yield* end.get;
    })),
);

/** Retains an object, and waits for ever. */
export const retains = Task.make(
  import.meta,
  "retains",
  (proxy: Manager.Proxy, told: Queue.Queue<string>) =>
    Effect.scoped(Effect.zipRight(Manager.retain(proxy), Effect.zipRight(told.put("retained"), Effect.never))),
);

/** Adds under a lock with a separate read and write, which would lose additions without the lock. */
export const addsLocked = Task.make(
  import.meta,
  "addsLocked",
  (lock: Lock.Lock, value: Manager.Value<number>, times: number) =>
    Effect.repeatN(
      lock.withLock(Effect.flatMap(value.get, (n) => value.set(n + 1))),
      times - 1,
    ),
);

export const arrives = Task.make(
  import.meta,
  "arrives",
  (barrier: Barrier.Barrier, told: Queue.Queue<string>) => Effect.zipRight(told.put("here"), barrier.wait),
);

export const waitsFor = Task.make(
  import.meta,
  "waitsFor",
  (condition: Condition.Condition, told: Queue.Queue<string>) =>
    condition.withLock(Effect.zipRight(told.put("waits"), condition.wait)),
);

export const square = Task.make(import.meta, "square", (n: number) => n * n);
export const countTo = Task.make(import.meta, "countTo", (n: number) => Stream.range(1, n));

export const byDigits = Task.make(import.meta, "byDigits", (items: Array<number>) => items.toSorted());
export const doubled = Task.make(import.meta, "doubled", (numbers: Float64Array) => numbers.map((n) => 2 * n));
export const fails = Task.make(import.meta, "fails", (): void => {
  throw new RangeError("it fails");
});
export const rejects = Task.make(import.meta, "rejects", () => Promise.reject(new RangeError("it rejects")));
export const failsTyped = Task.make(import.meta, "failsTyped", () => Effect.fail({ _tag: "Shortage" }));
export const dies = Task.make(import.meta, "dies", () => Effect.die(new RangeError("it dies")));
export const throwsFunction = Task.make(import.meta, "throwsFunction", (): void => {
  throw () => {};
});
export const exits = Task.make(import.meta, "exits", (): void => Deno.exit(4));
export const tells = Task.make(import.meta, "tells", (told: Queue.Queue<string>) => told.put("told"));
export const withSchema = Task.make(import.meta, "withSchema", (n: number | undefined) => n ?? 0, {
  success: Schema.Number,
});

/** Reports that it waits, and returns how the wait ended. */
export const told = Task.make(
  import.meta,
  "told",
  (event: Event.Event, told: Queue.Queue<string>) =>
    Effect.zipRight(
      told.put("waits"),
      Effect.match(event.wait, { onFailure: ({ _tag }) => _tag, onSuccess: () => "" }),
    ),
);

/** Uses an object that a method of a proxy keeps at the server, without the type of the object. */
export const grandchild = Task.make(
  import.meta,
  "grandchild",
  (proxy: Manager.Proxy) =>
    Effect.scoped(Effect.gen(function* () {
      const maths = proxy as unknown as {
        child(
          start: number,
        ): Manager.Making<{ add(x: number, y: number): Effect.Effect<number, Manager.ManagerFailure> }>;
      };
      const child = yield* maths.child(5);
      return yield* child.add(1, 2);
    })),
);

export const passesOn = Task.make(
  import.meta,
  "passesOn",
  (list: Manager.List<unknown>) => Process.run(lengthOf, list),
);

/** Starts a manager, reports the pid of its process, and waits for ever. */
export const starts = Task.make(
  import.meta,
  "starts",
  (pids: Queue.Queue<number>) =>
    Effect.scoped(Effect.gen(function* () {
      const manager = yield* Manager.make();
      yield* pids.put(manager.process.pid);
      yield* Effect.never;
    })),
);

/** Uses a dict of any program, and a queue that it finds in it. */
export const sizeOf = Task.make(
  import.meta,
  "sizeOf",
  (dict: Manager.Dict<string, unknown>) =>
    Effect.gen(function* () {
      const jobs = (yield* dict.get("jobs")) as Queue.Queue<number>;
      yield* jobs.put(77);
      return [yield* dict.size, yield* jobs.get];
    }),
);

/** Takes items out, one after the other, and reports each. */
export const pops = Task.make(
  import.meta,
  "pops",
  (list: Manager.List<number>, told: Queue.Queue<number>) =>
    Effect.repeat(
      Effect.flatMap(list.pop(), (item) => item === undefined ? Effect.never : told.put(item)),
      { until: () => false },
    ),
);

/** Doubles a byte of the memory, and reports so in the list. */
export const doubles = Task.make(
  import.meta,
  "doubles",
  (memory: SharedMemory.SharedMemory, list: ShareableList.ShareableList<number | string | null>) =>
    Effect.gen(function* () {
      const bytes = memory.bytes;
      bytes[7] *= 2;
      yield* list.set(0, "done");
      return bytes[7];
    }),
);

/** The reason why memory cannot be attached; `undefined` if it can. */
export const attaches = Task.make(
  import.meta,
  "attaches",
  (memory: SharedMemory.SharedMemory) =>
    Effect.match(memory.attached, { onFailure: ({ reason }) => reason, onSuccess: () => undefined }),
);
