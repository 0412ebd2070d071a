/**
 * Values that cannot be sent, and values that throw on every access: a failure keeps its type and loses only the parts
 * that cannot be sent, and no value ends a process.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Equal from "effect/Equal";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Manager, Pipe, Pool, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Codec from "../../src/internal/codec/codec.ts";
import { hooks } from "../../src/internal/codec/effect.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "../support/assert.ts";
import { type Step, test, warmUp } from "../support/suite.ts";
import { run, withWorkers, Workers } from "../support/workers.ts";
import * as Tasks from "./values_tasks.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

const { touchy, ways } = Tasks;

/** The typed failure of a program that must fail with one. */
const failureOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<E, A, R> => Effect.flip(program);

/** The only defect of a program. */
const defectOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<unknown, never, R> =>
  Effect.map(Effect.exit(program), (exit) => {
    assert(Exit.isFailure(exit));
    assertEquals(Option.getOrUndefined(Cause.failureOption(exit.cause)), undefined);
    return Chunk.unsafeHead(Cause.defects(exit.cause));
  });

const response = "[Response: cannot be sent: an instance of class Response would lose its class]";

/** Checks that an error equals an `HttpError` except for its response. */
const assertHttp = (error: unknown): void => {
  assertInstanceOf(error, Error);
  const { code, message, name, response: said, stack } = error as Tasks.HttpError & { readonly response: unknown };
  assertEquals([name, message, code, said], ["HttpError", "500 Internal Server Error", "ERR_STATUS", response]);
  assertStringIncludes(stack!, "values_tasks.ts");
};

const assertFetch = (error: unknown, url: string): void => {
  const failed = error as Tasks.FetchError;
  assertEquals([failed._tag, failed.url], ["FetchError", url]);
  assertHttp(failed.cause);
};

// In one process: the codec and failures.

const leniently = (value: unknown, limit: number = 1_000_000): unknown => {
  const { attachments, bytes } = Codec.encode(value, { hooks, lenient: limit });
  const size = attachments.reduce((sum, part) => sum + part.byteLength, bytes.length);
  assert(size <= limit, `${size} bytes, and the limit is ${limit}`);
  return Codec.decode(bytes, { attachments, hooks, link: undefined });
};

Deno.test("values: what can be sent of a failure is sent as without leniency, references and cycles included", () => {
  const shared = { a: 1 };
  const list: Array<unknown> = [shared, shared, 1.5, "text", 10n, null, undefined, new Date(5), new Map([[1, shared]])];
  list.push(list);
  const copy = leniently(list) as Array<unknown>;
  assert(copy[0] === copy[1] && copy.at(-1) === copy && (copy[8] as Map<number, unknown>).get(1) === copy[0]);
  assertEquals(copy.slice(0, 8), list.slice(0, 8));
});

Deno.test("values: a part that cannot be sent is described, and what comes before and after it is as it was", () => {
  const inner = { deep: { fn: function parse() {} }, same: {} };
  const value = {
    before: inner,
    fn: () => {},
    sym: Symbol("s"),
    late: Promise.resolve(1),
    after: inner,
    map: new Map(),
  };
  value.map.set("k", new WeakMap());
  const copy = leniently(value) as Record<string, unknown>;
  assert(copy.before === copy.after);
  assertEquals(copy, {
    before: { deep: { fn: "[Function parse: cannot be sent: functions do not cross a process boundary]" }, same: {} },
    fn: "[Function fn: cannot be sent: functions do not cross a process boundary]",
    sym: "[Symbol(s): cannot be sent: a symbol has no identity in another process]",
    late: "[Promise: cannot be sent: a Promise does not cross a process boundary]",
    after: { deep: { fn: "[Function parse: cannot be sent: functions do not cross a process boundary]" }, same: {} },
    map: new Map([["k", "[WeakMap: cannot be sent: weak references mean nothing in another process]"]]),
  });
});

Deno.test("values: what was written before a part failed does not confuse what follows", () => {
  // Each value has written objects, shapes, hooks and attachments when its last element fails.
  const doomed = (n: number): unknown => {
    const part = { [`key ${n}`]: { nested: [new Uint8Array(100_000), Option.some({ n })] } };
    return Object.defineProperty([part, part, 0], 2, {
      get: () => {
        throw new Error(`${n}`);
      },
      enumerable: true,
    });
  };
  const items = Array.from({ length: 50 }, (_, n) => [doomed(n), { [`key ${n}`]: n }, Option.some(n)]);
  const copy = leniently(items) as Array<[string, Record<string, number>, Option.Option<number>]>;
  copy.forEach(([said, record, option], n) => {
    assertEquals(said, `[Array: cannot be sent: reading it threw Error: ${n}]`);
    assertEquals(record, { [`key ${n}`]: n });
    assert(Equal.equals(option, Option.some(n)));
  });
});

