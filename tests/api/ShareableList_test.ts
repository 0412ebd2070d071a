/**
 * The guarantees of lists in shared memory: each sentence of their documentation, on each backend, in both kinds of
 * memory; compared with a model; and with writers that are killed.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FastCheck from "effect/FastCheck";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import {
  type Backend,
  Lock,
  Manager,
  Process,
  Queue,
  ShareableList,
  SharedMemory,
  SubprocessBackend,
  WorkerBackend,
} from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import type { RegionKind } from "../../src/internal/os/mapping.ts";
import { attempt } from "../../src/internal/values/attempt.ts";
import { make as makeList } from "../../src/internal/values/list.ts";
import { ownLockAt } from "../../src/internal/values/locks.ts";
import { type ListDescriptor, ListMessages } from "../../src/internal/values/messages/list.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../support/assert.ts";
import { processEntry, until } from "../support/leaks.ts";
import * as Tasks from "./list_tasks.ts";
import { random, rounds } from "../support/chance.ts";
import { turn } from "../support/steps.ts";
import { warmUp, when } from "../support/suite.ts";
import { run, withWorkers, type Workers } from "../support/workers.ts";
import { registerEach, repeated, repeating } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();
const withoutFfi = SubprocessBackend.layer({ permissions: { read: true, run: true, env: true } });

type Make = (
  values: Iterable<ShareableList.Element>,
  options?: ShareableList.Options,
) => Effect.Effect<Tasks.List, ShareableList.MemoryFailure, Scope.Scope>;

const made = (kind: RegionKind): Make => (values, options = {}) =>
  kind === "memory" ? ShareableList.make(values, options) : Effect.acquireRelease(
    attempt(() => makeList(values, options, kind)),
    (list) => Effect.sync(() => list.release()),
  );

const handleOf = (object: object): unknown => (object as { [HandleId]: { encode: () => unknown } })[HandleId].encode();

/** Makes a list that this process uses by messages. */
const viaMessages: Make = (values, options) =>
  Effect.map(ShareableList.make(values, options), (list) => new ListMessages(handleOf(list) as ListDescriptor));

const places: Readonly<Record<string, { readonly kind: RegionKind; readonly layer: Layer.Layer<Backend.Backend> }>> = {
  "subprocess, memory": { kind: "memory", layer: subprocess },
  "worker, memory": { kind: "memory", layer: worker },
  "worker, buffer": { kind: "buffer", layer: worker },
};

for (const { kind, layer } of Object.values(places)) {
  await warmUp(Effect.provide(
    Effect.gen(function* () {
      yield* Process.run(Tasks.replaces, yield* made(kind)([1]), [2]);
    }),
    layer,
  ));
}

type Program = Effect.Effect<unknown, unknown, Scope.Scope | Backend.Backend | Workers>;

const promises: Array<readonly [title: string, program: (make: Make) => Program]> = [];
const others: Array<readonly [title: string, program: Program]> = [];

/** Registers a test of a guarantee for each place. */
const promise = (title: string, program: (make: Make) => Program): void => {
  promises.push([title, program]);
};

/** Registers a test for a process that uses memory, and for one that uses messages. */
const carried = (title: string, program: (make: Make) => Program): void => {
  others.push([title, program(made("memory"))], [`${title}, by messages`, program(viaMessages)]);
};

/** Registers a test that does not depend on the place. */
const test = (title: string, program: Program): void => {
  others.push([title, program]);
};

const bytes = (...values: ReadonlyArray<number>): Uint8Array => new Uint8Array(values);

const elements: ReadonlyArray<ShareableList.Element> = [
  null,
  true,
  false,
  0,
  -0,
  NaN,
  1.5,
  -(2n ** 63n),
  2n ** 63n - 1n,
  "",
  "plain",
  "éééééééé",
  "nul\0\0",
  "\ufeff漢字😀",
  bytes(),
  bytes(1, 0, 0),
];

