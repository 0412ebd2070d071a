/** Tasks and managed objects with values that cannot be sent, or that throw on every access. */
import * as Cause from "effect/Cause";
import * as Data from "effect/Data";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import * as Manager from "../../src/Manager.ts";
import * as Task from "../../src/Task.ts";

// Failures with a part that cannot be sent.

export class FetchError extends Data.TaggedError("FetchError")<{ readonly url: string; readonly cause: unknown }> {}

/** An error like those of HTTP clients. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly code = "ERR_STATUS";
  constructor(readonly response: Response) {
    super("500 Internal Server Error");
  }
}

export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", { url: Schema.String, cause: Schema.Unknown }) {}

/** A failure that is not an `Error`. */
export class Absent extends Data.TaggedClass("Absent")<{ readonly key: string; readonly retry: () => void }> {}

const http = (): HttpError => new HttpError(new Response("no", { status: 500 }));

/** The idiom of Effect that turns the rejection of a Promise into a failure. */
export const fetching = Task.make(
  import.meta,
  "fetching",
  (url: string) =>
    Effect.tryPromise({
      try: (): Promise<number> => Promise.reject(http()),
      catch: (cause) => new FetchError({ url, cause }),
    }),
);
export const refusing = Task.make(
  import.meta,
  "refusing",
  (url: string): Effect.Effect<number, Refusal> => Effect.fail(new Refusal({ url, cause: http() })),
  { error: Refusal },
);
export const absent = Task.make(
  import.meta,
  "absent",
  (key: string): Effect.Effect<number, Absent> => Effect.fail(new Absent({ key, retry: () => {} })),
);
export const throwing = Task.make(import.meta, "throwing", (): number => {
  throw http();
});
export const rejecting = Task.make(import.meta, "rejecting", (): Promise<number> => Promise.reject(http()));

/** Nested errors: cyclic causes, and an `AggregateError`. */
export const nested = Task.make(import.meta, "nested", (): Effect.Effect<number, FetchError> => {
  const outer = new Error("outer", { cause: http() });
  (outer.cause as Error).cause = outer;
  const all = new AggregateError([outer, new TypeError("second", { cause: () => {} })], "all of them");
  return Effect.fail(new FetchError({ url: "nested", cause: all }));
});
export const cyclic = Task.make(import.meta, "cyclic", (): Effect.Effect<number, FetchError> => {
  const failure = new FetchError({ url: "cyclic", cause: undefined });
  Object.assign(failure, { cause: new Error("inner", { cause: failure }) });
  return Effect.fail(failure);
});
export const severalFailures = Task.make(import.meta, "severalFailures", (): Effect.Effect<number, FetchError> => {
  const failure = (url: string) => Effect.fail(new FetchError({ url, cause: http() }));
  const dies = Effect.die(Object.assign(new RangeError("after"), { callback: () => {} }));
  return Effect.zipRight(failure("left"), Effect.ensuring(failure("right"), dies), { concurrent: true });
});
/** A failure that contains a Cause. */
export const causeInside = Task.make(
  import.meta,
  "causeInside",
  (): Effect.Effect<number, FetchError> =>
    Effect.fail(new FetchError({ url: "cause", cause: Cause.parallel(Cause.fail(http()), Cause.die(() => {})) })),
);
/** A failure that is larger than a message may be. */
export const oversized = Task.make(
  import.meta,
  "oversized",
  (size: number): Effect.Effect<number, FetchError> =>
    Effect.fail(
      new FetchError({
        url: "oversized",
        cause: { body: new Uint8Array(size), text: "x".repeat(size), list: Array.from({ length: size }, () => "item") },
      }),
    ),
);
export const failingStream = Task.make(
  import.meta,
  "failingStream",
  (url: string) => Stream.concat(Stream.make(1), Stream.fail(new FetchError({ url, cause: http() }))),
);
/** Runs a stream of its caller, and reports its failure. */
export const reading = Task.make(
  import.meta,
  "reading",
  (numbers: Stream.Stream<number, FetchError>) =>
    Effect.map(
      Effect.flip(Stream.runDrain(numbers)),
      ({ _tag, cause, url }) => [_tag, url, (cause as HttpError).message, `${(cause as HttpError).response}`],
    ),
);
export const failsToInitialize = Task.make(
  import.meta,
  "failsToInitialize",
  (): Effect.Effect<void, FetchError> => Effect.fail(new FetchError({ url: "initializer", cause: http() })),
);
/** Reports how a process of its caller has ended. */
export const joining = Task.make(
  import.meta,
  "joining",
  (handle: {
    readonly join: Effect.Effect<unknown, FetchError>;
    readonly exit: Effect.Effect<{ readonly _tag: string; readonly cause?: Cause.Cause<FetchError> }>;
  }) =>
    Effect.gen(function* () {
      const joined = yield* Effect.flip(handle.join);
      const { cause } = yield* handle.exit;
      const failed = cause === undefined ? undefined : Cause.squash(cause) as FetchError;
      return [joined._tag, joined.url, failed?._tag, failed?.url];
    }),
);
/** A failure that only a Schema can encode, once it is decoded. */
export class Stamped extends Schema.TaggedClass<Stamped>()("Stamped", { text: Schema.String }) {}
export const stamping = Task.make(
  import.meta,
  "stamping",
  (text: string): Effect.Effect<number, Stamped> => Effect.fail(new Stamped({ text })),
  { error: Stamped },
);
export const joiningStamped = Task.make(
  import.meta,
  "joiningStamped",
  (handle: {
    readonly join: Effect.Effect<unknown, Stamped>;
    readonly exit: Effect.Effect<{ readonly _tag: string; readonly cause?: Cause.Cause<Stamped> }>;
  }) =>
    Effect.gen(function* () {
      const joined = yield* Effect.flip(handle.join);
      const { cause } = yield* handle.exit;
      const failed = Cause.squash(cause!) as Stamped;
      return [joined._tag, joined.text, failed._tag, failed.text];
    }),
);

