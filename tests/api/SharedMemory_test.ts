/**
 * The guarantees of shared memory: each sentence of its documentation, on each backend, in both kinds; and named
 * blocks.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import { type Backend, Process, Queue, SharedMemory, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { attemptMemory } from "../../src/internal/values/attempt.ts";
import { make as makeMemory } from "../../src/internal/values/memory.ts";
import type { RegionKind } from "../../src/internal/os/mapping.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../support/assert.ts";
import * as Tasks from "./memory_tasks.ts";
import { script } from "../support/scripts.ts";
import { test as run, warmUp, when } from "../support/suite.ts";
import { registerEach } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

/** Memory of a kind. The public constructor uses the kind that this program supports. */
const made =
  (kind: RegionKind) =>
  (size: number): Effect.Effect<SharedMemory.SharedMemory, SharedMemory.MemoryError, Scope.Scope> =>
    kind === "memory"
      ? SharedMemory.make({ size })
      : Effect.acquireRelease(attemptMemory(() => makeMemory(size, kind)), (memory) =>
        Effect.sync(() => memory.release()));

type Make = ReturnType<typeof made>;

const places: Readonly<Record<string, { readonly kind: RegionKind; readonly layer: Layer.Layer<Backend.Backend> }>> = {
  "subprocess, memory": { kind: "memory", layer: subprocess },
  "worker, memory": { kind: "memory", layer: worker },
  "worker, buffer": { kind: "buffer", layer: worker },
};

for (const layer of [subprocess, worker]) {
  await warmUp(Effect.provide(
    Effect.gen(function* () {
      const memory = yield* SharedMemory.make({ size: 1 });
      yield* Process.run(Tasks.increments, memory);
    }),
    layer,
  ));
}

/** Registers a test of a guarantee for each place. */
const promise = (
  title: string,
  program: (make: Make, kind: RegionKind) => Effect.Effect<unknown, unknown, Scope.Scope | Backend.Backend>,
): void => {
  registerEach(
    Object.entries(places),
    ([name, { kind, layer }]) =>
      run(`SharedMemory, ${name}: ${title}`, Effect.provide(program(made(kind), kind), layer)),
    title.startsWith("a new block") ? ["worker, buffer"] : [],
  );
};

const test = (title: string, program: Effect.Effect<unknown, unknown, Scope.Scope | Backend.Backend>): void =>
  run(`SharedMemory: ${title}`, Effect.provide(program, subprocess));

/** The mappings of memory of the library in this process, each as the inode of its file. */
const maps = (): ReadonlyArray<string> =>
  [...Deno.readTextFileSync("/proc/self/maps").matchAll(/ (\d+) +\/memfd:multiprocessing/g)].map(([, inode]) => inode);

promise("a new block is all zeros, and each process sees what the other writes", (make) =>
  Effect.gen(function* () {
    const memory = yield* make(1000);
    assertEquals(memory.bytes, new Uint8Array(1000));
    assertEquals([memory.size, memory.bytes.length, memory.view.byteLength, memory.name], [
      1000,
      1000,
      1000,
      undefined,
    ]);
    memory.bytes.fill(3);
    assertEquals(yield* Process.run(Tasks.increments, memory), 3000);
    assertEquals(memory.bytes, new Uint8Array(1000).fill(4));
  }));

promise("numbers of any type, at any place", (make) =>
  Effect.gen(function* () {
    const memory = yield* make(800);
    assertEquals(yield* Process.run(Tasks.numbers, memory, 80, 10), 0.5);
    assertEquals([...memory.array(Float64Array, 80, 3)], [0.5, 1.5, 2.5]);
    assertEquals(memory.array(Float64Array).length, 100);
    assertEquals(memory.array(Uint16Array, 798).length, 1);
    assertEquals(memory.array(BigInt64Array, 800).length, 0);
    memory.view.setInt16(1, -2, true);
    assertEquals([...memory.bytes.subarray(0, 4)], [0, 254, 255, 0]);
    for (const [offset, length] of [[1, 1], [-8, 1], [800, 1], [0, 101], [8, 100], [0, -1], [0, 0.5], [NaN, 1]]) {
      assertEquals(
        assertThrows(() => memory.array(Float64Array, offset, length), SharedMemory.OutOfRange).reason,
        "Index",
      );
    }
  }));

promise(
  "a handle travels as argument, as result, deep within an item, and to grandchildren",
  (make) =>
    Effect.gen(function* () {
      const memory = yield* make(8);
      const [first, second] = [yield* make(1), yield* make(1)];
      const back = yield* Process.run(Tasks.returns, memory);
      back.bytes[7] = 7;
      assertEquals(memory.bytes[7], 7);
      const queue = yield* Queue.make<{ readonly all: ReadonlyMap<string, ReadonlyArray<Tasks.Memory>> }>();
      yield* queue.put({ all: new Map([["a", [first]], ["b", [second]]]) });
      assertEquals(yield* Process.run(Tasks.marksEach, queue), 2);
      assertEquals([first.bytes[0], second.bytes[0]], [1, 2]);
      assertEquals(yield* Process.run(Tasks.passesOn, memory), 7);
      assertEquals(memory.bytes[7], 8);
    }),
);

