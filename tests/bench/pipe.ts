/** The rows of a pipe between this process and a child, on either backend, against `multiprocessing.Pipe`. */

import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import type { Backend } from "../../src/Backend.ts";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import type { Task } from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, perTurn, pythonRow, timed, warm } from "./harness.ts";
import * as Queue from "../../src/Queue.ts";
import { drainBytes, drainBytesInto, reply, turns } from "./pipe_tasks.ts";

const MB = 1024 * 1024;

type Connection = Pipe.Connection<number>;

const measure = (
  backend: Layer.Layer<Backend>,
  task: Task<[Connection], never, unknown>,
  sample: (connection: Connection) => Promise<number>,
): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const [ours, theirs] = yield* Pipe.make<number>();
      yield* Process.spawnWith(task, [theirs], { daemon: true });
      return yield* Effect.promise(() => sample(ours));
    }).pipe(Effect.scoped, Effect.provide(backend)),
  );

const roundTrip = ({ recv, send }: Connection): Promise<number> =>
  perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) {
        yield* send(1);
        yield* recv;
      }
    }))
  );

/** The first messages of a new child, which compiles its code meanwhile. */
const FIRST = 1000;

const firstRoundTrips = async ({ recv, send }: Connection): Promise<number> => {
  const turn = Effect.zipRight(send(1), recv);
  await Effect.runPromise(turn);
  return await timed(() => Effect.runPromise(Effect.replicateEffect(turn, FIRST, { discard: true }))) / FIRST * 1000;
};

/** From child to child and back. */
const siblings = (backend: Layer.Layer<Backend>): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const [orders, done] = yield* Effect.replicateEffect(Queue.make<number>(), 2);
      const made = yield* Queue.make<Connection>();
      yield* Process.spawnWith(turns, [orders, made, done], { daemon: true });
      yield* Process.spawnWith(reply, [yield* made.get], { daemon: true });
      // Repeats until the children have compiled their code. This process compiled its own long before.
      yield* Effect.zipRight(orders.put(10_000), done.get);
      return yield* Effect.promise(() =>
        perTurn((calls) => Effect.runPromise(Effect.zipRight(orders.put(calls), done.get)))
      );
    }).pipe(Effect.scoped, Effect.provide(backend)),
  );

const bytes = (size: number, total: number) => ({ recv, send, sendBytes }: Connection): Promise<number> => {
  const value = new Uint8Array(size);
  const all = Effect.gen(function* () {
    yield* send(total / size);
    for (let left = total; left > 0; left -= size) yield* sendBytes(value);
    yield* recv;
  });
  return warm(async () => total / MB / (await timed(() => Effect.runPromise(all)) / 1000));
};

const rows = (suffix: string, backend: Layer.Layer<Backend>, bounds: Readonly<Record<string, string>>): void => {
  bench({
    name: `pipe.rtt${suffix}`,
    unit: "us",
    better: "lower",
    bound: bounds["rtt"],
    run: () => measure(backend, reply, roundTrip),
    peers: { python: pythonRow("pipe.rtt") },
  });
  bench({
    name: `pipe.rtt.first${suffix}`,
    unit: "us",
    better: "lower",
    bound: "compiling, two thirds: V8 optimises a function after some thousand calls",
    run: () => measure(backend, reply, firstRoundTrips),
    peers: { python: pythonRow("pipe.rtt") },
  });
  bench({
    name: `pipe.siblings${suffix}`,
    unit: "us",
    better: "lower",
    bound: bounds["siblings"],
    run: () => siblings(backend),
    peers: { python: pythonRow("pipe.rtt") },
  });
  for (const [name, size] of [["1MB", MB], ["16MB", 16 * MB]] as const) {
    for (const [kind, task] of [["bytes", drainBytes], ["bytes.into", drainBytesInto]] as const) {
      bench({
        name: `pipe.${kind}.${name}${suffix}`,
        unit: "MB/s",
        better: "higher",
        bound: bounds[kind],
        run: () => measure(backend, task, bytes(size, 128 * MB)),
        peers: { python: pythonRow(`pipe.${kind}.${name}`) },
      });
    }
  }
};

rows("", SubprocessBackend.layer(), {
  rtt: "waiting for each other, two thirds; a message each way",
  siblings: "as pipe.rtt, and an answer to each send",
  bytes:
    "three copies, the last into fresh memory: what the pipe keeps, into the socket, out of it; collecting garbage",
  "bytes.into": "four copies: what the pipe keeps, into the socket, out of it, and into the memory of the user",
});

rows(".worker", WorkerBackend.layer(), {
  rtt: "waiting for each other; a message each way",
  siblings: "as pipe.rtt, and an answer to each send",
});
