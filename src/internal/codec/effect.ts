/**
 * The codec's hook for data of Effect. Values that `Equal` compares by value are equal again after decoding:
 *
 * - Option, Either, Exit, Cause, FiberId, Chunk, List, HashMap, HashSet, Duration, BigDecimal, DateTime and its time zones
 * - `Data.struct`, `Data.array`, `Data.tagged` and similar; an instance of a subclass of `Data.Class` is refused like an
 *   instance of any other class
 * - yieldable errors (`Data.TaggedError`, `Cause.TimeoutException`): the decoded error has lost its class, but is yieldable,
 *   has its tag, and equals the original by its fields; the exceptions of `Cause` keep their class
 *
 * The codec itself refuses programs (Effect, Stream, Layer, Fiber) and secrets (Redacted).
 *
 * An encoded value is `[kind, data]`. A Cause and a FiberId are trees, and are flattened, so they may have any depth.
 *
 * @module
 */
import * as BigDecimal from "effect/BigDecimal";
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Data from "effect/Data";
import * as DateTime from "effect/DateTime";
import * as Duration from "effect/Duration";
import * as Either from "effect/Either";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as HashMap from "effect/HashMap";
import * as HashSet from "effect/HashSet";
import * as List from "effect/List";
import * as Option from "effect/Option";
import type { Hook } from "./hook.ts";

interface Kind {
  readonly is: (value: unknown) => boolean;
  readonly encode: (value: unknown) => unknown;
  readonly decode: (data: unknown) => unknown;
}

const kind = <A>(
  is: (value: unknown) => value is A,
  encode: (value: A) => unknown,
  decode: (data: unknown) => unknown,
): Kind => ({ is, encode: (value) => encode(value as A), decode });

const wrong = (expected: string): never => {
  throw new TypeError(`${expected} is expected`);
};

const list = (data: unknown): ReadonlyArray<unknown> => Array.isArray(data) ? data : wrong("an array");

const number = (data: unknown): number => typeof data === "number" ? data : wrong("a number");

const text = (data: unknown): string => typeof data === "string" ? data : wrong("a text");

const hasPrototype = (prototype: object) => (value: unknown): value is object =>
  Object.getPrototypeOf(value) === prototype;

/** Lists the nodes of a binary tree in prefix order. Neither side recurses, so a tree may be deeper than the stack. */
const flatten = <Node extends object>(
  root: Node,
  split: (node: Node) => readonly [left: Node, right: Node] | undefined,
  encode: (node: Node) => unknown,
): ReadonlyArray<unknown> => {
  const data: Array<unknown> = [];
  const rest = [root];
  for (let node = rest.pop(); node !== undefined; node = rest.pop()) {
    data.push(encode(node));
    const branches = split(node);
    if (branches !== undefined) rest.push(branches[1], branches[0]);
  }
  return data;
};

const grow = <Node>(data: ReadonlyArray<unknown>, decode: (item: unknown, branch: () => Node) => Node): Node => {
  const nodes: Array<Node> = [];
  const branch = () => nodes.pop() ?? wrong("a branch");
  for (const item of data.toReversed()) nodes.push(decode(item, branch));
  return nodes.length === 1 ? nodes[0] : wrong("one root");
};

const fiberId: Kind = kind(
  FiberId.isFiberId,
  (id) =>
    flatten<FiberId.FiberId>(
      id,
      (node) => node._tag === "Composite" ? [node.left, node.right] : undefined,
      (node) => node._tag === "Runtime" ? [node.id, node.startTimeMillis] : node._tag === "None" ? 0 : 1,
    ),
  (data) =>
    grow<FiberId.FiberId>(list(data), (item, branch) => {
      if (item === 0) return FiberId.none;
      if (item === 1) return FiberId.composite(branch(), branch());
      const [id, startTimeMillis] = list(item);
      return FiberId.runtime(number(id), number(startTimeMillis));
    }),
);

const cause: Kind = kind(
  Cause.isCause,
  (root) =>
    flatten<Cause.Cause<unknown>>(
      root,
      (node) => node._tag === "Sequential" || node._tag === "Parallel" ? [node.left, node.right] : undefined,
      (node) => {
        switch (node._tag) {
          case "Empty":
            return 0;
          case "Sequential":
            return 1;
          case "Parallel":
            return 2;
          case "Fail":
            return [0, node.error];
          case "Die":
            return [1, node.defect];
          case "Interrupt":
            return [2, node.fiberId];
        }
      },
    ),
  (data) =>
    grow<Cause.Cause<unknown>>(list(data), (item, branch) => {
      if (item === 0) return Cause.empty;
      if (item === 1) return Cause.sequential(branch(), branch());
      if (item === 2) return Cause.parallel(branch(), branch());
      const [leaf, value] = list(item);
      if (leaf === 0) return Cause.fail(value);
      if (leaf === 1) return Cause.die(value);
      return leaf === 2 && FiberId.isFiberId(value) ? Cause.interrupt(value) : wrong("a cause");
    }),
);

const exceptions: ReadonlyArray<
  new (message?: string) => Cause.YieldableError
> = [
  Cause.RuntimeException,
  Cause.InterruptedException,
  Cause.IllegalArgumentException,
  Cause.NoSuchElementException,
  Cause.ExceededCapacityException,
  Cause.TimeoutException,
];

