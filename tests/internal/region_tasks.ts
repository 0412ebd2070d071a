/** Tasks that use the lowest layer of shared memory. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { allocate, arena, bucketOf, type ObjectAddress, reach } from "../../src/internal/sync/protocol/arena.ts";
import { attach, RegionError, type Token } from "../../src/internal/os/mapping.ts";
import { words } from "../../src/internal/os/atomics.ts";

/** Adds to a word the given number of times. */
export const adds = Task.make(import.meta, "adds", (token: Token, times: number) => {
  const cells = words(attach(token).buffer);
  for (let i = 0; i < times; i++) cells.add(0, 1);
});

export const attaches = Task.make(import.meta, "attaches", (token: Token) => {
  try {
    return attach(token).size;
  } catch (error) {
    if (error instanceof RegionError) return error.reason;
    throw error;
  }
});

/** Waits until a word has this value; the bell wakes it. */
export const until = ({ arena, at }: ReturnType<typeof reach>, value: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    void arena.self;
    return Effect.sync(arena.doorbell.watch({
      bucket: bucketOf(at),
      check: () => {
        if (arena.words.load(at) !== value) return false;
        resume(Effect.void);
        return true;
      },
    }));
  });

/** Writes its number in the arena to the second word of the object, and then reports so. */
export const enters = Task.make(import.meta, "enters", (address: ObjectAddress, linger: boolean) => {
  const { arena, at } = reach(address);
  arena.words.store(at + 1, arena.self);
  arena.words.store(at, 1);
  arena.ringAll(bucketOf(at));
  return linger ? Effect.never : Effect.succeed(arena.self);
});

/** Answers each even number in the object's first word with the next. */
export const answers = Task.make(
  import.meta,
  "answers",
  (address: ObjectAddress, rounds: number) =>
    Effect.gen(function* () {
      const object = reach(address);
      const { arena, at } = object;
      for (let round = 0; round < rounds; round++) {
        yield* until(object, 2 * round + 1);
        arena.words.store(at, 2 * round + 2);
        arena.ringAll(bucketOf(at));
      }
    }),
);

export const openArenas = Task.make(import.meta, "openArenas", (token: Token) => arena(token).self);

/** Blocks its thread for ever. */
export const burns = Task.make(import.meta, "burns", (address: ObjectAddress) => {
  const { arena, at } = reach(address);
  arena.words.store(at + 1, arena.self);
  arena.words.store(at, 1);
  arena.ringAll(bucketOf(at));
  for (;;);
});

/**
 * Kills a worker that cannot be stopped, and waits until it counts as dead. Returns whether it counted as alive before.
 */
export const killsStuck = Task.make(import.meta, "killsStuck", () =>
  Effect.gen(function* () {
    const block = allocate(2, "memory");
    const { arena, at } = block;
    const child = yield* Process.spawnWith(burns, [block.address], { name: "stuck", daemon: true });
    yield* until(block, 1);
    const guest = arena.words.load(at + 1);
    const before = arena.alive(guest);
    yield* child.kill;
    // Its thread might still end by itself.
    while (arena.alive(guest)) yield* Effect.sleep(5);
    return before;
  }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())));
