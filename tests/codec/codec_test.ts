import * as fc from "effect/FastCheck";
import {
  ATTACHMENT_BYTES,
  decode,
  DecodeError,
  encode,
  EncodedList,
  EncodeError,
  encodeInto,
  type Hook,
  MAX_DEPTH,
  requires,
  Writer,
} from "../../src/internal/codec/codec.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
  assertThrows,
  fail,
} from "../support/assert.ts";
import { repeating, testFunction } from "../support/tier.ts";

const roundTrip = <A>(value: A): A => {
  const { bytes, attachments } = encode(value);
  return decode(bytes, { attachments, link: undefined }) as A;
};

const refused = (value: unknown, root = "value"): EncodeError =>
  assertThrows(() => encode(value, { root }), EncodeError);

const bytesOf = (buffer: ArrayBufferLike): string => new Uint8Array(buffer).toHex();

/**
 * The difference between two graphs, if any: classes, own keys and their order, values including the sign of zero, and
 * the identity of objects.
 */
const difference = (left: unknown, right: unknown): string | undefined => {
  const partners = new Map<object, object>();
  const taken = new Set<object>();
  const compare = (a: unknown, b: unknown, path: string): string | undefined => {
    if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
      return Object.is(a, b) ? undefined : `${path}: ${String(a)} and ${String(b)}`;
    }
    const partner = partners.get(a);
    if (partner !== undefined || taken.has(b)) return partner === b ? undefined : `${path}: another identity`;
    partners.set(a, b);
    taken.add(b);
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: another prototype`;
    if (a instanceof Date) return compare(a.getTime(), (b as Date).getTime(), path);
    if (a instanceof RegExp) return compare(String(a), String(b), path);
    if (a instanceof ArrayBuffer) return compare(bytesOf(a), bytesOf(b as ArrayBuffer), path);
    if (ArrayBuffer.isView(a)) {
      const { buffer, byteOffset, byteLength } = b as ArrayBufferView;
      return compare(a.byteLength, byteLength, `${path}.byteLength`) ??
        compare(
          bytesOf(new Uint8Array(a.buffer, a.byteOffset, a.byteLength).slice().buffer),
          bytesOf(new Uint8Array(buffer, byteOffset, byteLength).slice().buffer),
          path,
        );
    }
    if (a instanceof Number || a instanceof String || a instanceof Boolean || a instanceof BigInt) {
      return compare(a.valueOf(), b.valueOf(), path);
    }
    if (a instanceof Map || a instanceof Set) {
      return compare(
        [...a].flat(a instanceof Map ? 1 : 0),
        [...b as Set<unknown>].flat(a instanceof Map ? 1 : 0),
        path,
      );
    }
    if (Array.isArray(a)) {
      const length = compare(a.length, (b as Array<unknown>).length, `${path}.length`);
      if (length !== undefined) return length;
    }
    const keys = Object.keys(a);
    if (keys.join("\0") !== Object.keys(b).join("\0")) return `${path}: other keys`;
    for (const key of keys) {
      const found = compare(Reflect.get(a, key), Reflect.get(b, key), `${path}.${key}`);
      if (found !== undefined) return found;
    }
  };
  return compare(left, right, "value");
};

const assertSame = (actual: unknown, expected: unknown): void => {
  const found = difference(actual, expected);
  if (found !== undefined) fail(found);
};

Deno.test("primitives arrive as they were, down to the sign of zero", () => {
  const values = [
    ...[0, -0, 1, 127, 128, -1, -16, -17, 255, 256, 32767, 32768, -32768, -32769, 2 ** 31 - 1, 2 ** 31, -(2 ** 31)],
    ...[0.1, NaN, Infinity, -Infinity, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE, Number.MAX_VALUE],
    ...[0n, -1n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n, 3n ** 5000n, -(7n ** 3000n)],
    ...[true, false, null, undefined, ""],
  ];
  for (const value of values) assertSame(roundTrip(value), value);
});

Deno.test("texts of every length arrive, lone surrogates and byte order marks included", () => {
  for (const unit of ["a", "é", "ÿ", "Ā", "東", "😀", "\ud800", "\udc00", "\ufeff", "\0"]) {
    for (const length of [1, 2, 15, 16, 30, 31, 32, 33, 62, 63, 64, 65, 127, 128, 1023, 1024, 1025, 5000]) {
      const text = unit.repeat(length);
      assertStrictEquals(roundTrip(text), text);
      assertStrictEquals(roundTrip(`x${text}y`), `x${text}y`);
    }
  }
});

Deno.test("small integers take one byte, short texts one more than they are long", () => {
  assertEquals(encode(127).bytes.length, 2);
  assertEquals(encode(-16).bytes.length, 2);
  assertEquals(encode("hello").bytes.length, 7);
});

Deno.test("wrapper objects stay objects", () => {
  for (const value of [Object(-0), Object("text"), Object(true), Object(10n)]) assertSame(roundTrip(value), value);
});

Deno.test("dates and regular expressions arrive, invalid dates too, and lastIndex begins at 0", () => {
  assertSame(roundTrip(new Date(8.64e15)), new Date(8.64e15));
  assertSame(roundTrip(new Date(NaN)), new Date(NaN));
  const expression = /a(?<name>b)\/\n/giv;
  expression.lastIndex = 5;
  const copy = roundTrip(expression);
  assertEquals([copy.source, copy.flags, copy.lastIndex], [expression.source, expression.flags, 0]);
});

Deno.test("maps and sets keep their order, and any value can be a key", () => {
  const key = { id: 1 };
  const map = new Map<unknown, unknown>([[key, "object"], [NaN, 1], [undefined, key], ["text", new Set([key, 3])]]);
  assertSame(roundTrip(map), map);
});

Deno.test("records of one shape write their keys once", () => {
  const records = Array.from({ length: 100 }, (_, id) => ({ identifier: id, description: "" }));
  assertLess(encode(records).bytes.length, 1000);
  const mixed = records.map((record, i) => i % 2 === 0 ? record : { kind: i, identifier: i });
  assertLess(encode(mixed).bytes.length, 1000);
  assertSame(roundTrip(mixed), mixed);
});

Deno.test("more shapes than fit in a tag, and records of more than 255 bytes of keys, arrive", () => {
  const shapes = Array.from({ length: 60 }, (_, i) => ({ same: i, [`key${i}`]: i }));
  assertSame(roundTrip([shapes, structuredClone(shapes)]), [shapes, structuredClone(shapes)]);
  const wide = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`column number ${i}`, i]));
  assertSame(roundTrip([wide, { ...wide }]), [wide, { ...wide }]);
  assertLess(encode([wide, { ...wide }]).bytes.length, encode(wide).bytes.length + 2000);
});

Deno.test("only own enumerable text keys of a record are read, and getters are called", () => {
  const value = Object.defineProperty(
    {
      plain: 1,
      [Symbol("s")]: 2,
      get computed() {
        return 3;
      },
    },
    "hidden",
    { value: 4 },
  );
  assertSame(roundTrip(value), { plain: 1, computed: 3 });
});

Deno.test("a record without a prototype arrives as a plain one", () => {
  const value = Object.assign(Object.create(null), { a: 1 });
  assertSame(roundTrip(value), { a: 1 });
});

Deno.test("an own __proto__ key is data and never a prototype", () => {
  const value = JSON.parse('{"__proto__": {"polluted": true}, "b": 1}');
  const copy: object = roundTrip(value);
  assertStrictEquals(Object.getPrototypeOf(copy), Object.prototype);
  assertFalse("polluted" in copy);
  assertSame(copy, value);
  const list = Object.defineProperty([1], "__proto__", { value: [2], enumerable: true });
  assertSame(roundTrip(list), list);
});

Deno.test("keys that somebody put on Object.prototype are not taken for own ones", () => {
  const prototype = Object.prototype as { inherited?: number };
  Object.defineProperty(prototype, "inherited", { value: 1, enumerable: true, configurable: true, writable: true });
  try {
    const bytes = encode([{ a: 1 }, { a: 2 }, {}]).bytes;
    delete prototype.inherited;
    assertSame(decode(bytes, { link: undefined }), [{ a: 1 }, { a: 2 }, {}]);
  } finally {
    delete prototype.inherited;
  }
});

Deno.test("lists of numbers are packed as narrowly as they allow and arrive as ordinary arrays", () => {
  const length = 1000;
  const lists: ReadonlyArray<readonly [width: number, list: ReadonlyArray<number>]> = [
    [1, Array.from({ length }, (_, i) => i % 128 - 64)],
    [2, Array.from({ length }, (_, i) => i * 30 - 15000)],
    [4, Array.from({ length }, (_, i) => i * 2 ** 21)],
    [8, Array.from({ length }, (_, i) => i * 2 ** 32)],
    [8, Array.from({ length }, (_, i) => i / 3)],
    [8, Array.from({ length }, (_, i) => i === 500 ? -0 : i)],
  ];
  for (const [width, list] of lists) {
    assertSame(roundTrip(list), list);
    assertLess(encode(list).bytes.length, length * width + 10);
  }
  const mixed = [...lists[0][1], "text", ...lists[1][1]];
  assertSame(roundTrip(mixed), mixed);
});

Deno.test("holes stay holes, and undefined stays undefined", () => {
  // deno-fmt-ignore
  const value = [1, , undefined, , "x", ,];
  assertSame(roundTrip(value), value);
  assertFalse(1 in roundTrip(value));
  assert(2 in roundTrip(value));
  assertSame(roundTrip(new Array(5)), new Array(5));
});

Deno.test("the length of a sparse array is free of charge", () => {
  const value: Array<number> = [1, 2];
  value[4_000_000_000] = 3;
  assertLess(encode(value).bytes.length, 30);
  assertSame(roundTrip(value), value);
  const empty = new Array<number>(2 ** 32 - 1);
  assertEquals(roundTrip(empty).length, 2 ** 32 - 1);
});

Deno.test("named properties of an array arrive", () => {
  const match = /(?<first>a)b/.exec("xab");
  assert(match !== null);
  const copy = roundTrip(match);
  assertEquals([copy.index, copy.input, copy[1], { ...copy.groups }], [1, "xab", "a", { first: "a" }]);
  // deno-fmt-ignore
  const holes = Object.assign([ , 1], { named: 1 });
  assertSame(roundTrip(holes), holes);
});

Deno.test("what was one object is one object, cycles included", () => {
  const shared = { n: 1 };
  const value = { a: shared, b: [shared, shared], self: undefined as unknown, map: new Map<unknown, unknown>() };
  value.self = value;
  value.map.set(value.map, value);
  const copy = roundTrip(value);
  assertStrictEquals(copy.a, copy.b[1]);
  assertStrictEquals(copy.self, copy);
  assertStrictEquals(copy.map.get(copy.map), copy);
});

Deno.test("every kind of view arrives, and a small one has a buffer of exactly its size", () => {
  type View = new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView;
  const kinds: ReadonlyArray<readonly [width: number, View: View]> = [
    ...[Int8Array, Uint8Array, Uint8ClampedArray, DataView]
      .map((View: View) => [1, View] as const),
    ...[Int16Array, Uint16Array, Float16Array]
      .map((View: View) => [2, View] as const),
    ...[Int32Array, Uint32Array, Float32Array]
      .map((View: View) => [4, View] as const),
    ...[Float64Array, BigInt64Array, BigUint64Array]
      .map((View: View) => [8, View] as const),
  ];
  const { buffer } = crypto.getRandomValues(new Uint8Array(64));
  for (const [width, View] of kinds) {
    for (const [offset, bytes] of [[0, 64], [8, 16], [8, 0]]) {
      const view = new View(buffer, offset, bytes / width);
      const copy = roundTrip(view);
      assertSame(copy, view);
      assertEquals([copy.byteOffset, copy.buffer.byteLength], [0, bytes]);
    }
  }
});

Deno.test("a Buffer of Node arrives as the Uint8Array that it is", async () => {
  const { Buffer } = await import("node:buffer");
  assertSame(roundTrip(Buffer.from("abc") as Uint8Array), new Uint8Array([97, 98, 99]));
});

Deno.test("views of one whole buffer share it on the other side, whatever their kind", () => {
  const bytes = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const [a, b, buffer, window] = roundTrip(
    [bytes, new Float64Array(bytes.buffer), bytes.buffer, bytes.subarray(2, 4)] as const,
  );
  assertStrictEquals(a.buffer, buffer);
  assertStrictEquals(b.buffer, buffer);
  assertStrictEquals(window.buffer, buffer);
  assertEquals([window.byteOffset, ...window], [2, 3, 4]);
});

Deno.test("a view of a part takes nothing else along", () => {
  const secret = new TextEncoder().encode("public and secret");
  const { bytes } = encode([secret.subarray(0, 6), secret.subarray(0, 6)]);
  assertFalse(new TextDecoder().decode(bytes).includes("secret"));
});

Deno.test("resizable buffers stay resizable", () => {
  const buffer = new ArrayBuffer(4, { maxByteLength: 16 });
  new Uint8Array(buffer).set([1, 2, 3, 4]);
  const copy = roundTrip(buffer);
  assertEquals([copy.resizable, copy.maxByteLength, bytesOf(copy)], [true, 16, "01020304"]);
  const view = roundTrip(new Uint8Array(new ArrayBuffer(ATTACHMENT_BYTES, { maxByteLength: ATTACHMENT_BYTES * 2 })));
  assertEquals([view.length, view.buffer.maxByteLength], [ATTACHMENT_BYTES, ATTACHMENT_BYTES * 2]);
});

Deno.test("resizable buffers that reserve too much are refused on both sides", () => {
  assertEquals(refused([new ArrayBuffer(1, { maxByteLength: 2 ** 30 + 2 })]).path, "value[0]");
  const { bytes } = encode(new ArrayBuffer(1, { maxByteLength: 127 }));
  const forged = new Uint8Array([...bytes.subarray(0, 2), 255, 255, 255, 255, 255, 255, 1, ...bytes.subarray(3)]);
  assertThrows(() => decode(forged, { link: undefined }), DecodeError, "claims to grow");
});

Deno.test("large binaries are attached uncopied, and their memory becomes the value's", () => {
  const bytes = new Uint8Array(ATTACHMENT_BYTES + 8).fill(7);
  const encoded = encode({ whole: bytes, part: bytes.subarray(8), floats: new Float64Array(ATTACHMENT_BYTES) });
  assertLess(encoded.bytes.length, 100);
  assertEquals(encoded.attachments.length, 2);
  assertStrictEquals(encoded.attachments[0].buffer, bytes.buffer);
  const received = encoded.attachments.map((attachment) => attachment.slice());
  const copy = decode(encoded.bytes, { attachments: received, link: undefined }) as {
    whole: Uint8Array;
    part: Uint8Array;
    floats: Float64Array;
  };
  assertStrictEquals(copy.whole.buffer, received[0].buffer);
  assertStrictEquals(copy.part.buffer, received[0].buffer);
  assertStrictEquals(copy.floats.buffer, received[1].buffer);
  assertEquals([copy.part.byteOffset, copy.part[0], copy.floats.length], [8, 7, ATTACHMENT_BYTES]);
  assertEquals(encode(new Uint8Array(ATTACHMENT_BYTES - 1)).attachments.length, 0);
});

Deno.test("an attachment that is part of a larger buffer is not shared with its neighbours", () => {
  const { bytes } = encode(new Uint8Array(ATTACHMENT_BYTES));
  const chunk = new Uint8Array(ATTACHMENT_BYTES * 2);
  const copy = decode(bytes, { attachments: [chunk.subarray(0, ATTACHMENT_BYTES)], link: undefined });
  assertInstanceOf(copy, Uint8Array);
  assertEquals(copy.buffer.byteLength, ATTACHMENT_BYTES);
});

Deno.test("a missing attachment is a DecodeError", () => {
  const { bytes } = encode(new Uint8Array(ATTACHMENT_BYTES));
  assertThrows(() => decode(bytes, { link: undefined }), DecodeError, "attachment 0 is missing");
});

Deno.test("errors keep class, name, message, stack, cause and fields", () => {
  for (const Class of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const error = Object.assign(new Class("message", { cause: { deep: [1] } }), { code: "E1", details: { a: 1 } });
    const copy = roundTrip(error);
    assertStrictEquals(Object.getPrototypeOf(copy), Class.prototype);
    assertEquals([copy.name, copy.message, copy.stack], [error.name, error.message, error.stack]);
    assertEquals({ ...copy }, { code: "E1", details: { a: 1 } });
    assertEquals(copy.cause, { deep: [1] });
    assertEquals(Object.keys(copy), ["code", "details"]);
  }
  assertFalse("cause" in roundTrip(new Error("none")));
  const aggregate = roundTrip(new AggregateError([new TypeError("inner"), 5], "outer"));
  assertInstanceOf(aggregate, AggregateError);
  assertInstanceOf(aggregate.errors[0], TypeError);
  assertEquals([aggregate.errors[0].message, aggregate.errors[1], aggregate.message], ["inner", 5, "outer"]);
});

Deno.test("a DOMException keeps its name and its code", () => {
  const copy = roundTrip(new DOMException("gone", "AbortError"));
  assertInstanceOf(copy, DOMException);
  assertEquals([copy.name, copy.message, copy.code], ["AbortError", "gone", DOMException.ABORT_ERR]);
});

Deno.test("a subclass of an error arrives as the nearest builtin, with its name and _tag", () => {
  class Parent extends TypeError {
    get _tag() {
      return "Parent";
    }
  }
  class Child extends Parent {
    override name = "Child";
    constructor(readonly field: number) {
      super("message");
    }
  }
  const copy = roundTrip(new Child(5));
  assertStrictEquals(Object.getPrototypeOf(copy), TypeError.prototype);
  assertEquals([copy.name, copy._tag, copy.field, copy.message], ["Child", "Parent", 5, "message"]);
  assertEquals(roundTrip(roundTrip(copy))._tag, "Parent");
});

Deno.test("an error can be its own cause", () => {
  const error = new Error("loop");
  error.cause = error;
  const copy = roundTrip(error);
  assertStrictEquals(copy.cause, copy);
});

Deno.test("what is no data is refused with its place and with advice", () => {
  class Account {}
  const cases: ReadonlyArray<readonly [value: unknown, advice: string]> = [
    [() => 1, "define a Task"],
    [class {}, "define a Task"],
    [Symbol("s"), "send a string"],
    [Promise.resolve(), "await it"],
    [new WeakMap(), "weak references"],
    [new WeakSet(), "weak references"],
    [new WeakRef({}), "weak references"],
    [new SharedArrayBuffer(1), "SharedMemory"],
    [new Uint8Array(new SharedArrayBuffer(1)), "SharedMemory"],
    [new Proxy(() => 1, {}), "define a Task"],
    [new URL("https://deno.land"), "href"],
    [[1].values(), "collect it into an array"],
    [new ReadableStream(), "send the data"],
    [new Account(), "class Account"],
    [new (class extends Map {})(), "install a hook"],
    [new (class List extends Array {})(), "class List"],
    [Object.create(Array.prototype), "class Array"],
    [Object.create(Object.create(null)), "an instance of a class"],
  ];
  for (const [value, advice] of cases) {
    const error = refused({ items: [0, { callback: value }] }, "args");
    assertEquals(error.path, "args.items[1].callback");
    assert(error.message.startsWith("Cannot encode args.items[1].callback: "), error.message);
    assert(error.reason.includes(advice), `${error.reason} should say: ${advice}`);
  }
});

Deno.test("the path shows every kind of step", () => {
  const bad = () => {};
  assertEquals(refused(bad, "result").path, "result");
  assertEquals(refused({ "two words": { "": bad } }).path, 'value["two words"][""]');
  assertEquals(refused(new Map<unknown, unknown>([["a", 1], ["b", bad]])).path, 'value.get("b")');
  assertEquals(refused(new Map([[bad, 1]])).path, "value.keys()[0]");
  assertEquals(refused(new Set([1, bad])).path, "value.values()[1]");
  assertEquals(refused(new Error("e", { cause: [bad] })).path, "value.cause[0]");
  assertEquals(refused(Object.assign(new Error("e"), { field: bad })).path, "value.field");
  // deno-fmt-ignore
  assertEquals(refused([ , bad]).path, "value[1]");
  assertEquals(refused(Object.assign([1], { named: bad })).path, "value.named");
});

Deno.test("a throwing getter is an EncodeError with its path and its cause", () => {
  const cause = new Error("boom");
  const value = [{
    get field() {
      throw cause;
    },
  }];
  const error = refused(value);
  assertEquals([error.path, error.cause], ["value[0].field", cause]);
  const odd = {
    get field() {
      throw Object.create(null);
    },
  };
  assertEquals(refused(odd).path, "value.field");
});

Deno.test("a detached buffer is refused", () => {
  const bytes = new Uint8Array(8);
  bytes.buffer.transfer();
  assert(refused(bytes).reason.includes("detached"));
  assert(refused(bytes.buffer).reason.includes("detached"));
});

Deno.test("a value that changes while it is read is refused", () => {
  const map = new Map<unknown, unknown>([["a", {
    get x() {
      map.set("b", 1);
      return 1;
    },
  }]]);
  assert(refused(map).reason.includes("changed"));
  const record: Record<string, unknown> = {
    get a() {
      delete record.b;
      return 1;
    },
    b: 2,
  };
  assert(refused(record).reason.includes("changed"));
});

Deno.test("a failure leaves the writer where it was, and usable", () => {
  const writer = new Writer(16);
  encodeInto(writer, "first");
  const { position } = writer;
  assertThrows(() => encodeInto(writer, ["x".repeat(1000), () => 1]), EncodeError);
  assertEquals(writer.position, position);
  assertEquals(encodeInto(writer, { second: 2 }), undefined);
  assertSame(decode(writer.buffer.subarray(0, position), { link: undefined }), "first");
  assertSame(decode(writer.buffer.subarray(position, writer.position), { link: undefined }), { second: 2 });
});

Deno.test("a getter may encode another message meanwhile", () => {
  const value = {
    get inner() {
      return encode([1, "x".repeat(5000)]).bytes;
    },
    after: "after",
  };
  const copy = roundTrip(value);
  assertSame(decode(copy.inner, { link: undefined }), [1, "x".repeat(5000)]);
  assertEquals(copy.after, "after");
});

const nest = (levels: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = wrap(value);
  return value;
};

const wraps: ReadonlyArray<(inner: unknown) => unknown> = [
  (inner) => [inner],
  (inner) => ({ inner }),
  (inner) => new Map([[inner, 1]]),
  (inner) => new Set([inner]),
  // deno-fmt-ignore
  (inner) => [ , inner],
  (inner) => Object.assign(new Error(), { inner }),
];

Deno.test("nesting up to the limit arrives, more is refused by both sides", () => {
  for (const wrap of wraps) {
    const levels = wrap(0) instanceof Error ? MAX_DEPTH / 2 : MAX_DEPTH;
    const value = nest(levels, wrap);
    decode(encode(value).bytes, { link: undefined });
    for (const tooMany of [levels + 1, 100_000]) {
      const error = refused(nest(tooMany, wrap));
      assert(error.reason.includes("nested too deeply"), error.reason);
      assertLess(error.message.length, 1000);
    }
  }
  for (const tag of [0xa1, 0xd3, 0xdb]) {
    assertThrows(() => decode(new Uint8Array(100_000).fill(tag).with(0, 0), { link: undefined }), DecodeError);
  }
  const lists = new Uint8Array(100_000).fill(0xa1).with(0, 0);
  assertThrows(() => decode(lists, { link: undefined }), DecodeError, "nested too deeply");
});

class Point {
  constructor(readonly x: unknown, readonly y: unknown) {}
}

const point: Hook<Array<string>> = {
  name: "point",
  is: (value) => value instanceof Point,
  encode: (value, onSend) => {
    onSend((link) => link.push("sent"));
    const { x, y } = value as Point;
    return [x, y];
  },
  decode: (data, link) => {
    link.push("decoded");
    if (!Array.isArray(data)) throw new TypeError("an array is expected");
    return new Point(data[0], data[1]);
  },
};

Deno.test("a hook carries a class, nested and shared, and runs its actions when the message is handed to a link", () => {
  const shared = new Point(1, { deep: new Point(2, 3) });
  const encoded = encode([shared, { again: shared }], { hooks: [point] });
  const link: Array<string> = [];
  encoded.onSend.forEach((action) => action(link));
  assertEquals(link, ["sent", "sent"]);
  const copy = decode(encoded.bytes, { hooks: [point], link }) as [Point, { again: Point }];
  assertEquals(link.slice(2), ["decoded", "decoded"]);
  assertInstanceOf(copy[0], Point);
  assertStrictEquals(copy[0], copy[1].again);
  assertEquals((copy[0].y as { deep: Point }).deep.x, 2);
});

Deno.test("a message names the hooks it needs before it is decoded", () => {
  assertEquals(requires(encode({ a: 1 }).bytes), []);
  const { bytes } = encode([new Point(1, 2)], { hooks: [point] });
  assertEquals(requires(bytes), ["point"]);
  assertThrows(() => decode(bytes, { link: [] }), DecodeError, 'the hook "point" is needed');
  assertThrows(() => requires(bytes.subarray(0, -1)), DecodeError);
  assertThrows(() => requires(new Uint8Array([7])), DecodeError);
});

Deno.test("plain objects, arrays and builtins are not offered to hooks", () => {
  const asked: Array<object> = [];
  const greedy: Hook = { name: "greedy", is: (value) => asked.push(value) < 0, encode: () => 0, decode: () => 0 };
  encode([{}, [], new Map(), new Date(), new Error(), new Uint8Array(1), Object(1)], { hooks: [greedy] });
  assertEquals(asked, []);
  assertThrows(() => encode(new Point(1, 2), { hooks: [greedy] }), EncodeError);
  assertEquals(asked.length, 1);
});

Deno.test("a hooked value that contains itself is refused with its path", () => {
  const list: Array<unknown> = [];
  const value = new Point(1, list);
  list.push(value);
  const error = assertThrows(() => encode({ value }, { hooks: [point], root: "args" }), EncodeError);
  assert(error.reason.includes("contains itself"));
  assertEquals(error.path, "args.value<point>[0]");
});

Deno.test("a hook may refuse, and may fail, on either side", () => {
  const picky: Hook = {
    ...point,
    encode: () => {
      throw new EncodeError("not today");
    },
    decode: () => {
      throw new RangeError("not here");
    },
  };
  const error = assertThrows(() => encode([new Point(1, 2)], { hooks: [picky] }), EncodeError);
  assertEquals(error.message, "Cannot encode value[0]: not today");
  const { bytes } = encode(new Point(1, 2), { hooks: [point] });
  assertThrows(() => decode(bytes, { hooks: [picky], link: [] }), DecodeError, "not here");
});

Deno.test("a claim that is larger than the message is refused before anything is allocated for it", () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
  for (const tag of [0xc8, 0xcb, 0xcc, 0xd2, 0xd3, 0xd8]) {
    assertThrows(() => decode(new Uint8Array([0, tag, ...huge, ...huge]), { link: undefined }), DecodeError);
  }
  assertThrows(
    () => decode(new Uint8Array([0, 0xca, 255, 255, 255, 127]), { link: undefined }),
    DecodeError,
    "claimed",
  );
  assertThrows(() => decode(new Uint8Array([0, 0xce, 8, ...huge]), { link: undefined }), DecodeError, "claimed");
  assertThrows(() => decode(new Uint8Array([0, 0xcd, ...huge, ...huge]), { link: undefined }), DecodeError, "claimed");
});

Deno.test("sparse indices are not allocated flat", () => {
  const records = Array.from({ length: 20_000 }, () => ({ 1000: 1 }));
  const before = Deno.memoryUsage().heapUsed;
  const copy = roundTrip(records);
  // Flat stores would take 8 KB each, 160 MB together.
  assertLess(Deno.memoryUsage().heapUsed - before, 60e6);
  assertSame(copy[7], { 1000: 1 });
});

Deno.test("the named keys of an array cannot change its length", () => {
  const named = encode(Object.assign([1], { lengtX: 5 })).bytes;
  const at = named.indexOf("X".charCodeAt(0));
  assertThrows(() => decode(named.with(at, "h".charCodeAt(0)), { link: undefined }), DecodeError, "no such key");
});

Deno.test("a DecodeError says where and why", () => {
  const error = assertThrows(() => decode(new Uint8Array([0, 0xa2, 1]), { link: undefined }), DecodeError);
  assertEquals([error.offset, error.reason], [2, "2 items are claimed, 1 bytes are left"]);
  assertThrows(() => decode(new Uint8Array(), { link: undefined }), DecodeError);
  assertThrows(() => decode(new Uint8Array([0, 1, 2]), { link: undefined }), DecodeError, "left over");
});

const structured = fc.anything({
  key: fc.oneof(fc.string(), fc.constant("__proto__"), fc.constantFrom("0", "7", "1000", "constructor", "length")),
  values: [
    fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double(),
      fc.bigInt(),
      fc.string(),
      fc.string16bits(),
      fc.fullUnicodeString(),
    ),
    fc.constantFrom(null, undefined, true, false, -0, "x".repeat(200), "é".repeat(50)),
  ],
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  maxDepth: 4,
});

Deno.test("whatever structured clone carries arrives as its clone", () => {
  fc.assert(
    fc.property(structured, (value) => assertSame(roundTrip(value), structuredClone(value))),
    { numRuns: repeating ? 3000 : 1000 },
  );
});

/** Nodes of every kind of container, and the edges between them. */
const graph = fc.tuple(
  fc.array(fc.nat(3), { minLength: 1, maxLength: 30 }),
  fc.array(fc.tuple(fc.nat(29), fc.nat(29)), { maxLength: 80 }),
).map(([kinds, edges]) => {
  const nodes = kinds.map((kind) => [() => ({}), () => [], () => new Map(), () => new Set()][kind]());
  edges.forEach(([from, to], i) => {
    const node: unknown = nodes[from % nodes.length];
    const target = nodes[to % nodes.length];
    if (node instanceof Map) node.set(i % 3 === 0 ? target : i, target);
    else if (node instanceof Set) node.add(target);
    else if (Array.isArray(node)) node.push(target);
    else Reflect.set(node as object, `edge${i}`, target);
  });
  return nodes;
});

Deno.test("graphs keep every identity, however their cycles run", () => {
  fc.assert(fc.property(graph, (nodes) => assertSame(roundTrip(nodes), nodes)), { numRuns: repeating ? 1000 : 300 });
});

const decodes = (bytes: Uint8Array): boolean => {
  try {
    decode(bytes, { attachments: [new Uint8Array(16)], hooks: [point], link: [] });
    return true;
  } catch (error) {
    assertInstanceOf(error, DecodeError, `${error} for ${bytes.toHex()}`);
    assert(error.offset >= 0 && error.offset <= bytes.length);
    return false;
  }
};

Deno.test("random bytes are a value or a DecodeError", () => {
  const tags = fc.array(fc.oneof(fc.nat(255), fc.integer({ min: 0xc0, max: 0xde }), fc.nat(8)), { maxLength: 60 });
  let values = 0;
  fc.assert(
    fc.property(fc.nat(1), tags, (head, rest) => {
      if (decodes(new Uint8Array([head, ...rest]))) values++;
    }),
    { numRuns: repeating ? 20_000 : 5000 },
  );
  assertGreater(values, 100);
});

Deno.test("damaged messages are a value or a DecodeError", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.oneof(structured, graph), damage, (value, changes) => {
      const bytes = [...encode([value, new Point(1, 2), new Error("e")], { hooks: [point] }).bytes];
      for (const [at, byte, kind] of changes) {
        if (kind === 0) bytes[at % bytes.length] = byte;
        else if (kind === 1) bytes.splice(at % bytes.length, 1);
        else bytes.splice(at % bytes.length, 0, byte);
      }
      decodes(new Uint8Array(bytes));
    }),
    { numRuns: repeating ? 5000 : 1000 },
  );
});

/** Encodes lists as the parts of one list, and decodes the message of those from `first` to `end`. */
const joined = (
  parts: ReadonlyArray<ReadonlyArray<unknown>>,
  first: number,
  end: number,
  link: Array<string>,
): unknown => {
  const list = new EncodedList([point]);
  for (const part of parts) list.add(part, "items");
  const { attachments, bytes, onSend } = list.join(first, end);
  onSend.forEach((action) => action(link));
  return decode(bytes, { attachments: attachments.map((part) => part.slice()), hooks: [point], link });
};

Deno.test("the parts of a list are joined in any number, and each keeps the identities within it", () => {
  const parts = fc.array(fc.oneof(fc.array(structured, { maxLength: 3 }), graph), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(parts, fc.nat(5), fc.nat(5), (parts, a, b) => {
      const [first, end] = [Math.min(a, b), Math.min(Math.max(a, b) + 1, parts.length)];
      if (first >= end) return;
      const copy = joined(parts, first, end, []) as Array<unknown>;
      let at = 0;
      for (const part of parts.slice(first, end)) assertSame(copy.slice(at, at += part.length), roundTrip(part));
      assertEquals(copy.length, at);
    }),
    { numRuns: repeating ? 1000 : 300 },
  );
});

Deno.test("each part of a list has its own attachments and actions, and all have the same hooks", () => {
  const big = (fill: number): Uint8Array => new Uint8Array(ATTACHMENT_BYTES).fill(fill);
  const shared = big(3);
  const parts = [[big(1), new Point(1, big(2))], [shared, shared.subarray(0, 2)], [new Point(2, shared)], [4]];
  const link: Array<string> = [];
  const [two, part, { y }] = joined(parts, 1, 3, link) as [Uint8Array, Uint8Array, Point];
  assertEquals(link, ["sent", "decoded"]);
  assertEquals([two[0], part[0], (y as Uint8Array)[0]], [3, 3, 3]);
  assertStrictEquals(two.buffer, part.buffer);
  assertEquals(joined(parts, 3, 4, []), [4]);
  assertEquals((joined(parts, 0, 1, []) as [Uint8Array, Point]).map((value) => value.constructor), [Uint8Array, Point]);
});

Deno.test("an item that cannot be sent leaves the parts before it, and is named", () => {
  const list = new EncodedList([point]);
  list.add([1, { a: 2 }], "items");
  const error = assertThrows(() => list.add([3, { f: () => 4 }], "items"), EncodeError);
  assertEquals(error.path, "items[1].f");
  assertEquals(decode(list.join(0, 1).bytes, { link: undefined }), [1, { a: 2 }]);
});

Deno.test("parts that stand within a value, or are no arrays, are a DecodeError", () => {
  const part = [...encode([1]).bytes.subarray(1)];
  assertEquals(decode(new Uint8Array([0, 0xde, 1, ...part]), { link: undefined }), [1]);
  for (const wrong of [[0xa1, 0xde, 1, ...part], [0xde, 1, 0xde, 1, ...part], [0xde, 1, 5], [0xde, 200, 1, ...part]]) {
    assertThrows(() => decode(new Uint8Array([0, ...wrong]), { link: undefined }), DecodeError);
  }
});

Deno.test("every beginning of a message but the whole is a DecodeError", () => {
  const { bytes } = encode([{ a: [1.5, "x".repeat(70), new Map([[1, 2n ** 70n]])] }, new Error("e"), /r/g]);
  for (let length = 0; length < bytes.length; length++) assertFalse(decodes(bytes.subarray(0, length)));
  assert(decodes(bytes));
});

testFunction(
  "a text is decoded in pieces that the runtime can decode, however long it is, and its characters stay whole (full)",
  () => {
    // A string has at most 2^29 - 24 units, and the runtime decodes at most as many bytes at once, although a text of as
    // many units may have more bytes.
    const most = 32 * 1024 * 1024;
    const sizes: Array<number> = [];
    const original = TextDecoder.prototype.decode;
    TextDecoder.prototype.decode = function (input, options) {
      sizes.push(input!.byteLength);
      return original.call(this, input, options);
    };
    try {
      for (const character of ["é", "한", "😀"]) {
        const { length } = new TextEncoder().encode(character);
        // A character begins at each distance from the end of a piece.
        for (const before of ["", "a", "ab", "abc"].slice(0, length)) {
          const text = before + character.repeat(2 * most / length);
          const copy = decode(encode(text).bytes, { link: undefined });
          // Not with assertEquals, which would print the text.
          assert(copy === text, `${character} after "${before}"`);
        }
      }
    } finally {
      TextDecoder.prototype.decode = original;
    }
    assert(sizes.length > 0 && Math.max(...sizes) <= most, `${Math.max(...sizes)} bytes at once`);
  },
);
