/**
 * Memory with a random name. On macOS and Windows these tests are the first run of its code; on Linux they run the code for
 * macOS with the numbers of Linux.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import { Process, type SharedMemory, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { namedMemory } from "../../src/internal/os/named_memory.ts";
import { ownedMemory } from "../../src/internal/values/attempt.ts";
import { makeExperimentally } from "../../src/internal/values/memory.ts";
import * as Tasks from "../api/memory_tasks.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import { test } from "../support/suite.ts";

const calls = namedMemory();

/** Makes a block as on a system where memory without a name does not exist. */
const block = (size: number): Effect.Effect<SharedMemory.SharedMemory, SharedMemory.MemoryError, Scope.Scope> =>
  ownedMemory(() => makeExperimentally(size, "buffer"), (memory) => memory.release());

const files = (): ReadonlyArray<string> =>
  Deno.build.os === "windows"
    ? []
    : [...Deno.readDirSync("/tmp")].map(({ name }) => name).filter((name) => /^mp-.{43}$/.test(name));

Deno.test("named memory is zeros, is the same for all who map it, and is gone with its maker", () => {
  assert(typeof calls === "object", String(calls));
  const size = 3_000_001;
  const own = calls.create(size);
  const other = calls.attach(own.name, size)!;
  const [here, there] = [own, other].map(({ pointer }) =>
    new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, size))
  );
  assertEquals(here.findIndex((byte) => byte !== 0), -1);
  here[size - 1] = 7;
  there[0] = 8;
  assertEquals([there[size - 1], here[0]], [7, 8]);
  own.close();
  assertEquals([there[size - 1], there[0]], [7, 8]);
  assertEquals(calls.attach(own.name, size), undefined);
  other.close();
});

Deno.test("named memory of another size than its name promises is not mapped", () => {
  assert(typeof calls === "object", String(calls));
  const own = calls.create(65_536);
  // Windows may report such a view as an error of the system.
  if (Deno.build.os !== "windows") assertEquals(calls.attach(own.name, 131_072), undefined);
  own.close();
});

test(
  "a block with a random name is used by subprocesses and workers, and is gone with its scope",
  Effect.gen(function* () {
    const before = files();
    const scope = yield* Scope.make();
    const memory = yield* Scope.extend(block(65_536), scope);
    memory.bytes.fill(1);
    assertEquals(yield* Effect.provide(Process.run(Tasks.increments, memory), SubprocessBackend.layer()), 65_536);
    assertEquals(yield* Effect.provide(Process.run(Tasks.increments, memory), WorkerBackend.layer()), 131_072);
    assertEquals([memory.bytes[0], memory.bytes[65_535]], [3, 3]);
    assertStringIncludes(
      yield* Effect.try(() => memory.shared).pipe(Effect.flip, Effect.map(({ cause }) => `${cause}`)),
      "experimental",
    );
    yield* Scope.close(scope, Exit.void);
    assertEquals([memory.bytes.length, files()], [0, before]);
  }),
);
