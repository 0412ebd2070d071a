/**
 * Programs that run without type checks: for every bad argument, a function fails with a typed error that states what
 * it expects, and changes nothing.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import {
  Array as SharedArray,
  Backend,
  Barrier,
  Condition,
  Event,
  Listener,
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
  SharedMemoryManager,
  SubprocessBackend,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { documented, type Part } from "./arguments_doc.ts";
import { rest, type } from "./arguments_tasks.ts";
import { absent, options, type Row, rows } from "./arguments_table.ts";
import * as NatsPool from "../../src/NatsPool.ts";
import * as NatsShared from "../../src/NatsShared.ts";
import { available, durableServer } from "../support/nats.ts";
import { test } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";

/** The tests of the module `Promise` have their own table. */
const others = (all: Readonly<Record<string, ReadonlyArray<Part>>>) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => !key.startsWith("Promise.")));

const all = await documented();
const functions = others(all.functions);
const documentedOptions = others(all.options);

Deno.test("the table of bad arguments has a row for every function, and a kind for each of its parameters", () => {
  const described = (all: Readonly<Record<string, ReadonlyArray<Part>>>) =>
    Object.fromEntries(Object.entries(all).map(([key, parts]) => [key, parts.map(({ name }) => name)]));
  const listed = Object.fromEntries(Object.entries(rows).map(([key, { kinds }]) => [key, Object.keys(kinds)]));
  // A method without parameters has no bad arguments.
  assertEquals(sorted(listed), sorted({ ...described(functions), "Event.isEvent": ["value"] }));
});

Deno.test("the table of bad arguments has a kind for each option", () => {
  const names = (all: Readonly<Record<string, ReadonlyArray<Part>>>) =>
    Object.fromEntries(Object.entries(all).map(([key, parts]) => [key, parts.map(({ name }) => name).toSorted()]));
  const listed = Object.fromEntries(
    Object.entries(options).map(([key, kinds]) => [key, Object.keys(kinds).toSorted()]),
  );
  assertEquals(sorted(listed), sorted(names(documentedOptions)));
});

const sorted = (record: Readonly<Record<string, unknown>>): unknown =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => a < b ? -1 : 1));

/** The objects whose calls reach the backend. */
const makeProcesses = Effect.gen(function* () {
  const backend = yield* Backend.Backend;
  return {
    backend,
    child: yield* backend.spawn({ name: "child", modules: [] }),
    process: yield* Process.spawnWith(rest, [], { daemon: true }),
  };
});

/** A pool and the shared objects of a NATS server, where there is one. */
const makeNats = Effect.gen(function* () {
  if (!available) return { natsPool: undefined, natsShared: undefined, natsDict: undefined };
  const { url } = yield* durableServer;
  const natsShared = yield* NatsShared.make({ servers: url, name: "arguments" });
  return {
    natsPool: yield* NatsPool.make({ servers: url, name: "arguments", size: 1 }),
    natsShared,
    natsDict: yield* natsShared.dict<string, number>("dict"),
  };
});

/** One object of each kind. */
const make = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const [connection, other] = yield* Pipe.make<unknown>();
  return {
    ...yield* makeProcesses,
    pool: yield* Pool.make({ size: 1 }),
    ...yield* makeNats,
    progress: yield* Pool.progress,
    queue: yield* Queue.make<number>(),
    connection,
    other,
    lock: yield* Lock.make(),
    rlock: yield* RLock.make(),
    semaphore: yield* Semaphore.make({ permits: 2 }),
    condition: yield* Condition.make(),
    event: yield* Event.make(),
    barrier: yield* Barrier.make({ parties: 1 }),
    readWriteLock: yield* ReadWriteLock.make(),
    value: yield* Value.make("i32", 7),
    array: yield* SharedArray.make("i32", [1, 2, 3]),
    struct: yield* Value.struct({ x: "i32" }, { x: 7 }),
    bytes: yield* Value.bytes(8, new Uint8Array([7])),
    shareableList: yield* ShareableList.make([1, "a"]),
    memory: yield* SharedMemory.make({ size: 64 }),
    memoryManager: yield* SharedMemoryManager.make(),
    listener: yield* Listener.make({ authKey: false }),
    type,
    manager,
    dict: yield* manager.dict([["a", 1]]),
    list: yield* manager.list([1, 2, 3]),
    namespace: yield* manager.namespace({ a: 1 }),
    managedValue: yield* manager.value(7),
    managedArray: yield* manager.array(new Int32Array([1, 2, 3])),
    sharedPool: yield* manager.pool({ size: 1 }),
  };
});