// Values that throw on every access.

const boom = (): never => {
  throw new RangeError("touched");
};

const traps: ProxyHandler<object> = Object.fromEntries(
  Object.getOwnPropertyNames(Reflect).map((name) => [name, boom]),
);

const getter = (target: object, key: PropertyKey): object =>
  Object.defineProperty(target, key, { get: boom, enumerable: true, configurable: true });

const revoked = (target: object): object => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};

/** By name, because a child makes its own. */
export const touchy: Readonly<Record<string, () => unknown>> = {
  "a Proxy whose traps throw": () => new Proxy({}, traps),
  "a Proxy of an error whose traps throw": () => new Proxy(new Error(), traps),
  "a function whose traps throw": () => new Proxy(() => {}, traps as ProxyHandler<() => void>),
  "a revoked Proxy": () => revoked({}),
  "a revoked Proxy of a list": () => revoked([]),
  "a revoked Proxy of a function": () => revoked(() => {}),
  "an object whose then is a getter that throws": () => getter({}, "then"),
  "an object whose then throws": () => ({ then: boom }),
  "an object whose toString throws": () => ({ toString: boom, [Symbol.toPrimitive]: boom }),
  "an object without toString": () => Object.create(null),
  "an object whose toString is no function": () => ({ toString: 1, valueOf: 1 }),
  "an object whose toJSON throws": () => ({ toJSON: boom }),
  "an object that throws when it is inspected": () => ({ [Symbol.for("Deno.customInspect")]: boom }),
  "an object that throws when it is inspected as by Node": () => ({ [Symbol.for("nodejs.util.inspect.custom")]: boom }),
  "an error whose stack throws": () => getter(new Error("a"), "stack"),
  "an error whose message throws": () => getter(new Error("a"), "message"),
  "an error whose name throws": () => getter(new Error("a"), "name"),
  "an error whose cause throws": () => getter(new Error("a"), "cause"),
  "an error whose tag throws": () => getter(new Error("a"), "_tag"),
  "an error whose stack is no text": () => Object.assign(new Error("a"), { stack: 5, message: 6, name: 7 }),
  "an error that is frozen": () => Object.freeze(new Error("a")),
  "a range error whose message is no text": () => Object.assign(new RangeError("a"), { message: Symbol("m") }),
  "an error of a class whose message throws": () => {
    class Broken extends Error {
      override get message(): string {
        return boom();
      }
    }
    return new Broken();
  },
  "a tagged error whose message throws": () => getter(new FetchError({ url: "a", cause: 1 }), "message"),
  "an instance whose tag throws": () => {
    class Broken {
      get _tag(): string {
        return boom();
      }
    }
    return new Broken();
  },
  "what claims to be an Effect": () => ({ [Symbol.for("effect/Effect")]: 1 }),
  "what claims to be a Stream": () => ({ [Symbol.for("effect/Stream")]: 1 }),
  "what claims to be a Cause": () => ({ [Symbol.for("effect/Cause")]: 1, _tag: "Nothing" }),
  "a Promise whose constructor throws": () => getter(Promise.resolve(1), "constructor"),
  "a Promise whose then throws": () => getter(Promise.resolve(1), "then"),
  "a list with an element that throws": () => getter([1, 2], 1),
  "an iterable that throws": () => ({ [Symbol.iterator]: boom, [Symbol.asyncIterator]: boom }),
  "a Date whose methods throw": () => Object.assign(new Date(), { getTime: boom, toISOString: boom }),
};

