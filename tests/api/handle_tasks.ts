/** Tasks that receive handles of processes. */
import * as Effect from "effect/Effect";
import type * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { wait } from "../../src/Wait.ts";
import * as Tasks from "../support/lifetime_tasks.ts";

export const joins = Task.make(import.meta, "joins", (handle: Process.Handle<number, string>) => handle.join);

export const outcomeOf = Task.make(
  import.meta,
  "outcomeOf",
  (handle: Process.Handle<number>) => Effect.map(handle.exit, ({ _tag }) => _tag),
);

export const inspect = Task.make(import.meta, "inspect", (handle: Process.Handle<unknown>) =>
  Effect.gen(function* () {
    const { daemon, host, name, pid } = handle;
    return { daemon, host, name, pid, alive: yield* handle.isAlive, polled: (yield* handle.poll)._tag };
  }));

export const ends = Task.make(
  import.meta,
  "ends",
  (handle: Process.Handle<unknown>, how: "terminate" | "kill" | "interrupt") =>
    Effect.zipRight(handle[how], handle.exitCode),
);

export const signals = Task.make(
  import.meta,
  "signals",
  (handle: Process.Handle<unknown>) => Effect.zipRight(handle.signal("SIGUSR2"), handle.status),
);

/** Starts a process, sends its handle away, and keeps the process until it is told to end. */
export const lends = Task.make(
  import.meta,
  "lends",
  (back: Queue.Queue<Process.Handle<unknown>>, end: Queue.Queue<unknown>) =>
    Effect.scoped(Effect.gen(function* () {
      const child = yield* Process.spawnWith(Tasks.linger, [], { name: "lent", daemon: true });
      yield* back.put(child.handle);
      yield* end.get;
    })),
);

export const useTwice = Task.make(
  import.meta,
  "useTwice",
  (handle: Process.Handle<unknown>, told: Queue.Queue<string>) =>
    Effect.gen(function* () {
      yield* told.put(yield* Effect.match(handle.isAlive, { onFailure: ({ _tag }) => _tag, onSuccess: String }));
    }),
);

/** Waits for both processes, and reports which were ready. */
export const waits = Task.make(
  import.meta,
  "waits",
  (first: Queue.Queue<number>, second: Queue.Queue<number>, child: Process.Handle<unknown>, begun: Queue.Queue<null>) =>
    Effect.gen(function* () {
      yield* begun.put(null);
      const all = [first, second, child];
      return (yield* wait(all)).map((ready) => all.indexOf(ready));
    }),
);

/** A handle of each kind, nested in a value. */
export interface All {
  readonly of: ReadonlyMap<string, {
    readonly queue: Queue.Queue<string>;
    readonly connection: Pipe.Connection<string>;
    readonly child: Process.Handle<number>;
  }>;
}

/** Uses all handles. */
const useAll = ({ of }: All): Effect.Effect<All, unknown> =>
  Effect.gen(function* () {
    const { child, connection, queue } = of.get("deep")!;
    yield* queue.put(`${yield* connection.recv} ${child.name} ${yield* child.isAlive}`);
    yield* connection.send("received");
    return { of };
  });

export const usesAll = Task.make(import.meta, "usesAll", useAll);

/** Passes the handles from a queue to a process, and into a pipe. */
export const passesAll = Task.make(
  import.meta,
  "passesAll",
  (queue: Queue.Queue<All>, connection: Pipe.Connection<never, All>) =>
    Effect.gen(function* () {
      yield* connection.send(yield* Process.run(usesAll, yield* queue.get));
    }),
);

/** Waits for one object of each kind, and reports which were ready. */
export const waitsForAll = Task.make(
  import.meta,
  "waitsForAll",
  (queue: Queue.Queue<unknown>, connection: Pipe.Connection<string>, child: Process.Handle<unknown>) =>
    Effect.gen(function* () {
      const all = [queue, connection, child];
      yield* connection.send("begun");
      const told: Array<ReadonlyArray<number>> = [(yield* wait(all, { timeout: 0 })).map((one) => all.indexOf(one))];
      // A wait takes nothing, so the object is ready again.
      for (const _ of [1, 2]) told.push((yield* wait(all)).map((one) => all.indexOf(one)));
      yield* connection.recv;
      yield* connection.send("more");
      yield* queue.get;
      told.push((yield* wait(all)).map((one) => all.indexOf(one)));
      return told;
    }),
);
