/**
 * Binary content that moves with a call instead of being copied.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, Queue, SubprocessBackend, Task, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../support/assert.ts";
import { everywhere } from "../support/steps.ts";
import { gateway, signal, type Step, temporary, when } from "../support/suite.ts";
import * as Shared from "../support/tasks.ts";
import { registerEach } from "../support/tier.ts";
import { run, withWorkers, Workers } from "../support/workers.ts";
import * as Tasks from "./move_tasks.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

/** Sizes of content that stands in a frame, that is an attachment, and that is more than a port lets pass at a time. */
const SIZES = [10, 100_000, 3_000_000];

const ones = (size: number): Uint8Array => new Uint8Array(size).fill(1);

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  check(
    "content of any size moves to a task and back, and is gone where it was",
    Effect.gen(function* () {
      for (const size of SIZES) {
        let bytes = ones(size);
        for (let round = 2; round < 5; round++) {
          const before = bytes;
          bytes = yield* run(Tasks.increment, Task.move(before));
          assertEquals([before.length, before.buffer.byteLength], [0, 0]);
          assertEquals([bytes.length, bytes.every((byte) => byte === round)], [size, true]);
        }
      }
      const bytes = ones(100_000);
      assertEquals(yield* Process.run(Tasks.sum, Task.move(bytes)), [100_000, 100_000]);
      assertEquals(bytes.length, 0);
    }),
  );

  check(
    "content that is not marked is copied, and stays",
    Effect.gen(function* () {
      for (const size of SIZES) {
        const bytes = ones(size);
        assertEquals(yield* run(Tasks.sum, bytes), [size, size]);
        assertEquals(bytes.length, size);
      }
      assertEquals((yield* run(Tasks.keep, false))[1].length, 200_000);
      assertEquals((yield* run(Tasks.keep, false))[0], 200_000);
    }),
  );

  check(
    "a buffer and any views of it move together, and are the same buffer on the other side",
    Effect.gen(function* () {
      for (const size of [80, 800_000]) {
        const buffer = new ArrayBuffer(size);
        const floats = new Float64Array(buffer).fill(1.5);
        const view = new DataView(buffer, 8);
        const echo = yield* run(Shared.echo, [Task.move(buffer), floats, view]) as Effect.Effect<
          [ArrayBuffer, Float64Array, DataView],
          Pool.PoolFailure,
          Workers
        >;
        assertEquals([buffer.byteLength, floats.length], [0, 0]);
        assert(echo[1].buffer === echo[0] && echo[2].buffer === echo[0]);
        assertEquals([echo[0].byteLength, echo[1][3], echo[2].getFloat64(0, true)], [size, 1.5, 1.5]);
      }
      const resizable = new ArrayBuffer(100_000, { maxByteLength: 200_000 });
      const copy = yield* run(Shared.echo, Task.move(resizable)) as Effect.Effect<
        ArrayBuffer,
        Pool.PoolFailure,
        Workers
      >;
      assertEquals([resizable.detached, copy.byteLength, copy.maxByteLength], [true, 100_000, 200_000]);
    }),
  );

  check(
    "a part of a buffer is copied, and the whole buffer is gone",
    Effect.gen(function* () {
      const whole = ones(300_000);
      const part = whole.subarray(100_000, 200_000);
      const echo = yield* run(Shared.echo, Task.move(part)) as Effect.Effect<Uint8Array, Pool.PoolFailure, Workers>;
      assertEquals([echo.length, echo.buffer.byteLength, whole.length, part.length], [100_000, 100_000, 0, 0]);
    }),
  );

  check(
    "the memory of WebAssembly is copied, and stays (full)",
    Effect.gen(function* () {
      const memory = new Uint8Array(new WebAssembly.Memory({ initial: 2 }).buffer).fill(1);
      assertEquals(yield* run(Tasks.sum, Task.move(memory)), [131_072, 131_072]);
      assertEquals(memory.length, 131_072);
    }),
  );

  check(
    "the items of a map move, whatever the size of the chunks",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const chunkSize of [undefined, 1, 3]) {
        for (const size of [10, 100_000]) {
          const items = numbers(7).map(() => Task.move(ones(size)));
          const expected = numbers(7).map(() => [size, size]);
          assertEquals(yield* pool.map(Tasks.sum, items, { chunkSize }), expected as never);
          assert(items.every(({ length }) => length === 0));
          const more = numbers(7).map(() => Task.move(ones(size)));
          const exits = yield* pool.mapSettled(Tasks.increment, more, { chunkSize });
          assert(exits.every((exit) => Exit.isSuccess(exit) && exit.value[size - 1] === 2));
          assert(more.every(({ length }) => length === 0));
          const streamed = numbers(7).map(() => Task.move(ones(size)));
          const results = yield* Stream.runCollect(
            pool.mapStream(Tasks.sum, { chunkSize })(Stream.fromIterable(streamed)),
          );
          assertEquals([...results], expected as never);
        }
      }
    }),
  );

  check(
    "one buffer in several items of a map arrives with each of them",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const chunkSize of [undefined, 1, 2]) {
        const bytes = Task.move(ones(100_000));
        const sums = yield* pool.map(Tasks.sum, [bytes, bytes, bytes], { chunkSize });
        assertEquals(sums, numbers(3).map(() => [100_000, 100_000]) as never);
        assertEquals(bytes.length, 0);
      }
    }),
  );

  check(
    "the elements of Streams move in both directions",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const seen = yield* Stream.runCollect(
        Stream.map(pool.stream(Tasks.fill, 5, 100_000), (bytes) => [bytes.length, bytes[0], bytes[99_999]]),
      );
      assertEquals([...seen], numbers(5).map((n) => [100_000, n + 1, n + 1]));
      const sent = numbers(5).map((n) => Task.move(new Uint8Array(100_000).fill(n)));
      assertEquals(yield* run(Tasks.lengths, Stream.fromIterable(sent)), numbers(5).map((n) => [100_000, n] as const));
      assert(sent.every(({ length }) => length === 0));
    }),
  );

  check(
    "a call that cannot be encoded leaves its content, and so does a result that cannot be sent",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const bytes = Task.move(ones(100_000));
      assertInstanceOf(yield* Effect.flip(pool.apply(Shared.echo, [bytes, () => 1])), Backend.EncodeError);
      for (const chunkSize of [undefined, 1, 2]) {
        const error = yield* Effect.flip(pool.map(Shared.echo, [bytes, 1, 2, () => 1], { chunkSize }));
        assertInstanceOf(error, Backend.EncodeError);
      }
      assertEquals(bytes.length, 100_000);
      assertEquals(yield* Process.run(Tasks.sum, bytes), [100_000, 100_000]);
      assertEquals(bytes.length, 0);
      const again = yield* Effect.flip(pool.apply(Tasks.sum, bytes));
      assertInstanceOf(again, Backend.EncodeError);
      const pair = yield* Pool.make({ size: 1 });
      assertInstanceOf(yield* Effect.flip(pair.apply(Tasks.unsendable)), Backend.EncodeError);
      assertEquals(yield* pair.apply(Tasks.kept), 200_000);
      assertEquals((yield* pair.apply(Tasks.keep, true))[1].length, 200_000);
      assertEquals(yield* pair.apply(Tasks.kept), 0);
    }),
  );

  check(
    "a call that is sent again after the death of its worker has its content",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const retry = { retry: Schedule.recurs(1) };
      const bytes = Task.move(ones(100_000));
      assertEquals(yield* pool.applyWith(Tasks.sumAgain, [yield* temporary, bytes], retry), 100_000);
      assertEquals(bytes.length, 0);
      const lost = yield* Effect.flip(pool.apply(Tasks.sumAgain, yield* temporary, Task.move(ones(100_000))));
      assertInstanceOf(lost, Backend.ProcessDied);
    }),
  );

  check(
    "calls that are sent ahead, and end up with another worker, have their content (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, prefetch: 3 });
      const path = yield* temporary;
      const dying = yield* Effect.fork(Effect.flip(pool.apply(Tasks.sumAgain, path, ones(10))));
      const others = yield* Effect.forEach(
        numbers(4),
        () => Effect.fork(pool.apply(Tasks.sum, Task.move(ones(100_000)))),
      );
      assertInstanceOf(yield* Fiber.join(dying), Backend.ProcessDied);
      for (const other of others) assertEquals(yield* Fiber.join(other), [100_000, 100_000]);
    }),
  );

  check(
    "each worker has the content of a broadcast",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const bytes = Task.move(ones(100_000));
      assertEquals(yield* pool.broadcast(Tasks.sum, bytes), numbers(2).map(() => [100_000, 100_000]) as never);
      assertEquals(bytes.length, 0);
    }),
  );

  check(
    "in a queue content is copied, and stays",
    Effect.gen(function* () {
      const queue = yield* Queue.make<Uint8Array>();
      const bytes = Task.move(ones(100_000));
      yield* queue.put(bytes);
      assertEquals([(yield* queue.get).length, bytes.length], [100_000, 100_000]);
    }),
  );

  check(
    "a call that is interrupted while it waits has taken its content, and its task does not run",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const begun = yield* signal;
      const gate = yield* gateway;
      const first = yield* Effect.fork(pool.apply(Shared.gate, begun.stream, gate.stream, 0));
      yield* begun.fired;
      const bytes = Task.move(ones(100_000));
      const waiting = yield* Effect.fork(pool.apply(Tasks.sum, bytes));
      yield* when(pool.statistics, ({ waiting }) => waiting === 1);
      yield* Fiber.interrupt(waiting);
      assertEquals([bytes.length, (yield* pool.statistics).waiting], [0, 0]);
      yield* gate.open;
      yield* Fiber.join(first);
      assertEquals((yield* pool.statistics).completed, 1);
    }),
  );

  check(
    "a call whose content moves there and back can be interrupted at any step (full) (storm)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      yield* everywhere(
        Effect.suspend(() => pool.apply(Tasks.increment, Task.move(ones(2_000_000)))),
        { rounds: 20, turns: 3 },
        (when) =>
          Effect.gen(function* () {
            assertEquals(yield* pool.apply(Tasks.sum, Task.move(ones(100_000))), [100_000, 100_000], when);
          }),
      );
    }),
  );

  withWorkers(`content that moves on ${name}`, layer, 2, steps);
};

registerEach(
  [["worker", WorkerBackend.layer()], ["subprocess", SubprocessBackend.layer()]] as const,
  ([name, layer]) => suite(name, layer),
  ["of any size", "that is sent again"],
);
