/** The guarantees of managers to other programs. */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Manager, Process, Queue, SubprocessBackend } from "../../mod.ts";
import { Link } from "../../src/internal/rpc/link.ts";
import * as P from "../../src/internal/manager/protocol.ts";
import { pack } from "../../src/internal/objects/packets.ts";
import { ITEMS, PUT, WANT } from "../../src/internal/queue/protocol.ts";
import { call } from "../../src/internal/rpc/router.ts";
import { dial } from "../../src/internal/network/dial.ts";
import { CALLS } from "../../src/internal/network/handshake.ts";
import * as Codec from "../../src/internal/codec/codec.ts";
import { hooks } from "../../src/internal/objects/handles.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import * as Remote from "./manager_remote_tasks.ts";
import * as Tasks from "./manager_tasks.ts";
import { random, rounds, seed } from "../support/chance.ts";
import { test, warmUp, when } from "../support/suite.ts";

const layer = SubprocessBackend.layer();
const authKey = crypto.getRandomValues(new Uint8Array(32));
const anywhere = { hostname: "127.0.0.1", port: 0 };

const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
  test(`Manager of another program: ${title}`, Effect.provide(program, layer));

const failure = <A, R>(program: Effect.Effect<A, unknown, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    const { _tag, executed, reason } = error as { _tag?: string; reason?: string; executed?: string };
    return [_tag, _tag === "EncodeError" || _tag === "DecodeError" ? undefined : reason, executed].filter((word) =>
      word !== undefined
    ).join(" ");
  });

/** A manager that is served, and a manager that is connected to it. */
const both = (options: Manager.ServeOptions = {}) =>
  Effect.gen(function* () {
    const served = yield* Manager.serve({ address: anywhere, authKey, ...options });
    const remote = yield* Manager.connect({ address: served.address, authKey });
    return { remote, served };
  });

await warmUp(Effect.provide(Process.run(Tasks.square, 2), layer));

check(
  "what is published is found: queues, dicts, and itself in a dict",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    const [jobs, results] = [yield* served.queue<number>({ capacity: 2 }), yield* served.dict<string, unknown>()];
    yield* served.publish("jobs", jobs);
    yield* served.publish("results", results);
    assertEquals(yield* remote.find("nothing"), undefined);
    const queue = (yield* remote.find<Queue.Queue<number>>("jobs"))!;
    yield* queue.put(1);
    assertEquals(yield* jobs.size, 1);
    assertEquals(yield* queue.tryPut(2), true);
    assertEquals([yield* queue.tryPut(3), yield* queue.isFull, queue.capacity], [false, true, 2]);
    const waiting = yield* Effect.fork(queue.put(3));
    yield* when(jobs.statistics, ({ putters }) => putters === 1);
    assertEquals([yield* jobs.get, yield* queue.get], [1, 2]);
    yield* Fiber.join(waiting);
    const taking = yield* Effect.fork(Stream.runCollect(queue.toStream));
    yield* jobs.put(4);
    yield* jobs.close;
    assertEquals(Chunk.toReadonlyArray(yield* Fiber.join(taking)), [3, 4]);
    const dict = (yield* remote.find<Manager.Dict<string, unknown>>("results"))!;
    yield* dict.update([["self", dict], ["jobs", queue], ["deep", { a: [1] }]]);
    const self = (yield* dict.get("self")) as typeof dict;
    assertEquals([yield* self.size, yield* results.get("deep")], [3, { a: [1] }]);
    assertEquals(yield* ((yield* results.get("jobs")) as typeof jobs).size, 0);
    yield* served.publish("jobs", undefined);
    assertEquals(yield* remote.find("jobs"), undefined);
    assertEquals(yield* failure(remote.publish("jobs", dict)), "ManagerError NotExposed");
  }),
);

check(
  "types and tasks that were named can be used, by programs that know them by other URLs as well, and no others",
  Effect.gen(function* () {
    const { remote } = yield* both({ types: [Tasks.maths], tasks: [Tasks.increment] });
    const elsewhere = { url: "https://elsewhere.example/maths.ts" };
    for (const type of [Tasks.maths, { ...Tasks.maths, ...elsewhere }]) {
      const maths = yield* remote.create(type, 1);
      assertEquals([yield* maths.add(3, 4), yield* maths.mul(7, 8)], [8, 56]);
      assertEquals(yield* failure(maths.divide(1, 0)), "RemoteError");
      assertEquals(Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(maths.forever(), 3))), [0, 1, 2]);
      assertEquals(yield* (yield* maths.child(5)).add(1, 1), 7);
    }
    const value = yield* remote.value(1);
    assertEquals(yield* value.modify({ ...Tasks.increment, ...elsewhere }, 2), 3);
    assertEquals(yield* failure(value.modify({ ...Tasks.slowly } as never)), "ManagerError UnknownTask");
    assertEquals(yield* failure(remote.create(Tasks.disposed, {} as never)), "ManagerError UnknownType");
    assertEquals(yield* failure(remote.pool()), "ManagerError NotExposed");
  }),
);

