/**
 * The guarantees of a pipe, in each place where it can live, and the moves of its ends.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as fc from "effect/FastCheck";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Schema from "effect/Schema";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pipe, Pool, Process, Queue, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import { hosting } from "../../src/internal/rpc/router.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertStringIncludes,
} from "../support/assert.ts";
import * as Tasks from "./pipe_tasks.ts";
import { group, type Step, test, warmUp, when } from "../support/suite.ts";
import { run, spawn, withWorkers, type Workers } from "../support/workers.ts";
import { add } from "../support/tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

type Make = (options?: Pipe.Options) => Effect.Effect<Tasks.Ends, unknown, Scope.Scope>;

/** The place of the pipe whose ends a test uses. */
interface Place {
  readonly name: string;
  readonly make: Effect.Effect<Make, unknown, Scope.Scope>;
}

const elsewhere = (name: string, layer: Layer.Layer<Backend.Backend>): Place => ({
  name,
  make: Effect.gen(function* () {
    const wanted = yield* Queue.make<Pipe.Options>();
    const made = yield* Queue.make<Tasks.Ends>();
    yield* Process.spawnWith(Tasks.hosting, [wanted, made], { daemon: true });
    return (options: Pipe.Options = {}) => Effect.zipRight(wanted.put(options), made.get);
  }).pipe(Effect.provide(layer)),
});

const places: ReadonlyArray<Place> = [
  { name: "in this process", make: Effect.succeed((options) => Pipe.make<unknown>(options)) },
  elsewhere("in a subprocess", subprocess),
  elsewhere("in a worker", worker),
];

await warmUp(Effect.provide(Process.run(add, 1, 2), subprocess));
await warmUp(Effect.provide(Process.run(add, 1, 2), worker));

/** Makes the pipes of a group of tests. */
interface Maker {
  readonly make: Make;
}
const Maker = Context.GenericTag<Maker>("tests/Maker");

const promises: Array<Step<Maker | Scope.Scope>> = [];

/** Registers a test of a guarantee for every place where a pipe can live. */
const promise = (title: string, program: (make: Make) => Effect.Effect<unknown, unknown, Scope.Scope>): void => {
  promises.push([title, Effect.flatMap(Maker, ({ make }) => program(make))]);
};

/** The tag of a failure, and its reason if it has one. */
const failure = <A, R>(program: Effect.Effect<A, unknown, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    const { _tag, reason } = error as { readonly _tag: string; readonly reason?: string };
    return reason === undefined || _tag === "EncodeError" || _tag === "DecodeError" ? _tag : `${_tag} ${reason}`;
  });

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

// Messages

promise("both ends send and receive, whole messages, in their order", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    assert(one.readable && one.writable && other.readable && other.writable);
    for (const value of [1, "two", { three: [3, new Map([[1, new Date(0)]])] }, undefined, null]) {
      yield* one.send(value);
      yield* other.send([value]);
    }
    assertEquals(yield* other.recv, 1);
    assertEquals(yield* other.recv, "two");
    assertEquals(yield* other.recv, { three: [3, new Map([[1, new Date(0)]])] });
    assertEquals([yield* other.recv, yield* other.recv], [undefined, null]);
    assertEquals([yield* one.recv, yield* one.recv], [[1], ["two"]]);
    assert(!(yield* other.poll()) && (yield* one.poll()));
  }));

promise("a one-way pipe: the first end receives, the second sends", (make) =>
  Effect.gen(function* () {
    const [first, second] = yield* make({ duplex: false });
    assertEquals([first.readable, first.writable, second.readable, second.writable], [true, false, false, true]);
    yield* second.send("hello");
    yield* second.sendBytes(utf8("bytes"));
    assertEquals(yield* first.recv, "hello");
    assertEquals(text(yield* first.recvBytes()), "bytes");
  }));

promise(
  "the wrong direction fails before the arguments are looked at, and changes nothing",
  (make) =>
    Effect.gen(function* () {
      const [first, second] = yield* make({ duplex: false });
      assertEquals(yield* failure(first.send(() => {})), "PipeError ReadOnly");
      assertEquals(yield* failure(first.sendBytes(new Uint8Array(1), -1)), "PipeError ReadOnly");
      assertEquals(yield* failure(Stream.run(Stream.make(1), first.toSink)), "PipeError ReadOnly");
      assertEquals(yield* failure(second.recv), "PipeError WriteOnly");
      assertEquals(yield* failure(second.recvBytes(-1)), "PipeError WriteOnly");
      assertEquals(yield* failure(second.recvBytesInto(new Uint8Array(1), -1)), "PipeError WriteOnly");
      assertEquals(yield* failure(second.poll()), "PipeError WriteOnly");
      assertEquals(yield* failure(second.ready), "PipeError WriteOnly");
      assertEquals(yield* failure(Stream.runDrain(second.toStream)), "PipeError WriteOnly");
      yield* second.send(1);
      assertEquals(yield* first.recv, 1);
    }),
);

promise("a value that is no data fails in send, with nothing sent", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const error = yield* Effect.flip(one.send({ list: [1, () => 2] }));
    assertInstanceOf(error, Backend.EncodeError);
    assertEquals(error.path, "value.list[1]");
    yield* one.send("next");
    assertEquals(yield* other.recv, "next");
    yield* failure(Stream.run(Stream.fromIterable<unknown>([1, () => 2, 3]), one.toSink));
    assertEquals(yield* other.recv, 1);
    assert(!(yield* other.poll()));
  }));

