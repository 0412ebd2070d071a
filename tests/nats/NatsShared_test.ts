/** Objects that several programs share by a real server. Each connection counts as a program of its own. */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Condition, Errors, Event, Lock, Manager, Queue, Semaphore, SubprocessBackend, wait } from "../../mod.ts";
import { randomName } from "../../src/internal/nats/protocol.ts";
import { Connection } from "../../src/internal/nats/shared/connection.ts";
import { SharedDict } from "../../src/internal/nats/shared/dict.ts";
import { Records } from "../../src/internal/nats/shared/record.ts";
import { infoOf, openJetStream } from "../../src/internal/nats/streams.ts";
import * as NatsShared from "../../src/NatsShared.ts";
import { assert, assertEquals, assertGreater, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { available, durableServer, durableServerWith, type NatsServer, natsServer } from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { group, type Step, temporary, test, when } from "../support/suite.ts";
import * as Tasks from "./shared_tasks.ts";

interface Setting {
  readonly server: NatsServer;
  readonly one: NatsShared.NatsShared;
  readonly two: NatsShared.NatsShared;
}
const Setting = Context.GenericTag<Setting>("tests/nats/SharedSetting");

const join = (servers: string) => NatsShared.make({ servers, name: "tests" });

const setup = Effect.gen(function* () {
  const server = yield* durableServer;
  return Context.make(Setting, { server, one: yield* join(server.url), two: yield* join(server.url) });
});

/** Runs a program with a server and two connections. */
const shared = <A, E, R>(
  run: (setting: Setting) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Setting> => Effect.scoped(Effect.flatMap(Setting, run));

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assertInstanceOf(error, NatsShared.SyncError);
    return error.reason;
  });

/** A function that a plain use of the interface calls: it knows nothing of the carrier. */
const counting = (lock: Lock.Lock, read: () => number, write: (n: number) => void) =>
  lock.withLock(Effect.gen(function* () {
    const n = read();
    yield* Effect.yieldNow();
    write(n + 1);
  }));

