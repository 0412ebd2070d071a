/** Memory that several processes map: its lowest layer, on each backend and in both kinds. */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import type { Backend } from "../../src/Backend.ts";
import { allocate, type Arena, bucketOf, exists, reach, slotOf } from "../../src/internal/sync/protocol/arena.ts";
import { ringMemory } from "../../src/internal/sync/protocol/doorbell.ts";
import { attach, create, RegionError, type RegionKind } from "../../src/internal/os/mapping.ts";
import { words } from "../../src/internal/os/atomics.ts";
import { assert, assertEquals, assertThrows } from "../support/assert.ts";
import { test as run, warmUp, when } from "../support/suite.ts";
import { adds, answers, attaches, enters, killsStuck, openArenas, until } from "./region_tasks.ts";
import { registerEach } from "../support/tier.ts";

const backends = {
  "subprocess, memory": { layer: SubprocessBackend.layer(), kind: "memory" },
  "worker, memory": { layer: WorkerBackend.layer(), kind: "memory" },
  "worker, buffer": { layer: WorkerBackend.layer(), kind: "buffer" },
} as const;

const region = (size: number, kind: RegionKind) =>
  Effect.acquireRelease(Effect.sync(() => create(size, kind)), (region) => Effect.sync(region.close));

const object = (size: number, kind: RegionKind) =>
  Effect.acquireRelease(Effect.sync(() => allocate(size, kind)), (block) => Effect.sync(block.free));

const waitUntil = (holds: () => boolean): Effect.Effect<void> =>
  Effect.asVoid(when(Effect.sync(holds), (held) => held));

await warmUp(Effect.gen(function* () {
  for (const { kind, layer } of Object.values(backends)) {
    const { arena } = yield* object(1, kind);
    void arena.self;
    yield* Effect.provide(Process.run(attaches, arena.region.token), layer);
  }
}));

registerEach(Object.entries(backends), ([name, { kind, layer }]) => {
  const test = <E>(title: string, program: Effect.Effect<unknown, E, Scope.Scope | Backend>): void =>
    run(`${name}: ${title}`, Effect.provide(program, layer));

  test(
    "each process sees what the other writes, and no count is lost",
    Effect.gen(function* () {
      const { buffer, token } = yield* region(4096, kind);
      yield* Effect.all([Process.run(adds, token, 100_000), Process.run(adds, token, 100_000)], { concurrency: 2 });
      assertEquals(words(buffer).load(0), 200_000);
    }),
  );

  test(
    "a region that was closed cannot be attached",
    Effect.gen(function* () {
      const { close, token } = yield* region(4096, kind);
      assertEquals(yield* Process.run(attaches, token), 4096);
      close();
      close();
      assertEquals(yield* Process.run(attaches, token), "Gone");
    }),
  );

  test(
    "a region whose maker has ended cannot be attached (full)",
    Effect.gen(function* () {
      const address = (yield* object(2, kind)).address;
      const child = yield* Process.spawnWith(openArenas, [address.arena], { name: "maker" });
      assert((yield* child.join) > 0);
    }),
  );

  test(
    "the doorbell wakes waiters, to and fro",
    Effect.gen(function* () {
      const rounds = 200;
      const block = yield* object(2, kind);
      const { arena, at } = block;
      const child = yield* Process.spawn(answers, block.address, rounds);
      for (let round = 0; round < rounds; round++) {
        arena.words.store(at, 2 * round + 1);
        arena.ringAll(bucketOf(at));
        yield* until(block, 2 * round + 2);
      }
      yield* child.join;
      assertEquals(arena.doorbell.waiting, 0);
    }),
  );

  test(
    "a participant lives until its process or worker ends",
    Effect.gen(function* () {
      const block = yield* object(2, kind);
      const { arena, at } = block;
      const child = yield* Process.spawnWith(enters, [block.address, true], { name: "guest", daemon: true });
      yield* until(block, 1);
      const guest = arena.words.load(at + 1);
      assert(arena.alive(guest));
      assert(arena.alive(arena.self));
      assert(slotOf(guest) !== slotOf(arena.self));
      yield* child.kill;
      yield* child.status;
      yield* waitUntil(() => !arena.alive(guest));
    }),
  );

  test(
    "slots of the dead are used again, under another name",
    Effect.gen(function* () {
      const block = yield* object(2, kind);
      const { arena } = block;
      const seen = new Set<number>([arena.self]);
      let first: number | undefined;
      for (let i = 0; i < 3; i++) {
        const guest = yield* Process.run(enters, block.address, false);
        assert(!seen.has(guest));
        first ??= guest;
        seen.add(guest);
      }
      yield* waitUntil(() => !arena.alive(first!));
      const used = fill(arena);
      const guest = yield* Process.run(enters, block.address, false);
      assert(!seen.has(guest));
      // Of `first`, or of another dead process that has used the arena.
      assert(used.has(slotOf(guest)) && slotOf(guest) !== slotOf(arena.self));
    }),
  );

  test(
    "a watch that was taken back is asked no more, and keeps nothing waiting",
    Effect.gen(function* () {
      const block = yield* object(2, kind);
      for (let i = 0; i < 20; i++) {
        yield* until(block, 1).pipe(Effect.timeout(i % 3), Effect.ignore);
      }
      assertEquals(block.arena.doorbell.waiting, 0);
    }),
  );

  test(
    "an object that is no more cannot be reached, nor what follows it in its address",
    Effect.gen(function* () {
      const block = allocate(2, kind);
      const keep = yield* object(2, kind);
      assert(exists(block.arena, block.address));
      assertEquals(reach(block.address).at, block.at);
      block.free();
      block.free();
      assert(!exists(block.arena, block.address));
      assertThrows(() => reach(block.address), RegionError, "scope has closed");
      assert(exists(keep.arena, keep.address));
    }),
  );
});