promise("elements of all kinds come back as they were", (make) =>
  Effect.gen(function* () {
    const list = yield* make(elements);
    assertEquals(yield* run(Tasks.all, list), elements);
    assertEquals(yield* run(Tasks.passesOn, list), elements);
    assertEquals(yield* list.toArray, elements);
    assertEquals([...list.raw], elements);
    assertEquals([list.length, list.name], [16, undefined]);
  }));

promise("an element may become one of another kind, if it fits", (make) =>
  Effect.gen(function* () {
    const list = yield* make(["12345678", 1, null, "123456789", bytes(1)]);
    assertEquals(
      yield* run(Tasks.replaces, list, [
        bytes(1, 2, 3, 4, 5, 6, 7, 8),
        "éééé",
        "12345678",
        "x".repeat(17),
        -5n,
      ]),
      ["set", "set", "set", "TooLong", "set"],
    );
    assertEquals(yield* list.toArray, [bytes(1, 2, 3, 4, 5, 6, 7, 8), "éééé", "12345678", "123456789", -5n]);
    assertEquals(yield* Effect.forEach([0, 1, 2, 3, 4], list.capacity), [8, 8, 8, 16, 8]);
    const wide = yield* make([1, "x".repeat(30)], { capacity: 20 });
    assertEquals(yield* Effect.forEach([0, -1], wide.capacity), [24, 32]);
    yield* wide.set(0, "y".repeat(24));
    assertEquals((yield* Effect.flip(wide.set(0, "y".repeat(25)))).reason, "TooLong");
    assertEquals(yield* wide.get(0), "y".repeat(24));
  }));

promise("it travels deep within an item, and back as a result", (make) =>
  Effect.gen(function* () {
    const list = yield* make(["a", "b"]);
    const queue = yield* Queue.make<ReadonlyArray<ReadonlyMap<string, Tasks.List>>>();
    yield* queue.put([new Map([["list", list]])]);
    const back = yield* run(Tasks.fromQueue, queue);
    assertEquals(yield* back.toArray, ["a", "seen"]);
    yield* back.set(0, 7);
    assertEquals(yield* list.get(0), 7);
    yield* back.close;
    yield* back.close;
    assertEquals((yield* Effect.flip(back.get(0))).reason, "Gone");
    assertEquals(yield* list.get(0), 7);
  }));

promise("its use fails when its scope has closed, here and elsewhere", (make) =>
  Effect.gen(function* () {
    const queue = yield* Queue.make<Tasks.List>();
    const scope = yield* Scope.make();
    const list = yield* Scope.extend(make([1, 2]), scope);
    yield* queue.put(list);
    yield* Scope.close(scope, Exit.void);
    assertEquals(yield* run(Tasks.uses, queue), ["Gone", "Gone"]);
    for (const use of [list.get(0), list.set(0, 1), list.toArray, list.includes(1), list.update(0, (x) => x)]) {
      assertEquals((yield* Effect.flip(use as Effect.Effect<unknown, ShareableList.MemoryFailure>)).reason, "Gone");
    }
    assertThrows(() => list.raw.get(0), ShareableList.MemoryError);
  }));

promise("no change of several is lost", (make) =>
  Effect.gen(function* () {
    const list = (yield* make([0, "x"])) as unknown as ShareableList.ShareableList<number>;
    yield* Effect.all([
      run(Tasks.adds, list, 500),
      run(Tasks.adds, list, 500),
      Effect.replicateEffect(list.update(0, (n) => n + 1), 500),
    ], { concurrency: 3 });
    assertEquals(yield* list.get(0), 1500);
  }));