const steps: ReadonlyArray<Step<Setting>> = [
  [
    "lock: one program holds it at a time; each holder has a larger fence",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.lock("basic"), yield* two.lock("basic")];
        assert(Lock.isLock(a));
        assertEquals([a.name, a.carrier, a.host, String(a)], [
          "basic",
          "messages",
          "NatsShared(tests)",
          JSON.stringify({ _id: "Lock", name: "basic", carrier: "messages" }),
        ]);
        const first = yield* a.take;
        assertEquals(first.abandoned, false);
        assertEquals([yield* a.isMine, yield* b.isMine, yield* b.isLocked, yield* b.tryTake], [
          true,
          false,
          true,
          false,
        ]);
        assertEquals(yield* b.owner, Option.some({ pid: Deno.pid, here: false }));
        assertEquals(yield* a.owner, Option.some({ pid: Deno.pid, here: true }));
        assertEquals(yield* reasonOf(b.release), "NotOwner");
        const waiting = yield* Effect.fork(b.take);
        assertEquals((yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 1)).abandoned, false);
        assertEquals((yield* b.statistics).waiting, 1);
        yield* a.release;
        const second = yield* Fiber.join(waiting);
        assertGreater(second.fence, first.fence);
        yield* b.release;
        assertEquals([yield* a.isLocked, yield* a.owner], [false, Option.none()]);
        assertEquals(yield* a.tryTake, true);
        yield* a.release;
      })
    ),
  ],
  [
    "lock: counters under it are exact, programs and fibers take turns",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.lock("counter"), yield* two.lock("counter")];
        let n = 0;
        const turns: Array<string> = [];
        const work = (lock: Lock.Lock, who: string) =>
          Effect.replicateEffect(
            counting(lock, () => n, (next) => {
              n = next;
              turns.push(who);
            }),
            10,
          );
        yield* Effect.all([work(a, "a"), work(b, "b"), work(a, "c"), work(b, "d")], { concurrency: "unbounded" });
        assertEquals(n, 40);
        // Nobody is passed over for long.
        for (const who of ["a", "b", "c", "d"]) {
          const places = turns.flatMap((turn, place) => turn === who ? [place] : []);
          assert(places.every((place, i) => i === 0 || place - places[i - 1] <= 8), `${turns}`);
        }
      })
    ),
  ],
  [
    "lock: an interrupted take holds nothing, whether it waits or not",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.lock("interrupted"), yield* two.lock("interrupted")];
        for (let round = 0; round < 20; round++) {
          const taking = yield* Effect.fork(a.take);
          for (let i = 0; i < round; i++) yield* Effect.promise(() => Promise.resolve());
          if (round % 4 === 3) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
          const exit = yield* Fiber.interrupt(taking);
          if (Exit.isSuccess(exit)) yield* a.release;
          assertEquals(yield* b.isLocked, false, `round ${round}`);
        }
        yield* b.take;
        const waiting = yield* Effect.fork(a.take);
        yield* when(b.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
        yield* Fiber.interrupt(waiting);
        yield* when(b.statistics, ({ waitingProcesses }) => waitingProcesses === 0);
        const late = yield* Effect.timeoutOption(a.take, "5 millis");
        assertEquals(late, Option.none());
        yield* b.release;
        assertEquals(yield* b.tryTake, true);
        yield* b.release;
        // A release and an interruption at once: whatever comes first, nobody holds it in the end.
        for (let round = 0; round < 10; round++) {
          yield* b.take;
          const waiting = yield* Effect.fork(a.take);
          yield* when(b.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
          const [, exit] = yield* Effect.all([b.release, Fiber.interrupt(waiting)], { concurrency: 2 });
          if (Exit.isSuccess(exit)) yield* a.release;
          yield* when(b.isLocked, (isLocked) => !isLocked);
        }
      })
    ),
  ],
  [
    "lock: acquire holds it for a scope; withLock releases it however its effect ends",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.lock("scoped"), yield* two.lock("scoped")];
        const held = yield* Effect.scoped(Effect.zipLeft(a.acquire, Effect.map(b.isLocked, (is) => assert(is))));
        assertGreater(held.fence, 0);
        assertEquals(yield* b.isLocked, false);
        assertEquals(yield* Effect.flip(a.withLock(Effect.fail("no" as const))), "no");
        assertEquals(yield* b.isLocked, false);
        yield* a.withLock(a.release);
        const started = yield* Deferred.make<void>();
        const working = yield* Effect.fork(
          a.withLock(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)),
        );
        yield* Deferred.await(started);
        yield* Fiber.interrupt(working);
        assertEquals(yield* b.isLocked, false);
        assertEquals(yield* reasonOf(a.withLock("no" as unknown as Effect.Effect<void>)), "InvalidArgument");
        assertEquals(yield* reasonOf(a.lost), "NotOwner");
      })
    ),
  ],
  [
    "lock: a program that ends well gives it back at once; its waiting fibers fail",
    shared(({ one, server }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make();
        const other = yield* Scope.extend(join(server.url), scope);
        const [a, b] = [yield* one.lock("ended"), yield* other.lock("ended")];
        yield* b.take;
        const waiting = yield* Effect.fork(Effect.flip(b.take));
        yield* when(b.statistics, (statistics) => statistics.waiting === 1);
        const next = yield* Effect.fork(a.take);
        yield* when(b.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
        yield* Scope.close(scope, Exit.void);
        assertEquals((yield* Fiber.join(waiting))._tag, "Unreachable");
        assertEquals((yield* Fiber.join(next)).abandoned, false);
        yield* a.release;
        for (const use of [b.take, b.tryTake, b.isLocked, b.release] as const) {
          assertEquals((yield* Effect.flip(use as Effect.Effect<unknown, NatsShared.SyncFailure>))._tag, "Unreachable");
        }
      })
    ),
  ],
  [
    "lock: a program has one lease for it; names and leases are checked",
    shared(({ one }) =>
      Effect.gen(function* () {
        yield* one.lock("leased", { lease: "2 seconds" });
        yield* one.lock("leased");
        for (
          const make of [
            one.lock("leased", { lease: "3 seconds" }),
            one.lock("a.b"),
            one.lock("x", { lease: 1 }),
            one.lock("x", { lease: Infinity }),
            one.semaphore("x", { permits: 0 }),
            one.event("*"),
          ]
        ) {
          const error = yield* Effect.flip(make as Effect.Effect<unknown, NatsShared.NatsError>);
          assertEquals(error.reason, "InvalidOption");
        }
      })
    ),
  ],
  [
    "semaphore: permits are shared, requests are served in order, and only taken permits can be released",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const a = yield* one.semaphore("gate", { permits: 3 });
        const b = yield* two.semaphore("gate");
        assert(Semaphore.isSemaphore(a));
        assertEquals([a.bound, b.bound], [3, 3]);
        yield* a.take(2);
        assertEquals([yield* b.available, yield* b.tryTake(2), yield* b.tryTake()], [1, false, true]);
        assertEquals(yield* a.statistics, { available: 0, held: 2, waiting: 0, waitingProcesses: 0 });
        const many = yield* Effect.fork(b.take(2));
        yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
        const one_ = yield* Effect.fork(a.take());
        yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 2);
        yield* b.release();
        // The request for two came first.
        assertEquals(yield* b.available, 1);
        assertEquals(yield* a.tryTake(), false);
        yield* a.release();
        yield* Fiber.join(many);
        assertEquals((yield* a.statistics).waiting, 1);
        yield* b.release();
        yield* Fiber.join(one_);
        assertEquals([(yield* a.statistics).held, (yield* b.statistics).held], [2, 1]);
        assertEquals(yield* reasonOf(b.release(2)), "OverRelease");
        assertEquals(yield* reasonOf(b.take(4)), "InvalidArgument");
        assertEquals(yield* reasonOf(b.take(0)), "InvalidArgument");
        yield* a.release(2);
        yield* b.release();
        assertEquals(yield* a.available, 3);
        const c = yield* two.semaphore("gate", { permits: 1 });
        assertEquals([c.bound, yield* a.available], [1, 1]);
      })
    ),
  ],
  [
    "semaphore: never more than its permits are in use, and an interrupted take holds none",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.semaphore("busy", { permits: 2 }), yield* two.semaphore("busy")];
        let used = 0;
        let most = 0;
        const use = Effect.gen(function* () {
          most = Math.max(most, ++used);
          yield* Effect.yieldNow();
          used--;
        });
        yield* Effect.forEach(
          Array.from({ length: 30 }, (_, i) => i),
          (i) => {
            const using = (i % 2 === 0 ? a : b).withPermits(use);
            return i % 5 === 0 ? Effect.asVoid(Effect.timeoutOption(using, i)) : using;
          },
          { concurrency: "unbounded" },
        );
        assertEquals(used, 0);
        assert(most <= 2, `${most}`);
        yield* when(a.available, (available) => available === 2);
      })
    ),
  ],
  [
    "event: set wakes all waiting fibers of all programs, also when it is cleared at once",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.event("ready"), yield* two.event("ready")];
        assert(Event.isEvent(a));
        assertEquals([yield* a.isSet, (yield* wait([b], { timeout: 0 })).length], [false, 0]);
        const waiting = yield* Effect.fork(
          Effect.all([a.wait, b.wait, b.wait], { concurrency: "unbounded" }),
        );
        yield* when(b.statistics, (statistics) => statistics.waiting === 2);
        yield* when(a.statistics, (statistics) => statistics.waiting === 1);
        assertEquals((yield* b.statistics).waitingProcesses, 1);
        yield* Effect.yieldNow();
        yield* a.set;
        yield* a.clear;
        yield* Fiber.join(waiting);
        assertEquals(yield* b.isSet, false);
        const ready = yield* Effect.fork(wait([b]));
        yield* when(b.statistics, (statistics) => statistics.waiting === 1);
        yield* b.set;
        yield* b.set;
        assertEquals(yield* Fiber.join(ready), [b]);
        yield* a.wait;
        assertEquals([yield* a.isSet, (yield* wait([a], { timeout: 0 })).length], [true, 1]);
        yield* a.clear;
        assertEquals(yield* Effect.timeoutOption(b.wait, "1 millis"), Option.none());
        assertEquals((yield* b.statistics).waiting, 0);
      })
    ),
  ],
];