check(
  "its objects can be used by processes of this family, through the one that is connected",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    yield* served.publish("jobs", yield* served.queue<number>());
    assertEquals(yield* Process.run(Remote.uses, remote), [2, 1, 2, 1]);
    const list = yield* remote.list<unknown>([1, 2, 3]);
    assertEquals(yield* Process.run(Tasks.passesOn, list), 3);
    yield* when(served.statistics, ({ objects }) => objects === 2);
  }),
);

check(
  "nothing of either family but the manager's objects crosses",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    const own = yield* Queue.make<number>();
    const list = yield* remote.list<unknown>();
    const error = yield* Effect.flip(list.push(own));
    assertStringIncludes(`${error}`, "args[0][0]: a queue cannot be sent to another program");
    const there = yield* served.list<unknown>([own]);
    yield* served.publish("there", there);
    const mirrored = (yield* remote.find<Manager.List<unknown>>("there"))!;
    assertEquals([yield* mirrored.length, yield* failure(mirrored.toArray)], [1, "EncodeError"]);
    const jobs = yield* served.queue<unknown>();
    yield* served.publish("jobs", jobs);
    const queue = (yield* remote.find<Queue.Queue<unknown>>("jobs"))!;
    assertEquals(yield* failure(queue.put(list)), "EncodeError");
    yield* queue.put({ plain: 1 });
    assertEquals(yield* jobs.get, { plain: 1 });
    yield* jobs.put(own);
    assertEquals(yield* failure(queue.get), "DecodeError");
  }),
);

check(
  "without the key, or with nobody there, there is no connection",
  Effect.gen(function* () {
    const { served } = yield* both();
    const { address } = served;
    assertEquals(
      yield* failure(Manager.connect({ address, authKey: new Uint8Array([1]) })),
      "AuthenticationError WrongKey",
    );
    assertEquals(yield* failure(Manager.connect({ address, authKey: false })), "AuthenticationError KeyMissing");
    assertEquals(yield* failure(Manager.connect({ address, authKey: new Uint8Array() })), "ConnectError InvalidOption");
    assertEquals(yield* failure(Manager.serve({ address, authKey })), "ListenError AddressInUse");
    assertEquals(yield* failure(Manager.serve({ maxConnections: 0 })), "ListenError InvalidOption");
    assertEquals(yield* failure(Manager.connect({ address, maxMessageSize: -1 })), "ConnectError InvalidOption");
    const free = yield* Effect.scoped(
      Effect.map(Manager.serve({ address: anywhere, authKey }), ({ address }) => address),
    );
    assertEquals(yield* failure(Manager.connect({ address: free, authKey })), "ConnectError Refused");
  }),
);

check(
  "a program that is killed gives back its locks, and what it made is freed",
  Effect.gen(function* () {
    const told = yield* Queue.make<string>();
    const served = yield* Manager.serve({ authKey });
    const lock = yield* served.lock;
    yield* served.publish("lock", lock);
    const child = yield* Process.spawnWith(Remote.holds, [served.address, authKey, told], { daemon: true });
    yield* told.get;
    assertEquals([yield* lock.isLocked, (yield* served.statistics).types], [true, { Lock: 1, dict: 1 }]);
    const waiting = yield* Effect.fork(lock.take);
    yield* when(lock.statistics, ({ waiting }) => waiting === 1);
    yield* child.kill;
    yield* Fiber.join(waiting);
    yield* when(served.statistics, ({ objects }) => objects === 1);
  }),
);

check(
  "when the connection breaks, calls under way say that they may have been done, and the next one connects again",
  Effect.gen(function* () {
    const told = yield* Queue.make<string>();
    // A port that was free a moment ago.
    const address = yield* Effect.scoped(
      Effect.map(Manager.serve({ address: anywhere, authKey }), (own) => own.address),
    );
    const serve = Process.spawnWith(Remote.serves, [address, authKey, told], { daemon: true });
    const first = yield* serve;
    yield* told.get;
    const manager = yield* Manager.connect({ address, authKey });
    const value = (yield* manager.find<Manager.Value<number>>("value"))!;
    assertEquals(yield* value.add(1), 2);
    const event = yield* manager.event;
    const waiting = yield* Effect.fork(failure(event.wait));
    yield* when(event.statistics, ({ waiting }) => waiting === 1);
    yield* first.kill;
    assertEquals(yield* Fiber.join(waiting), "Unreachable");
    assertEquals(yield* failure(value.get), "Disconnected no");
    const second = yield* serve;
    yield* told.get;
    const again = (yield* manager.find<Manager.Value<number>>("value"))!;
    assertEquals(yield* again.get, 1);
    const interrupted = yield* Effect.fork(again.watch.pipe(Stream.runDrain));
    yield* Fiber.interrupt(interrupted);
    yield* second.kill;
    const dialing = yield* Effect.fork(again.get);
    yield* Fiber.interrupt(dialing);
  }),
);