carried(
  "elements are counted from both ends, and there are no others",
  (make) =>
    Effect.gen(function* () {
      const list = yield* make([1, 2, 3, 4, 5, 6, 7]);
      assertEquals([yield* list.get(-1), yield* list.get(-7), yield* list.get(6)], [7, 1, 7]);
      for (const at of [7, -8, -9, 0.5, NaN, Infinity, "0" as never]) {
        for (const use of [list.get(at), list.set(at, 1), list.update(at, (x) => x), list.capacity(at)]) {
          const error = yield* Effect.flip(use as Effect.Effect<unknown, ShareableList.MemoryFailure>);
          assertEquals([error._tag, error.reason], ["OutOfRange", "Index"]);
        }
        if (list.carrier === "memory") assertThrows(() => list.raw.get(at), ShareableList.OutOfRange);
        else assertThrows(() => list.raw.get(at), ShareableList.MemoryError);
      }
      assertEquals(yield* list.toArray, [1, 2, 3, 4, 5, 6, 7]);
      const empty = yield* make([]);
      assertEquals([empty.length, yield* empty.toArray, (yield* Effect.flip(empty.get(0))).reason], [0, [], "Index"]);
      assertEquals((yield* Effect.flip(empty.get(-1))).reason, "Index");
    }),
);

carried(
  "what cannot be kept is refused, and changes nothing",
  (make) =>
    Effect.gen(function* () {
      const list = yield* make(["old", 1]);
      const wrong: ReadonlyArray<[unknown, string]> = [
        [2n ** 63n, "Value"],
        [-(2n ** 63n) - 1n, "Value"],
        [undefined, "Type"],
        [{}, "Type"],
        [[1], "Type"],
        [new Date(), "Type"],
        [Symbol("s"), "Type"],
        ["\ud800", "Type"],
        [() => 1, "Type"],
      ];
      for (const [value, reason] of wrong) {
        assertEquals((yield* Effect.flip(list.set(0, value as never))).reason, reason);
        assertEquals((yield* Effect.flip(list.update(0, () => value as never))).reason, reason);
        const error = yield* Effect.flip(Effect.scoped(make([1, value as never])));
        assertEquals([error._tag, error.reason], ["OutOfRange", reason]);
      }
      assertEquals(yield* list.toArray, ["old", 1]);
      for (const capacity of [-1, 0, 0.5, NaN, 2 ** 32]) {
        const error = yield* Effect.flip(Effect.scoped(make([1], { capacity })));
        assertEquals(error.reason, "InvalidArgument");
      }
      const exit = yield* Effect.exit(list.update(0, () => {
        throw new Error("no");
      }));
      assert(Exit.isFailure(exit));
      yield* list.set(0, "new");
      assertEquals(yield* list.modify(1, (n) => [`was ${n}`, null]), "was 1");
      assertEquals(yield* list.toArray, ["new", null]);
    }),
);

carried(
  "it is searched as an array is",
  (make) =>
    Effect.gen(function* () {
      const list = yield* make([1, "a", 1n, bytes(1, 2), NaN, "a", 0]);
      const expected: ReadonlyArray<[ShareableList.Element, [boolean, number, number]]> = [
        ["a", [true, 2, 1]],
        [1, [true, 1, 0]],
        [1n, [true, 1, 2]],
        [bytes(1, 2), [true, 1, 3]],
        [bytes(1), [false, 0, -1]],
        [NaN, [true, 1, 4]],
        ["b", [false, 0, -1]],
        [null, [false, 0, -1]],
      ];
      for (const [value, result] of expected) {
        assertEquals(
          [
            yield* list.includes(value),
            yield* list.count(value),
            Option.getOrElse(yield* list.indexOf(value), () => -1),
          ],
          result,
        );
      }
      assertEquals(yield* run(Tasks.looksFor, list, "a"), [true, 2, 1]);
    }),
);