promise("a value that cannot be rebuilt fails in recv, and is received", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const unknown = { [HandleId]: { kind: "nonesuch", encode: () => 0 } };
    yield* one.send(Object.assign(Object.create({}), unknown));
    yield* one.send("next");
    assertEquals(yield* failure(other.recv), "DecodeError");
    assertEquals(yield* other.recv, "next");
    for (const value of [1, 2, Object.assign(Object.create({}), unknown), 3]) yield* one.send(value);
    yield* when(other.statistics, ({ unread }) => unread === 4);
    const got: Array<unknown> = [];
    const drained = Stream.runForEach(other.toStream, (value) => Effect.sync(() => got.push(value)));
    assertEquals(yield* failure(drained), "DecodeError");
    assertEquals(got, [1, 2]);
    assertEquals(yield* other.recv, 3);
  }));

promise(
  "a message of 100 MB arrives, as a value and as bytes, past a limit of 1 MB (full)",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      const big = new Uint8Array(100_000_000);
      big.fill(7);
      const sending = yield* Effect.fork(Effect.zipRight(one.send({ big }), one.sendBytes(big)));
      const value = (yield* other.recv) as { readonly big: Uint8Array };
      assertEquals([value.big.length, value.big[0], value.big[99_999_999]], [100_000_000, 7, 7]);
      const bytes = yield* other.recvBytes();
      assertEquals([bytes.length, bytes[0], bytes[99_999_999]], [100_000_000, 7, 7]);
      yield* Fiber.join(sending);
      bytes[0] = 1;
      assertEquals([big[0], value.big[0]], [7, 7]);
    }),
);

// Bytes

promise("bytes from an offset on, so many of them, whatever the view is of", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const bytes = utf8("0123456789");
    yield* one.sendBytes(bytes);
    yield* one.sendBytes(bytes, 7);
    yield* one.sendBytes(bytes.buffer, 2, 3);
    yield* one.sendBytes(bytes.subarray(4, 8), 1, 2);
    yield* one.sendBytes(bytes, 10);
    yield* one.sendBytes(bytes, 3, 0);
    for (const expected of ["0123456789", "789", "234", "56", "", ""]) {
      assertEquals(text(yield* other.recvBytes()), expected);
    }
    yield* one.sendBytes(new Int32Array([1, -1]), 2);
    assertEquals(yield* other.recvBytes(), new Uint8Array([0, 0, 255, 255, 255, 255]));
    yield* one.sendBytes(new DataView(bytes.buffer, 8), 1);
    assertEquals(text(yield* other.recvBytes()), "9");
    for (const size of [10, 100_000]) {
      const shared = new SharedArrayBuffer(size);
      new Uint8Array(shared).fill(5);
      yield* one.sendBytes(shared);
      assertEquals(yield* other.recvBytes(), new Uint8Array(size).fill(5));
    }
  }));

promise("an empty message is one, and is reported like any other", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    yield* one.sendBytes(new Uint8Array());
    assert(yield* other.poll());
    yield* other.ready;
    assertEquals((yield* other.recvBytes(0)).length, 0);
    yield* one.sendBytes(new Uint8Array());
    assertEquals(yield* other.recvBytesInto(new Uint8Array()), 0);
  }));

promise("what was sent does not change with its buffer", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    for (const size of [10, 200_000]) {
      const bytes = new Uint8Array(size).fill(1);
      yield* one.sendBytes(bytes);
      bytes.fill(2);
      assertEquals(yield* other.recvBytes(), new Uint8Array(size).fill(1));
      const sent = { bytes: new Uint8Array(size).fill(1) };
      yield* one.send(sent);
      sent.bytes.fill(2);
      assertEquals(yield* other.recv, { bytes: new Uint8Array(size).fill(1) });
    }
  }));

promise("an offset or a size that makes no sense is refused, with nothing sent", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const bytes = new Uint8Array(4);
    const wrong: ReadonlyArray<readonly [number, number?]> = [
      [-1],
      [5],
      [0, -1],
      [0, 5],
      [3, 2],
      [0.5],
      [NaN],
      [0, Infinity],
    ];
    for (const [offset, size] of wrong) {
      assertEquals(
        yield* failure(one.sendBytes(bytes, offset, size)),
        "PipeError InvalidArgument",
        `${offset} ${size}`,
      );
    }
    const error = yield* Effect.flip(one.sendBytes(bytes, 3, 2));
    assertStringIncludes(error.message, "size must be an integer from 0 to 1, received 2");
    for (const noBytes of ["text", [1, 2], { length: 1 }, null, 7]) {
      assertEquals(yield* failure(one.sendBytes(noBytes as never)), "PipeError InvalidArgument");
    }
    assertStringIncludes((yield* Effect.flip(one.sendBytes("text" as never))).message, "TextEncoder");
    assert(!(yield* other.poll()));
  }));

promise("a limit or a buffer that makes no sense is refused, with nothing received", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    yield* one.sendBytes(utf8("abc"));
    for (const limit of [-1, 0.5, NaN]) {
      assertEquals(yield* failure(other.recvBytes(limit)), "PipeError InvalidArgument");
    }
    for (const offset of [-1, 5, 0.5, NaN]) {
      assertEquals(yield* failure(other.recvBytesInto(new Uint8Array(4), offset)), "PipeError InvalidArgument");
    }
    assertEquals(yield* failure(other.recvBytesInto("text" as never)), "PipeError InvalidArgument");
    assertEquals(yield* failure(other.poll("soon" as never)), "PipeError InvalidArgument");
    assertEquals(text(yield* other.recvBytes()), "abc");
  }));

promise(
  "a message longer than allowed is reported, stays the next, and the connection works on",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      yield* one.sendBytes(utf8("abcd"));
      yield* one.sendBytes(utf8("efgh"));
      const error = yield* Effect.flip(other.recvBytes(3));
      assertInstanceOf(error, Pipe.PipeError);
      assertEquals([error.reason, error.size], ["MessageTooLong", 4]);
      assertEquals(yield* failure(other.recvBytes(0)), "PipeError MessageTooLong");
      assertEquals(text(yield* other.recvBytes(4)), "abcd");
      assertEquals(text(yield* other.recvBytes(100)), "efgh");
      yield* other.send("back");
      assertEquals(yield* one.recv, "back");
    }),
);