/** Occupies all slots that were never used, on behalf of a thread that has ended. Returns the others. */
const fill = (arena: Arena): ReadonlySet<number> => {
  const used = new Set<number>();
  for (let slot = 0; slot < 256; slot++) {
    const at = 16 + slot * 16;
    if (arena.words.swap(at, 0, 0x3fff_fff1) === 0) arena.words.store(at + 1, 1);
    else used.add(slot);
  }
  return used;
};

run(
  "a worker that cannot be stopped counts as dead once it was killed",
  Effect.gen(function* () {
    assert(yield* Process.run(killsStuck));
  }).pipe(Effect.provide(SubprocessBackend.layer())),
);

run(
  "a doorbell whose process number and descriptor are another's by now is not rung, whatever that descriptor is",
  Effect.sync(() => {
    const folder = Deno.makeTempDirSync();
    const open = Deno.openSync(folder);
    const numbers = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name));
    const fd = numbers.find((fd) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${fd}`) === folder;
      } catch {
        return false;
      }
    });
    assert(fd !== undefined);
    ringMemory({ pid: Deno.pid, fd, inode: 1n }, 0);
    open.close();
    Deno.removeSync(folder);
    ringMemory({ pid: Deno.pid, fd, inode: 1n }, 0);
  }),
);

run(
  "a region is attached once in a process, and its views are empty when it was closed",
  Effect.sync(() => {
    const made = create(4096, "memory");
    assertEquals(attach(made.token), made);
    const view = new Uint8Array(made.buffer);
    view[7] = 1;
    made.close();
    assertEquals(view.length, 0);
    assertEquals(view[7], undefined);
    assertThrows(() => attach(made.token), RegionError, "scope has closed");
  }),
);

run(
  "more memory than there is, is refused, and nothing is left of it",
  Effect.sync(() => {
    const error = assertThrows(() => create(2 ** 50, "memory"), RegionError);
    assertEquals(error.reason, "Full");
  }),
);

run(
  "what a worker had mapped is freed when it has ended (full)",
  Effect.gen(function* () {
    const maps = (): number => Deno.readTextFileSync("/proc/self/maps").split("memfd:multiprocessing").length;
    const { token } = yield* region(4096, "memory");
    const before = maps();
    for (let i = 0; i < 3; i++) yield* Process.run(attaches, token);
    yield* waitUntil(() => maps() === before);
  }).pipe(Effect.provide(WorkerBackend.layer())),
);