carried(
  "it does what an array does, whatever is done to it",
  (make) =>
    Effect.gen(function* () {
      const element = FastCheck.oneof(
        FastCheck.constant(null),
        FastCheck.boolean(),
        FastCheck.double(),
        FastCheck.integer(),
        FastCheck.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        FastCheck.string({ unit: "binary", maxLength: 12 }),
        FastCheck.uint8Array({ maxLength: 20 }),
      ) as FastCheck.Arbitrary<ShareableList.Element>;
      const length = (value: ShareableList.Element): number =>
        typeof value === "string"
          ? new TextEncoder().encode(value).length
          : value instanceof Uint8Array
          ? value.length
          : 8;
      const property = FastCheck.asyncProperty(
        FastCheck.array(element, { maxLength: 6 }),
        FastCheck.constantFrom(1, 5, 16),
        FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: -7, max: 7 }), element), { maxLength: 20 }),
        (initial, capacity, changes) =>
          Effect.runPromise(Effect.scoped(Effect.gen(function* () {
            const list = yield* make(initial, { capacity });
            const model = [...initial];
            const room = initial.map((value) =>
              Math.max(8, Math.ceil(capacity / 8) * 8, Math.ceil(length(value) / 8) * 8)
            );
            for (const [at, value] of changes) {
              const index = at < 0 ? at + model.length : at;
              const result = yield* Effect.either(list.set(at, value));
              const reason = result._tag === "Left" ? result.left.reason : "set";
              if (index < 0 || index >= model.length) assertEquals(reason, "Index");
              else if (length(value) > room[index]) assertEquals(reason, "TooLong");
              else {
                assertEquals(reason, "set");
                model[index] = value;
              }
              assertEquals(yield* list.toArray, model);
            }
          }))),
      );
      yield* Effect.promise(() => FastCheck.assert(property, { numRuns: repeating ? 100 : 30 }));
    }),
);

test(
  "by its name another program has it",
  Effect.gen(function* () {
    const name = `mp_test_${crypto.randomUUID().slice(0, 8)}`;
    const list = yield* ShareableList.make<ShareableList.Element>(["original", 2], { name });
    assertEquals(list.name, name);
    assertEquals(yield* run(Tasks.attaches, name), ["changed", 2]);
    assertEquals(yield* list.get(0), "changed");
    const attached = yield* ShareableList.attach(name);
    yield* attached.set(1, 3);
    assertEquals(yield* list.toArray, ["changed", 3]);
    // As an argument, either of them denotes the same list.
    assertEquals(yield* run(Tasks.all, attached), ["changed", 3]);
    yield* attached.close;
    assertEquals((yield* Effect.flip(attached.get(0))).reason, "Gone");
    assertEquals((yield* Effect.flip(Effect.scoped(ShareableList.make([1], { name })))).reason, "Exists");
    assertEquals(yield* list.get(1), 3);
    assertEquals(yield* run(Tasks.attaches, `${name}x`), "NotFound");
  }),
);

test(
  "what is no list is not attached",
  Effect.gen(function* () {
    const memory = yield* SharedMemory.create({ size: 4096 });
    const attach = Effect.flip(Effect.scoped(ShareableList.attach(memory.name!)));
    assertEquals((yield* attach).reason, "NotFound");
    const list = yield* ShareableList.make([1, 2, 3]);
    memory.bytes.set(list.memory.bytes.subarray(0, 108));
    for (const [at, value] of [[1, 2 ** 31], [1, 2000], [24, 7], [24, 0xffff_fff8]] as const) {
      const words = memory.array(Uint32Array);
      const before = words[at];
      words[at] = value;
      assertStringIncludes((yield* attach).message, "does not hold a list");
      words[at] = before;
    }
    const small = yield* SharedMemory.create({ size: 8 });
    assertEquals((yield* Effect.flip(Effect.scoped(ShareableList.attach(small.name!)))).reason, "NotFound");
  }),
);

