/** Handles of every kind in managed objects, and handles that come too late, on every backend. */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import {
  Array as SharedArray,
  type Backend,
  Barrier,
  Condition,
  Event,
  Lock,
  Manager,
  Pipe,
  Pool,
  Process,
  Queue,
  ReadWriteLock,
  RLock,
  Semaphore,
  ShareableList,
  SharedMemory,
  SubprocessBackend,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { kinds } from "../../src/internal/kinds.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { ask, askKept, askStream, create, take } from "../../src/internal/manager/calls.ts";
import * as Tasks from "./managed_handles_tasks.ts";
import * as Lifetimes from "../support/lifetime_tasks.ts";
import { test } from "../support/suite.ts";
import { fullUnless, repeated } from "../support/tier.ts";

/** An object of a kind: the object to send, and the expected effect of the finder. */
interface Sample {
  readonly object: unknown;
  /** The expected report of the finder. */
  readonly reports?: string;
  /** Checks the effect of the finder. */
  readonly seen?: Effect.Effect<unknown, unknown, Scope.Scope>;
  /** The expected result of the check. */
  readonly is?: unknown;
}

/** The samples by kind. `manager` is the manager of the tested containers. */
const samples: Readonly<
  Record<string, (manager: Manager.Manager) => Effect.Effect<Sample, unknown, Backend.Backend | Scope.Scope>>
> = {
  queue: () => Effect.map(Queue.make<string>(), (object) => ({ object, seen: object.get, is: "used" })),
  pipe: () => Effect.map(Pipe.make<string>(), ([object, other]) => ({ object, seen: other.recv, is: "used" })),
  process: () =>
    Effect.map(
      Process.spawnWith(Lifetimes.linger, [], { name: "found", daemon: true }),
      ({ handle }) => ({ object: handle, reports: "found true" }),
    ),
  lock: () => Effect.map(Lock.make(), (object) => ({ object, reports: "true", seen: object.isLocked, is: false })),
  rlock: () => Effect.map(RLock.make(), (object) => ({ object, reports: "2", seen: object.isLocked, is: false })),
  semaphore: () =>
    Effect.map(
      Semaphore.make({ permits: 3 }),
      (object) => ({ object, reports: "1", seen: object.available, is: 3 }),
    ),
  condition: () =>
    Effect.gen(function* () {
      const object = yield* Condition.make();
      const waiting = yield* Effect.forkScoped(object.withLock(object.wait));
      yield* Effect.repeat(Effect.zipLeft(object.statistics, Effect.yieldNow()), {
        until: ({ waiting }) => waiting === 1,
      });
      return { object, reports: "1", seen: Fiber.join(waiting), is: undefined };
    }),
  event: () => Effect.map(Event.make(), (object) => ({ object, seen: object.isSet, is: true })),
  barrier: () =>
    Effect.gen(function* () {
      const object = yield* Barrier.make({ parties: 2 });
      const waiting = yield* Effect.forkScoped(object.wait);
      return { object, seen: Effect.as(Fiber.join(waiting), "met"), is: "met" };
    }),
  readwritelock: () => Effect.map(ReadWriteLock.make(), (object) => ({ object, reports: "written" })),
  value: () => Effect.map(Value.make("i32", 37), (object) => ({ object, reports: "37", seen: object.get, is: 42 })),
  array: () =>
    Effect.map(SharedArray.make("i32", [1, 37]), (object) => ({ object, seen: object.slice(), is: [1, 42] })),
  memory: () =>
    Effect.map(
      SharedMemory.make({ size: 8 }),
      (object) => ({ object, seen: Effect.sync(() => object.bytes[3]), is: 7 }),
    ),
  list: () =>
    Effect.map(
      ShareableList.make<string | number>(["unused", 1]),
      (object) => ({ object, seen: object.toArray, is: ["used", 1] }),
    ),
  struct: () => Effect.map(Value.struct({ x: "f64" }), (object) => ({ object, seen: object.get, is: { x: 5 } })),
  bytes: () =>
    Effect.map(Value.bytes(4), (object) => ({ object, seen: Effect.map(object.get, (bytes) => bytes[0]), is: 5 })),
  dict: (manager) =>
    Effect.map(manager.dict<string, number>(), (object) => ({ object, seen: object.get("used"), is: 1 })),
  managedLock: (manager) => Effect.map(manager.lock, (object) => ({ object, reports: "held" })),
  managedQueue: (manager) =>
    Effect.map(manager.queue<string>(), (object) => ({ object, seen: object.get, is: "used" })),
};

/** The way to put an object into each container. */
const containers: Readonly<
  Record<
    string,
    (manager: Manager.Manager, value: unknown) => Effect.Effect<unknown, unknown, Scope.Scope>
  >
> = {
  dict: (manager, value) => Effect.tap(manager.dict<string, unknown>(), (dict) => dict.set("it", value)),
  list: (manager, value) => Effect.tap(manager.list<unknown>(), (list) => list.push(value)),
  namespace: (manager, value) =>
    Effect.tap(manager.namespace<{ it: unknown }>(), (namespace) => namespace.set("it", value)),
  queue: (manager, value) => Effect.tap(manager.queue<unknown>(), (queue) => queue.put(value)),
  value: (manager, value) => Effect.tap(manager.value<unknown>(undefined), (held) => held.set(value)),
};

/** The tag of a failure, and its reason if it has one. */
const failure = <A, R>(program: Effect.Effect<A, unknown, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    const { _tag, reason } = error as { readonly _tag?: string; readonly reason?: string };
    return _tag === "EncodeError" || _tag === "DecodeError" || reason === undefined ? `${_tag}` : `${_tag} ${reason}`;
  });