promise(
  "it is there when it arrives, however fast a link that is much used brings it (full)",
  (make) =>
    Effect.gen(function* () {
      const [there, back] = [yield* Queue.make<Tasks.Memory | number>(), yield* Queue.make<number>()];
      const child = yield* Process.spawn(Tasks.readsEach, there, back);
      for (let i = 1; i <= 300; i++) {
        yield* there.put(i);
        assertEquals(yield* back.get, i);
        const byte = yield* Effect.scoped(Effect.gen(function* () {
          const memory = yield* make(8);
          memory.bytes[0] = i;
          yield* there.put(memory);
          return yield* back.get;
        }));
        assertEquals(byte, i & 255);
      }
      yield* there.put(0);
      yield* child.join;
    }),
);

promise(
  "a process that has received it keeps it when its maker has closed it",
  (make, kind) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const memory = yield* Scope.extend(make(8), scope);
      const told = yield* Queue.make<string>();
      const child = yield* Process.spawn(Tasks.keeps, memory, told);
      const bytes = memory.bytes;
      bytes[0] = 41;
      // A process that takes from the queue has begun its task, and so has received the memory.
      yield* when(told.statistics, ({ takers }) => takers === 1);
      yield* Scope.close(scope, Exit.void);
      assertEquals([memory.closed, memory.bytes.length, memory.view.byteLength], [true, 0, 0]);
      assertEquals([memory.array(Float64Array).length, memory.array(Uint8Array, 0, 8).length], [0, 0]);
      if (kind === "memory") assertEquals([bytes.length, bytes[0]], [0, undefined]);
      yield* told.put("now");
      assertEquals(yield* child.join, [42, 0, true]);
    }),
);

promise(
  "memory that was closed before it was received is reported as gone, and nothing crashes (full)",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* Queue.make<Tasks.Memory>();
      yield* Effect.scoped(Effect.flatMap(make(8), queue.put));
      assertEquals(yield* Process.run(Tasks.takes, queue), "Gone");
      yield* queue.put(yield* make(8));
      assertEquals(yield* Process.run(Tasks.takes, queue), 8);
      yield* Effect.scoped(Effect.flatMap(make(8), queue.put));
      const gone = yield* queue.get;
      assertEquals((yield* Effect.flip(gone.attached)).reason, "Gone");
      assertEquals(assertThrows(() => gone.bytes, SharedMemory.MemoryError).reason, "Gone");
      assertThrows(() => gone.array(Uint8Array), SharedMemory.MemoryError);
      yield* gone.close;
    }),
);

promise("a handle that comes back is closed for itself (full)", (make) =>
  Effect.gen(function* () {
    const memory = yield* make(8);
    const one = yield* Process.run(Tasks.returns, memory);
    const other = yield* Process.run(Tasks.returns, memory);
    yield* one.close;
    yield* one.close;
    assertEquals([one.closed, one.bytes.length, (yield* Effect.flip(one.attached)).reason], [true, 0, "Gone"]);
    other.bytes[3] = 5;
    assertEquals([other.closed, memory.closed, memory.bytes[3]], [false, false, 5]);
    yield* other.close;
    memory.bytes[3]++;
  }));

test(
  "a size that cannot be is refused, and so is more than there is",
  Effect.sync(() => {
    for (const size of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
      const error = Effect.runSync(Effect.flip(Effect.scoped(SharedMemory.make({ size }))));
      assertEquals(error.reason, "InvalidArgument");
      assertStringIncludes(error.message, String(size));
      assertEquals(Effect.runSync(Effect.flip(Effect.scoped(SharedMemory.create({ size })))).reason, "InvalidArgument");
    }
    const error = Effect.runSync(Effect.flip(Effect.scoped(SharedMemory.make({ size: 2 ** 50 }))));
    assertEquals(error.reason, "Full");
    assertEquals(Effect.runSync(Effect.flip(Effect.scoped(SharedMemory.create({ size: 2 ** 50 })))).reason, "Full");
  }),
);

test(
  "it is unmapped when its scope closes, and what was received when its handles are closed",
  Effect.gen(function* () {
    // Memory of earlier tests may be collected meanwhile.
    const before = maps();
    let own: string | undefined;
    const count = (): number => maps().filter((inode) => inode === own).length;
    yield* Effect.scoped(Effect.gen(function* () {
      const memory = yield* SharedMemory.make({ size: 4096 });
      own = maps().find((inode) => !before.includes(inode));
      assertEquals(count(), 1);
      const one = yield* Process.run(Tasks.returns, memory);
      const other = yield* Process.run(Tasks.returns, memory);
      assertEquals(count(), 2);
      yield* one.close;
      yield* other.close;
      assertEquals(count(), 1);
    }));
    assertEquals(count(), 0);
  }),
);