Deno.test("values: a failure is cut down to any limit in which its tag has room, and stays under it", () => {
  const failure = new Tasks.FetchError({
    url: "u".repeat(500),
    cause: Object.assign(new Error("m".repeat(3000)), {
      bytes: new Uint8Array(200_000),
      list: Array.from({ length: 3000 }, (_, i) => ({ i })),
    }),
  });
  failure.stack = "";
  for (const limit of [1000, 3000, 10_000, 50_000, 100_000, 300_000]) {
    const copy = leniently(failure, limit) as Tasks.FetchError;
    assertEquals(copy._tag, "FetchError", `${limit}`);
  }
  const whole = leniently(failure, 300_000) as Tasks.FetchError;
  assertEquals((whole.cause as { list: Array<unknown> }).list.length, 3000);
});

Deno.test("values: an error deeper than a message may be is cut where it is too deep", () => {
  let deep: Error = new Error("0");
  for (let i = 1; i < 3000; i++) {
    deep = i % 2 ? new Error(`${i}`, { cause: deep }) : new Tasks.FetchError({ url: "", cause: deep });
  }
  let copy = leniently(new Tasks.FetchError({ url: "top", cause: deep })) as { _tag?: string; cause?: unknown };
  assertEquals(copy._tag, "FetchError");
  let levels = 0;
  for (; typeof copy === "object"; copy = copy.cause as { cause?: unknown }) levels++;
  assert(levels > 100, `${levels} levels`);
  assertMatch(`${copy}`, /cannot be sent: it is nested too deeply/);
});

for (const [name, make] of Object.entries(touchy)) {
  Deno.test(`values: encoding ${name} gives bytes or an EncodeError, and leniently always bytes`, () => {
    for (const value of [make(), [make()], { a: make() }, new Map([[make(), make()]]), Exit.die(make())]) {
      leniently(value);
      try {
        Codec.encode(value, { hooks });
      } catch (error) {
        assertInstanceOf(error, Codec.EncodeError);
      }
    }
  });
}

// On each backend.