Deno.test("handles: every kind that registers itself can be loaded by its name", async () => {
  const registered = new Set<string>();
  for await (const path of sources(new URL("../../src/", import.meta.url))) {
    const text = await Deno.readTextFile(path);
    for (const [, kind] of text.matchAll(/^register\(\s*"([^"]+)"/gm)) registered.add(kind);
  }
  assert(registered.size > 10);
  assertEquals(kinds.map(([kind]) => kind).toSorted(), [...registered].toSorted());
});

async function* sources(folder: URL): AsyncGenerator<URL> {
  for await (const { isDirectory, name } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`handles in managed objects on ${name}: ${title}`, Effect.provide(program, layer));

  for (const where of Object.keys(containers)) {
    check(
      `an object of any kind is put into a managed ${where}, found there by another process, and used${
        fullUnless(where === "dict")
      }`,
      Effect.gen(function* () {
        // Neither the server nor the finder knows a kind before its first handle arrives.
        const manager = yield* Manager.make();
        const pool = yield* Pool.make({ size: 1 });
        for (const [kind, sample] of Object.entries(samples)) {
          yield* Effect.scoped(Effect.gen(function* () {
            const { is, object, reports, seen } = yield* sample(manager);
            const container = yield* containers[where](manager, { deep: [object] });
            const said = yield* pool.apply(Tasks.finder, where, container, kind);
            if (reports !== undefined) assertEquals(said, reports, kind);
            if (seen !== undefined) assertEquals(yield* seen, is as never, kind);
          }));
        }
      }),
    );
  }

  check(
    "the end of a pipe moves to the process that finds it first, and nobody else can take it out",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const dict = yield* manager.dict<string, unknown>();
      const list = yield* manager.list<unknown>();
      const [here, there] = yield* Pipe.make<string>();
      yield* dict.set("it", here);
      assertEquals(here.closed, true);
      assertEquals(yield* failure(dict.set("again", here)), "EncodeError");
      const found = yield* dict.get("it") as Effect.Effect<Pipe.Connection<never, string>, Manager.ManagerFailure>;
      assertEquals(yield* failure(dict.get("it")), "EncodeError");
      yield* found.send("first");
      assertEquals(yield* there.recv, "first");
      yield* list.push(1, found);
      const popped = yield* list.at(-1) as Effect.Effect<Pipe.Connection<never, string>, Manager.ManagerFailure>;
      // The object cannot be sent, so it was not taken out.
      assertEquals([yield* failure(list.pop()), yield* list.length], ["EncodeError", 2]);
      yield* popped.send("second");
      assertEquals(yield* there.recv, "second");
    }),
  );

  check(
    "what a manager refuses closes the end of a pipe that it brought: the other one reads an end of file (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const outlived = yield* Effect.scoped(manager.dict<string, unknown>());
      const value = yield* manager.value<unknown>(1);
      const refused: Readonly<Record<string, (end: unknown) => Effect.Effect<unknown, unknown, Scope.Scope>>> = {
        "Unreachable": (end) => outlived.set("it", end),
        "ManagerError InvalidArguments": (end) => ask(value[Manager.TypeId], "add", end),
        "ManagerError NotExposed": (end) => ask(value[Manager.TypeId], "push", end),
        "ManagerError NotExposed ": (end) => take(value[Manager.TypeId], "pop", end),
        "ManagerError NotExposed  ": (end) => Stream.runDrain(askStream(value[Manager.TypeId], "elements", end)),
        "ManagerError InvalidResult": (end) => askKept(value[Manager.TypeId], "get", end),
        "ManagerError UnknownType": (end) => create({ ...value[Manager.TypeId], number: 0 }, "", "Nothing", end),
      };
      for (const [expected, refuse] of Object.entries(refused)) {
        const [here, there] = yield* Pipe.make<string>();
        assertEquals(yield* failure(refuse(here)), expected.trim());
        assertEquals(yield* failure(there.recv), "EndOfFile", expected);
      }
      // A refused argument is not sent, so the end stays with its owner.
      const [own, other] = yield* Pipe.make<string>();
      assertEquals(yield* failure(value.add(own as never)), "ManagerError InvalidArguments");
      assertEquals(yield* failure(manager.publish("it", own as never)), "ManagerError InvalidArguments");
      yield* own.send("still here");
      assertEquals(yield* other.recv, "still here");
      // If the server no longer exists, nothing was sent, so the end is in its old place.
      const dying = yield* Manager.make();
      const lost = yield* dying.dict<string, unknown>();
      yield* dying.shutdown;
      const [here, there] = yield* Pipe.make<string>();
      assertEquals(yield* failure(lost.set("it", here)), "Unreachable");
      yield* here.send("still here");
      assertEquals(yield* there.recv, "still here");
    }),
  );

  check(
    "a manager of this process keeps an end of a pipe as one of another process does",
    Effect.gen(function* () {
      const manager = yield* Manager.serve({ tasks: [Tasks.more] });
      const dict = yield* manager.dict<string, unknown>();
      const [here, there] = yield* Pipe.make<string>();
      yield* dict.set("it", here);
      // A task changes a copy that contains the same end. The end returns with the result.
      yield* dict.set("all", { deep: [yield* dict.get("it")] });
      const changed = yield* dict.modify("all", Tasks.more as never);
      const [found, more] = (changed as { readonly deep: [Pipe.Connection<never, string>, string] }).deep;
      assertEquals(more, "more");
      yield* found.send("moved");
      assertEquals(yield* there.recv, "moved");
      const [refused, other] = yield* Pipe.make<string>();
      assertEquals(yield* failure(ask(dict[Manager.TypeId], "nothing", refused)), "ManagerError NotExposed");
      assertEquals(yield* failure(other.recv), "EndOfFile");
    }),
  );

  check(
    "an object that is used after its scope has closed fails with a typed failure, here, in a child and in a managed dict",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const pool = yield* Pool.make({ size: 1 });
      const dict = yield* manager.dict<string, unknown>();
      const queue = yield* Queue.make<unknown>();
      const ofMemory = ["array", "bytes", "list", "memory", "struct", "value"];
      for (const [kind, sample] of Object.entries(samples)) {
        yield* Effect.scoped(Effect.gen(function* () {
          const { object } = yield* sample(manager);
          yield* dict.set(kind, kind === "pipe" ? null : object);
          yield* queue.put(object);
          if (kind !== "pipe") yield* queue.put(object);
        }));
        const expected = ofMemory.includes(kind) ? "MemoryError Gone" : "Unreachable";
        assertEquals(yield* pool.apply(Tasks.late, queue, kind), expected, kind);
        // An end of a pipe can be in one message only.
        if (kind === "pipe") continue;
        assertEquals(yield* Tasks.lateUse(queue.get, kind), expected, kind);
        assertEquals(yield* Tasks.lateUse(dict.get(kind), kind), expected, kind);
      }
    }),
  );
};

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();
suite("subprocess", subprocess);
repeated(() => suite("worker", worker));