promise("bytes are received into a buffer, at an offset", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    yield* one.sendBytes(utf8("abc"));
    yield* one.sendBytes(utf8("de"));
    yield* one.sendBytes(utf8("fg"));
    const buffer = new Uint8Array(6);
    assertEquals(yield* other.recvBytesInto(buffer), 3);
    assertEquals(yield* other.recvBytesInto(buffer, 4), 2);
    assertEquals(text(buffer), "abc\0de");
    const wide = new Uint16Array(2);
    assertEquals(yield* other.recvBytesInto(wide, 1), 2);
    assertEquals(text(new Uint8Array(wide.buffer)), "\0fg\0");
  }));

promise(
  "a buffer that is too short is reported and untouched, and the message stays the next",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      yield* one.sendBytes(utf8("abcd"));
      const buffer = new Uint8Array(4);
      const error = yield* Effect.flip(other.recvBytesInto(buffer, 1));
      assertInstanceOf(error, Pipe.PipeError);
      assertEquals([error.reason, error.size], ["BufferTooShort", 4]);
      assertEquals(yield* failure(other.recvBytesInto(buffer, 4)), "PipeError BufferTooShort");
      assertEquals(buffer, new Uint8Array(4));
      // The end is sent away while the receive waits.
      const waiting = yield* Effect.fork(other.recvBytesInto(new Uint8Array(4)));
      yield* Fiber.join(waiting);
      const gone = new Uint8Array(4);
      const late = yield* Effect.fork(failure(other.recvBytesInto(gone)));
      yield* when(other.statistics, ({ receivers }) => receivers === 1);
      gone.buffer.transfer();
      yield* one.sendBytes(utf8("efgh"));
      assertEquals(yield* Fiber.join(late), "PipeError BufferTooShort");
      assertEquals(text(yield* other.recvBytes()), "efgh");
    }),
);

promise(
  "a value is no bytes and bytes are no value: either is reported, and stays the next",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      yield* one.send("value");
      yield* one.sendBytes(utf8("bytes"));
      assertEquals(yield* failure(other.recvBytes()), "PipeError WrongKind");
      assertEquals(yield* failure(other.recvBytesInto(new Uint8Array(10))), "PipeError WrongKind");
      assertEquals(yield* other.recv, "value");
      assertEquals(yield* failure(other.recv), "PipeError WrongKind");
      assertEquals(yield* failure(Stream.runDrain(other.toStream)), "PipeError WrongKind");
      assertEquals(text(yield* other.recvBytes()), "bytes");
    }),
);

promise("any part of any bytes arrives as it was", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const range = fc.uint8Array({ maxLength: 300 }).chain((bytes) =>
      fc.tuple(fc.constant(bytes), fc.nat(bytes.length), fc.nat(bytes.length), fc.boolean(), fc.nat(20))
    );
    const property = fc.asyncProperty(range, ([bytes, a, b, into, room]) => {
      const offset = Math.min(a, b);
      const size = Math.abs(a - b);
      const expected = bytes.slice(offset, offset + size);
      return Effect.runPromise(Effect.gen(function* () {
        yield* one.sendBytes(bytes, offset, size);
        if (!into) return assertEquals(yield* other.recvBytes(size), expected);
        const buffer = new Uint8Array(room + size);
        assertEquals(yield* other.recvBytesInto(buffer, room), size);
        assertEquals(buffer.slice(room), expected);
        assertEquals(buffer.slice(0, room), new Uint8Array(room));
      }));
    });
    yield* Effect.promise(() => fc.assert(property, { numRuns: 100 }));
  }));

// The end

promise(
  "what was sent is received after the other end has closed; then it is the end of file, each time",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      yield* one.send(1);
      yield* one.send(2);
      yield* one.close;
      assertEquals([yield* other.recv, yield* other.recv], [1, 2]);
      for (let i = 0; i < 3; i++) {
        assertEquals(yield* failure(other.recv), "EndOfFile");
        assertEquals(yield* failure(other.recvBytes()), "EndOfFile");
        assert(yield* other.poll());
        assert(yield* other.poll("1 minute"));
        yield* other.ready;
      }
      assertEquals(yield* Stream.runCollect(other.toStream), Chunk.empty());
      assertEquals((yield* other.statistics).peer, "closed");
    }),
);

promise(
  "sending to nobody is a broken pipe, each time, and what has arrived can still be received",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      yield* one.send("unread");
      yield* other.send("last");
      yield* other.close;
      yield* when(one.statistics, ({ peer }) => peer === "closed");
      for (let i = 0; i < 3; i++) {
        assertEquals(yield* failure(one.send(1)), "BrokenPipe");
        assertEquals(yield* failure(one.sendBytes(new Uint8Array(1))), "BrokenPipe");
      }
      assertEquals(yield* failure(Stream.run(Stream.make(1, 2), one.toSink)), "BrokenPipe");
      assertEquals(yield* one.recv, "last");
      assertEquals(yield* failure(one.recv), "EndOfFile");
      assert(!one.closed);
    }),
);

promise("a waiting receiver is told when the other end closes", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 100 });
    yield* one.send("fills it");
    const waiting = [one.send("x".repeat(100)), one.recv, one.recvBytes(), one.poll("1 minute"), one.ready];
    const fibers = yield* Effect.forEach(waiting, (effect) =>
      Effect.fork(Effect.exit(effect as Effect.Effect<unknown, unknown>)));
    yield* when(one.statistics, ({ receivers, senders }) =>
      receivers === 2 && senders === 1);
    yield* other.close;
    const [send, recv, recvBytes, poll, ready] = yield* Effect.forEach(fibers, Fiber.join);
    assertEquals(yield* failure(send), "BrokenPipe");
    assertEquals(yield* failure(recv), "EndOfFile");
    assertEquals(yield* failure(recvBytes), "EndOfFile");
    assertEquals([poll, ready], [Exit.succeed(true), Exit.void]);
  }));

