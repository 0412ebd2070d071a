import * as BigDecimal from "effect/BigDecimal";
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Config from "effect/Config";
import * as Data from "effect/Data";
import * as DateTime from "effect/DateTime";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import * as Equal from "effect/Equal";
import * as Exit from "effect/Exit";
import * as fc from "effect/FastCheck";
import * as FiberId from "effect/FiberId";
import * as HashMap from "effect/HashMap";
import * as HashSet from "effect/HashSet";
import * as Layer from "effect/Layer";
import * as List from "effect/List";
import * as Option from "effect/Option";
import * as Redacted from "effect/Redacted";
import * as SortedSet from "effect/SortedSet";
import * as Stream from "effect/Stream";
import { decode, DecodeError, encode, EncodeError, requires } from "../../src/internal/codec/codec.ts";
import { hooks } from "../../src/internal/codec/effect.ts";
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows, fail } from "../support/assert.ts";

const roundTrip = <A>(value: A): A => {
  const { bytes, attachments } = encode(value, { hooks });
  return decode(bytes, { attachments, hooks, link: undefined }) as A;
};

const assertEqual = (value: unknown): void => {
  const copy = roundTrip(value);
  if (!Equal.equals(copy, value) || !Equal.equals(value, copy)) {
    fail(`${Deno.inspect(copy)} should equal ${Deno.inspect(value)}`);
  }
};

class NotFound extends Data.TaggedError("NotFound")<{ readonly id: number; readonly message: string }> {}

const samples: ReadonlyArray<object> = [
  Option.none(),
  Option.some(Option.some("nested")),
  Either.left("left"),
  Either.right(Data.struct({ a: 1 })),
  Exit.succeed(Option.some(1)),
  Exit.fail("error"),
  Exit.die("defect"),
  Exit.void,
  Cause.empty,
  Cause.fail(Data.struct({ code: 1 })),
  Cause.die("defect"),
  Cause.interrupt(FiberId.none),
  Cause.interrupt(FiberId.runtime(7, 123)),
  Cause.sequential(Cause.parallel(Cause.fail(1), Cause.die(2)), Cause.sequential(Cause.fail(3), Cause.fail(4))),
  FiberId.none,
  FiberId.runtime(1, 2),
  FiberId.composite(FiberId.runtime(1, 2), FiberId.composite(FiberId.none, FiberId.runtime(3, 4))),
  Chunk.empty(),
  Chunk.of(1),
  Chunk.appendAll(Chunk.make(1, 2), Chunk.make(3, 4)).pipe(Chunk.drop(1)),
  List.empty(),
  List.make("a", "b", Option.some("c")),
  HashMap.empty(),
  HashMap.make(["a", 1], ["b", 2]),
  HashMap.make([Data.struct({ key: 1 }), Option.some(1)], [Data.struct({ key: 2 }), Option.none()]),
  HashSet.empty(),
  HashSet.make(1, "two", Data.array([3])),
  Duration.zero,
  Duration.infinity,
  Duration.millis(1500),
  Duration.nanos(123456789012345678901n),
  Duration.micros(5n),
  BigDecimal.unsafeFromString("123456789.000000001"),
  BigDecimal.make(-(10n ** 40n), -5),
  DateTime.unsafeMake(0),
  DateTime.unsafeMake("2024-02-29T12:34:56.789Z"),
  DateTime.unsafeMakeZoned(0, { timeZone: "Europe/Berlin" }),
  DateTime.unsafeMakeZoned(0, { timeZone: DateTime.zoneMakeOffset(5400000) }),
  DateTime.zoneUnsafeMakeNamed("Asia/Tokyo"),
  DateTime.zoneMakeOffset(-3600000),
  Data.struct({ a: 1, nested: Data.struct({ b: Data.array([1, 2]) }) }),
  Data.struct({}),
  Data.array([]),
  Data.tuple("a", Option.none()),
  Data.tagged<{ readonly _tag: "Circle"; readonly radius: number }>("Circle")({ radius: 2 }),
  Data.case<{ readonly name: string }>()({ name: "Ada" }),
  new NotFound({ id: 5, message: "no such id" }),
  new Cause.TimeoutException("too slow"),
];

Deno.test("data of Effect equals the original on the other side", () => {
  for (const value of samples) {
    assertEqual(value);
    assertStrictEquals(Object.getPrototypeOf(roundTrip([value])[0]) !== Object.prototype, true);
  }
});