test(
  "a subprocess without --allow-ffi uses a list by messages, and is told which flag `raw` needs (full)",
  Effect.gen(function* () {
    const list = yield* ShareableList.make<ShareableList.Element>(["a", 1, null]);
    assertEquals(list.carrier, "memory");
    const [carrier, text, refused] = yield* Process.run(Tasks.describes, list);
    assertEquals([carrier, text], ["messages", "ShareableList(3 elements)"]);
    assert(refused.startsWith("Unsupported: "), refused);
    assertStringIncludes(refused, "--allow-ffi");
    const insists = yield* ShareableList.make<ShareableList.Element>([1], { carrier: "memory" });
    const numbers = insists as object as ShareableList.ShareableList<number>;
    for (const use of [Process.run(Tasks.all, insists), Process.run(Tasks.adds, numbers, 1)]) {
      const error = yield* Effect.flip(use as Effect.Effect<unknown, Error, Backend.Backend>);
      assertEquals((error as ShareableList.MemoryError).reason, "Unsupported");
      assertStringIncludes(error.message, "--allow-ffi");
      assertStringIncludes(error.message, "messages");
    }
    const lock = yield* Lock.make({ carrier: "messages" });
    const locked = yield* ShareableList.make<number>([0, 0], { lock });
    yield* Process.run(Tasks.pairs, locked, 3);
    assertEquals(yield* locked.toArray, [3, 3]);
    const wrong = ShareableList.make([1], { carrier: "messages", name: "mp_test_messages" });
    assertEquals((yield* Effect.flip(Effect.scoped(wrong))).reason, "InvalidArgument");
  }).pipe(Effect.provide(withoutFfi)),
);

test(
  "a change by messages that is interrupted was made before it ended, or never, and keeps no turn",
  Effect.gen(function* () {
    const list = yield* ShareableList.make<number>([0, 0]);
    const other = new ListMessages<number>(handleOf(list) as ListDescriptor);
    let made = 0;
    for (let turns = 0; turns < 16; turns++) {
      const fiber = yield* Effect.fork(other.update(0, (n) => n + 1));
      for (let i = 0; i < turns; i++) yield* Effect.yieldNow();
      const exit = yield* Fiber.interrupt(fiber);
      const now = list.raw.get(0);
      assert(now === made || now === made + 1);
      if (Exit.isSuccess(exit)) assertEquals(now, made + 1);
      // Without a turn of its own, a change in memory and one by messages would wait for ever.
      yield* list.set(1, turns);
      yield* other.set(1, turns + 0.5);
      assertEquals([list.raw.get(0), list.raw.get(1)], [now, turns + 0.5]);
      made = now;
    }
    assert(made > 0);
    yield* Effect.exit(Effect.timeout(other.update(0, (n) => n + 1), 0));
    yield* list.set(1, -1);
    for (const change of [() => "much too long" as unknown as number, () => undefined as unknown as number]) {
      assertEquals((yield* Effect.flip(other.update(1, change)))._tag, "OutOfRange");
    }
    assert(Exit.isFailure(
      yield* Effect.exit(other.update(1, () => {
        throw new Error("no");
      })),
    ));
    yield* list.set(1, -2);
    assertEquals(yield* other.modify(1, (n) => [n, n - 1]), -2);
  }),
);