promise("a connection that was closed fails, and can be closed again", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    yield* other.send("unread");
    const waiting = yield* Effect.fork(failure(Effect.forever(one.recv)));
    yield* when(one.statistics, ({ receivers }) => receivers === 1);
    assert(!one.closed);
    yield* one.close;
    yield* one.close;
    assert(one.closed);
    assertEquals(yield* Fiber.join(waiting), "PipeError Closed");
    const bytes = new Uint8Array(1);
    const uses = [
      one.send(1),
      one.recv,
      one.sendBytes(bytes),
      one.recvBytes(),
      one.recvBytesInto(bytes),
      one.poll(),
      one.ready,
      Stream.runDrain(one.toStream),
      other.send(one),
    ];
    const failures = yield* Effect.forEach(uses, (use) => failure(use as Effect.Effect<unknown, unknown>));
    assertEquals(failures, [...Array<string>(8).fill("PipeError Closed"), "EncodeError"]);
    assertEquals((yield* one.statistics).state, "closed");
  }));

promise("a scope closes a connection", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    yield* Effect.scoped(Effect.flatMap(Pipe.scoped(one), ({ send }) => send("hello")));
    assertEquals(yield* other.recv, "hello");
    assertEquals(yield* failure(other.recv), "EndOfFile");
  }));

promise("wait tells which connections have something to receive, or an end", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    const [third, fourth] = yield* make();
    assertEquals(yield* wait([one, third], { timeout: 0 }), []);
    assertEquals(yield* wait([one, third], { timeout: "5 millis" }), []);
    const waiting = yield* Effect.fork(wait([one, third]));
    yield* fourth.send(1);
    assertEquals(yield* Fiber.join(waiting), [third]);
    yield* other.close;
    yield* when(one.statistics, ({ peer }) => peer === "closed");
    assertEquals(yield* wait([one, third]), [one, third]);
    assertEquals(yield* third.recv, 1);
  }));

// Waiting

promise("poll tells of what is there, and waits no longer than it should", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    for (const timeout of [undefined, 0, "0 millis", "1 millis"] as const) assert(!(yield* other.poll(timeout)));
    const waiting = yield* Effect.fork(other.poll("1 minute"));
    const forever = yield* Effect.fork(other.poll(Infinity));
    yield* one.send(1);
    assert((yield* Fiber.join(waiting)) && (yield* Fiber.join(forever)));
    for (let i = 0; i < 3; i++) assert(yield* other.poll());
    assertEquals(yield* other.recv, 1);
    assert(!(yield* other.poll()));
  }));

promise("send waits while too much is unread, and goes on when it was read", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 10_000 });
    const sending = yield* Effect.fork(Effect.forEach(numbers(50), (n) => one.sendBytes(new Uint8Array(1000).fill(n))));
    yield* when(one.statistics, ({ senders }) => senders === 1);
    const { pendingBytes } = yield* one.statistics;
    assertLessOrEqual(pendingBytes, 10_000);
    const { unread, unreadBytes } = yield* other.statistics;
    assertEquals([unread, unreadBytes], [9, pendingBytes]);
    for (const n of numbers(50)) assertEquals(yield* other.recvBytes(), new Uint8Array(1000).fill(n));
    yield* Fiber.join(sending);
    yield* when(one.statistics, ({ pendingBytes }) => pendingBytes === 0);
    // A message that is larger than the limit is sent when nothing is unread.
    yield* one.sendBytes(new Uint8Array(100_000));
    const next = yield* Effect.fork(one.send("next"));
    yield* when(one.statistics, ({ senders }) => senders === 1);
    assertEquals((yield* other.recvBytes()).length, 100_000);
    yield* Fiber.join(next);
  }));

promise("empty messages are bounded as well", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 1000 });
    const sending = yield* Effect.fork(Effect.forEach(numbers(100), () => one.sendBytes(new Uint8Array())));
    yield* when(one.statistics, ({ senders }) => senders === 1);
    assertLess((yield* other.statistics).unread, 20);
    for (const _ of numbers(100)) yield* other.recvBytes();
    yield* Fiber.join(sending);
  }));

promise("fibers on one end take turns, in the order in which they came", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 200 });
    const receiving: Array<Fiber.Fiber<unknown, unknown>> = [];
    for (const n of numbers(20)) {
      receiving.push(yield* Effect.fork(other.recv));
      yield* when(other.statistics, ({ receivers }) => receivers === n + 1);
    }
    for (const n of numbers(20)) yield* one.send(n);
    assertEquals(yield* Effect.forEach(receiving, Fiber.join), numbers(20));
    const sending: Array<Fiber.Fiber<unknown, unknown>> = [];
    yield* one.send("x".repeat(200));
    for (const n of numbers(20)) {
      sending.push(yield* Effect.fork(one.send(n)));
      yield* when(one.statistics, ({ senders }) => senders === n + 1);
    }
    assertEquals(yield* other.recv, "x".repeat(200));
    const received = yield* Effect.forEach(numbers(20), () => other.recv);
    assertEquals(received, numbers(20));
    yield* Effect.forEach(sending, Fiber.join);
  }));

promise("many fibers on both ends lose nothing and mix nothing", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 3000 });
    const messages = numbers(300).map((n) => ({ n, text: "x".repeat(n) }));
    const taken: Array<{ readonly n: number; readonly text: string }> = [];
    const receive = Effect.forEach(
      messages,
      () => Effect.map(other.recv, (message) => taken.push(message as (typeof messages)[number])),
      { concurrency: "unbounded", discard: true },
    );
    const send = Effect.forEach(messages, one.send, { concurrency: "unbounded", discard: true });
    yield* Effect.all([receive, send], { concurrency: 2 });
    assertEquals(taken, messages);
  }));

