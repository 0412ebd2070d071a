import * as Effect from "effect/Effect";
import { ProcessDied, SpawnError } from "../../src/Backend.ts";
import { BrokenBarrier } from "../../src/Barrier.ts";
import { PoolError } from "../../src/Pool.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import { Lock as LockFront } from "../../src/internal/promise/objects.ts";
import { LockMessages } from "../../src/internal/sync/messages/lock.ts";
import type { Descriptor } from "../../src/internal/sync/object.ts";
import * as Lock from "../../src/Lock.ts";
import * as Mp from "../../src/Promise.ts";
import { QueueClosed, Unreachable } from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "../support/assert.ts";
import { test, warmUp } from "../support/suite.ts";
import { documented } from "./arguments_doc.ts";
import { add, die, exit, lengths, nest, print, refuse, rest, shout, spin, square, useAll } from "./promise_tasks.ts";
import { registerEach } from "../support/tier.ts";

/** Registers a test that is written with Promises. */
const promised = (name: string, run: () => Promise<unknown>): void => test(name, Effect.promise(run));

await warmUp(Effect.promise(() => Promise.all([Mp.run(square, [1]), Mp.run(square, [1], { backend: "worker" })])));

registerEach(["subprocess", "worker"] as const, (backend) => {
  const on = (name: string, run: () => Promise<unknown>): void => promised(`Promise on ${backend}: ${name}`, run);

  on("a task gives its result, by run, by spawn and by a pool", async () => {
    assertEquals(await Mp.run(add, [1, 2], { backend }), 3);
    await using process = await Mp.spawn(add, [3, 4], { backend, name: "adder" });
    assertEquals(process.name, "adder");
    assertEquals(await process.join(), 7);
    assertEquals(await process.exitCode(), 0);
    assertEquals(await process.isAlive(), false);
    await using pool = await Mp.pool({ size: 2, backend });
    assertEquals(await pool.apply(add, [5, 6]), 11);
    assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
    assertEquals(await pool.starmap(add, [[1, 2], [3, 4]], { chunkSize: 1 }), [3, 7]);
  });

  on("a stream of results keeps the order of an iterable or asynchronous iterable", async () => {
    await using pool = await Mp.pool({ size: 2, backend });
    const results: Array<number> = [];
    for await (const result of pool.mapStream(square, [1, 2, 3])) results.push(result);
    const source = async function* (): AsyncGenerator<number> {
      yield 4;
      yield 5;
    };
    for await (const result of pool.mapStream(square, source())) results.push(result);
    assertEquals(results, [1, 4, 9, 16, 25]);
  });

  on("a failure is thrown as it is: an error of the task, the death of its process", async () => {
    await using pool = await Mp.pool({ size: 1, backend });
    const error = await assertRejects(() => pool.apply(refuse, []), RangeError);
    assertEquals(error.message, "no room");
    const died = await assertRejects(() => pool.apply(exit, [3]), ProcessDied);
    assertEquals(died.status, { _tag: "Exited", code: 3 });
    assertEquals(await pool.apply(square, [3]), 9);
  });

  on("a signal stops a task, and the Promise rejects with its reason once the task has stopped", async () => {
    await using begun = await Mp.queue<string>();
    await using pool = await Mp.pool({ size: 1, backend, gracePeriod: "50 millis" });
    const stop = new AbortController();
    const reason = new Error("enough");
    const call = pool.apply(rest, [begun], stop);
    await begun.get();
    stop.abort(reason);
    assertStrictEquals(await assertRejects(() => call), reason);
    assertEquals((await pool.statistics()).busy, 0);
    assertEquals(await pool.apply(square, [4]), 16);
  });

  on("objects are the same in a child, from within other values and from within a queue", async () => {
    await using lock = await Mp.lock();
    await using semaphore = await Mp.semaphore({ permits: 3 });
    await using event = await Mp.event();
    await using barrier = await Mp.barrier(2);
    await using memory = await Mp.sharedMemory(8);
    await using value = await Mp.value("i32", 40);
    await using array = await Mp.array("f64", [1.5, 0]);
    await using queue = await Mp.queue<Mp.Queue<string>>();
    await using inner = await Mp.queue<string>();
    await queue.put(inner);
    const objects = { lock, semaphore, event, barrier, memory, value, array, deep: [{ queue }] };
    const result = Mp.run(useAll, [objects], { backend });
    await event.wait();
    assertEquals(await barrier.wait() < 2, true);
    const back = await result;
    assertEquals(await back.get(), "from the child");
    assertEquals(memory.array(Int32Array)[0], 7);
    assertEquals([value.raw.value, await value.get()], [42, 42]);
    assertEquals([array.raw.slice(), await array.slice()], [[1.5, 3], [1.5, 3]]);
    assertEquals([await value.add(1), await value.update((n) => n * 2), await value.get()], [42, 86, 86]);
    assertEquals([await array.add(-1, 0.5), await array.slice(1)], [3, [3.5]]);
    assertEquals(await lock.isLocked(), false);
  });

  on("a queue is iterated over until it is closed and empty, here and in a child", async () => {
    await using from = await Mp.queue<string>();
    await using to = await Mp.queue<number>();
    await using process = await Mp.spawn(lengths, [from, to], { backend });
    await from.putAll(["a", "bc", "def"]);
    await from.close();
    const found: Array<number> = [];
    for await (const length of to) found.push(length);
    assertEquals(found, [1, 2, 3]);
    await process.join();
    await assertRejects(() => to.get(), QueueClosed);
  });

  on("an end of a pipe moves to a child, and is iterated over until the end of file", async () => {
    const [mine, theirs] = await Mp.pipe<string>();
    const child = Mp.run(shout, [theirs], { backend });
    {
      await using end = mine;
      await end.send("hello");
      assertEquals(await end.recv(), "HELLO");
    }
    await child;
  });

  on("a lock of a process that has died is told to be abandoned", async () => {
    await using lock = await Mp.lock();
    await assertRejects(() => Mp.run(die, [lock], { backend }), ProcessDied);
    using held = await lock.take();
    assertEquals(held.abandoned, true);
  });

  on("a task starts processes of its own (full)", async () => {
    assertEquals(await Mp.run(nest, [backend], { backend }), 144);
  });
});

