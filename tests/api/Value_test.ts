/**
 * The guarantees of values and arrays in shared memory: each sentence of their documentation, on each backend, in both
 * kinds.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FastCheck from "effect/FastCheck";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import {
  Array as SharedArray,
  type Backend,
  Process,
  Queue,
  SubprocessBackend,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import type { RegionKind } from "../../src/internal/os/mapping.ts";
import { make as makeArray } from "../../src/internal/values/array.ts";
import { attempt } from "../../src/internal/values/attempt.ts";
import { make as makeBytes } from "../../src/internal/values/bytes.ts";
import { type ArrayDescriptor, ArrayMessages } from "../../src/internal/values/messages/array.ts";
import { type BytesDescriptor, BytesMessages } from "../../src/internal/values/messages/bytes.ts";
import { type StructDescriptor, StructMessages } from "../../src/internal/values/messages/struct.ts";
import { type ValueDescriptor, ValueMessages } from "../../src/internal/values/messages/value.ts";
import { make as makeStruct } from "../../src/internal/values/struct.ts";
import { make as makeValue } from "../../src/internal/values/value.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../support/assert.ts";
import { rounds } from "../support/chance.ts";
import { warmUp, when } from "../support/suite.ts";
import { run, withWorkers, type Workers } from "../support/workers.ts";
import * as Tasks from "./value_tasks.ts";
import { registerEach, repeated } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();
const withoutFfi = SubprocessBackend.layer({ permissions: { read: true, run: true, env: true } });

/** Constructors of values in a kind of memory. The public constructors use the kind that this program supports. */
interface Make {
  readonly value: (
    type: Value.Type,
    initial?: unknown,
  ) => Effect.Effect<Tasks.AnyValue, Value.MemoryFailure, Scope.Scope>;
  readonly array: (
    type: Value.Type,
    initial: number | Iterable<unknown>,
  ) => Effect.Effect<Tasks.AnyArray, Value.MemoryFailure, Scope.Scope>;
  readonly struct: typeof Value.struct;
  readonly bytes: typeof Value.bytes;
}

/** Makes an object in a kind of memory by an internal constructor. */
const owned = <A>(make: () => readonly [A, free: () => void]): Effect.Effect<A, Value.MemoryFailure, Scope.Scope> =>
  Effect.map(Effect.acquireRelease(attempt(make), ([_, free]) => Effect.sync(free)), ([made]) => made);

const made = (kind: RegionKind): Make => ({
  value: (type, initial) =>
    kind === "memory"
      ? Value.make(type, initial as never) as ReturnType<Make["value"]>
      : owned(() => makeValue(type, initial, undefined, kind)),
  array: (type, initial) =>
    kind === "memory"
      ? SharedArray.make(type, initial as never) as ReturnType<Make["array"]>
      : owned(() => makeArray(type, initial, undefined, kind)),
  struct: (fields, initial) =>
    kind === "memory" ? Value.struct(fields, initial) : owned(() => makeStruct(fields, initial, undefined, kind)),
  bytes: (capacity, initial) =>
    kind === "memory" ? Value.bytes(capacity, initial) : owned(() => makeBytes(capacity, initial, undefined, kind)),
});

/** The same, for a process that uses by messages what it has made. */
const viaMessages: Make = {
  value: (type, initial) =>
    Effect.map(
      Value.make(type, initial as never),
      (value) => new ValueMessages(handleOf(value) as ValueDescriptor) as Tasks.AnyValue,
    ),
  array: (type, initial) =>
    Effect.map(
      SharedArray.make(type, initial as never),
      (array) => new ArrayMessages(handleOf(array) as ArrayDescriptor) as Tasks.AnyArray,
    ),
  struct: <const F extends Value.Fields>(fields: F, initial?: Partial<Value.RecordOf<F>>) =>
    Effect.map(
      Value.struct(fields, initial),
      (struct) => new StructMessages<F>(handleOf(struct) as StructDescriptor),
    ),
  bytes: (capacity, initial) =>
    Effect.map(Value.bytes(capacity, initial), (bytes) => new BytesMessages(handleOf(bytes) as BytesDescriptor)),
};

const handleOf = (object: object): unknown => (object as { [HandleId]: { encode: () => unknown } })[HandleId].encode();