Deno.test("data of Effect nests in anything and keeps its identity", () => {
  const option = Option.some({ deep: Chunk.make(1, 2) });
  const copy = roundTrip({ list: [option], map: new Map([["key", option]]), error: new Error("e", { cause: option }) });
  assertStrictEquals(copy.list[0], copy.map.get("key"));
  assertStrictEquals(copy.list[0], copy.error.cause);
  assert(Option.isSome(copy.list[0]));
  assertEquals(Chunk.toReadonlyArray(copy.list[0].value.deep), [1, 2]);
});

Deno.test("decoded data works: it can be run, iterated, matched and extended", () => {
  assertEquals(Effect.runSync(roundTrip(Option.some(5))), 5);
  assertEquals(Effect.runSyncExit(roundTrip(Exit.fail("no"))), Exit.fail("no"));
  assertEquals([...HashMap.set(roundTrip(HashMap.make(["a", 1])), "b", 2)].length, 2);
  assertEquals(Duration.toMillis(roundTrip(Duration.seconds(2))), 2000);
  assertEquals(
    DateTime.formatIsoZoned(roundTrip(DateTime.unsafeMakeZoned(0, { timeZone: "Asia/Tokyo" }))),
    "1970-01-01T09:00:00.000+09:00[Asia/Tokyo]",
  );
  assertEquals(Chunk.toReadonlyArray(Chunk.append(roundTrip(Chunk.make(1)), 2)), [1, 2]);
});

Deno.test("a tagged error is caught by its tag, yields, and has its stack", () => {
  const error = new NotFound({ id: 5, message: "no such id" });
  const copy = roundTrip(error);
  const caught = Effect.catchTag(Effect.fail(copy), "NotFound", ({ id }) => Effect.succeed(id));
  assertEquals(Effect.runSync(caught), 5);
  assertEquals(
    Effect.runSync(Effect.flip(Effect.gen(function* () {
      return yield* copy;
    }))),
    copy,
  );
  assertEquals([copy.name, copy.message, copy.stack], ["NotFound", "no such id", error.stack]);
  assertInstanceOf(copy, Error);
});

Deno.test("a tagged error is caught by its tag even where no hook was needed", () => {
  class Tagged extends Error {
    get _tag(): "Tagged" {
      return "Tagged";
    }
  }
  const copy = decode(encode(new Tagged("m")).bytes, { link: undefined }) as Tagged;
  assertEquals(
    Effect.runSync(Effect.catchTag(Effect.fail(copy), "Tagged", (error) => Effect.succeed(error.message))),
    "m",
  );
});

Deno.test("the exceptions of Cause keep their class", () => {
  assert(Cause.isTimeoutException(roundTrip(new Cause.TimeoutException("slow"))));
  assert(Cause.isNoSuchElementException(roundTrip(new Cause.NoSuchElementException("none"))));
  assert(Cause.isIllegalArgumentException(roundTrip(new Cause.IllegalArgumentException("bad"))));
  assertEquals(roundTrip(new Cause.TimeoutException("slow"))._tag, "TimeoutException");
});

Deno.test("an error that Effect annotated with its span arrives as the error", () => {
  const exit = Effect.runSyncExit(Effect.withSpan(Effect.fail(new NotFound({ id: 1, message: "m" })), "span"));
  const copy = roundTrip(exit);
  assert(Exit.isFailure(copy));
  const failure = Cause.failureOption(copy.cause);
  assert(Option.isSome(failure));
  assertEquals([failure.value._tag, failure.value.id], ["NotFound", 1]);
});

Deno.test("a Cause of ten thousand branches needs no stack", () => {
  let cause: Cause.Cause<number> = Cause.empty;
  let id: FiberId.FiberId = FiberId.none;
  for (let i = 0; i < 10_000; i++) {
    cause = i % 2 === 0 ? Cause.parallel(cause, Cause.fail(i)) : Cause.sequential(Cause.fail(i), cause);
    id = FiberId.composite(id, FiberId.runtime(i, 0));
  }
  const copy = roundTrip(cause);
  assertEquals(Chunk.toReadonlyArray(Cause.failures(copy)), Chunk.toReadonlyArray(Cause.failures(cause)));
  const left = roundTrip(id);
  assert(left._tag === "Composite");
  assertEquals(left.right, FiberId.runtime(9999, 0));
});

Deno.test("all of it is one hook by name", () => {
  assertEquals(requires(encode(samples, { hooks }).bytes), ["effect"]);
  assertEquals(requires(encode([1, { a: "b" }], { hooks }).bytes), []);
});

Deno.test("a secret is refused with the reason", () => {
  const error = assertThrows(() => encode({ token: Redacted.make("s3cret") }, { hooks, root: "args[0]" }), EncodeError);
  assertEquals(error.path, "args[0].token");
  assert(error.reason.includes("Redacted.value"));
});