promise("what is interrupted has received nothing", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make();
    for (let steps = 0; steps < 120; steps++) {
      // With a message available at once, or while it waits.
      const early = steps % 2 === 0;
      if (early) yield* one.send(steps);
      const taking = [other.recv, other.poll("1 minute"), other.ready][steps % 3] as Effect.Effect<unknown, unknown>;
      // A fiber that yields this often can be interrupted between any two of its steps.
      const fiber = yield* Effect.fork(early ? taking : Effect.withMaxOpsBeforeYield(taking, 10 + steps % 7));
      if (!early) {
        if (steps % 3 === 0) yield* when(other.statistics, ({ receivers }) => receivers === 1);
        yield* one.send(steps);
      }
      for (let step = 0; step < steps / 10; step++) yield* Effect.yieldNow();
      const exit = yield* Fiber.interrupt(fiber);
      assertEquals(Exit.isSuccess(exit) && steps % 3 === 0 ? exit.value : yield* other.recv, steps);
    }
    assert(!(yield* other.poll()));
  }));

promise(
  "a receiver that is interrupted while it waits leaves the message to the next",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = [];
      for (const n of numbers(10)) {
        fibers.push(yield* Effect.fork(other.recv));
        yield* when(other.statistics, ({ receivers }) => receivers === n + 1);
      }
      for (const n of numbers(10)) if (n % 2 === 0) yield* Fiber.interrupt(fibers[n]);
      for (const n of numbers(5)) yield* one.send(n);
      for (const n of numbers(5)) assertEquals(yield* Fiber.join(fibers[2 * n + 1]), n);
      assertEquals((yield* other.statistics).receivers, 0);
    }),
);

promise("what is interrupted while it waits has sent nothing", (make) =>
  Effect.gen(function* () {
    // Room for a number and the mark, but not for a number and the filler.
    const [one, other] = yield* make({ maxBytes: 150 });
    const sent: Array<unknown> = [];
    const received: Array<unknown> = [];
    for (let steps = 0; steps < 40; steps++) {
      yield* one.send("fills it".repeat(10));
      const fiber = yield* Effect.fork(one.send(steps));
      if (steps % 2 === 0) yield* when(one.statistics, ({ senders }) => senders === 1);
      const reading = yield* Effect.fork(other.recv);
      for (let step = 0; step < steps / 2; step++) yield* Effect.yieldNow();
      const exit = yield* Fiber.interrupt(fiber);
      yield* Fiber.join(reading);
      if (Exit.isSuccess(exit)) sent.push(steps);
      yield* one.send("mark");
      for (;;) {
        const next = yield* other.recv;
        if (next === "mark") break;
        received.push(next);
      }
    }
    assertEquals(received, sent);
  }));

// Streams

promise("a Stream of what is received, a Sink that sends", (make) =>
  Effect.gen(function* () {
    const [one, other] = yield* make({ maxBytes: 10_000 });
    const sending = yield* Effect.fork(
      Effect.zipRight(Stream.run(Stream.fromIterable(numbers(5000)), one.toSink), one.close),
    );
    assertEquals(Array.from(yield* Stream.runCollect(other.toStream)), numbers(5000));
    yield* Fiber.join(sending);
  }));

promise(
  "Schemas on both sides: a refused message is not sent, or is an error of its receiver",
  (make) =>
    Effect.gen(function* () {
      const [one, other] = yield* make();
      const dates = Pipe.schema(Schema.Number, Schema.DateFromString)(one as Pipe.Connection<number, string>);
      const counts = Pipe.schema(Schema.DateFromString, Schema.Number.pipe(Schema.int()))(
        other as Pipe.Connection<string, number>,
      );
      yield* dates.send(new Date(0));
      assertEquals(yield* counts.recv, new Date(0));
      assertEquals(yield* failure(counts.send(0.5)), "EncodeError");
      yield* Stream.run(Stream.make(1, 2), counts.toSink);
      yield* other.send("no number");
      assertEquals([yield* dates.recv, yield* dates.recv], [1, 2]);
      assertEquals(yield* failure(dates.recv), "DecodeError");
      yield* counts.sendBytes(utf8("bytes"));
      assertEquals(text(yield* dates.recvBytes()), "bytes");
      yield* counts.close;
      assertEquals(yield* Stream.runCollect(dates.toStream), Chunk.empty());
      assert(other.closed && counts.closed && !dates.closed && dates.readable && dates.writable);
    }),
);

// Options and scopes

test(
  "Pipe: options that make no sense are refused",
  Effect.gen(function* () {
    for (const maxBytes of [0, -1, 0.5, NaN, "1" as never]) {
      const error = yield* Effect.flip(Pipe.make({ maxBytes }));
      assertEquals(error.reason, "InvalidArgument");
      assertStringIncludes(error.message, "maxBytes");
    }
    assertEquals(yield* failure(Pipe.make({ duplex: "no" as never })), "PipeError InvalidArgument");
    const [one] = yield* Pipe.make();
    assert(Pipe.isConnection(one) && !Pipe.isConnection({}) && !Pipe.isConnection(null));
  }),
);

test(
  "Pipe: nothing is hosted when its scope has closed, or both ends were",
  Effect.gen(function* () {
    const before = hosting();
    const [one, other] = yield* Effect.scoped(Pipe.make<number>());
    assertEquals(hosting(), before);
    assertEquals(yield* failure(one.send(1)), "PipeError Closed");
    assertEquals(yield* failure(other.recv), "PipeError Closed");
    const [third, fourth] = yield* Pipe.make<number>();
    assertEquals(hosting(), before + 1);
    yield* third.close;
    yield* fourth.close;
    assertEquals(hosting(), before);
  }),
);