const places: Readonly<Record<string, { readonly kind: RegionKind; readonly layer: Layer.Layer<Backend.Backend> }>> = {
  "subprocess, memory": { kind: "memory", layer: subprocess },
  "worker, memory": { kind: "memory", layer: worker },
  "worker, buffer": { kind: "buffer", layer: worker },
};

for (const { kind, layer } of Object.values(places)) {
  await warmUp(Effect.provide(
    Effect.gen(function* () {
      yield* Process.run(Tasks.sets, yield* made(kind).value("i32"), 1);
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

const integers = {
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32_768, 32_767],
  u16: [0, 65_535],
  i32: [-2_147_483_648, 2_147_483_647],
  u32: [0, 4_294_967_295],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u64: [0n, 2n ** 64n - 1n],
} as const;

const isWide = (type: string): boolean => type.endsWith("64") && type !== "f64";

promise("no addition of several is lost, with Effects and without", (make) =>
  Effect.gen(function* () {
    for (const type of ["i32", "f64"] as const) {
      const value = yield* make.value(type, 5);
      yield* Effect.all([
        run(Tasks.counts, value, 1, 5000, true),
        run(Tasks.counts, value, 1, 1000, false),
        Effect.replicateEffect(value.add(1), 1000),
      ], { concurrency: 3 });
      assertEquals(yield* value.get, 7005);
    }
  }));

promise("a compare and exchange is one step", (make) =>
  Effect.gen(function* () {
    const value = yield* make.value("f32");
    yield* Effect.all([run(Tasks.exchanges, value, 2000), run(Tasks.exchanges, value, 2000)], {
      concurrency: 2,
    });
    assertEquals(yield* value.get, 4000);
  }));

promise("all types cross with all that they can be", (make) =>
  Effect.gen(function* () {
    const [i64, f64, bool] = [yield* make.value("i64", -5n), yield* make.value("f64", -0), yield* make.value("bool")];
    assertEquals(yield* run(Tasks.sets, i64, -(2n ** 63n)), -5n);
    assertEquals(yield* run(Tasks.sets, f64, NaN), -0);
    assertEquals(yield* run(Tasks.sets, bool, true), false);
    assertEquals([yield* i64.get, yield* f64.get, yield* bool.get], [-(2n ** 63n), NaN, true]);
  }));

promise("handles travel deep within an item, and back as a result", (make) =>
  Effect.gen(function* () {
    const queue = yield* Queue.make<
      { readonly values: ReadonlyArray<Tasks.AnyValue>; readonly array: Tasks.AnyArray }
    >();
    const values = [yield* make.value("i8", 127), yield* make.value("u32", 7), yield* make.value("i64", 1n)];
    const array = yield* make.array("i32", [1, -2, 3]);
    yield* queue.put({ values, array });
    assertEquals(yield* run(Tasks.bumps, queue), [["OutOfRange Value", 7, "OutOfRange Value"], [2, -1, 4]]);
    assertEquals(yield* Effect.forEach(values, ({ get }) => get), [127, 8, 1n]);
    const back = yield* run(Tasks.givesBack, values[0], array);
    yield* back.value.set(-3);
    yield* back.array.set(-1, 9);
    assertEquals([yield* values[0].get, yield* array.slice()], [-3, [2, -1, 9]]);
    assertEquals(yield* run(Tasks.passesOn, array), [3, 0, 10]);
  }));

promise("its use fails when its scope has closed, here and elsewhere", (make) =>
  Effect.gen(function* () {
    const queue = yield* Queue.make<
      { readonly values: ReadonlyArray<Tasks.AnyValue>; readonly array: Tasks.AnyArray }
    >();
    const scope = yield* Scope.make();
    const value = yield* Scope.extend(make.value("i32"), scope);
    const array = yield* Scope.extend(make.array("i32", 3), scope);
    const other = yield* make.value("i32");
    const empty = yield* make.array("i32", 0);
    yield* queue.put({ values: [value, other], array: empty });
    yield* Scope.close(scope, Exit.void);
    assertEquals(yield* run(Tasks.bumps, queue), [["MemoryError Gone", 0], []]);
    for (const effect of [value.get, value.set(1), value.add(1), array.get(0), array.slice(), array.fill(1)]) {
      const error = yield* Effect.flip(effect as Effect.Effect<unknown, Value.MemoryFailure>);
      assertEquals([error._tag, error.reason], ["MemoryError", "Gone"]);
    }
    assertThrows(() => value.raw.value, Value.MemoryError);
    assertThrows(() => array.raw.view, Value.MemoryError);
    assertEquals([...(yield* empty.slice()), yield* other.get], [1]);
  }));

promise("no addition to an element of a large array is lost", (make) =>
  Effect.gen(function* () {
    const array = yield* make.array("u16", 20_000);
    yield* Effect.all([run(Tasks.addsTo, array, 1, 2), run(Tasks.addsTo, array, 2, 2)], {
      concurrency: 2,
    });
    assertEquals([...new Set(yield* array.slice())], [6]);
    assertEquals(array.raw.view.length, 20_000);
  }));

promise("a killed process harms nobody", (make) =>
  Effect.gen(function* () {
    const [value, begun] = [yield* make.value("i64"), yield* make.value("i32")];
    const counts = yield* make.value("i32");
    const child = yield* Process.spawnWith(Tasks.addsForEver, [counts, begun], { daemon: true });
    yield* when(counts.get, (count) => count > 1000);
    yield* child.kill;
    yield* child.status;
    // The thread of a worker may continue for a moment.
    const count = yield* counts.add(1);
    assert(count > 1000 && (yield* counts.get) > count);
    assertEquals([yield* value.add(1n), yield* value.get, yield* begun.get], [0n, 1n, 1]);
  }));

promise("steps that belong together are taken together", (make) =>
  Effect.gen(function* () {
    const [value, array] = [yield* make.value("i32"), yield* make.array("i32", 1)];
    yield* Effect.all([run(Tasks.turns, value, array, 100), run(Tasks.turns, value, array, 100)], {
      concurrency: 2,
    });
    assertEquals([yield* value.get, yield* array.slice()], [200, [200]]);
    const [one, other] = [
      yield* Value.make("i32", 0, { lock: value.lock }),
      yield* Value.make("i32", 0, { lock: value.lock }),
    ];
    assertEquals([one.lock, other.lock], [value.lock, value.lock]);
    yield* one.withLock(Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.turns, other as Tasks.AnyValue, array, 1);
      yield* when(other.lock.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      assertEquals(yield* other.get, 0);
      return child;
    })).pipe(Effect.flatMap(({ join }) => join));
    assertEquals(yield* other.get, 1);
  }));

promise(
  "all fields of a struct are replaced in one step, and each is a value for itself",
  (make) =>
    Effect.gen(function* () {
      const point: Tasks.Point = yield* make.struct({ x: "f64", y: "f64", moves: "u32" }, { x: 0.5 });
      const both = (task: Effect.Effect<unknown, unknown, Workers>) => Effect.all([task, task], { concurrency: 2 });
      yield* both(run(Tasks.moves, point, 200));
      yield* both(run(Tasks.counts, point.fields.moves as Tasks.AnyValue, 1, 1000, false));
      assertEquals(yield* point.get, { x: 400.5, y: -400, moves: 2400 });
      assertEquals(yield* run(Tasks.sets, point.fields.moves as Tasks.AnyValue, 7), 2400);
      assertEquals((yield* point.get).moves, 7);
      assertEquals(yield* point.modify((before) => [before.x, { ...before, x: 0 }]), 400.5);
      yield* point.fields.x.set(3);
      assertEquals((yield* point.get).x, 3);
      for (
        const wrong of [{ x: 1, y: 1, moves: -1 }, { x: 1, y: 1 }, { x: 1, y: 1, moves: 1, z: 1 }, {
          x: "1",
          y: 1,
          moves: 1,
        }]
      ) {
        assertEquals((yield* Effect.flip(point.set(wrong as never)))._tag, "OutOfRange");
        assertEquals((yield* Effect.flip(point.update(() => wrong as never)))._tag, "OutOfRange");
      }
      assertEquals((yield* Effect.flip(Effect.scoped(make.struct({ x: "u8" }, { x: 256 }))))._tag, "OutOfRange");
      assertEquals(
        (yield* Effect.flip(Effect.scoped(make.struct({ x: "u8" }, { y: 1 } as never))))._tag,
        "OutOfRange",
      );
      assertEquals(yield* point.get, { x: 3, y: -400, moves: 7 });
      const mixed = yield* make.struct({ a: "bool", b: "u8", c: "i64", d: "f32", e: "i16" }, { c: -1n, a: true });
      assertEquals(yield* mixed.get, { a: true, b: 0, c: -1n, d: 0, e: 0 });
      yield* mixed.set({ a: false, b: 255, c: 2n ** 62n, d: 1.5, e: -3 });
      assertEquals(yield* mixed.get, { a: false, b: 255, c: 2n ** 62n, d: 1.5, e: -3 });
      assertEquals(yield* mixed.fields.b.get, 255);
      const empty = yield* make.struct({});
      assertEquals(yield* empty.get, {});
    }),
);

promise("bytes are replaced as a whole", (make) =>
  Effect.gen(function* () {
    const bytes = yield* make.bytes(100, new Uint8Array([9]));
    assertEquals(yield* bytes.get, new Uint8Array([9]));
    yield* Effect.all([run(Tasks.appends, bytes, 1, 30), run(Tasks.appends, bytes, 2, 30)], {
      concurrency: 2,
    });
    const all = yield* bytes.get;
    assertEquals([all.length, all.filter((byte) => byte === 1).length, all[0]], [61, 30, 9]);
    assertEquals((yield* Effect.flip(bytes.set(new Uint8Array(101)))).reason, "TooLong");
    assertEquals((yield* Effect.flip(bytes.set("text" as never))).reason, "Type");
    yield* bytes.set(new Uint8Array([1, 0, 0]));
    assertEquals(yield* bytes.get, new Uint8Array([1, 0, 0]));
    yield* bytes.set(new Uint8Array());
    assertEquals([(yield* bytes.get).length, bytes.capacity], [0, 100]);
    for (const capacity of [-1, 0.5, 65_537]) {
      assertEquals((yield* Effect.flip(Effect.scoped(make.bytes(capacity)))).reason, "InvalidArgument");
    }
    assertEquals((yield* Effect.flip(Effect.scoped(make.bytes(1, new Uint8Array(2))))).reason, "TooLong");
    const large = yield* make.bytes(65_536, new Uint8Array(65_536).fill(3));
    assertEquals((yield* large.get)[65_535], 3);
  }));

/** Kills processes that replace structs and bytes, which this process uses in memory. */
const killed = (layer: Layer.Layer<Backend.Backend>): Program =>
  Effect.gen(function* () {
    const point: Tasks.Point = yield* Value.struct({ x: "f64", y: "f64", moves: "u32" });
    const bytes = yield* Value.bytes(200);
    const check = Effect.gen(function* () {
      const { moves, x, y } = yield* point.get;
      assertEquals([-y, moves], [x + 0, x]);
      const all = yield* bytes.get;
      assertEquals(all.filter((byte) => byte !== all.length).length, 0);
      return moves;
    });
    const kills = rounds(2, 8);
    for (let round = 0; round < kills; round++) {
      const before = yield* check;
      const child = yield* Process.spawnWith(Tasks.movesForEver, [point, bytes], { daemon: true });
      // The pause between the checks lets the child run.
      yield* when(check, (moves) => moves > before + 20 * round);
      yield* child.kill;
      yield* child.status;
    }
    yield* check;
    yield* bytes.set(new Uint8Array([1]));
  }).pipe(Effect.provide(layer));

test(
  "structs and bytes stay whole, whenever a process that replaces them is killed (full) (storm)",
  killed(subprocess),
);
test(
  "structs and bytes stay whole, whenever a process that replaces them by messages is killed (full) (storm)",
  killed(withoutFfi),
);

test(
  "subprocesses and workers use the same value (full)",
  Effect.gen(function* () {
    const value = yield* Value.make("i32");
    yield* Effect.all([
      run(Tasks.counts, value, 1, 5000, true),
      Effect.provide(Process.run(Tasks.counts, value, 1, 5000, true), worker),
    ], { concurrency: 2 });
    assertEquals(yield* value.get, 10_000);
  }),
);

carried(
  "what a type does not have is refused, and changes nothing",
  (make) =>
    Effect.gen(function* () {
      for (const [type, [low, high]] of Object.entries(integers)) {
        const one = (isWide(type) ? 1n : 1) as never;
        const value = yield* make.value(type as Value.Type, high);
        const wrong = [
          (high as number) + one,
          (low as number) - one,
          isWide(type) ? 1 : 1n,
          0.5,
          NaN,
          Infinity,
          "1",
          undefined,
          null,
          true,
        ];
        for (const no of wrong) {
          for (
            const effect of [
              value.set(no),
              value.exchange(no),
              value.compareExchange(high, no),
              value.update(() => no),
            ]
          ) {
            const error = yield* Effect.flip(effect);
            assertEquals([error._tag, error.reason], ["OutOfRange", "Value"], `${type} ${String(no)}`);
          }
        }
        assertStringIncludes((yield* Effect.flip(value.add(one))).message, String(high));
        assertEquals(yield* value.get, high);
        assertEquals(yield* value.exchange(low), high);
        assertEquals((yield* Effect.flip(value.sub(one))).reason, "Value");
        // The intermediate value may overflow: only the result counts.
        assertEquals(yield* value.add((high as number) - (low as number) as never), low);
        assertEquals(yield* value.get, high);
        const array = yield* make.array(type as Value.Type, 3);
        yield* array.fill(one);
        for (const no of wrong) {
          assertEquals((yield* Effect.flip(array.setAll([low, no, low]))).reason, "Value");
          assertEquals((yield* Effect.flip(array.fill(no))).reason, "Value");
          assertEquals((yield* Effect.flip(array.set(1, no))).reason, "Value");
        }
        assertEquals(yield* array.slice(), [one, one, one]);
      }
      const single = yield* make.value("f32", 1.5);
      assertEquals((yield* Effect.flip(single.set(1e39))).reason, "Value");
      yield* single.set(0.1);
      assertEquals(yield* single.get, Math.fround(0.1));
      yield* single.set(-Infinity);
      assertEquals((yield* Effect.flip(single.set(1n as never))).reason, "Value");
      const bool = yield* make.value("bool", true);
      assertEquals((yield* Effect.flip(bool.set(1))).reason, "Value");
      assertEquals((yield* Effect.flip(bool.add(1))).reason, "Value");
      assertEquals((yield* Effect.flip(bool.and(1))).reason, "Type");
      assertEquals((yield* Effect.flip(Effect.scoped(Value.make("i128" as "i32")))).reason, "Type");
      assertEquals((yield* Effect.flip(Effect.scoped(Value.make("constructor" as "i32")))).reason, "Type");
      assertEquals((yield* Effect.flip(Effect.scoped(Value.make("u8", 256)))).reason, "Value");
      assertEquals((yield* Effect.flip(Effect.scoped(SharedArray.make("u8", [0, 256])))).reason, "Value");
      for (const length of [-1, 1.5, NaN, 2 ** 53]) {
        assertEquals((yield* Effect.flip(Effect.scoped(SharedArray.make("u8", length)))).reason, "InvalidArgument");
      }
      assertEquals((yield* Effect.flip(Effect.scoped(SharedArray.make("f64", 2 ** 47)))).reason, "Full");
    }),
);

carried(
  "elements are counted from both ends, and there are no others",
  (make) =>
    Effect.gen(function* () {
      const array = yield* make.array("i16", [1, 2, 3]);
      assertEquals([yield* array.get(0), yield* array.get(-1), yield* array.get(-3)], [1, 3, 1]);
      for (const at of [3, -4, 0.5, NaN, Infinity, "1" as never]) {
        for (const effect of [array.get(at), array.set(at, 1), array.add(at, 1), array.update(at, (x) => x)]) {
          assertEquals((yield* Effect.flip(effect as Effect.Effect<unknown, Value.MemoryFailure>)).reason, "Index");
        }
        assertThrows(() => array.raw.get(at), SharedArray.OutOfRange);
      }
      for (const [values, offset] of [[[1], 3], [[1, 2], 2], [[], 4], [[1], -1], [[1], 0.5]] as const) {
        assertEquals((yield* Effect.flip(array.setAll(values, offset))).reason, "Index");
      }
      yield* array.setAll([8, 9], 1);
      assertEquals([yield* array.slice(1), yield* array.slice(-1), yield* array.slice(5)], [[8, 9], [9], []]);
      assertEquals(yield* array.slice(), [1, 8, 9]);
      yield* array.fill(0, 1, 2);
      assertEquals(yield* array.slice(), [1, 0, 9]);
      const bools = yield* make.array("bool", [true, false]);
      assertEquals(yield* bools.slice(), [true, false]);
      assert(SharedArray.isArray(array) && !SharedArray.isArray([]) && !Value.isValue(array));
      const flag = yield* make.value("bool");
      assert(Value.isValue(flag));
    }),
);

carried(
  "update and modify replace by what is made of it, and a function that throws changes nothing",
  (make) =>
    Effect.gen(function* () {
      const value = yield* make.value("u8", 3);
      assertEquals(yield* value.update((n) => n * 5), 15);
      assertEquals(yield* value.modify((n) => [`was ${n}`, n + 1]), "was 15");
      const exit = yield* Effect.exit(value.update(() => {
        throw new Error("no");
      }));
      assert(Exit.isFailure(exit));
      assertEquals((yield* Effect.flip(value.modify(() => [1, -1]))).reason, "Value");
      assertEquals(yield* value.get, 16);
      const array = yield* make.array("i64", [1n]);
      assertEquals(yield* array.modify(0, (n) => [n, n - 5n]), 1n);
      assertEquals(yield* array.update(-1, (n) => n * 2n), -8n);
    }),
);

const arbitrary = (type: keyof typeof integers): FastCheck.Arbitrary<never> => {
  const [low, high] = integers[type];
  return (typeof low === "bigint"
    ? FastCheck.bigInt(low, high as bigint)
    : FastCheck.integer({ min: low, max: high as number })) as FastCheck.Arbitrary<unknown> as FastCheck.Arbitrary<
      never
    >;
};

test(
  "integers do what bigints of so many bits do",
  Effect.gen(function* () {
    for (const type of Object.keys(integers) as ReadonlyArray<keyof typeof integers>) {
      const [low, high] = integers[type];
      const value = (yield* Value.make(type, (isWide(type) ? 0n : 0) as never)) as Tasks.AnyValue;
      const operations = {
        add: (a: bigint, b: bigint) => a + b,
        sub: (a: bigint, b: bigint) => a - b,
        and: (a: bigint, b: bigint) => a & b,
        or: (a: bigint, b: bigint) => a | b,
        xor: (a: bigint, b: bigint) => a ^ b,
      };
      FastCheck.assert(
        FastCheck.property(
          arbitrary(type),
          FastCheck.constantFrom(...Object.keys(operations) as ReadonlyArray<keyof typeof operations>),
          arbitrary(type),
          (before, name, operand) => {
            value.raw.set(before);
            const expected = operations[name](BigInt(before), BigInt(operand));
            const fits = expected >= BigInt(low) && expected <= BigInt(high);
            if (fits) assertEquals(value.raw[name](operand), before);
            else assertThrows(() => value.raw[name](operand), Value.OutOfRange);
            assertEquals(BigInt(value.raw.value), fits ? expected : BigInt(before));
          },
        ),
        { numRuns: 60 },
      );
    }
  }),
);

test(
  "floating-point numbers come back as they were, in any company",
  Effect.gen(function* () {
    const array = yield* SharedArray.make("f64", 64);
    const single = yield* SharedArray.make("f32", 64);
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.double(), { maxLength: 64 }), (numbers) => {
        numbers.forEach((number, at) => array.raw.set(at, number));
        numbers.forEach((number, at) => assert(Object.is(array.raw.get(at), number)));
        numbers.forEach((number, at) => {
          assert(Object.is(array.raw.compareExchange(at, number, -1), number));
          assertEquals(array.raw.get(at), -1);
        });
        const floats = numbers.map(Math.fround).filter((number, at) =>
          Number.isFinite(number) === Number.isFinite(numbers[at])
        );
        single.raw.setAll(floats);
        floats.forEach((number, at) => assert(Object.is(single.raw.get(at), number)));
      }),
      { numRuns: 50 },
    );
    // All NaNs are equal, whatever their bits.
    const bits = new DataView(array.raw.view.buffer);
    bits.setBigUint64(0, 0x7ff8_0000_0000_0001n, true);
    assertEquals(yield* array.compareExchange(0, NaN, 1), NaN);
    assertEquals(yield* array.get(0), 1);
    bits.setBigUint64(0, 0xfff8_0000_0000_0002n, true);
    assertEquals(yield* array.update(0, (x) => Number.isNaN(x) ? 2 : 3), 2);
  }),
);