/** What a program publishes and subscribes to, as the documentation says. */
const documented = (): string => {
  const source = Deno.readTextFileSync(new URL("../../src/NatsShared.ts", import.meta.url));
  const [publish, subscribe] = /^ \* \| program \| (.*) \| (.*) \|$/m.exec(source)!.slice(1).map((cell) =>
    JSON.stringify(
      [...cell.matchAll(/`(.*?)`/g)].map(([_, subject]) =>
        subject.replace("mp.S.", "mp.default.").replace(".N.", ".tests.")
      ),
    )
  );
  return `{ publish: ${publish}, subscribe: ${subscribe} }`;
};

/** A use of a dict that knows nothing of its carrier. */
const useDict = (dict: Manager.DictOperations<string, number>) =>
  Effect.gen(function* () {
    yield* dict.update([["a", 1], ["b", 2]]);
    yield* dict.set("c", 3);
    yield* dict.set("a", 10);
    return {
      keys: yield* dict.keys,
      values: yield* dict.values,
      entries: yield* dict.entries,
      map: yield* dict.toMap,
      size: yield* dict.size,
      get: [yield* dict.get("a"), yield* dict.get("x"), yield* dict.getOrElse("x", "none")],
      many: yield* dict.getMany(["c", "x", "a"]),
      has: [yield* dict.has("a"), yield* dict.has("x")],
      setDefault: [yield* dict.setDefault("a", 5), yield* dict.setDefault("d", 4)],
      compareAndSet: [
        yield* dict.compareAndSet("a", 1, 2),
        yield* dict.compareAndSet("a", 10, 2),
        yield* dict.compareAndSet("e", undefined, 5),
        yield* dict.compareAndSet("a", undefined, 5),
      ],
      modify: yield* dict.modify("b", Tasks.addTo, 40),
      pop: [yield* dict.pop("a"), yield* dict.pop("a")],
      popItem: yield* dict.popItem,
      delete: [yield* dict.delete("b"), yield* dict.delete("b")],
      left: Chunk.toReadonlyArray(yield* Stream.runCollect(dict.toStream)),
      sink: yield* Stream.run(Stream.make(["s", 1] as const, ["t", 2] as const), dict.toSink),
      full: yield* dict.entries,
      clear: yield* dict.clear,
      empty: [yield* dict.size, yield* dict.popItem, yield* dict.keys],
    };
  });