const atPlace = ({ make, name }: Place): void => {
  const setup = Effect.gen(function* () {
    const shared = yield* make;
    // A process that has made a pipe has started.
    yield* shared();
    return Context.make(Maker, { make: shared });
  });
  group(`Pipe ${name}`, setup, promises);
};
const [inThisProcess, inSubprocess, inWorker] = places;
atPlace(inThisProcess);
atPlace(inSubprocess);
repeated(() => atPlace(inWorker));

// Other processes

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  const conversation = (mine: Tasks.Any) =>
    Effect.gen(function* () {
      for (const n of numbers(20)) {
        yield* mine.send({ n });
        assertEquals(yield* mine.recv, { n });
      }
    });

  check(
    "a conversation in both directions; the child ends with the connection",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      const child = yield* Process.spawn(Tasks.echo, theirs);
      // As in Python. The end has already moved.
      yield* theirs.close;
      yield* conversation(mine);
      yield* mine.close;
      yield* child.join;
    }),
  );

  check(
    "bytes there and back, up to 100 MB (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* spawn(Tasks.echoBytes, theirs);
      for (const size of [0, 1, 1000, 70_000, 1_000_000, 100_000_000]) {
        const bytes = new Uint8Array(size);
        for (let i = 0; i < size; i += 997) bytes[i] = i;
        yield* mine.sendBytes(bytes);
        const back = yield* mine.recvBytes();
        assertEquals(back.length, size);
        for (let i = 0; i < size; i += 997) if (back[i] !== bytes[i]) assertEquals(back[i], bytes[i]);
      }
      yield* mine.close;
    }),
  );

  check(
    "an end that was sent has moved: its use here fails, and it cannot be sent again",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* mine.send("before");
      const waiting = yield* Effect.fork(failure(Effect.forever(theirs.recv)));
      yield* when(theirs.statistics, ({ receivers, unread }) => receivers === 1 && unread === 0);
      const child = yield* Process.spawn(Tasks.receive, theirs);
      assertEquals(yield* Fiber.join(waiting), "PipeError Moved");
      assert(theirs.closed);
      const bytes = new Uint8Array(1);
      for (
        const use of [
          theirs.send(1),
          theirs.recv,
          theirs.poll(),
          theirs.ready,
          theirs.sendBytes(bytes),
          theirs.recvBytesInto(bytes),
        ]
      ) assertEquals(yield* failure(use as Effect.Effect<unknown, unknown>), "PipeError Moved");
      assertEquals((yield* theirs.statistics).state, "moved");
      const error = yield* Effect.flip(Process.spawn(Tasks.receive, theirs));
      assertInstanceOf(error, Backend.EncodeError);
      assertStringIncludes(error.message, "sent to another process");
      yield* mine.send("after");
      assertEquals(yield* child.join, "after");
    }),
  );

  check(
    "an end moves only with the message: what could not be sent has moved nothing",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      assertEquals(yield* failure(mine.send([theirs, () => 1])), "EncodeError");
      assertEquals(yield* failure(Process.spawn(Tasks.echo, [theirs, () => 1] as never)), "EncodeError");
      const full = yield* Queue.make<unknown>({ capacity: 1 });
      yield* full.put(1);
      assertEquals(yield* full.tryPut(theirs), false);
      assert(!theirs.closed);
      yield* theirs.send(1);
      assertEquals(yield* mine.recv, 1);
    }),
  );

  check(
    "what was sent to an end before it moved is received where it is then",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      for (const n of numbers(100)) yield* mine.send(n);
      assertEquals([yield* theirs.recv, yield* theirs.recv], [0, 1]);
      const child = yield* spawn(Tasks.receiveAll, theirs);
      for (const n of numbers(100)) yield* mine.send(100 + n);
      yield* mine.close;
      assertEquals(yield* child.join, numbers(200).slice(2));
    }),
  );

  check(
    "an end comes back as a result, with what was not received, and goes on",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      for (const n of numbers(10)) yield* mine.send(n);
      let end: Tasks.Any = theirs;
      for (const _ of numbers(3)) end = yield* run(Tasks.giveBack, end);
      assertEquals(yield* end.recv, 3);
      const { deep: [again] } = yield* run(Tasks.giveBackAtOnce, end);
      yield* again.send("back");
      assertEquals([yield* mine.recv, yield* again.recv], ["back", 4]);
      const pool = yield* Pool.make({ size: 2 });
      end = again;
      for (const _ of numbers(5)) end = yield* pool.apply(Tasks.giveBack, end);
      assertEquals(yield* failure(Effect.zipRight(mine.close, end.recv)), "EndOfFile");
    }),
  );

  check(
    "an end goes through a queue",
    Effect.gen(function* () {
      const queue = yield* Queue.make<Tasks.Any>();
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* queue.put(theirs);
      assertEquals(yield* failure(theirs.recv), "PipeError Moved");
      yield* mine.send("early");
      yield* spawn(Tasks.echoQueued, queue);
      assertEquals(yield* mine.recv, "early");
      yield* conversation(mine);
      yield* mine.close;
    }),
  );

  check(
    "an end goes through a priority queue, which only looks at it",
    Effect.gen(function* () {
      const queue = yield* Queue.priority<readonly [number, Tasks.Any], number>({ key: ([urgency]) => urgency });
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* queue.put([2, theirs]);
      yield* queue.put([1, mine]);
      const [, one] = yield* queue.get;
      const [, other] = yield* queue.get;
      yield* one.send("hello");
      assertEquals(yield* other.recv, "hello");
    }),
  );

  check(
    "an end goes from a child to a sibling (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<Tasks.Any>();
      const [mine, theirs] = yield* Pipe.make<unknown>();
      const first = yield* Process.spawnWith(Tasks.putAway, [theirs, queue], { daemon: true });
      yield* Process.spawn(Tasks.echoQueued, queue);
      yield* mine.send("early");
      assertEquals(yield* mine.recv, "early");
      // The end has left the process.
      yield* first.kill;
      yield* conversation(mine);
      yield* mine.close;
    }),
  );

  check(
    "two siblings talk with one another, also when both ends were sent (full)",
    Effect.gen(function* () {
      const [one, other] = yield* Pipe.make<unknown>();
      const receiver = yield* Process.spawn(Tasks.receiveAll, one);
      const sender = yield* Process.spawn(Tasks.sendAll, other, numbers(1000));
      yield* sender.join;
      assertEquals(yield* receiver.join, numbers(1000));
    }),
  );

  check(
    "an end goes through another pipe",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<Tasks.Any>();
      const child = yield* spawn(Tasks.greetAll, theirs);
      for (const _ of numbers(3)) {
        const [one, other] = yield* Pipe.make<unknown>();
        yield* mine.send(other);
        assertEquals(yield* one.recv, "hello");
        assert(other.closed);
      }
      yield* mine.close;
      yield* child.join;
    }),
  );

  check(
    "an end goes to a grandchild, and back to the child (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* spawn(Tasks.echoBelow, theirs);
      yield* conversation(mine);
      yield* mine.close;
      const [mine2, theirs2] = yield* Pipe.make<unknown>();
      yield* spawn(Tasks.echoAfterChild, theirs2);
      yield* mine2.send("for the grandchild");
      yield* conversation(mine2);
      yield* mine2.close;
    }),
  );

  check(
    "an end goes back and forth while both sides send, and nothing is lost or overtaken (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>({ maxBytes: 2000 });
      const pool = yield* Pool.make({ size: 2 });
      const sending = yield* Effect.fork(Effect.forEach(numbers(400), (n) => mine.send(n)));
      let end: Tasks.Any = theirs;
      const received: Array<unknown> = [];
      while (received.length < 400) {
        for (let i = 0; i < 7 && received.length < 400; i++) {
          received.push(yield* end.recv);
          yield* end.send(received.at(-1));
        }
        if (received.length === 400) break;
        end = (yield* pool.apply(Tasks.giveBackAtOnce, end)).deep[0];
        for (let i = 0; i < 7; i++) yield* mine.recv;
      }
      yield* Fiber.join(sending);
      assertEquals(received, numbers(400));
    }),
  );

  check(
    "the end of file comes as soon as the owner is done, whatever else has had the end (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* Process.run(Tasks.sendAll, theirs, [1, 2]);
      assertEquals([yield* mine.recv, yield* mine.recv], [1, 2]);
      assertEquals(yield* failure(mine.recv), "EndOfFile");
      assertEquals(yield* failure(mine.send(1)), "BrokenPipe");
      const [mine2, theirs2] = yield* Pipe.make<unknown>();
      yield* Process.run(Tasks.ignore, theirs2);
      assertEquals(yield* failure(mine2.recv), "EndOfFile");
    }),
  );

  check(
    "the end of file comes when the owner is killed",
    Effect.gen(function* () {
      for (const _ of numbers(3)) {
        const [mine, theirs] = yield* Pipe.make<unknown>();
        const child = yield* Process.spawnWith(Tasks.keep, [theirs], { daemon: true });
        assertEquals(yield* mine.recv, "here");
        const waiting = yield* Effect.fork(failure(mine.recv));
        yield* when(mine.statistics, ({ receivers }) => receivers === 1);
        yield* child.kill;
        assertEquals(yield* Fiber.join(waiting), "EndOfFile");
        assertEquals(yield* failure(mine.send(1)), "BrokenPipe");
      }
    }),
  );

  check(
    "the end of file comes when the process dies that was about to have the end (full)",
    Effect.gen(function* () {
      for (let turns = 0; turns < 6; turns++) {
        const [mine, theirs] = yield* Pipe.make<unknown>();
        const child = yield* Process.spawnWith(Tasks.keep, [theirs], { daemon: true });
        for (let turn = 0; turn < turns * turns * 5; turn++) {
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }
        yield* child.kill;
        const last = yield* failure(Effect.forever(mine.recv));
        assertEquals(last, "EndOfFile");
      }
      // A process that can never decode the end.
      const [mine, theirs] = yield* Pipe.make<unknown>();
      const missing = { ...Tasks.keep, url: new URL("./none_such.ts", import.meta.url).href };
      yield* failure(Process.run(missing as typeof Tasks.keep, theirs));
      assertEquals(yield* failure(mine.recv), "EndOfFile");
    }),
  );

  check(
    "a kill in the middle of a large message leaves no part of it (full)",
    Effect.gen(function* () {
      for (let turns = 0; turns < 4; turns++) {
        const [mine, theirs] = yield* Pipe.make<unknown>();
        const child = yield* Process.spawnWith(Tasks.sendMany, [theirs, 30_000_000], { daemon: true });
        for (let turn = 0; turn < turns * 10; turn++) {
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }
        yield* child.kill;
        const got = yield* Effect.exit(mine.recvBytes());
        if (Exit.isSuccess(got)) assertEquals(got.value, new Uint8Array(30_000_000).fill(7));
        else assertEquals(yield* failure(got), "EndOfFile");
        assertEquals(yield* failure(mine.recv), "EndOfFile");
      }
    }),
  );

  check(
    "a send that has returned outlives its process",
    Effect.gen(function* () {
      for (const _ of numbers(repeating ? 5 : 2)) {
        const [mine, theirs] = yield* Pipe.make<unknown>();
        const child = yield* Process.spawnWith(Tasks.sendAll, [theirs, numbers(20)], { daemon: true });
        yield* child.join;
        yield* child.kill;
        assertEquals(Array.from(yield* Stream.runCollect(mine.toStream)), numbers(20));
      }
    }),
  );

  check(
    "when the process that made the pipe is killed, it is the end of file for its peer (full)",
    Effect.gen(function* () {
      const made = yield* Queue.make<Tasks.Any>();
      const child = yield* Process.spawnWith(Tasks.owning, [made], { daemon: true });
      const mine = yield* made.get;
      yield* when(mine.statistics, ({ unread }) => unread === 1);
      yield* child.kill;
      yield* when(mine.statistics, ({ peer }) => peer === "closed");
      assertEquals(yield* mine.recv, "early");
      assertEquals(yield* failure(mine.recv), "EndOfFile");
      assertEquals(yield* failure(mine.send(1)), "BrokenPipe");
    }),
  );

  check(
    "when the process that made the pipe is killed, two others that spoke through it are told so (full)",
    Effect.gen(function* () {
      const wanted = yield* Queue.make<Pipe.Options>();
      const made = yield* Queue.make<Tasks.Ends>();
      const child = yield* Process.spawnWith(Tasks.hosting, [wanted, made], { daemon: true, name: "maker" });
      yield* wanted.put({});
      const [one, other] = yield* made.get;
      yield* one.send("unread");
      yield* when(other.statistics, ({ unread }) => unread === 1);
      const waiting = yield* Effect.fork(Effect.flip(one.recv));
      yield* when(one.statistics, ({ receivers }) => receivers === 1);
      yield* child.kill;
      const error = yield* Fiber.join(waiting);
      assertInstanceOf(error, Pipe.Unreachable);
      assertStringIncludes(error.message, "maker");
      assertEquals(yield* other.recv, "unread");
      for (const use of [other.recv, other.poll(), other.ready, other.send(1)]) {
        assertEquals(yield* failure(use as Effect.Effect<unknown, unknown>), "Unreachable");
      }
      assertEquals((yield* other.statistics).state, "unreachable");
    }),
  );

  check(
    "when the scope of the pipe closes, it is the end of file for the process that has the other end",
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const [mine, theirs] = yield* Scope.extend(Pipe.make<unknown>(), scope);
      const child = yield* spawn(Tasks.receiveAll, theirs);
      yield* mine.send(1);
      yield* when(mine.statistics, ({ pendingBytes }) => pendingBytes === 0);
      yield* Scope.close(scope, Exit.void);
      assertEquals(yield* child.join, [1]);
    }),
  );

  check(
    "a child that floods has to wait, however slow its reader",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>({ maxBytes: 100_000 });
      const [reports, report] = yield* Pipe.make<number>();
      yield* spawn(Tasks.flood, theirs, report, 9_936);
      assertEquals(yield* reports.recv, 10);
      const { unread, unreadBytes } = yield* when(mine.statistics, ({ unread }) => unread === 10);
      assertEquals([unread, unreadBytes], [10, 100_000]);
      for (const _ of numbers(25)) yield* mine.recvBytes();
      yield* when(mine.statistics, ({ unread }) => unread === 10);
      yield* mine.close;
      assertEquals(yield* reports.recv, 35);
    }),
  );

  check(
    "a child's send that is interrupted while it waits has sent nothing",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>({ maxBytes: 1000 });
      const [reports, report] = yield* Pipe.make<string>();
      const child = yield* spawn(Tasks.interruptSend, theirs, report, 2000);
      assertEquals(yield* reports.recv, "interrupted");
      assertEquals(((yield* mine.recv) as Uint8Array).length, 2000);
      assertEquals(yield* mine.recv, "not interrupted");
      yield* child.join;
    }),
  );

  check(
    "an end that nobody holds any more is closed some time after (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* pool.apply(Tasks.ignore, theirs);
      yield* Effect.repeat(Effect.zipRight(pool.apply(Tasks.litter, 50), mine.poll()), { until: (ended) => ended });
      assertEquals(yield* failure(mine.recv), "EndOfFile");
    }),
  );

  check(
    "an end for which a fiber waits stays open, although nobody else refers to it",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      const [here, there] = yield* Pipe.make<string>();
      const child = yield* spawn(Tasks.receiveUnreferenced, theirs);
      yield* mine.send(there);
      assertEquals(yield* mine.recv, "waits");
      yield* here.send("received");
      assertEquals(yield* child.join, "received");
    }),
  );

  withWorkers(`Pipe on ${name}`, layer, 3, steps);
};