test(
  "the raw operations of an array are those of its elements, and its view is a typed array",
  Effect.gen(function* () {
    const array = yield* SharedArray.make("i16", [1, 2, 3]);
    assertEquals([...array.raw], [1, 2, 3]);
    array.raw.fill(0, 1, 2);
    assertEquals(array.raw.view, new Int16Array([1, 0, 3]));
    const bools = yield* SharedArray.make("bool", [true, false]);
    assertEquals(bools.raw.view, new Uint8Array([1, 0]));
  }),
);

test(
  "a part of an array that is larger than one message arrives whole, by messages (full)",
  Effect.gen(function* () {
    const length = 2 ** 18 + 5;
    const array = yield* viaMessages.array("f64", length);
    const numbers = Array.from({ length: length - 1 }, (_, at) => at + 0.5);
    yield* array.setAll(numbers, 1);
    assertEquals(yield* array.slice(), [0, ...numbers]);
    assertEquals(yield* array.slice(-3, -1), numbers.slice(-3, -1));
  }),
);

/** Interrupts an operation after a number of turns of the event loop, and waits for its end. */
const interruptedAfter = <A, E>(turns: number, operation: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(operation);
    for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow();
    return yield* Fiber.interrupt(fiber);
  });

test(
  "an interrupted change by messages was made before the operation ended, or never",
  Effect.gen(function* () {
    const host = yield* Value.make("i32");
    const value = new ValueMessages<number>(handleOf(host) as ValueDescriptor);
    let made = 0;
    for (let turns = 0; turns < 12; turns++) {
      const exit = yield* interruptedAfter(turns, value.add(1));
      const now = host.raw.get();
      assert(now === made || now === made + 1);
      if (Exit.isSuccess(exit)) assertEquals(now, made + 1);
      // Messages of one session are processed in order: what had been sent before has been carried out.
      assertEquals([yield* value.get, host.raw.get()], [now, now]);
      made = now;
    }
    // In an uninterruptible region, the result of a change arrives.
    let before: number | undefined;
    const fiber = yield* Effect.fork(Effect.uninterruptible(Effect.map(value.add(1), (n) => before = n)));
    yield* Effect.yieldNow();
    yield* Fiber.interrupt(fiber);
    assertEquals([before, host.raw.get()], [made, made + 1]);
  }),
);