check(
  "when its scope closes, waiting callers are told, and the address is free",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const served = yield* Scope.extend(Manager.serve({ address: anywhere, authKey }), scope);
    const remote = yield* Manager.connect({ address: served.address, authKey });
    const event = yield* remote.event;
    const waiting = yield* Effect.fork(failure(event.wait));
    yield* when(event.statistics, ({ waiting }) => waiting === 1);
    yield* Scope.close(scope, Exit.void);
    const how = yield* Fiber.join(waiting);
    assert(["Unreachable", "Disconnected unknown"].includes(how), how);
    assertEquals(yield* failure(served.list()), "Unreachable");
    yield* Manager.serve({ address: served.address, authKey });
    yield* when(Effect.exit(remote.statistics), Exit.isSuccess);
  }),
);

check(
  "a forged handle is not put into a queue, and its sender is cut off",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    const jobs = yield* served.queue<unknown>();
    yield* served.publish("jobs", jobs);
    const { address, server } = remote[Manager.TypeId];
    const forged = Codec.encode(jobs, { hooks: hooks as never }).bytes;
    const ended = yield* Effect.async<number>((resume) => {
      const line = call({ address, object: server }, P.QUEUE, (writer) => {
        for (const n of [1, PUT, WANT, 1, 1, 100, 1]) writer.varint(n);
        return undefined;
      }, {
        data: () =>
          line.data((writer) => {
            writer.byte(ITEMS);
            return pack(writer, [{ bytes: forged, attachments: [] }]);
          }),
        exit: ({ bytes }) => resume(Effect.succeed(bytes[0])),
      });
    });
    assertEquals([ended, yield* jobs.size], [P.LOST, 0]);
    yield* when(jobs.statistics, ({ bytes }) => bytes === 0);
    assertEquals((yield* remote.statistics).objects, 1);
  }),
);

check(
  "a program has so many calls under way, and no more (full)",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    const event = yield* remote.event;
    const { address, server, number } = event[Manager.TypeId];
    let refused = 0;
    const lines = Array.from(
      { length: 10_010 },
      () =>
        call({ address, object: server }, P.RETAIN, (writer) => void writer.varint(number), {
          exit: ({ bytes }) => refused += bytes[0] === P.OVERLOADED ? 1 : 0,
        }),
    );
    yield* when(Effect.sync(() => refused), (n) => n >= 10);
    assertEquals(yield* failure(event.isSet), "SyncError TooMany");
    yield* served.list([1]);
    for (const line of lines) line.cancel();
    yield* when(served.statistics, ({ pending }) => pending === 2);
    assertEquals(yield* event.isSet, false);
  }),
);

check(
  "what is no call ends the connection of its sender, and harms nobody else",
  Effect.gen(function* () {
    const { remote, served } = yield* both();
    const jobs = yield* served.queue<unknown>();
    yield* served.publish("jobs", jobs);
    const dict = yield* served.dict<string, unknown>([["a", 1]]);
    const limits = { maxBytes: 1e6, maxMessageSize: 1e6 };
    const options = { address: served.address, authKey, tls: false, purpose: CALLS, limits, millis: 10_000 };
    const stranger = dial(
      options,
      ({ transport }) =>
        Effect.sync(() => ({ transport, link: new Link(transport, { side: "child", maxMessageSize: 1e6 }) })),
    );
    const forged = Codec.encode([own(dict)], { hooks: hooks as never }).bytes;
    const openings: ReadonlyArray<() => ReadonlyArray<number>> = [
      () => [P.CALL, 0, ...forged],
      () => [P.QUEUE, 1, 1, 0, 1, forged.length, 0, ...forged],
      () => [random() * 12, random() * 4, ...Array.from({ length: random() * 20 }, () => random() * 256)],
      () => [P.CREATE, ...Codec.encode(["", "dict", [[1, 2]]]).bytes],
    ];
    const strangers = rounds(10, 60);
    for (let round = 0; round < strangers; round++) {
      const { link, transport } = yield* stranger;
      for (let call = 0; call < 50 && link.closed === undefined; call++) {
        const bytes = Uint8Array.from(openings[Math.floor(random() * openings.length)]());
        const channel = link.open((writer) => void writer.bytes(bytes), { closed: () => {} });
        if (random() < 0.3) channel.data((writer) => void writer.bytes(bytes));
        if (random() < 0.3) channel.cancel();
        if (random() < 0.2) yield* Effect.sleep(0);
      }
      link.destroy();
      yield* Effect.async<void>((resume) => transport.released(() => resume(Effect.void)));
      assertEquals(yield* dict.get("a"), 1, `seed ${seed}`);
    }
    const list = yield* remote.list([1]);
    assertEquals(yield* list.length, 1);
    yield* when(served.statistics, ({ objects }) => objects === 3);
    while ((yield* jobs.size) > 0) assert((yield* Effect.exit(jobs.get))._tag === "Success", "a forged handle came");
  }),
);

/** A handle that only this family can make. */
const own = (value: object): object => value;