suite("subprocess", subprocess);
repeated(() => suite("worker", worker));

test(
  "Pipe on subprocess: a message that a link does not take fails for its sender, or for its receiver, and no other does (full)",
  Effect.gen(function* () {
    const [mine, theirs] = yield* Pipe.make<unknown>();
    yield* Process.spawn(Tasks.echo, theirs);
    yield* mine.send("first");
    assertEquals(yield* mine.recv, "first");
    const [one, other] = yield* Pipe.make<unknown>({ duplex: false });
    const child = yield* Process.spawn(Tasks.receiveAll, one);
    yield* other.send(new Uint8Array(2_000_000));
    yield* other.send("next");
    yield* other.close;
    const error = yield* Effect.flip(child.join);
    assertInstanceOf(error, Backend.MessageTooLarge);
    assertEquals(error.limit, 1_000_000);
    const [mine2, theirs2] = yield* Pipe.make<unknown>();
    const flooding = yield* Process.spawn(Tasks.sendMany, theirs2, 2_000_000);
    assertInstanceOf(yield* Effect.flip(flooding.join), Backend.MessageTooLarge);
    assertEquals(yield* failure(mine2.recv), "EndOfFile");
    yield* mine.close;
  }).pipe(Effect.provide(SubprocessBackend.layer({ maxMessageSize: 1_000_000, stderr: "null" }))),
);