promised("Promise: a signal frees the core of a task that never looks up", async () => {
  await using begun = await Mp.queue<string>();
  await using pool = await Mp.pool({ size: 1, gracePeriod: "50 millis" });
  const stop = new AbortController();
  const call = pool.apply(spin, [begun], stop);
  await begun.get();
  stop.abort();
  await assertRejects(() => call, DOMException, "aborted");
  assertEquals(await pool.apply(square, [5]), 25);
});

promised("Promise: a signal that is aborted before the call starts nothing", async () => {
  const signal = AbortSignal.abort("no");
  await using queue = await Mp.queue<number>();
  for (
    const call of [() => queue.put(1, { signal }), () => Mp.run(square, [1], { signal }), () => Mp.pool({ signal })]
  ) {
    assertEquals(await call().then(() => "done", (reason) => reason), "no");
  }
  assertEquals(await queue.size(), 0);
});

promised("Promise: an aborted get takes nothing, an aborted put puts nothing", async () => {
  await using queue = await Mp.queue<number>({ capacity: 1 });
  const stop = new AbortController();
  const get = queue.get(stop).catch(() => "aborted");
  stop.abort();
  assertEquals(await get, "aborted");
  await queue.put(1);
  const again = new AbortController();
  const put = queue.put(2, again).catch(() => "aborted");
  again.abort();
  assertEquals(await put, "aborted");
  assertEquals(await queue.tryGet(), { item: 1 });
  assertEquals(await queue.tryGet(), undefined);
});

promised("Promise: a signal that is used again and again keeps no listeners", async () => {
  await using queue = await Mp.queue<number>();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener: (
      ...args: Parameters<typeof addEventListener>
    ) => (listeners++, addEventListener.apply(signal, args)),
    removeEventListener: (
      ...args: Parameters<typeof removeEventListener>
    ) => (listeners--, removeEventListener.apply(signal, args)),
  });
  for (let n = 0; n < 10; n++) await queue.put(n, { signal });
  for await (const n of queue) if (n === 9) break;
  assertEquals(listeners, 0);
});