type Processes = Effect.Effect.Success<typeof makeProcesses>;
type Fixtures = Effect.Effect.Success<typeof make>;

/** The visible state of the processes. */
const lookAtProcesses = ({ child, process }: Processes) =>
  Effect.all({
    alive: process.isAlive,
    child: Effect.sync(() => child.status()),
    children: Effect.map(Process.activeChildren, (children) => children.map(({ pid }) => pid)),
  });

/** The visible state of the objects. */
const look = (fixtures: Fixtures) =>
  Effect.all({
    processes: lookAtProcesses(fixtures),
    pool: fixtures.pool.statistics,
    natsPool: fixtures.natsPool?.contents ?? Effect.void,
    queue: fixtures.queue.statistics,
    connection: fixtures.connection.statistics,
    lock: fixtures.lock.statistics,
    rlock: fixtures.rlock.statistics,
    semaphore: fixtures.semaphore.statistics,
    condition: fixtures.condition.statistics,
    barrier: fixtures.barrier.statistics,
    readWriteLock: fixtures.readWriteLock.statistics,
    value: fixtures.value.get,
    array: fixtures.array.slice(),
    struct: fixtures.struct.get,
    bytes: fixtures.bytes.get,
    shareableList: fixtures.shareableList.toArray,
    memory: Effect.sync(() => fixtures.memory.bytes.slice()),
    segments: fixtures.memoryManager.segments,
    listener: fixtures.listener.statistics,
    dict: fixtures.dict.entries,
    list: fixtures.list.toArray,
    namespace: fixtures.namespace.toObject,
    managedValue: fixtures.managedValue.get,
    managedArray: fixtures.managedArray.toTypedArray,
    sharedPool: fixtures.sharedPool.statistics,
    objects: Effect.map(fixtures.manager.statistics, ({ objects, types }) => ({ objects, types })),
  });

/** Checks that all objects work. */
const use = (fixtures: Fixtures) =>
  Effect.gen(function* () {
    assertEquals(yield* fixtures.pool.map(Tasks.square, [1, 2, 3]), [1, 4, 9]);
    assertEquals(yield* fixtures.sharedPool.map(Tasks.square, [1, 2, 3]), [1, 4, 9]);
    yield* fixtures.queue.put(5);
    assertEquals(yield* fixtures.queue.get, 5);
    yield* fixtures.other.send(5);
    assertEquals(yield* fixtures.connection.recv, 5);
    assertEquals(yield* fixtures.lock.withLock(Effect.succeed(1)), 1);
    assertEquals(yield* fixtures.rlock.withLock(Effect.succeed(1)), 1);
    assertEquals(yield* fixtures.readWriteLock.write.withLock(Effect.succeed(1)), 1);
    assertEquals(yield* fixtures.semaphore.withPermits(Effect.succeed(1), 2), 1);
    assertEquals(yield* fixtures.barrier.wait, 0);
    assertEquals(yield* fixtures.condition.withLock(fixtures.condition.notify()), 0);
    assertEquals(yield* fixtures.value.add(1), 7);
    assertEquals(yield* fixtures.dict.pop("a"), 1);
    assertEquals(yield* fixtures.list.pop(), 3);
  });

/** The text of a value in the message of a test. */
const shown = (value: unknown): string =>
  typeof value === "function" ? String(value) : Deno.inspect(value, { depth: 2, breakLength: Infinity });

/** Texts that do not help a user to find the mistake. */
const RIDDLES = /is not iterable|is not a function|undefined is|cannot read|not a dependency|\n/i;

const complaint = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return `fails with what is no Error: ${shown(error)}`;
  const { message } = error;
  if (!/^(Invalid|Cannot) .+: .+/.test(message)) return `says what is no sentence of this library: ${message}`;
  if (RIDDLES.test(message)) return `speaks in riddles: ${message}`;
  if (
    !/received|element|functions do not cross|Cannot (keep|add|put|view|set|use index|use the \w+ at) /.test(message)
  ) {
    return `does not say what it has received: ${message}`;
  }
  return undefined;
};

type Program = Effect.Effect<unknown, unknown, Backend.Backend | Scope.Scope>;