const suite = (name: "subprocess" | "worker", layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  check(
    "a typed failure whose cause has a part that cannot be sent is caught by its tag",
    Effect.gen(function* () {
      const caught = yield* Effect.catchTag(
        run(Tasks.fetching, "http://a"),
        "FetchError",
        (error) => Effect.succeed(error),
      );
      assertFetch(caught, "http://a");
      const schema = yield* failureOf(run(Tasks.refusing, "http://b"));
      assertInstanceOf(schema, Tasks.Refusal);
      assertEquals(schema.url, "http://b");
      assertHttp(schema.cause);
      const { key, retry, _tag } = (yield* failureOf(run(Tasks.absent, "k"))) as Tasks.Absent;
      const said = "[Function: cannot be sent: functions do not cross a process boundary]";
      assertEquals([_tag, key, `${retry}`], ["Absent", "k", said.replace("Function", "Function retry")]);
    }),
  );

  check(
    "what a task throws or rejects with keeps its name, message, code and stack",
    Effect.gen(function* () {
      for (const task of [Tasks.throwing, Tasks.rejecting]) assertHttp(yield* defectOf(run(task)));
    }),
  );

  check(
    "causes in causes, an AggregateError, errors in a circle and a Cause arrive but for the parts that cannot be sent (full)",
    Effect.gen(function* () {
      const failed = (yield* failureOf(run(Tasks.nested))) as Tasks.FetchError;
      assertEquals([failed._tag, failed.url], ["FetchError", "nested"]);
      const all = failed.cause as AggregateError;
      assertInstanceOf(all, AggregateError);
      const [outer, second] = all.errors as [Error, TypeError];
      assertHttp(outer.cause);
      assert((outer.cause as Error).cause === outer);
      assertInstanceOf(second, TypeError);
      assertMatch(`${second.cause}`, /^\[Function.*: cannot be sent: /);

      const cyclic = (yield* failureOf(run(Tasks.cyclic))) as Tasks.FetchError;
      const inner = cyclic.cause as Error;
      assertEquals([cyclic._tag, inner.message], ["FetchError", "inner"]);
      assertMatch(`${inner.cause}`, /^\[FetchError: cannot be sent: it contains itself/);

      const { cause } = (yield* failureOf(run(Tasks.causeInside))) as Tasks.FetchError;
      assert(Cause.isCause(cause));
      assertHttp(Option.getOrThrow(Cause.failureOption(cause)));
      assertMatch(`${Chunk.unsafeHead(Cause.defects(cause))}`, /^\[Function.*: cannot be sent: /);
    }),
  );

  check(
    "several failures at once arrive, each as what it is",
    Effect.gen(function* () {
      const exit = yield* Effect.exit(run(Tasks.severalFailures));
      assert(Exit.isFailure(exit));
      const failures = Array.from(Cause.failures(exit.cause), (failure) => failure as Tasks.FetchError);
      assertEquals(failures.map(({ url }) => url).toSorted(), ["left", "right"]);
      failures.forEach((failure) => assertFetch(failure, failure.url));
      const defect = Chunk.unsafeHead(Cause.defects(exit.cause)) as RangeError & { readonly callback: string };
      assertInstanceOf(defect, RangeError);
      assertEquals(defect.message, "after");
      assertMatch(defect.callback, /cannot be sent/);
    }),
  );

  check(
    "the failure of a Stream, of a Stream that was an argument, of a pool's task and of its initializer is what it is",
    Effect.gen(function* () {
      const seen: Array<unknown> = [];
      const streamed = yield* failureOf(
        Stream.runForEach(Process.stream(Tasks.failingStream, "stream"), (n) => Effect.sync(() => seen.push(n))),
      );
      assertEquals(seen, [1]);
      assertFetch(streamed, "stream");

      const argument = Stream.fail(
        new Tasks.FetchError({ url: "argument", cause: new Tasks.HttpError(new Response("no")) }),
      );
      assertEquals(yield* run(Tasks.reading, argument), [
        "FetchError",
        "argument",
        "500 Internal Server Error",
        response,
      ]);

      const pool = yield* Pool.make({ size: 1 });
      assertFetch(yield* failureOf(pool.apply(Tasks.fetching, "apply")), "apply");
      assertFetch(yield* failureOf(pool.map(Tasks.fetching, ["map"])), "map");
      assertFetch(yield* failureOf(Stream.runDrain(pool.stream(Tasks.failingStream, "pooled"))), "pooled");
      assertEquals((yield* pool.statistics).replaced, 0);

      const broken = yield* failureOf(
        Effect.scoped(Pool.make({ size: 1, initializer: Pool.initializer(Tasks.failsToInitialize) })),
      );
      assertFetch(broken.cause, "initializer");
    }),
  );

  check(
    "a failure is the same for a process that joins by a handle (full)",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.fetching, "handle");
      yield* Effect.exit(child.join);
      assertEquals(yield* run(Tasks.joining, child.handle as never), [
        "FetchError",
        "handle",
        "FetchError",
        "handle",
      ]);
      // The Schema decodes it to an instance of a class here. Only the Schema can encode that instance.
      const stamped = yield* Process.spawn(Tasks.stamping, "text");
      assertInstanceOf(yield* failureOf(stamped.join), Tasks.Stamped);
      assertEquals(yield* run(Tasks.joiningStamped, stamped.handle as never), [
        "Stamped",
        "text",
        "Stamped",
        "text",
      ]);
    }),
  );

  check(
    "what a method of a manager fails with, or throws, is what it is",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const giver = yield* manager.create(Tasks.givers);
      assertFetch(yield* failureOf(giver.fetch("method")), "method");
      const thrown = (yield* failureOf(giver.break())) as Manager.RemoteError;
      assertInstanceOf(thrown, Manager.RemoteError);
      assertHttp(thrown.cause);
    }),
  );

  test(
    `values on ${name}: a failure that is larger than a message keeps its tag, and as much as there is room for`,
    Effect.gen(function* () {
      const failed = (yield* failureOf(Process.run(Tasks.oversized, 200_000))) as Tasks.FetchError;
      assertEquals([failed._tag, failed.url], ["FetchError", "oversized"]);
      const { body, list, text } = failed.cause as { body: unknown; list: unknown; text: string };
      assertEquals(body, "[Uint8Array: cannot be sent: the message would be larger than the limit]");
      assertEquals(list, "[Array: cannot be sent: the message would be larger than the limit]");
      assertMatch(text, /^x{1000}… \[a text of 200000 units: /);
      assertLess(text.length, 1200);
    }).pipe(Effect.provide(
      name === "worker"
        ? WorkerBackend.layer({ maxMessageSize: 100_000 })
        : SubprocessBackend.layer({ maxMessageSize: 100_000 }),
    )),
  );

  check(
    "what succeeds stays strict: a result with a part that cannot be sent is an EncodeError",
    Effect.gen(function* () {
      const error = yield* failureOf(run(Tasks.give, "returns a list of", "a revoked Proxy"));
      assertInstanceOf(error, Backend.EncodeError);
      assertEquals(error.path, "result[0]");
    }),
  );

  /** The process that sent this value is alive, and the caller has an answer. */
  const assertAnswered = (exit: Exit.Exit<unknown, unknown>, what: string): void => {
    if (Exit.isSuccess(exit)) return;
    assert(!Cause.isInterrupted(exit.cause), what);
    for (const failure of Cause.failures(exit.cause)) {
      assert(!(failure instanceof Process.ProcessDied), `${what}: ${Cause.pretty(exit.cause)}`);
    }
    // Printing the failure here does not throw either.
    assertMatch(Cause.pretty(exit.cause, { renderErrorCause: true }), /./);
  };

  for (const [task, suffix] of [[Tasks.give, ""], [Tasks.giveChecked, ", with Schemas"]] as const) {
    check(
      `no value ends the process of a task that gives it away${suffix}${fullUnless(suffix === "")}`,
      Effect.gen(function* () {
        const { pool } = yield* Workers;
        for (const way of Object.keys(ways)) {
          for (const value of Object.keys(touchy)) {
            const exit = yield* Effect.exit(pool.apply(task, way, value));
            assertAnswered(exit, `${way} ${value}`);
            assert(Exit.isFailure(exit) || way.startsWith("returns"), `${way} ${value} succeeded`);
          }
        }
        assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
        assertEquals((yield* pool.statistics).replaced, 0);
      }),
    );
  }

  check(
    "no value ends the process of a Stream that emits it or fails with it (full)",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const way of ["emits", "fails with"] as const) {
        for (const value of Object.keys(touchy)) {
          const exit = yield* Effect.exit(Stream.runDrain(pool.stream(Tasks.emit, way, value)));
          assertAnswered(exit, `${way} ${value}`);
        }
      }
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "a value as an argument, in a queue or in a pipe is sent or is an EncodeError, and nothing else",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const queue = yield* Queue.make<unknown>();
      const { left } = yield* Pipe.make<unknown, unknown>().pipe(Effect.map(([left, right]) => ({ left, right })));
      for (const [value, make] of Object.entries(touchy)) {
        const sends = {
          argument: pool.apply(Tasks.receive, make()),
          item: pool.map(Tasks.receive, [make()]),
          put: queue.put(make()),
          send: left.send(make()),
        };
        for (const [how, send] of Object.entries(sends)) {
          const exit = yield* Effect.exit(send as Effect.Effect<unknown, unknown>);
          if (Exit.isSuccess(exit)) continue;
          assertInstanceOf(Cause.squash(exit.cause), Backend.EncodeError, `${how}: ${value}`);
        }
      }
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "no value ends the server of a manager that a method gives away, or that is an object of it (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const giver = yield* manager.create(Tasks.givers);
      for (const value of Object.keys(touchy)) {
        for (const way of Object.keys(ways)) {
          assertAnswered(
            yield* Effect.exit(giver.give(way, value) as Effect.Effect<unknown, unknown>),
            `${way} ${value}`,
          );
        }
        const made = yield* Effect.exit(Effect.scoped(Effect.flatMap(
          manager.create(Tasks.touchies as never, value as never) as Effect.Effect<never, unknown, Scope.Scope>,
          (proxy) => Effect.all([Effect.exit(Manager.getValue(proxy)), Effect.exit(Manager.inspect(proxy))]),
        )));
        assertAnswered(made, `is ${value}`);
      }
      assertMatch(`${yield* failureOf(giver.break())}`, /HttpError/);
    }),
  );

  check(
    "a value that nobody catches is the death of its process, and is heard of, whatever it is (full)",
    Effect.gen(function* () {
      for (const value of ["a revoked Proxy", "an object whose toString throws", "an error whose message throws"]) {
        for (const way of ["throws", "rejects"] as const) {
          const error = yield* failureOf(Process.run(Tasks.giveLater, way, value));
          assertInstanceOf(error, Process.ProcessDied, `${way} ${value}: ${error}`);
          const { status } = error;
          // A thrown revoked Proxy crashes Deno itself, so the reason of the end is not reported.
          const silent = name === "subprocess" && way === "throws" && value === "a revoked Proxy";
          if (silent) assertEquals(status, { _tag: "Exited", code: 1 });
          else assertEquals(status._tag, "Crashed", `${way} ${value}: ${error}`);
        }
      }
    }),
  );

  withWorkers(`values on ${name}`, layer, 1, steps);
};

suite("subprocess", SubprocessBackend.layer({ stderr: "null" }));
repeated(() => suite("worker", WorkerBackend.layer()));

await warmUp(Effect.provide(Process.run(Tasks.fetching, "warm"), SubprocessBackend.layer()).pipe(Effect.ignore));
if (repeating) {
  await warmUp(Effect.provide(Process.run(Tasks.fetching, "warm"), WorkerBackend.layer()).pipe(Effect.ignore));
}