promised("Promise: a reader that stops early stops the stream, and leaves the rest in the queue", async () => {
  await using queue = await Mp.queue<number>();
  await queue.putAll([1, 2, 3]);
  for await (const n of queue) if (n === 2) break;
  assertEquals(await queue.size(), 1);
  await using pool = await Mp.pool({ size: 1, backend: "worker" });
  for await (const result of pool.mapStream(square, [1, 2, 3])) if (result === 4) break;
  assertEquals((await pool.statistics()).busy, 0);
});

promised("Promise: a pool that is disposed of finishes the calls that it has", async () => {
  let call: Promise<number>;
  {
    await using pool = await Mp.pool({ size: 1, backend: "worker" });
    call = pool.apply(square, [6]);
  }
  assertEquals(await call, 36);
});

promised("Promise: a pool that is terminated stops its calls (full)", async () => {
  await using begun = await Mp.queue<string>();
  await using pool = await Mp.pool({ size: 1, gracePeriod: "50 millis" });
  const call = assertRejects(() => pool.apply(spin, [begun]), PoolError);
  await begun.get();
  await pool.terminate();
  assertEquals((await call).reason, "Terminated");
});

promised("Promise: objects that are disposed of are gone for later uses", async () => {
  const queue = await Mp.queue<number>();
  const barrier = await Mp.barrier(2);
  await queue[Symbol.asyncDispose]();
  await barrier[Symbol.asyncDispose]();
  await queue[Symbol.asyncDispose]();
  await assertRejects(() => queue.size(), Unreachable);
  await assertRejects(() => barrier.wait(), Unreachable);
});

promised("Promise: an aborted wait breaks a barrier", async () => {
  await using barrier = await Mp.barrier(2);
  const stop = new AbortController();
  const wait = barrier.wait(stop).catch((error) => error.name);
  stop.abort();
  assertEquals(await wait, "AbortError");
  await assertRejects(() => barrier.wait(), BrokenBarrier);
  await barrier.reset();
  assertEquals((await Promise.all([barrier.wait(), barrier.wait()])).sort(), [0, 1]);
});

promised("Promise: a lock is given back once, at the end of its block", async () => {
  await using lock = await Mp.lock();
  {
    using held = await lock.take();
    assertEquals(await lock.tryTake(), undefined);
    held.release();
    assertEquals(await lock.isLocked(), false);
  }
  await assertRejects(() => lock.withLock(() => Promise.reject(new Error("within"))), Error, "within");
  assertEquals(await lock.isLocked(), false);
});

test(
  "Promise: a lock that is held by messages is free at its host once its asynchronous disposal has ended",
  Effect.gen(function* () {
    const host = yield* Lock.make();
    const sent = (host as object as { [HandleId]: { encode: () => Descriptor } })[HandleId].encode();
    const lock = new LockFront(new LockMessages(sent));
    const isLocked = (): boolean => Effect.runSync(host.isLocked);
    yield* Effect.promise(async () => {
      {
        await using held = await lock.take();
        assertEquals([held.abandoned, isLocked()], [false, true]);
      }
      assertEquals(isLocked(), false);
      await lock.withLock(() => assertEquals(isLocked(), true));
      assertEquals(isLocked(), false);
    });
  }),
);

promised("Promise: a process pipes its output as a ReadableStream, with a layer as its backend", async () => {
  const backend = SubprocessBackend.layer({ stdout: "pipe", env: { WHO: "ada" } });
  await using process = await Mp.spawn(print, [], { backend });
  assertEquals(await new Response(process.stdout).text(), "hello ada\n");
});

// deno-lint-ignore no-explicit-any
type Loose = any;

const any = (value: unknown): Loose => value;

promised("Promise: what is wrong is refused with an error that says so", async () => {
  const wrong = (call: () => Promise<unknown>): Promise<Error> => assertRejects(call, Error);
  assertInstanceOf(await wrong(() => Mp.run(any(() => 1), [])), SpawnError);
  assertEquals(
    (await wrong(() => Mp.run(square, any(5)))).message,
    "Invalid argument of run: args must be an array, received 5",
  );
  assertEquals(
    (await wrong(() => Mp.pool({ backend: any("thread") }))).message,
    'Invalid process option: backend must be "subprocess", "worker" or a Layer, received "thread"',
  );
  await using queue = await Mp.queue<number>();
  assertEquals(
    (await wrong(() => queue.get({ signal: any(1) }))).message,
    "Invalid call option: signal must be an AbortSignal, received 1",
  );
  await queue.put(1);
  assertEquals(await queue.get(), 1);
});