type Way = (value: unknown) => unknown;

/** The ways in which a task can pass a value out. */
export const ways: Readonly<Record<string, Way>> = {
  returns: (value) => value,
  "returns a Promise of": (value) => (async () => await Promise.resolve([value]))().then(([value]) => value),
  "returns an Effect of": (value) => Effect.succeed(value),
  "returns a list of": (value) => [value],
  throws: (value) => {
    throw value;
  },
  "rejects with": (value) => Promise.reject(value),
  "fails with": (value) => Effect.fail(value),
  "dies of": (value) => Effect.die(value),
  "fails in a span with": (value) => Effect.withSpan(Effect.fail(value), "span"),
  "throws in an Effect": (value) => Effect.sync(() => ways.throws(value)),
  "fails twice with": (value) => Effect.failCause(Cause.parallel(Cause.fail(value), Cause.die(value))),
  "returns the Exit of": (value) => Effect.succeed(Exit.fail(value)),
};

export const give = Task.make(import.meta, "give", (way: string, name: string): unknown => ways[way](touchy[name]()));
/** The same with Schemas, which inspect the value first. */
export const giveChecked = Task.make(
  import.meta,
  "giveChecked",
  (way: string, name: string): unknown => ways[way](touchy[name]()),
  { success: Schema.Number as Schema.Schema<unknown>, error: Schema.Struct({ _tag: Schema.String }) as never },
);
export const emit = Task.make(
  import.meta,
  "emit",
  (way: "emits" | "fails with", name: string): Stream.Stream<unknown, unknown> =>
    way === "emits" ? Stream.make(1, touchy[name]()) : Stream.concat(Stream.make(1), Stream.fail(touchy[name]())),
);
/** Throws outside of any handler. */
export const giveLater = Task.make(import.meta, "giveLater", (way: "throws" | "rejects", name: string) => {
  const value = touchy[name]();
  if (way === "throws") {
    setTimeout(() => {
      throw value;
    });
  } else Promise.reject(value);
  return new Promise<number>(() => {});
});
export const receive = Task.make(import.meta, "receive", (_: unknown): number => 1);
export const add = Task.make(import.meta, "add", (a: number, b: number) => a + b);

// The managed objects.

export class Giver {
  give(way: string, name: string): unknown {
    return ways[way](touchy[name]());
  }

  fetch(url: string): Effect.Effect<number, FetchError> {
    return Effect.fail(new FetchError({ url, cause: http() }));
  }

  break(): number {
    throw http();
  }
}
export const givers = Manager.type(import.meta, "Giver", Giver);
/** Managed objects that are such values themselves. */
export const touchies = Manager.type(
  import.meta,
  "touchies",
  (name: string) => touchy[name]() as Record<string, never>,
);