test(
  "a use by messages that begins as the object ends fails with `Gone`",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const value = yield* Scope.extend(viaMessages.value("i32"), scope);
    const fiber = yield* Effect.fork(Effect.flip(value.get));
    yield* Effect.yieldNow();
    yield* Scope.close(scope, Exit.void);
    assertEquals((yield* Fiber.join(fiber)).reason, "Gone");
  }),
);

test(
  "updates by messages and by memory lose nothing of each other",
  Effect.gen(function* () {
    const host = yield* Value.make("i32");
    const other = new ValueMessages<number>(handleOf(host) as ValueDescriptor);
    yield* Effect.all([
      Effect.replicateEffect(other.update((n) => n + 1), 200),
      Effect.replicateEffect(other.modify((n) => [n, n + 1]), 200),
      Effect.replicateEffect(Effect.zipRight(Effect.yieldNow(), host.update((n) => n + 1)), 200),
    ], { concurrency: "unbounded" });
    assertEquals(yield* host.get, 600);
  }),
);

test(
  "a subprocess without --allow-ffi uses values and arrays by messages, and is told which flag `raw` needs",
  Effect.gen(function* () {
    const value = (yield* Value.make("i32", 5)) as Tasks.AnyValue;
    const array = (yield* SharedArray.make("i32", [1, 2])) as Tasks.AnyArray;
    assertEquals([value.carrier, array.carrier], ["memory", "memory"]);
    const { carriers, known, refused } = yield* Process.run(Tasks.describes, value, array);
    assertEquals([carriers, known], [["messages", "messages", "messages"], [6, 2]]);
    for (const text of refused) {
      assert(text.startsWith("Unsupported: "), text);
      assertStringIncludes(text, "--allow-ffi");
    }
    assertEquals([yield* value.get, yield* array.slice()], [6, [1, 4]]);
    const insists = yield* Value.make("i32", 0, { carrier: "memory" });
    const error = yield* Effect.flip(Process.run(Tasks.sets, insists as Tasks.AnyValue, 1));
    assertEquals([error._tag, (error as Value.MemoryError).reason], ["MemoryError", "Unsupported"]);
    assertStringIncludes(error.message, "--allow-ffi");
    assertStringIncludes(error.message, "messages");
    assertEquals(
      (yield* Effect.flip(Effect.scoped(SharedArray.make("u8", 1, { carrier: "paper" as "memory" })))).reason,
      "InvalidArgument",
    );
  }).pipe(Effect.provide(withoutFfi)),
);