test(
  "subprocesses and workers share the same block (full)",
  Effect.gen(function* () {
    const memory = yield* SharedMemory.make({ size: 10 });
    assertEquals(yield* Process.run(Tasks.increments, memory), 0);
    assertEquals(yield* Effect.provide(Process.run(Tasks.increments, memory), worker), 10);
    assertEquals(yield* Effect.provide(Process.run(Tasks.passesOn, memory), worker), 20);
    assertEquals([...new Set(memory.bytes)], [3]);
  }),
);

test(
  "a handle says what it is",
  Effect.gen(function* () {
    const memory = yield* SharedMemory.make({ size: 1 });
    assert(SharedMemory.isSharedMemory(memory));
    assert(!SharedMemory.isSharedMemory({}));
    assert(!SharedMemory.isSharedMemory(null));
  }),
);

/** WebAssembly that imports a shared memory of one page, and exports a function that adds one to its word 1. */
const adder = new Uint8Array([
  ...[
    0,
    97,
    115,
    109,
    1,
    0,
    0,
    0,
    1,
    4,
    1,
    96,
    0,
    0,
    2,
    16,
    1,
    3,
    101,
    110,
    118,
    6,
    109,
    101,
    109,
    111,
    114,
    121,
    2,
    3,
    1,
  ],
  ...[1, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 13, 1, 11, 0, 65, 4, 65, 1, 254, 30, 2, 0, 26, 11],
]);

const PAGE = 65_536;

test(
  "as a SharedArrayBuffer it is seen by subprocesses, by workers of any kind, and by WebAssembly (full)",
  Effect.gen(function* () {
    const memory = yield* SharedMemory.make({ size: PAGE });
    const { shared, wasm } = memory;
    assert(shared instanceof SharedArrayBuffer && wasm.buffer === memory.shared);
    const words = new Int32Array(shared);
    assertEquals(yield* Process.run(Tasks.addsShared, memory, 1, 1000), PAGE);
    assertEquals(yield* Effect.provide(Process.run(Tasks.addsShared, memory, 1, 1000), worker), PAGE);
    const plain = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(import.meta.resolve("../programs/plain_worker.ts"), { type: "module" })),
      (worker) => Effect.sync(() => worker.terminate()),
    );
    const ask = (message: SharedArrayBuffer | string): Effect.Effect<number> =>
      Effect.async((resume) => {
        plain.onmessage = ({ data }) => resume(Effect.succeed(data));
        plain.postMessage(message);
      });
    assertEquals(yield* ask(shared), 12_000);
    const { instance } = yield* Effect.promise(() => WebAssembly.instantiate(adder, { env: { memory: wasm } }));
    (instance.exports.add as () => void)();
    assertEquals([words[1], memory.array(Int32Array, 4, 1)[0], yield* ask("again")], [12_001, 12_001, 12_001]);
    // After the close, the memory belongs only to this program: no process crashes, and no other process sees changes.
    const queue = yield* Queue.make<string>();
    const child = yield* Process.spawn(Tasks.keeps, memory, queue);
    yield* when(queue.statistics, ({ takers }) => takers === 1);
    yield* memory.close;
    assertEquals([words.length, words[1], yield* ask("again")], [PAGE / 4, 0, 0]);
    (instance.exports.add as () => void)();
    assertEquals(yield* ask("again"), 1);
    yield* queue.put("now");
    assertEquals(yield* child.join, [1, 0, true]);
    assertThrows(() => memory.shared, SharedMemory.MemoryError, "closed");
  }),
);

test(
  "a size that a SharedArrayBuffer cannot have is refused",
  Effect.gen(function* () {
    const memory = yield* SharedMemory.make({ size: PAGE - 8 });
    assertEquals(assertThrows(() => memory.shared, SharedMemory.MemoryError).reason, "InvalidArgument");
    assertEquals(assertThrows(() => memory.wasm, SharedMemory.MemoryError).reason, "InvalidArgument");
    const buffer = yield* made("buffer")(12);
    assertEquals(buffer.shared.byteLength, 12);
    assertEquals(assertThrows(() => buffer.wasm, SharedMemory.MemoryError).reason, "Unsupported");
  }),
);

Deno.test("SharedMemory: what was forgotten is given back to the system, closed or not", async () => {
  const flags = ["-A", "--v8-flags=--expose-gc"];
  const { code, stderr, stdout } = await script("collected_memory.ts", [], flags).ended;
  assertEquals([code, stderr, stdout], [0, "", "closed: 0\nforgotten: 0\ndescriptors: few\n"]);
});