const dictSteps: ReadonlyArray<Step<Setting>> = [
  [
    "dict: its operations give what those of a manager's dict give",
    shared(({ one }) =>
      Effect.gen(function* () {
        const manager = yield* Manager.make();
        const expected = yield* useDict(yield* manager.dict<string, number>());
        assertEquals(yield* useDict(yield* one.dict<string, number>("same")), expected);
        assertEquals(yield* useDict(yield* one.dict<string, number>("same")), expected);
      }).pipe(Effect.provide(SubprocessBackend.layer()))
    ),
  ],
  [
    "dict: a change is seen by every operation that begins later, in any program",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.dict<string, number>("seen"), yield* two.dict<string, number>("seen")];
        for (let n = 1; n <= 20; n++) {
          yield* a.set("n", n);
          assertEquals([yield* b.get("n"), yield* b.size], [n, 1]);
          yield* b.set(`k${n}`, n);
          yield* a.delete(`k${n}`);
          assertEquals(yield* b.keys, ["n"]);
        }
      })
    ),
  ],
  [
    "dict: no concurrent change of a key is lost",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.dict<string, number>("counters"), yield* two.dict<string, number>("counters")];
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i),
          (i) =>
            i % 3 === 0
              ? a.change("n", (n = 0) => n + 1)
              : i % 3 === 1
              ? b.change("n", (n = 0) => n + 1)
              : b.modify("n", Tasks.addTo, 1),
          { concurrency: "unbounded" },
        );
        assertEquals(yield* a.get("n"), 60);
        const wins = yield* Effect.all([a, b, a, b].map((dict) => dict.compareAndSet("n", 60, 61)), {
          concurrency: "unbounded",
        });
        assertEquals(wins.filter((won) => won).length, 1);
        const popped = yield* Effect.all([a, b, a, b].map((dict) => dict.pop("n")), { concurrency: "unbounded" });
        assertEquals(popped.filter((value) => value !== undefined), [61]);
        yield* a.update(Array.from({ length: 10 }, (_, i) => [`${i}`, i] as const));
        yield* b.update([["0", -1], ...Array.from({ length: 300 }, (_, i) => [`x${i}`, i] as const), ["0", 0]]);
        assertEquals((yield* a.keys).slice(10), Array.from({ length: 300 }, (_, i) => `x${i}`));
        yield* Effect.forEach(Array.from({ length: 300 }, (_, i) => `x${i}`), a.delete, { concurrency: 32 });
        const items = yield* Effect.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? a : b).popItem), {
          concurrency: "unbounded",
        });
        const values = items.flatMap((item) => item === undefined ? [] : [item[1]]);
        assertEquals(values.toSorted(), Array.from({ length: 10 }, (_, i) => i));
      })
    ),
  ],
  [
    "dict: keys are compared by value, whatever they are; values are copies",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.dict<unknown, unknown>("keys"), yield* two.dict<unknown, unknown>("keys")];
        const keys = [
          1,
          -0,
          "1",
          "a.b *>",
          "\u{1F600}".repeat(300),
          [1, [2]],
          { x: { y: 1 } },
          null,
          undefined,
          NaN,
          10n,
        ];
        yield* Effect.forEach(keys, (key, i) => a.set(structuredClone(key), i));
        assertEquals(yield* Effect.forEach(keys, (key) => b.get(structuredClone(key))), keys.map((_, i) => i));
        assertEquals(yield* b.keys, keys.map((key) => key === 0 ? 0 : key));
        assertEquals(yield* b.get(0), 1);
        const value = { list: [1], map: new Map([["d", new Date(0)]]), bytes: new Uint8Array(100_000).fill(7) };
        yield* a.set("value", value);
        const read = yield* b.get("value");
        assertEquals(read, value);
        value.list.push(2);
        assertEquals(yield* a.get("value"), read);
        assertEquals((yield* a.toMap).get("value"), read);
      })
    ),
  ],
  [
    "dict: a watch has the content, and then each change, in the order of the changes",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.dict<string, number>("watched"), yield* two.dict<string, number>("watched")];
        yield* a.set("old", 0);
        const seen: Array<Manager.DictChange<string, number>> = [];
        const started = yield* Deferred.make<void>();
        const watching = yield* Effect.fork(
          b.watch.pipe(
            Stream.tap((change) => {
              seen.push(change);
              return Deferred.succeed(started, undefined);
            }),
            Stream.takeUntil((change) => change._tag === "Delete" && change.key === "end"),
            Stream.runDrain,
          ),
        );
        yield* Deferred.await(started);
        for (let n = 1; n <= 3; n++) yield* a.set("n", n);
        yield* b.delete("old");
        yield* a.set("end", 1);
        yield* a.clear;
        yield* Fiber.join(watching);
        const [snapshot, ...changes] = seen;
        assertEquals(snapshot, { _tag: "Snapshot", value: new Map([["old", 0]]) });
        const told = changes.map((change) =>
          change._tag === "Set" ? `${change.key}=${change.value}` : `${change._tag}`
        );
        assertEquals(told.slice(0, 5), ["n=1", "n=2", "n=3", "Delete", "end=1"]);
        assert(told.slice(5).every((change) => change === "Delete"));
        assertEquals(yield* b.size, 0);
      })
    ),
  ],
  [
    "dict: an interrupted pop has taken nothing",
    shared(({ one, two }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* one.dict<string, number>("popped"), yield* two.dict<string, number>("popped")];
        yield* a.update([["x", 1], ["y", 2]]);
        for (let round = 0; round < 12; round++) {
          const popping = yield* Effect.fork(round % 2 === 0 ? Effect.asVoid(a.pop("x")) : Effect.asVoid(a.popItem));
          for (let i = 0; i < round; i++) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
          const exit = yield* Fiber.interrupt(popping);
          if (Exit.isSuccess(exit)) {
            assertEquals(yield* b.size, 1);
            yield* a.update([["x", 1], ["y", 2]]);
          } else assertEquals((yield* b.entries).toSorted(), [["x", 1], ["y", 2]], `round ${round}`);
        }
      })
    ),
  ],
  [
    "dict: what cannot be stored fails before anything has changed",
    shared(({ one }) =>
      Effect.gen(function* () {
        const dict = yield* one.dict<unknown, unknown>("refused");
        const lock = yield* one.lock("refused");
        yield* dict.set("a", 1);
        const failures = yield* Effect.forEach([
          dict.set("a", () => 1),
          dict.set("a", lock),
          dict.set(new Uint8Array(100_000), 1),
          dict.set("a", new Uint8Array(2_000_000)),
          dict.update([["a", 2], ["b", () => 1]]),
          dict.change("a", () => () => 1),
          dict.modify("a", "no" as unknown as typeof Tasks.fails),
          dict.modify("a", Tasks.fails),
          dict.modify("a", Tasks.throws),
        ], (use) => Effect.flip(use as Effect.Effect<unknown, { readonly _tag: string } | "failed">));
        assertEquals(failures.map((error) => error === "failed" ? error : error._tag), [
          "EncodeError",
          "EncodeError",
          "ManagerError",
          "MessageTooLarge",
          "EncodeError",
          "EncodeError",
          "ManagerError",
          "failed",
          "RemoteError",
        ]);
        assertEquals(yield* dict.entries, [["a", 1]]);
      })
    ),
  ],
  [
    "dict: a program that has ended fails; the content stays for others",
    shared(({ one, server }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make();
        const dict = yield* (yield* Scope.extend(join(server.url), scope)).dict<string, number>("ended");
        yield* dict.set("a", 1);
        const started = yield* Deferred.make<void>();
        const watching = yield* Effect.fork(
          Effect.flip(Stream.runForEach(dict.watch, () => Deferred.succeed(started, undefined))),
        );
        yield* Deferred.await(started);
        yield* Scope.close(scope, Exit.void);
        assertEquals((yield* Fiber.join(watching))._tag, "Unreachable");
        assertEquals((yield* Effect.flip(dict.get("a")))._tag, "Unreachable");
        assertEquals((yield* Effect.flip(dict.size))._tag, "Unreachable");
        assertEquals(yield* (yield* one.dict<string, number>("ended")).entries, [["a", 1]]);
      })
    ),
  ],
];