promised("Promise: every function refuses a value of the wrong kind, and changes nothing", async () => {
  await using queue = await Mp.queue<number>({ capacity: 5 });
  await using lock = await Mp.lock();
  await using semaphore = await Mp.semaphore({ permits: 2 });
  await using event = await Mp.event();
  await using barrier = await Mp.barrier(2);
  await using memory = await Mp.sharedMemory(8);
  await using value = await Mp.value("i32", 1);
  await using array = await Mp.array("i32", [1, 2]);
  await using flag = await Mp.value("bool", true);
  await using pool = await Mp.pool({ size: 1, backend: "worker" });
  await using process = await Mp.spawn(square, [2]);
  const [one, other] = await Mp.pipe<number>();
  const first = (items: AsyncIterable<unknown>): Promise<unknown> => items[Symbol.asyncIterator]().next();
  const numbers = [-1, 0, 1.5, NaN, null, "1", {}];
  /** Invalid options, each passed to the call. */
  const options = (call: (options: Loose) => unknown): ReadonlyArray<() => unknown> =>
    [null, 5, "x", [], { signal: 1 }, { signal: null }].map((options) => () => call(any(options)));
  const calls: Record<string, ReadonlyArray<() => unknown>> = {
    run: [...options((options) => Mp.run(square, [1], options)), () => Mp.run(square, any(5))],
    spawn: [
      ...options((options) => Mp.spawn(square, [1], options)),
      ...[fetch, null, {}].map((task) => () => Mp.spawn(any(task), [])),
      () => Mp.spawn(square, any("x")),
    ],
    pool: [...options(Mp.pool), ...numbers.map((size) => () => Mp.pool({ size: any(size) }))],
    "Pool.apply": [
      ...options((options) => pool.apply(square, [1], options)),
      () => pool.apply(any(() => 1), []),
      () => pool.apply(square, any(null)),
    ],
    "Pool.map": [
      ...options((options) => pool.map(square, [1], options)),
      () => pool.map(square, any(5)),
      () => pool.map(any(null), [1]),
      () => pool.map(square, [1], { chunkSize: 0 }),
    ],
    "Pool.starmap": [
      ...options((options) => pool.starmap(add, [[1, 2]], options)),
      () => pool.starmap(add, any([5])),
      () => pool.starmap(any("add"), []),
    ],
    "Pool.mapStream": [
      ...options((options) => first(pool.mapStream(square, [1], options))),
      () => first(pool.mapStream(square, any(5))),
      () => first(pool.mapStream(square, any(null))),
      () => first(pool.mapStream(any(null), [1])),
      () => first(pool.mapStream(square, [1], { lookAhead: 0 })),
    ],
    "Pool.stream": [
      ...options((options) => first(pool.stream(any(square), [1], options))),
      () => first(pool.stream(any(null), [])),
      () => first(pool.stream(any(square), any(5))),
    ],
    "Pool.join": options((options) => pool.join(options)),
    "Process.join": options((options) => process.join(options)),
    "Process.status": options((options) => process.status(options)),
    "Process.exitCode": options((options) => process.exitCode(options)),
    "Process.signal": [() => process.signal(any("SIGNOTHING")), () => process.signal(any(null))],
    queue: numbers.map((capacity) => () => Mp.queue({ capacity: any(capacity) })),
    "Queue.put": options((options) => queue.put(1, options)),
    "Queue.putAll": [
      ...options((options) => queue.putAll([1], options)),
      () => queue.putAll(any(5)),
      () => queue.putAll(any(null)),
    ],
    "Queue.tryPut": [() => queue.tryPut(any(fetch))],
    "Queue.get": options((options) => queue.get(options)),
    "Queue.takeUpTo": [
      ...options((options) => queue.takeUpTo(1, options)),
      ...numbers.map((count) => () => queue.takeUpTo(any(count))),
    ],
    "Queue.taskDone": numbers.map((count) => () => queue.taskDone(any(count))),
    "Queue.join": options((options) => queue.join(options)),
    pipe: numbers.map((maxBytes) => () => Mp.pipe({ maxBytes: any(maxBytes) })),
    "Connection.send": [...options((options) => one.send(1, options)), () => one.send(any(fetch))],
    "Connection.recv": options((options) => one.recv(options)),
    "Connection.sendBytes": [
      ...options((options) => one.sendBytes(new Uint8Array(1), options)),
      () => one.sendBytes(any("text")),
      () => one.sendBytes(any(null)),
    ],
    "Connection.recvBytes": options((options) => one.recvBytes(options)),
    "Lock.take": options((options) => lock.take(options)),
    "Lock.withLock": [...options((options) => lock.withLock(() => 1, options)), () => lock.withLock(any(null))],
    semaphore: [-1, 1.5, null, "1"].map((permits) => () => Mp.semaphore({ permits: any(permits) })),
    "Semaphore.take": [
      ...options((options) => semaphore.take(1, options)),
      ...numbers.map((permits) => () => semaphore.take(any(permits))),
    ],
    "Semaphore.tryTake": numbers.map((permits) => () => semaphore.tryTake(any(permits))),
    "Semaphore.release": numbers.map((permits) => () => semaphore.release(any(permits))),
    "Semaphore.withPermit": [
      ...options((options) => semaphore.withPermit(() => 1, options)),
      () => semaphore.withPermit(any(null)),
    ],
    "Value.set": [null, "1", 1.5, 2 ** 31].map((n) => () => value.set(any(n))),
    // A boolean has no sum.
    "Value.add": [...[null, "1", 1.5].map((n) => () => value.add(any(n))), () => flag.add(1 as never)],
    "Value.update": [() => value.update(any(null)), () => value.update(any(() => "x"))],
    "SharedArray.get": [2, -3, 0.5, null].map((at) => () => array.get(any(at))),
    "SharedArray.set": [() => array.set(2, 1), () => array.set(any(null), 1), () => array.set(0, any("1"))],
    "SharedArray.add": [() => array.add(2, 1), () => array.add(0, any(null))],
    "SharedArray.slice": [() => array.slice(any("a")), () => array.slice(0, any({}))],
    "Event.wait": options((options) => event.wait(options)),
    barrier: numbers.map((parties) => () => Mp.barrier(any(parties))),
    "Barrier.wait": options((options) => barrier.wait(options)),
    sharedMemory: numbers.map((size) => () => Mp.sharedMemory(any(size))),
    "SharedMemory.array": [() => memory.array(Int32Array, -1), () => memory.array(any(null))],
    value: [() => Mp.value(any("i33"), 1), () => Mp.value("i8", 1000), () => Mp.value("i8", any("x"))],
    array: [() => Mp.array(any(null), 1), () => Mp.array("i32", any(null)), () => Mp.array("i32", -1)],
  };
  const { functions } = await documented();
  const names = Object.keys(functions).flatMap((name) => name.match(/^Promise\.(.*)/)?.[1] ?? []);
  assertEquals(Object.keys(calls).toSorted(), names.toSorted());
  for (const [name, attempts] of Object.entries(calls)) {
    for (const [at, attempt] of attempts.entries()) {
      const error = await Promise.resolve().then(attempt).then(() => undefined, (error) => error);
      assertInstanceOf(error, Error, `${name} ${at} succeeded`);
      assertMatch(
        error.message,
        /must be|must not|cannot|expected|Invalid|there is no|no .* of|out of|too/i,
        `${name} ${at}`,
      );
      assert(
        !/undefined \(reading|is not a function|is not iterable/.test(error.message),
        `${name} ${at}: ${error.message}`,
      );
    }
  }
  assertEquals(await queue.size(), 0);
  assertEquals(await lock.isLocked(), false);
  assertEquals(await semaphore.available(), 2);
  assertEquals([value.raw.value, ...array.raw.slice()], [1, 1, 2]);
  assertEquals(await pool.apply(square, [3]), 9);
  await one.close();
  await other.close();
});