const isYieldableError = (value: unknown): value is Error =>
  value instanceof Error && Symbol.for("effect/Effect") in value;

const isEnumerable = (value: object, key: string): boolean => Object.prototype.propertyIsEnumerable.call(value, key);

/**
 * Copies an error without its class, so that the codec encodes it as a plain error. The copy reads properties that the
 * class may compute.
 */
const plain = (error: Error): Error => {
  const copy = Object.defineProperties(new Error(), Object.getOwnPropertyDescriptors(error));
  for (const key of ["name", "message", "stack", "_tag"]) {
    if (isEnumerable(error, key)) continue;
    Object.defineProperty(copy, key, { get: () => Reflect.get(error, key), configurable: true });
  }
  return copy;
};

const yieldableError: Kind = kind(
  isYieldableError,
  (error) => [exceptions.findIndex((exception) => hasPrototype(exception.prototype)(error)), plain(error)],
  (data) => {
    const [index, error] = list(data);
    if (!(error instanceof Error)) return wrong("an error");
    const Class = exceptions[number(index)] ?? Data.Error;
    return Object.defineProperties(new Class(), Object.getOwnPropertyDescriptors(error));
  },
);

const dateTime: Kind = kind(
  DateTime.isDateTime,
  (value) => value._tag === "Utc" ? value.epochMillis : [value.epochMillis, value.zone],
  (data) => {
    if (typeof data === "number") return DateTime.unsafeMake(data);
    const [epochMillis, timeZone] = list(data);
    if (!DateTime.isTimeZone(timeZone)) return wrong("a time zone");
    return DateTime.unsafeMakeZoned(number(epochMillis), { timeZone });
  },
);

/** The index of a kind is its number in a message. */
const kinds: ReadonlyArray<Kind> = [
  kind(
    (value): value is Option.None<unknown> => Option.isOption(value) && Option.isNone(value),
    () => undefined,
    () => Option.none(),
  ),
  kind((value) => Option.isOption(value) && Option.isSome(value), (some) => some.value, Option.some),
  kind((value) => Either.isEither(value) && Either.isLeft(value), ({ left }) => left, Either.left),
  kind((value) => Either.isEither(value) && Either.isRight(value), ({ right }) => right, Either.right),
  kind((value) => Exit.isExit(value) && Exit.isSuccess(value), (exit) => exit.value, Exit.succeed),
  kind(
    (value) => Exit.isExit(value) && Exit.isFailure(value),
    (exit) => exit.cause,
    (data) => Exit.failCause(Cause.isCause(data) ? data : wrong("a cause")),
  ),
  cause,
  fiberId,
  kind(Chunk.isChunk, Chunk.toReadonlyArray, (data) => Chunk.unsafeFromArray(list(data))),
  kind(List.isList, List.toArray, (data) => List.fromIterable(list(data))),
  kind(HashMap.isHashMap, (map) => [...map].flat(1), (data) => {
    const items = list(data);
    return HashMap.mutate(HashMap.empty<unknown, unknown>(), (map) => {
      for (let i = 0; i < items.length; i += 2) {
        HashMap.set(map, items[i], items[i + 1]);
      }
    });
  }),
  kind(HashSet.isHashSet, (set) => [...set], (data) => HashSet.fromIterable(list(data))),
  kind(
    Duration.isDuration,
    (duration) =>
      Duration.match(duration, {
        onMillis: (millis) => millis,
        onNanos: (nanos) => nanos,
      }),
    (data) => typeof data === "bigint" ? Duration.nanos(data) : Duration.millis(number(data)),
  ),
  kind(
    BigDecimal.isBigDecimal,
    ({ value, scale }) => [value, scale],
    (data) => {
      const [value, scale] = list(data);
      return BigDecimal.make(typeof value === "bigint" ? value : wrong("a bigint"), number(scale));
    },
  ),
  dateTime,
  kind(
    DateTime.isTimeZone,
    (zone) => zone._tag === "Named" ? zone.id : zone.offset,
    (data) => typeof data === "number" ? DateTime.zoneMakeOffset(data) : DateTime.zoneUnsafeMakeNamed(text(data)),
  ),
  kind(
    hasPrototype(Object.getPrototypeOf(Data.struct({}))),
    (struct) => ({ ...struct }),
    (data) => typeof data === "object" && data !== null ? Data.unsafeStruct({ ...data }) : wrong("an object"),
  ),
  kind(
    hasPrototype(Object.getPrototypeOf(Data.array([]))),
    (array) => Array.from(array as Array<unknown>),
    (data) => Data.array(list(data)),
  ),
  yieldableError,
];

/** The kind of each prototype, so that each class is examined once. */
const known = new WeakMap<object, number>();

const kindOf = (value: object): number => {
  const prototype: object = Object.getPrototypeOf(value);
  let index = known.get(prototype);
  if (index === undefined) {
    index = kinds.findIndex((kind) => kind.is(value));
    known.set(prototype, index);
  }
  return index;
};

const hook: Hook = {
  name: "effect",
  is: (value) => kindOf(value) !== -1,
  encode: (value) => {
    const index = kindOf(value);
    return [index, kinds[index].encode(value)];
  },
  decode: (data) => {
    const [index, content] = list(data);
    return (kinds[number(index)] ?? wrong("a kind of Effect data")).decode(content);
  },
};

/** The value for the codec's option `hooks`. */
export const hooks: ReadonlyArray<Hook> = [hook];
