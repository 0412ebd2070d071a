/** The rows of a client and a listener in another process, against `multiprocessing.connection`. */

import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import * as Client from "../../src/Client.ts";
import type * as Listener from "../../src/Listener.ts";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { drain, drainBytes, echo, type Family } from "./client_tasks.ts";
import { bench, perTurn, python, timed, warm } from "./harness.ts";

const MB = 1024 * 1024;

type Connection = Client.Connection<number>;

const measure = (
  family: Family,
  task: typeof echo,
  sample: (address: Listener.Address) => Promise<number>,
): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const found = yield* Queue.make<Listener.Address>();
      yield* Process.spawnWith(task, [family, found], { daemon: true });
      const address = yield* found.get;
      return yield* Effect.promise(() => sample(address));
    }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer())),
  );

const connected = (sample: (connection: Connection) => Promise<number>) => (address: Listener.Address) =>
  Effect.runPromise(Effect.scoped(
    Effect.flatMap(Client.connect<number>({ address }), (connection) => Effect.promise(() => sample(connection))),
  ));

const roundTrip = connected(({ recv, send }) =>
  perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) {
        yield* send(1);
        yield* recv;
      }
    }))
  )
);

const connecting = (address: Listener.Address): Promise<number> =>
  perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) {
        yield* Effect.scoped(Effect.gen(function* () {
          const { recv, send } = yield* Client.connect<number>({ address });
          yield* send(1);
          yield* recv;
        }));
      }
    }))
  );

const bytes = (size: number, total: number) =>
  connected(({ recv, send, sendBytes }) => {
    const value = new Uint8Array(size);
    const all = Effect.gen(function* () {
      yield* send(total / size);
      for (let left = total; left > 0; left -= size) yield* sendBytes(value);
      yield* recv;
    });
    return warm(async () => total / MB / (await timed(() => Effect.runPromise(all)) / 1000));
  });

const messages = (count: number, sendAll: (connection: Connection) => Effect.Effect<void, unknown>) =>
  connected((connection) => {
    const all = Effect.zipRight(connection.send(count), Effect.zipRight(sendAll(connection), connection.recv));
    return warm(async () => count / (await timed(() => Effect.runPromise(all)) / 1000));
  });

const COUNT = 20_000;

const oneByOne = ({ send }: Connection) =>
  Effect.gen(function* () {
    for (let i = 0; i < COUNT; i++) yield* send(i);
  });

const asStream = ({ toSink }: Connection) => Stream.run(Stream.range(1, COUNT, 1024), toSink);

for (const family of ["unix", "tcp"] as const) {
  bench({
    name: `client.rtt.${family}`,
    unit: "us",
    better: "lower",
    bound: "a write and a read of Deno's sockets on each side, each a turn of its event loop",
    run: () => measure(family, echo, roundTrip),
    peers: { python },
  });
  bench({
    name: `client.connect.${family}`,
    unit: "us",
    better: "lower",
    bound: "four HMACs and three messages there and back, one of them the user's; Deno's sockets",
    run: () => measure(family, echo, connecting),
    peers: { python },
  });
  bench({
    name: `client.throughput.${family}`,
    unit: "messages/s",
    better: "higher",
    bound: "one write for each message, which its sender waits for",
    run: () => measure(family, drain, messages(COUNT, oneByOne)),
    peers: { python },
  });
  bench({
    name: `client.throughput.stream.${family}`,
    unit: "messages/s",
    better: "higher",
    bound: "coding and decoding; the fibers of sender and receiver",
    run: () => measure(family, drain, messages(COUNT, asStream)),
    peers: { python },
  });
  for (const [name, size] of [["1MB", MB], ["16MB", 16 * MB]] as const) {
    bench({
      name: `client.bytes.${name}.${family}`,
      unit: "MB/s",
      better: "higher",
      bound: "Deno's sockets; a copy in the receiver",
      run: () => measure(family, drainBytes, bytes(size, 128 * MB)),
      peers: { python },
    });
  }
}
