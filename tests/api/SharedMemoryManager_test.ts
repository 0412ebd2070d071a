/**
 * The guarantees of a manager of shared memory: each sentence of its documentation, on each backend.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import {
  type Backend,
  Process,
  Queue,
  SharedMemory,
  SharedMemoryManager,
  SubprocessBackend,
  WorkerBackend,
} from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as Tasks from "./memory_manager_tasks.ts";
import { reasonOf } from "./memory_tasks.ts";
import { test as run, warmUp } from "../support/suite.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const backends = { subprocess: SubprocessBackend.layer(), worker: WorkerBackend.layer() };

for (const layer of casesOf(Object.values(backends))) {
  await warmUp(Effect.provide(
    Effect.flatMap(SharedMemoryManager.make(), (manager) => Process.run(Tasks.makes, manager, undefined)),
    layer,
  ));
}

const test = (title: string, program: Effect.Effect<unknown, unknown, Scope.Scope | Backend.Backend>): void => {
  registerEach(
    Object.entries(backends),
    ([name, layer]) => run(`SharedMemoryManager, ${name}: ${title}`, Effect.provide(program, layer)),
  );
};

const fresh = (): string => `mp_test_${crypto.randomUUID().slice(0, 8)}`;

test(
  "what a task has it make outlives the task, and goes with the manager's scope",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const manager = yield* Scope.extend(SharedMemoryManager.make(), scope);
    const name = fresh();
    const { list, memory } = yield* Process.run(Tasks.makes, manager, name);
    assertEquals([memory.name, memory.bytes[99], yield* list.toArray], [name, 3, ["b", 1]]);
    const below = yield* Process.run(Tasks.makesBelow, manager);
    assertEquals(below.memory.bytes[0], 3);
    assertEquals((yield* manager.segments).map(({ kind, name }) => [kind, name]), [
      ["memory", name],
      ["list", undefined],
      ["memory", undefined],
      ["list", undefined],
    ]);
    const attached = yield* SharedMemory.attach(name);
    yield* Scope.close(scope, Exit.void);
    // Processes that have the memory keep it; no other process can attach it.
    assertEquals([memory.bytes[99], attached.bytes[99]], [3, 3]);
    assertEquals(yield* reasonOf(Effect.scoped(Effect.as(SharedMemory.attach(name), "attached"))), "NotFound");
    assertEquals((yield* Effect.flip(list.toArray)).reason, "Gone");
    assertEquals((yield* Effect.flip(manager.segments))._tag, "Unreachable");
    for (const object of [memory, below.memory, list, below.list]) yield* object.close;
  }),
);

test(
  "what it makes for its own process is that block, not a second mapping of it",
  Effect.gen(function* () {
    const manager = yield* SharedMemoryManager.make();
    const memory = yield* manager.memory({ size: 10 });
    const list = yield* manager.list([1, "two"]);
    assertEquals(manager.host, "MainProcess");
    assert(SharedMemoryManager.isSharedMemoryManager(manager));
    assertEquals(yield* manager.segments, [{ kind: "memory", name: undefined, size: 10 }, {
      kind: "list",
      name: undefined,
      size: list.memory.size,
    }]);
    assertEquals([yield* manager.release(list), yield* manager.release(list)], [true, false]);
    assertEquals((yield* Effect.flip(list.get(0))).reason, "Gone");
    yield* manager.shutdown;
    yield* manager.shutdown;
    assertEquals(memory.bytes.length, 0);
    const error = yield* Effect.flip(manager.memory({ size: 10 }));
    assertEquals(error._tag, "Unreachable");
  }),
);

test(
  "failures come back with their type, and leave nothing",
  Effect.gen(function* () {
    const manager = yield* SharedMemoryManager.make();
    const name = fresh();
    yield* manager.memory({ name, size: 10 });
    assertEquals(yield* Process.run(Tasks.asksInVain, manager, name), ["InvalidArgument", "Exists", "Value"]);
    assertEquals((yield* manager.segments).length, 1);
  }),
);

test(
  "a process that is killed takes nothing along, and releases what it gives back",
  Effect.gen(function* () {
    const manager = yield* SharedMemoryManager.make();
    const told = yield* Queue.make<ReadonlyArray<boolean>>();
    const child = yield* Process.spawnWith(Tasks.uses, [manager, told], { daemon: true });
    assertEquals(yield* told.get, [true, false]);
    yield* child.kill;
    yield* child.status;
    assertEquals((yield* manager.segments).map(({ size }) => size), [10]);
  }),
);

test(
  "any process may shut it down",
  Effect.gen(function* () {
    const manager = yield* SharedMemoryManager.make();
    const name = fresh();
    yield* manager.memory({ name, size: 10 });
    assertEquals(yield* Process.run(Tasks.shutsDown, manager), "Unreachable");
    assertEquals((yield* Effect.flip(manager.segments))._tag, "Unreachable");
    assertEquals(yield* reasonOf(Effect.scoped(Effect.as(SharedMemory.attach(name), "attached"))), "NotFound");
  }),
);