test(
  "a change by messages that is interrupted while it waits for its turn ends at once, and is never made",
  Effect.gen(function* () {
    const list = yield* ShareableList.make<number>([0]);
    const sent = handleOf(list) as ListDescriptor;
    const other = new ListMessages<number>(sent);
    const turns = ownLockAt(sent.address!, sent.host);
    yield* turns.take;
    for (const change of [other.set(0, 1), other.update(0, (n) => n + 1)]) {
      const fiber = yield* Effect.fork(change);
      yield* when(turns.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      assert(Exit.isInterrupted(yield* Fiber.interrupt(fiber)));
      yield* when(turns.statistics, ({ waitingProcesses }) => waitingProcesses === 0);
    }
    const waits = yield* Effect.fork(other.set(0, 5));
    yield* when(turns.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
    yield* turns.release;
    yield* Fiber.join(waits);
    assertEquals(yield* list.get(0), 5);
  }),
);

test(
  "a process that is killed in its turn, by messages, has changed nothing and holds up nobody",
  Effect.gen(function* () {
    const list = yield* ShareableList.make<ShareableList.Element>(["old"]);
    const child = yield* Process.spawnWith(Tasks.diesInTurn, [list], { daemon: true });
    yield* child.status;
    assertEquals(yield* list.update(0, (text) => `${text}, and new`.slice(0, 8)), "old, and");
    assertEquals(yield* list.get(0), "old, and");
  }).pipe(Effect.provide(withoutFfi)),
);

test(
  "a list of a manager whose server cannot share memory is used by messages, here and in children (full)",
  Effect.gen(function* () {
    const manager = yield* Manager.make();
    const list = yield* manager.shareableList<ShareableList.Element>(["a", 1]);
    assertEquals(list.carrier, "messages");
    assertEquals(yield* list.update(1, (n) => Number(n) + 1), 2);
    assertEquals(yield* Process.run(Tasks.all, list), ["a", 2]);
    assertEquals((yield* Effect.flip(list.set(0, "x".repeat(9)))).reason, "TooLong");
  }).pipe(Effect.provide(withoutFfi)),
);

test(
  "a maker that closes its handle ends nothing for users by messages, and its scope ends all",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const list = yield* Scope.extend(ShareableList.make<ShareableList.Element>(["a", 1]), scope);
    const other = new ListMessages(handleOf(list) as ListDescriptor);
    assertEquals(yield* other.get(0), "a");
    yield* list.close;
    assertEquals((yield* Effect.flip(list.get(0))).reason, "Gone");
    yield* other.set(1, 2);
    assertEquals(yield* other.toArray, ["a", 2]);
    const last = new ListMessages(handleOf(list) as ListDescriptor);
    yield* last.close;
    assertEquals((yield* Effect.flip(last.get(0))).reason, "Gone");
    yield* Scope.close(scope, Exit.void);
    for (const use of [other.get(0), other.set(0, 1), other.update(0, (x) => x), other.toArray, other.capacity(0)]) {
      assertEquals((yield* Effect.flip(use as Effect.Effect<unknown, ShareableList.MemoryFailure>)).reason, "Gone");
    }
  }),
);

test(
  "an element that is larger than a message may be fails with `Full` by messages, and the list stays usable (full)",
  Effect.gen(function* () {
    const list = yield* ShareableList.make<ShareableList.Element>([bytes(1), 0], { capacity: 200_000 });
    assertEquals(yield* Process.run(Tasks.grows, list, 200_000), ["Full", "Full", "set"]);
    yield* list.set(0, new Uint8Array(200_000));
    assertEquals(yield* Process.run(Tasks.replaces, list, [1, 2]), ["set", "set"]);
    yield* list.set(0, new Uint8Array(200_000));
    assertEquals(yield* Process.run(Tasks.shrinks, list), ["Full", "Full", "Full", 2, "set"]);
    assertEquals(yield* list.toArray, [null, 2]);
  }).pipe(
    Effect.provide(
      SubprocessBackend.layer({ maxMessageSize: 100_000, permissions: { read: true, run: true, env: true } }),
    ),
  ),
);

test(
  "a list of 2000 numbers is summed by two processes",
  Effect.gen(function* () {
    const list = yield* ShareableList.make(Array.from({ length: 2000 }, (_, n) => n));
    const sums = yield* Effect.all(
      [run(Tasks.sums, list, 0, 1000), run(Tasks.sums, list, 1000, 2000)],
      {
        concurrency: 2,
      },
    );
    assertEquals(sums[0] + sums[1], 1_999_000);
  }),
);

type Scribbled = ShareableList.ShareableList<string | number>;

/** A list with room for the texts of the scribblers. The last element counts their rounds. */
const scribbled = ShareableList.make<string | number>([...Array.from({ length: 8 }, () => "a1"), 0], { capacity: 100 });

const whole = (list: Scribbled): void => {
  const all = list.raw.toArray();
  assertEquals(all.slice(0, -1).filter((text) => !Tasks.isWhole(text)), []);
  assert(Number.isInteger(all.at(-1)));
};

/** Waits until the scribblers have done more rounds. */
const more = (list: Scribbled, count: number) =>
  Effect.gen(function* () {
    const before = Number(yield* list.get(-1));
    yield* when(list.get(-1), (n) => Number(n) >= before + count);
  });