/** Describes the fault in the answer to bad arguments, if there is one. */
const answer = (
  row: Row,
  fixtures: object,
  args: ReadonlyArray<unknown>,
): Effect.Effect<string | undefined, never, Backend.Backend> =>
  Effect.suspend(() => {
    let made: unknown;
    try {
      made = row.call(fixtures, args);
    } catch (error) {
      if (!row.throws) return Effect.succeed(`throws outside of any Effect: ${error}`);
      if (!(error instanceof TypeError) && !(error instanceof Object && "_tag" in error)) {
        return Effect.succeed(`throws no typed error: ${error}`);
      }
      return Effect.succeed(complaint(error));
    }
    if (row.throws) return Effect.succeed("does not throw");
    const program =
      (Effect.isEffect(made) ? made : Stream.runDrain(made as Stream.Stream<unknown, unknown>)) as Program;
    return Effect.exit(Effect.scoped(program)).pipe(
      Effect.timeoutOption("5 seconds"),
      Effect.map((ended) => {
        if (Option.isNone(ended)) return "waits";
        const exit = ended.value;
        if (Exit.isSuccess(exit)) return `succeeds with ${shown(exit.value)}`;
        const failure = Cause.failureOption(exit.cause);
        if (Option.isNone(failure)) return `is a defect: ${Cause.pretty(exit.cause).split("\n")[0]}`;
        if (
          !(failure.value instanceof Object && "_tag" in failure.value)
        ) return `fails without a _tag: ${failure.value}`;
        return complaint(failure.value);
      }),
    );
  });

/** Tries each bad value for each parameter of the selected functions, and returns the faults of the answers. */
const attempts = (fixtures: object, wanted: (key: string) => boolean) =>
  Effect.gen(function* () {
    const wrong: Array<string> = [];
    let tried = 0;
    for (const [key, row] of Object.entries(rows)) {
      if (!wanted(key)) continue;
      const right = row.right(fixtures);
      const parts = functions[key] ?? [];
      for (const [at, [name, kind]] of Object.entries(row.kinds).entries()) {
        if (kind.length === 0) continue;
        // A required parameter is also left out.
        const required = parts[at]?.optional === false && !absent.has(`${key}(${name})`);
        const values = required ? [...kind, undefined] : kind;
        for (const value of values) {
          const args = Array.from({ length: Math.max(right.length, at + 1) }, (_, i) => i === at ? value : right[i]);
          const said = yield* answer(row, fixtures, args);
          tried++;
          if (said !== undefined) wrong.push(`${key}(${name}: ${shown(value)}) ${said}`);
        }
      }
    }
    assert(tried > 0);
    return wrong;
  });

/** Functions whose arguments reach the backend. */
const reaches = (key: string): boolean => /^(Backend|Process)\./.test(key);

const says =
  "whatever a function is given, it answers with a typed failure that says what it expects, and has changed nothing";

test(
  says,
  Effect.gen(function* () {
    const fixtures = yield* make;
    const before = yield* look(fixtures);
    assertEquals(
      yield* attempts(
        fixtures,
        (key) => available || !/^(NatsPool.NatsPool|NatsShared.NatsShared|NatsShared.Dict)\./.test(key),
      ),
      [],
    );
    assertEquals(yield* look(fixtures), before);
    yield* use(fixtures);
  }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())),
);

test(
  `${says}: a process, and its backend, on subprocess`,
  Effect.gen(function* () {
    const fixtures = yield* makeProcesses;
    const before = yield* lookAtProcesses(fixtures);
    assertEquals(yield* attempts(fixtures, reaches), []);
    assertEquals(yield* lookAtProcesses(fixtures), before);
    assert(yield* fixtures.process.signal("SIGCONT"));
  }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer())),
);

Deno.test("the commonest mistakes are answered by a sentence that says what to write instead", async () => {
  const message = (program: Effect.Effect<unknown, unknown, Backend.Backend | Scope.Scope>) =>
    Effect.runPromise(
      program.pipe(
        Effect.scoped,
        Effect.provide(WorkerBackend.layer()),
        Effect.flip,
        Effect.map((error) => error instanceof Error ? error.message : error),
      ),
    );
  const task = "the task must be made by Task.make(import.meta, name, fn), received";
  // deno-lint-ignore no-explicit-any -- as programs are run: without type checks
  const loose = <A>(value: A) => value as any;
  assertEquals(
    [
      await message(Process.run(loose(() => 1))),
      await message(Process.run(loose(undefined))),
      await message(Pool.make({ size: -1 })),
      await message(Pool.make(loose(null))),
      await message(SharedMemory.attach(loose(5))),
      await message(SharedArray.make("i32", loose(null))),
    ],
    [
      `Invalid argument of Process.run: ${task} a function`,
      `Invalid argument of Process.run: ${task} undefined`,
      "Invalid pool option: size must be a positive integer, received -1",
      "Invalid pool option: the options must be an object, received null",
      "Invalid shared memory option: name must be a non-empty string, received 5",
      "Invalid argument of Array.make: initial must be a length, which is a non-negative integer, or iterable, received null",
    ],
  );
});