Deno.test("programs are refused: their results cross", () => {
  const programs = [
    Effect.sync(() => 1),
    Stream.make(1),
    Layer.empty,
    Effect.runFork(Effect.void),
    Effect.makeSemaphore(1),
  ];
  for (const program of programs) {
    const error = assertThrows(() => encode([program], { hooks }), EncodeError);
    assertEquals(error.path, "value[0]");
    assert(error.reason.includes("their results do"), error.reason);
  }
});

Deno.test("instances of classes and ordered collections are refused", () => {
  class Person extends Data.Class<{ readonly name: string }> {}
  class Circle extends Data.TaggedClass("Circle")<{ readonly radius: number }> {}
  const sorted = SortedSet.make((a: number, b: number) => a < b ? -1 : 1)(1, 2);
  assertThrows(() => encode(new Person({ name: "Ada" }), { hooks }), EncodeError, "class Person");
  assertThrows(() => encode(new Circle({ radius: 1 }), { hooks }), EncodeError, "class Circle");
  assertThrows(() => encode(sorted, { hooks }), EncodeError, "its order");
  assertThrows(() => encode(Config.string("NAME"), { hooks }), EncodeError);
});

Deno.test("without the hook, data of Effect is refused instead of losing its class", () => {
  for (const value of samples) {
    // Without the hook, an error is sent as its nearest builtin class.
    if (value instanceof Error) continue;
    assertThrows(() => encode({ value }), EncodeError, "where the hook for it is installed");
  }
});

Deno.test("what is inside of data of Effect is refused with its place", () => {
  const bad = () => {};
  const path = (value: unknown) => assertThrows(() => encode(value, { hooks }), EncodeError).path;
  assertEquals(path([Option.some({ callback: bad })]), "value[0]<effect>.callback");
  assertEquals(path(Chunk.make(1, bad)), "value<effect>[1]");
  assertEquals(path(Data.struct({ list: [bad] })), "value<effect>.list[0]");
});

Deno.test("a __proto__ key cannot become the prototype of a struct or an error", () => {
  const own = JSON.parse('{"__proto__": {"polluted": true}}');
  for (
    const value of [
      Data.unsafeStruct({ ...own }),
      Object.defineProperties(new NotFound({ id: 1, message: "" }), Object.getOwnPropertyDescriptors(own)),
    ]
  ) {
    const copy: object = roundTrip(value);
    assert(!("polluted" in copy));
    assertEquals(Object.keys(copy).includes("__proto__"), true);
  }
});

const value = fc.letrec<{ value: unknown; struct: object; cause: Cause.Cause<unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(fc.integer(), fc.string(), fc.bigInt(), fc.constantFrom(null, true)),
    tie("value").map(Option.some),
    tie("value").map(Either.left),
    tie("value").map(Either.right),
    tie("value").map(Exit.succeed),
    tie("cause").map(Exit.failCause),
    tie("cause"),
    tie("struct"),
    fc.array(tie("value"), { maxLength: 4 }).map(Chunk.fromIterable),
    fc.array(tie("value"), { maxLength: 4 }).map(List.fromIterable),
    fc.array(tie("value"), { maxLength: 4 }).map(HashSet.fromIterable),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => Data.array(items)),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map(HashMap.fromIterable),
    fc.bigInt({ min: 0n }).map(Duration.nanos),
    fc.tuple(fc.bigInt(), fc.integer({ min: -50, max: 50 })).map(([digits, scale]) => BigDecimal.make(digits, scale)),
    fc.date({ noInvalidDate: true }).map((date) => DateTime.unsafeFromDate(date)),
  ),
  struct: fc.dictionary(fc.string(), tie("value"), { maxKeys: 4 }).map((fields) => Data.struct(fields)),
  cause: fc.oneof(
    { depthSize: "small" },
    fc.constant(Cause.empty),
    tie("value").map(Cause.fail),
    tie("value").map(Cause.die),
    fc.nat().map((id) => Cause.interrupt(FiberId.runtime(id, 0))),
    fc.tuple(tie("cause"), tie("cause")).map(([left, right]) => Cause.parallel(left, right)),
    fc.tuple(tie("cause"), tie("cause")).map(([left, right]) => Cause.sequential(left, right)),
  ),
})).value;

Deno.test("any nesting of Effect's data equals the original", () => {
  fc.assert(fc.property(value, assertEqual), { numRuns: 2000 });
});

Deno.test("damaged data of Effect is a value or a DecodeError", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.oneof(value, fc.constantFrom(...samples)), damage, (value, changes) => {
      const bytes = encode([value], { hooks }).bytes;
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      try {
        decode(bytes, { hooks, link: undefined });
      } catch (error) {
        assertInstanceOf(error, DecodeError, String(error));
      }
    }),
    { numRuns: 5000 },
  );
});