test(
  "at whichever instruction a writer stands still, others see whole elements (full) (storm)",
  Effect.gen(function* () {
    const list = yield* scribbled;
    const child = yield* Process.spawnWith(Tasks.scribbles, [list, "x"], { daemon: true });
    yield* more(list, 20);
    const steps = rounds(150, 1000);
    for (let round = 0; round < steps; round++) {
      yield* child.signal("SIGSTOP");
      yield* Effect.promise(() => until("the writer stands still", () => processEntry(child.pid)?.state === "T"));
      whole(list);
      yield* child.signal("SIGCONT");
      // On a busy machine the writer may not have run since the last round.
      yield* round % 5 === 0 ? more(list, 1) : turn;
    }
    yield* child.kill;
  }),
);

/** Kills writers of a list, which this process uses in memory. */
const killed = (layer: Layer.Layer<Backend.Backend>, kills: number): Program =>
  Effect.gen(function* () {
    const list = yield* scribbled;
    const other = yield* Process.spawnWith(Tasks.scribbles, [list, "y"], { daemon: true });
    for (let round = 0; round < kills; round++) {
      const child = yield* Process.spawnWith(Tasks.scribbles, [list, "z"], { daemon: true });
      yield* when(list.toArray, (all) => all.some((text) => String(text)[0] === "z"));
      yield* more(list, Math.ceil(random() * 10));
      yield* child.kill;
      yield* child.status;
      whole(list);
      yield* list.set(0, "q1");
      yield* more(list, 2);
    }
    yield* other.kill;
    yield* other.status;
    whole(list);
    yield* list.set(1, "q1");
    assertEquals(yield* list.get(1), "q1");
  }).pipe(Effect.provide(layer));

test(
  "writers that are killed leave whole elements, and others go on (full) (storm)",
  killed(subprocess, rounds(2, 12)),
);
test(
  "writers by messages that are killed leave whole elements, and others go on (full) (storm)",
  killed(withoutFfi, rounds(2, 5)),
);

test(
  "a writer that is interrupted while it waits for its turn has changed nothing",
  Effect.gen(function* () {
    const list = yield* scribbled;
    const child = yield* Process.spawnWith(Tasks.scribbles, [list, "x"], { daemon: true });
    yield* more(list, 20);
    for (let round = 0; round < 50; round++) {
      const fiber = yield* Effect.fork(list.set(0, "interrupted1"));
      for (let i = round % 5; i > 0; i--) yield* Effect.yieldNow();
      yield* Fiber.interrupt(fiber);
    }
    yield* more(list, 5);
    yield* child.kill;
    yield* child.status;
    yield* list.set(0, "x1");
    whole(list);
  }),
);

test(
  "steps that belong together are taken together, with a lock of its own or another's",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const list = yield* ShareableList.make<number>([0, 0], { lock });
    const own = yield* ShareableList.make<number>([0, 0]);
    yield* Effect.all([run(Tasks.pairs, list, 200), run(Tasks.pairs, list, 200)], { concurrency: 2 });
    yield* Effect.all([run(Tasks.pairs, own, 200), run(Tasks.pairs, own, 200)], { concurrency: 2 });
    assertEquals([yield* list.toArray, yield* own.toArray], [[400, 400], [400, 400]]);
    assertEquals(list.lock, lock);
  }),
);

registerEach(Object.entries(places), ([name, { kind, layer }]) => {
  const steps = promises.map(([title, program]) => [title, program(made(kind))] as const);
  withWorkers(`ShareableList, ${name}`, layer, 2, steps);
});
repeated(() => {
  const steps = promises.map(([title, program]) => [title, program(made("memory"))] as const);
  withWorkers("ShareableList, subprocess, messages", withoutFfi, 2, steps);
}, ["no change of several is lost", "elements of all kinds"]);
withWorkers("ShareableList", subprocess, 2, others);