if (available) {
  group("NatsShared: locks, semaphores and events", setup, steps);

  group("NatsShared: dicts", setup, dictSteps);

  test(
    "NatsShared: a program needs the permissions of the documentation; a lack of them is a typed failure (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      Deno.writeTextFileSync(
        path,
        `authorization { users: [
          { user: program, password: x, permissions: ${documented()} },
          { user: reader, password: x, permissions: { publish: ["$JS.API.>"], subscribe: ["mp.default.r.>"] } } ] }`,
      );
      const { url } = yield* durableServerWith(["-c", path]);
      const as = (user: string) => NatsShared.make({ servers: url, name: "tests", auth: { user, password: "x" } });
      const [one, two, reader] = [yield* as("program"), yield* as("program"), yield* as("reader")];
      const [a, b] = [yield* one.lock("allowed"), yield* two.lock("allowed")];
      yield* a.take;
      const taking = yield* Effect.fork(b.take);
      yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      yield* a.release;
      yield* Fiber.join(taking);
      const [set, told] = [yield* one.event("allowed"), yield* two.event("allowed")];
      const waiting = yield* Effect.fork(told.wait);
      yield* when(told.statistics, (statistics) => statistics.waiting === 1);
      yield* set.set;
      yield* Fiber.join(waiting);
      const dict = yield* one.dict<number, Uint8Array>("allowed");
      yield* dict.update(Array.from({ length: 100 }, (_, i) => [i, new Uint8Array(20_000)] as const));
      assertEquals((yield* (yield* two.dict<number, Uint8Array>("allowed")).entries).length, 100);
      yield* dict.clear;
      const [put, get] = [yield* one.queue<number>("allowed"), yield* two.queue<number>("allowed")];
      yield* put.putAll([1, 2, 3]);
      assertEquals(yield* get.takeUpTo(3), [1, 2, 3]);
      yield* get.taskDone(3);
      yield* put.join;

      const mine = yield* reader.lock("allowed");
      assertEquals(yield* mine.isLocked, true);
      const denied = yield* Effect.flip((yield* reader.event("allowed")).clear);
      assertEquals(denied._tag, "Unreachable");
      assertStringIncludes(denied.message, "the user may not publish to mp.default.s.tests.event.allowed");
    }),
  );

  test(
    "NatsShared: its objects cannot be sent; the failure says what to do instead",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const shared = yield* join(url);
      const lock = yield* shared.lock("sent");
      const advice = "of NatsShared cannot be sent: call NatsShared.make where it is needed, in the task";
      const queue = yield* Queue.make<unknown>();
      const dict = yield* shared.dict<string, unknown>("sent");
      for (const object of [lock, yield* shared.semaphore("sent"), yield* shared.event("sent"), dict]) {
        for (const use of [queue.put(object), queue.put({ deep: [object] }), dict.set("object", object)]) {
          const error = yield* Effect.flip(use as Effect.Effect<void, Error>);
          assertInstanceOf(error, Errors.EncodeError);
          assertStringIncludes(error.message, advice);
        }
      }
      const error = yield* Effect.flip(Condition.make({ lock }));
      assertEquals([error._tag, yield* queue.size, yield* dict.size], ["SyncError", 0, 0]);
    }),
  );

  test(
    "NatsShared: deleted keys of a dict leave nothing behind, whether their program lives on or not",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      yield* join(url);
      const caller = randomName();
      const options = { servers: url, name: "tests", space: "default", replicas: undefined };
      const { inbox, js } = yield* openJetStream(options, "test", "NatsShared", caller);
      const connection = new Connection(js, inbox, caller, options);
      const open = (stays: number) =>
        Effect.acquireRelease(
          Effect.map(
            Effect.scope,
            (scope) => new SharedDict<string, number>(connection, new Records(connection), "marks", scope, stays),
          ),
          (dict) => Effect.sync(() => dict.close()),
        );
      const stored = Effect.promise(async () => (await infoOf(js, connection.stream("shared")))!.state.messages);
      const [lasting, short] = [yield* open(1_000_000), yield* open(1)];
      yield* lasting.update([["a", 1], ["b", 2], ["c", 3]]);
      yield* lasting.delete("a");
      assertEquals(yield* stored, 3);
      yield* short.delete("b");
      yield* when(stored, (count) => count === 2);
      // The first look at the whole dict finds the mark of the other program.
      assertEquals(yield* short.entries, [["c", 3]]);
      yield* when(stored, (count) => count === 1);
      yield* short.set("a", 4);
      assertEquals(yield* lasting.entries, [["c", 3], ["a", 4]]);
    }),
  );

  test(
    "NatsShared: a watch of a dict goes on when the server comes back, with no change lost or told twice",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const [one, two] = [yield* join(server.url), yield* join(server.url)];
      const [a, b] = [yield* one.dict<string, number>("again"), yield* two.dict<string, number>("again")];
      yield* a.update([["kept", 0], ["deleted", 0]]);
      const seen: Array<string> = [];
      const started = yield* Deferred.make<void>();
      const watching = yield* Effect.fork(
        b.watch.pipe(
          Stream.tap((change) => {
            seen.push(change._tag === "Set" ? `${change.key}=${change.value}` : change._tag);
            return Deferred.succeed(started, undefined);
          }),
          Stream.takeUntil((change) => change._tag === "Set" && change.key === "end"),
          Stream.runDrain,
        ),
      );
      yield* Deferred.await(started);
      yield* a.set("before", 1);
      yield* when(Effect.sync(() => seen.length), (count) => count === 2);
      yield* server.stop;
      const changes = yield* Effect.fork(Effect.all([a.set("during", 2), a.delete("deleted")], { concurrency: 2 }));
      yield* server.start;
      yield* Fiber.join(changes);
      yield* a.set("end", 3);
      yield* Fiber.join(watching);
      assertEquals(seen.slice(0, 2), ["Snapshot", "before=1"]);
      assertEquals(seen.slice(2, -1).toSorted(), ["Delete", "during=2"]);
    }),
  );

  test(
    "a server without JetStream, and an option that is not valid, are typed failures",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const refused = yield* Effect.flip(
        NatsShared.make({ servers: url, name: "tests", connectTimeout: "200 millis" }),
      );
      assertEquals(refused.reason, "Unsupported");
      assertStringIncludes(refused.message, "Cannot make a NatsShared: the server has no JetStream");
      const wrong = yield* Effect.flip(NatsShared.make({ servers: url, name: "a.b" }));
      assertEquals(wrong.reason, "InvalidOption");
    }).pipe(Effect.scoped),
  );

  test(
    "NatsShared: a holder that is cut off learns that its lease is lost before another program has the lock",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const network = yield* proxy(url);
      const [near, far] = [yield* join(url), yield* join(network.url)];
      const lease: NatsShared.LeaseOptions = { lease: "300 millis" };
      const [a, b] = [yield* near.lock("cut", lease), yield* far.lock("cut", lease)];
      const order: Array<string> = [];
      const started = yield* Deferred.make<void>();
      const working = yield* Effect.fork(
        b.withLock(
          Effect.zipRight(Deferred.succeed(started, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => order.push("interrupted"))),
          ),
        ),
      );
      yield* Deferred.await(started);
      const first = yield* Effect.fork(Effect.tap(a.take, () => Effect.sync(() => order.push("taken"))));
      yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      yield* network.cut;
      const held = yield* Fiber.join(first);
      assertEquals(held.abandoned, true);
      assertEquals(yield* reasonOf(Fiber.join(working)), "LeaseLost");
      assertEquals(order, ["interrupted", "taken"]);
      yield* network.heal;
      assertEquals((yield* a.statistics).abandoned, true);
      yield* a.release;
      assertEquals((yield* b.take).abandoned, false);
      yield* b.release;
    }),
  );
}