test(
  "the lock of a value goes on when a process that held it by messages is killed",
  Effect.gen(function* () {
    const value = yield* Value.make("i32");
    const child = yield* Process.spawnWith(Tasks.keepsLock, [value], { daemon: true });
    yield* when(value.get, (n) => n === -1);
    const repaired = yield* Effect.fork(value.withLock(value.get, { onAbandoned: value.set(7) }));
    yield* when(value.lock.statistics, ({ waiting }) => waiting === 1);
    yield* child.kill;
    assertEquals(yield* Fiber.join(repaired), 7);
  }).pipe(Effect.provide(withoutFfi)),
);

test(
  "a value whose host was killed is gone for its users by messages (full)",
  Effect.gen(function* () {
    const queue = yield* Queue.make<{ readonly value: Tasks.AnyValue; readonly array: Tasks.AnyArray }>();
    const child = yield* Process.spawnWith(Tasks.hosts, [queue], { daemon: true });
    const { array, value } = yield* queue.get;
    assertEquals([value.carrier, yield* value.add(1), yield* array.slice()], ["messages", 1, [0, 0, 0]]);
    yield* child.kill;
    yield* child.status;
    for (const effect of [value.get, value.add(1), value.update((n) => n), array.slice(), array.fill(1)]) {
      const error = yield* Effect.flip(effect as Effect.Effect<unknown, Value.MemoryFailure>);
      assertEquals([error._tag, error.reason], ["MemoryError", "Gone"]);
      assertEquals((error.cause as Error).name, "Unreachable");
    }
  }),
);

test(
  "a stopped host does not keep an interrupted operation by messages, which it may carry out later (full)",
  Effect.gen(function* () {
    const queue = yield* Queue.make<{ readonly value: Tasks.AnyValue; readonly array: Tasks.AnyArray }>();
    const child = yield* Process.spawnWith(Tasks.hosts, [queue], { daemon: true });
    const { value } = yield* queue.get;
    assertEquals(yield* value.get, 1);
    Deno.kill(child.pid, "SIGSTOP");
    assert(Exit.isInterrupted(yield* interruptedAfter(20, value.get)));
    assert(Exit.isInterrupted(yield* interruptedAfter(20, value.add(1))));
    Deno.kill(child.pid, "SIGCONT");
    // Messages of one session are processed in order.
    assertEquals(yield* value.get, 2);
  }),
);

test(
  "many values share few regions, and all is given back (full)",
  Effect.gen(function* () {
    const maps = (): number => Deno.readTextFileSync("/proc/self/maps").split("memfd:multiprocessing").length - 1;
    const before = maps();
    yield* Effect.scoped(Effect.gen(function* () {
      const values = yield* Effect.replicateEffect(Value.make("f64", 1), 5000);
      assert(maps() - before <= 4);
      assertEquals(values.reduce((sum, { raw }) => sum + raw.value, 0), 5000);
    }));
    assertEquals(maps(), before);
  }),
);

registerEach(Object.entries(places), ([name, { kind, layer }]) => {
  const steps = promises.map(([title, program]) => [title, program(made(kind))] as const);
  withWorkers(`Value and Array, ${name}`, layer, 2, steps);
});
repeated(() => {
  const steps = promises.map(([title, program]) => [title, program(made("memory"))] as const);
  withWorkers("Value and Array, subprocess, messages", withoutFfi, 2, steps);
}, ["steps that belong together"]);
withWorkers("Value and Array", subprocess, 2, others);
