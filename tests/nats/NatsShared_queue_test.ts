/** Queues that several programs share by a real server. */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Queue, wait } from "../../mod.ts";
import * as NatsShared from "../../src/NatsShared.ts";
import { JetStream } from "../../src/internal/nats/jetstream.ts";
import { connect } from "../../src/internal/nats/server.ts";
import { Connection } from "../../src/internal/nats/shared/connection.ts";
import { Claims } from "../../src/internal/nats/shared/queue_claims.ts";
import { QueueStreams } from "../../src/internal/nats/shared/queue_streams.ts";
import { infoOf } from "../../src/internal/nats/streams.ts";
import { calm, empty, failure, type Make, Maker, numbers, promises } from "../api/queue_promises.ts";
import { described } from "../api/queue_tasks.ts";
import * as Interruption from "../interruption/queue_interruption_tasks.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import { available, durableServer, type NatsServer } from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { type Script, script } from "../support/scripts.ts";
import { group, test, when } from "../support/suite.ts";

/** The guarantees of a queue that this one does not have, or has in another form, which a test below tries. */
const others = ["a put waits for bytes as well", "an item of 100 MB arrives whole"];

/** Guarantees that take long, in the full run only. */
const long = ["putAll puts more than there is room for", "toStream gives items as they come", "several streams share"];

/** The queue of a name, in a program of its own: it has a connection of its own. */
const joined = <A>(servers: string, name: string, options?: NatsShared.QueueOptions) =>
  Effect.flatMap(
    NatsShared.make({ servers, name: "faults" }),
    (shared) => shared.queue<A>(name, options),
  );

/** A connection to the objects, to look at the streams of a queue. */
const connected = (url: string, replicas?: number) =>
  Effect.gen(function* () {
    const inbox = "mp.default.r.test";
    const server = yield* connect({ servers: url }, "test", inbox);
    const js = yield* Effect.acquireRelease(
      Effect.sync(() => new JetStream(server, inbox)),
      (js) => Effect.sync(() => js.close()),
    );
    return new Connection(js, inbox, "test", { name: "faults", replicas, space: "default" });
  });

/** Starts a program, waits until it has joined the queue, and kills it with the scope. */
const program = (...args: ReadonlyArray<string>): Effect.Effect<Script, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const started = script("nats_shared_queue.ts", args);
      await started.line("ready");
      return started;
    }),
    (program) =>
      Effect.promise(() => {
        kill(program);
        return program.ended;
      }),
  );

const kill = ({ pid }: Script): void => {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    assertInstanceOf(error, Deno.errors.NotFound);
  }
};

/** Kills a program. Returns what it has printed after a word. */
const killed = (program: Script, word: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    kill(program);
    const lines = (await program.ended).stdout.split("\n").slice(0, -1);
    return lines.flatMap((line) => line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []);
  });

/** The items that have come more than once. */
const repeated = (items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.filter((item, i) => items.indexOf(item) !== i);

/** The items of a producer, as numbers. */
const of = (producer: string, items: ReadonlyArray<string>): ReadonlyArray<number> =>
  items.flatMap((item) => item.startsWith(`${producer} `) ? [Number(item.slice(producer.length + 1))] : []);

if (available) {
  for (const title of [...others, ...long]) {
    if (!promises.some(([name]) => name.startsWith(title))) throw new Error(`No test begins with ${title}`);
  }

  group(
    "NatsShared: a queue",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const shared = yield* NatsShared.make({ servers: url, name: "tests" });
      let count = 0;
      const make: Make = (_kind, options = {}) => {
        const { capacity, maxBytes, redeliver } = options;
        return shared.queue<unknown>(`queue-${++count}`, { capacity, maxBytes, redeliver });
      };
      return Context.make(Maker, { make });
    }),
    promises.flatMap(([name, program]) => {
      if (others.some((title) => name.startsWith(title))) return [];
      return [[long.some((title) => name.startsWith(title)) ? `${name} (full)` : name, program] as const];
    }),
  );

  test(
    "NatsShared: programs share a queue, its options and its end",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const one = yield* joined<string>(url, "jobs", { capacity: 2 });
      const two = yield* joined<string>(url, "jobs");
      assert(Queue.isQueue(two));
      assertEquals([two.capacity, two.host, String(two)], [2, "NatsShared(faults)", "Queue(NatsShared(faults), jobs)"]);
      const waiting = yield* Effect.fork(two.get);
      yield* when(two.statistics, ({ takers }) => takers === 1);
      yield* one.put("a");
      assertEquals(yield* Fiber.join(waiting), "a");
      yield* one.putAll(["b", "c"]);
      // What one program has learned is true for the other.
      assertEquals([yield* two.size, yield* two.isFull, yield* two.tryPut("d")], [2, true, false]);
      const putting = yield* Effect.fork(two.putAll(["d", "e"]));
      yield* when(two.statistics, ({ putters }) => putters === 2);
      assertEquals(yield* one.get, "b");
      assertEquals(yield* one.get, "c");
      yield* Fiber.join(putting);
      assertEquals(yield* one.takeUpTo(5), ["d", "e"]);
      const joining = yield* Effect.fork(two.join);
      yield* one.taskDone(4);
      assertEquals(joining.unsafePoll(), null);
      yield* two.taskDone();
      yield* Fiber.join(joining);
      // A later program changes what it names.
      const three = yield* joined<string>(url, "jobs", { capacity: 3 });
      assertEquals((yield* two.statistics).capacity, 3);
      const taking = yield* Effect.fork(Effect.flip(two.get));
      yield* when(two.statistics, ({ takers }) => takers === 1);
      yield* one.close;
      assertEquals(described(yield* Fiber.join(taking)), "QueueClosed Closed");
      assertEquals(yield* failure(three.put("f")), "QueueClosed Closed");
      // It stays closed.
      const late = yield* joined<string>(url, "jobs", { capacity: 4 });
      assertEquals(yield* failure(late.put("f")), "QueueClosed Closed");
      assertEquals(yield* failure(late.get), "QueueClosed Closed");
      yield* late.shutdown;
      assertEquals(yield* failure(one.get), "QueueClosed ShutDown");
    }),
  );

  test(
    "NatsShared: a put waits for bytes as well; an item that is larger than the queue or than a message is refused",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<string>(url, "bytes", { maxBytes: 1300 });
      const item = (n: number) => "x".repeat(400) + n;
      yield* queue.putAll([item(0), item(1)]);
      assert(!(yield* queue.tryPut(item(2))));
      const third = yield* Effect.fork(queue.put(item(2)));
      const { bytes } = yield* when(queue.statistics, ({ putters }) => putters === 1);
      assert(bytes > 800 && bytes <= 1300, `${bytes}`);
      assertEquals(yield* queue.get, item(0));
      yield* Fiber.join(third);
      assertEquals(yield* queue.takeUpTo(3), [item(1), item(2)]);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
      assertEquals(yield* failure(queue.put("y".repeat(1300))), "QueueError TooLarge");
      const large = yield* joined<Uint8Array>(url, "large");
      const error = yield* Effect.flip(large.put(new Uint8Array(1024 * 1024)));
      assertEquals(described(error), "MessageTooLarge");
      assertStringIncludes((error as Error).message, "max_payload");
      const fits = new Uint8Array(1_000_000).fill(7);
      yield* large.put(fits);
      assertEquals(yield* large.get, fits);
    }),
  );

  test(
    "NatsShared: what a queue cannot do, and options that are not valid, are typed failures",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const shared = yield* NatsShared.make({ servers: url, name: "faults" });
      const queue = yield* shared.queue<unknown>("jobs");
      assert(queue === (yield* shared.queue("jobs")));
      // A handle of a queue, of this one too, is no data for other programs.
      for (const handle of [queue, yield* Queue.make()]) {
        assertEquals((yield* failure(queue.put(handle))).split(" ")[0], "EncodeError");
      }
      assertStringIncludes(
        ((yield* Effect.flip((yield* Queue.make<unknown>()).put(queue))) as Error).message,
        "NatsShared.make",
      );
      for (const options of [{ capacity: 0 }, { maxBytes: -1 }, { ackWait: 0 }, { redeliver: 1 as never }]) {
        assertEquals((yield* Effect.flip(shared.queue("jobs", options))).reason, "InvalidOption");
      }
      assertEquals((yield* Effect.flip(shared.queue("a.b"))).reason, "InvalidOption");
      const error = yield* Effect.flip(shared.queue("jobs", { redeliver: true }));
      assertEquals(error.reason, "InvalidOption");
      assertStringIncludes(error.message, "redeliver must be false");
      // An item that is none of this library is taken, and tells so.
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void));
      const gone = yield* Scope.extend(joined<number>(url, "jobs"), scope);
      const waiting = yield* Effect.fork(Effect.flip(gone.get));
      yield* when(gone.statistics, ({ takers }) => takers === 1);
      yield* Scope.close(scope, Exit.void);
      assertEquals(described(yield* Fiber.join(waiting)), "Unreachable NatsShared(faults)");
      for (
        const use of [gone.put(1), gone.get, gone.size, gone.taskDone(), gone.join] as ReadonlyArray<
          Effect.Effect<unknown, unknown>
        >
      ) {
        assertEquals(yield* failure(use), "Unreachable NatsShared(faults)");
      }
    }),
  );

  test(
    "NatsShared: a queue with replicas is refused by a cluster of a version that may lose items",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const connection = yield* connected(url, 3);
      const { server } = connection.js;
      Object.defineProperty(server, "version", { value: "2.10.27" });
      const establish = () =>
        new QueueStreams(connection, "jobs").establish({
          capacity: undefined,
          maxBytes: undefined,
          redeliver: undefined,
          ackWait: undefined,
        });
      const error = yield* Effect.flip(Effect.tryPromise({ try: establish, catch: (error) => error as Error }));
      assertInstanceOf(error, NatsShared.NatsError);
      assertEquals(error.reason, "Unsupported");
      assertStringIncludes(error.message, "2.15.0");
    }),
  );

  test(
    "NatsShared: Mp.wait waits for a queue, and takes nothing",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<number>(url, "jobs");
      const other = yield* joined<number>(url, "others");
      assertEquals(yield* wait([queue, other], { timeout: 0 }), []);
      const waiting = yield* Effect.fork(wait([queue, other]));
      yield* other.put(1);
      assertEquals(yield* Fiber.join(waiting), [other]);
      assertEquals(yield* other.size, 1);
      yield* queue.close;
      assertEquals(yield* wait([queue, other]), [queue, other]);
    }),
  );

  test(
    "NatsShared: a queue that redelivers gives an item to others until it is reported",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void));
      const one = yield* Scope.extend(joined<number>(url, "jobs", { redeliver: true, ackWait: "1 seconds" }), scope);
      const two = yield* joined<number>(url, "jobs");
      yield* one.putAll([1, 2, 3]);
      assertEquals([yield* one.get, yield* one.get], [1, 2]);
      // It counts items in hand as well.
      assertEquals([yield* two.size, (yield* two.statistics).unfinished], [3, 3]);
      assertEquals(yield* failure(two.taskDone()), "QueueError TooManyDone");
      yield* one.taskDone();
      yield* two.close;
      assertEquals(yield* two.get, 3);
      const last = yield* Effect.fork(two.get);
      yield* when(two.statistics, ({ takers }) => takers === 1);
      // A program that ends gives back what it has not reported.
      yield* Scope.close(scope, Exit.void);
      assertEquals(yield* Fiber.join(last), 2);
      const joining = yield* Effect.fork(two.join);
      yield* two.taskDone(2);
      yield* Fiber.join(joining);
      assertEquals(yield* failure(two.get), "QueueClosed Closed");
    }),
  );

  test(
    "NatsShared: a stream of a queue that redelivers gives back what it has not reported when it fails, and its lease lasts as long as it works",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<number>(url, "jobs", { redeliver: true, ackWait: "300 millis" });
      yield* queue.putAll([1, 2, 3, 4]);
      const seen: Array<number> = [];
      const failing = Stream.runForEach(queue.toStream, (n): Effect.Effect<void, unknown> => {
        seen.push(n);
        return n === 3 ? Effect.fail("no") : n === 1 ? queue.taskDone() : Effect.void;
      });
      assertEquals(yield* Effect.flip(failing), "no");
      assertEquals([seen, yield* queue.size], [[1, 2, 3], 3]);
      assertEquals(yield* queue.takeUpTo(5), [2, 3, 4]);
      const other = yield* joined<number>(url, "jobs");
      assertEquals(yield* Effect.timeoutOption(other.get, "1 seconds"), Option.none());
      yield* queue.taskDone(3);
      yield* queue.join;
    }),
  );

  test(
    "NatsShared: an item that a server has found again is dropped, and the marks of items that are gone are removed",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<number>(url, "jobs");
      const { js, streams } = yield* Effect.map(
        connected(url),
        (connection) => ({ js: connection.js, streams: new QueueStreams(connection, "jobs") }),
      );
      const marks = Effect.promise(async () => (await infoOf(js, streams.names.taken))!.state.messages);
      const claims = new Claims(streams, "test");
      yield* queue.putAll(numbers(20));
      assertEquals(yield* queue.takeUpTo(20), numbers(20));
      assertEquals(yield* when(marks, (count) => count > 0), 20);
      // Another program has taken it before the server was killed.
      const again = (id: string) =>
        Effect.promise(async () => {
          const sequence = (await streams.look()).last + 1;
          assert(typeof await claims.take({ id, sequence }) === "object");
          assertEquals(await claims.take({ id, sequence }), "taken");
          await js.store(streams.names.item, new Uint8Array([0, 1]), { id });
        });
      yield* again("one");
      assertEquals(yield* queue.tryGet, Option.none());
      yield* when(queue.size, (size) => size === 0);
      // A mark stays for some time after its item, and that of an item which is there in any case.
      yield* again("two");
      yield* Effect.promise(() => claims.tidy(0));
      yield* Effect.promise(() => claims.tidy(0));
      assertEquals(yield* marks, 22);
      assertEquals(yield* queue.tryGet, Option.none());
      yield* when(queue.size, (size) => size === 0);
      yield* Effect.promise(() => claims.tidy(60_000));
      assertEquals(yield* marks, 22);
      yield* Effect.promise(() => claims.tidy(0));
      assertEquals(yield* marks, 0);
    }),
  );

  test(
    "NatsShared: an item that is put again after it was taken, because the answer of a killed server was lost, is dropped and counts as done",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const queue = yield* joined<string>(server.url, "jobs");
      const { js, streams } = yield* Effect.map(
        connected(server.url),
        (connection) => ({ js: connection.js, streams: new QueueStreams(connection, "jobs") }),
      );
      yield* queue.put("first");
      const { id, sequence } = (yield* Effect.promise(() => streams.next(1)))!;
      assertEquals(yield* queue.get, "first");
      yield* when(queue.size, (size) => size === 0);
      // It remembers the ids of the messages that it has.
      yield* Effect.zipRight(server.stop, server.start);
      const again = yield* Effect.promise(() =>
        js.persist(() => js.store(streams.names.item, new Uint8Array([0, 1]), { id }))
      );
      assert(again > sequence);
      yield* queue.put("second");
      assertEquals(yield* queue.get, "second");
      yield* queue.taskDone(2);
      yield* queue.join;
      assertEquals((yield* queue.statistics).unfinished, 0);
    }),
  );

  test(
    "NatsShared: a mark to which another program has added a repeated item is released all the same",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      yield* joined<string>(url, "jobs");
      const streams = yield* Effect.map(connected(url), (connection) => new QueueStreams(connection, "jobs"));
      const [one, other] = [new Claims(streams, "one"), new Claims(streams, "other")];
      yield* Effect.promise(async () => {
        const mark = await one.take({ id: "item", sequence: 1 });
        assert(typeof mark === "object");
        assertEquals(await other.take({ id: "item", sequence: 2 }), "repeated");
        assertEquals(await one.take({ id: "item", sequence: 2 }), "taken");
        assertEquals(await other.take({ id: "item", sequence: 1 }), "taken");
        await one.release("item", mark);
        assert(typeof await other.take({ id: "item", sequence: 1 }) === "object");
      });
    }),
  );

  // Interruption

  const scenarios = Object.keys(Interruption.scenarios);

  test(
    `NatsShared: an operation of a queue that is interrupted at any step has done all or nothing: ${
      scenarios.join(", ")
    } (storm)`,
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<number>(url, "numbers", { capacity: 4 });
      const effort = rounds(2, 16);
      for (const name of scenarios) {
        yield* Interruption.explore(queue, name, { rounds: effort, turns: Math.ceil(effort / 8), yields: 2 });
      }
    }),
  );

  test(
    "NatsShared: operations of every kind at once, each interrupted some time or not at all (storm)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      yield* Interruption.interleaving(yield* joined<string>(url, "texts", { capacity: 3 }), rounds(2, 12));
    }),
  );

  // Faults

  test(
    "NatsShared: consumers that are killed lose the item that they have taken, and no item comes twice (storm)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<string>(url, "jobs", { ackWait: "1 seconds", capacity: 100 });
      const count = 400;
      const deaths = rounds(1, 6);
      const got: Array<string> = [];
      const putting = yield* Effect.fork(
        Effect.forEach(numbers(count * deaths), (n) => queue.put(`a ${n}`), { discard: true }),
      );
      for (let death = 0; death < deaths; death++) {
        const [victim, other] = yield* Effect.all([program(url, "jobs", "take"), program(url, "jobs", "take")], {
          concurrency: 2,
        });
        const taken = (least: number) =>
          when(queue.statistics, ({ size, unfinished }) => unfinished - size >= count * death + least);
        yield* taken(50 + below(100));
        got.push(...yield* killed(victim, "got"));
        yield* taken(300);
        got.push(...yield* killed(other, "got"));
      }
      const left = yield* Effect.fork(Effect.forever(Effect.map(queue.get, (item) => void got.push(item))));
      yield* Fiber.join(putting);
      yield* when(queue.size, (size) => size === 0);
      yield* Fiber.interrupt(left);
      assertEquals(repeated(got), []);
      const missing = numbers(count * deaths).filter((n) => !got.includes(`a ${n}`));
      assert(missing.length <= 2 * deaths, `${missing}`);
    }),
  );

  test(
    "NatsShared: a queue that redelivers loses nothing when its consumers are killed (storm)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<string>(url, "jobs", { ackWait: "1 seconds", redeliver: true });
      const deaths = rounds(1, 5);
      const all = numbers(200 * deaths).map((n) => `a ${n}`);
      yield* queue.putAll(all);
      const got: Array<string> = [];
      for (let death = 0; death < deaths; death++) {
        const victim = yield* program(url, "jobs", "report");
        yield* when(queue.statistics, ({ unfinished }) => unfinished < all.length - 200 * death - 50 - below(100));
        got.push(...yield* killed(victim, "got"));
      }
      const other = yield* program(url, "jobs", "report");
      yield* queue.join;
      got.push(...yield* killed(other, "got"));
      assertEquals(new Set(got), new Set(all));
      // Each of the killed ones had one in hand.
      assert(repeated(got).length <= deaths, `${repeated(got)}`);
      assertEquals(yield* queue.size, 0);
    }),
  );

  test(
    "NatsShared: each put of a killed producer that has returned is in the queue, once and in order (storm)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<string>(url, "jobs");
      for (let death = 0; death < rounds(1, 6); death++) {
        const victim = yield* program(url, "jobs", "put", "a", "100000");
        yield* Effect.promise(() => victim.line(`put a ${50 + below(200)}`));
        const put = of("a", yield* killed(victim, "put"));
        const taken = of("a", (yield* empty(queue)) as ReadonlyArray<string>);
        assert(taken.length === put.length || taken.length === put.length + 1, `${taken.length} of ${put.length}`);
        assertEquals(taken, numbers(taken.length));
      }
    }),
  );

  /** Puts and takes by several programs, which `disturb` disturbs; each item must come once, in order. */
  const load = (
    servers: string,
    count: number,
    options: NatsShared.QueueOptions,
    disturb: (taken: () => number) => Effect.Effect<unknown, unknown>,
  ) =>
    Effect.gen(function* () {
      const taken: Array<ReadonlyArray<string>> = [];
      const total = (): number => taken.reduce((sum, { length }) => sum + length, 0);
      const producers: Array<Fiber.RuntimeFiber<void, unknown>> = [];
      for (const name of ["a", "b"]) {
        const queue = yield* joined<string>(servers, "jobs", options);
        producers.push(
          yield* Effect.fork(Effect.forEach(numbers(count), (n) => queue.put(`${name} ${n}`), { discard: true })),
        );
      }
      const consumers: Array<Fiber.RuntimeFiber<never, unknown>> = [];
      for (const i of numbers(2)) {
        const queue = yield* joined<string>(servers, "jobs");
        taken.push([]);
        consumers.push(
          yield* Effect.fork(Effect.forever(Effect.zipRight(
            Effect.map(queue.get, (item) => {
              taken[i] = [...taken[i], item];
            }),
            queue.taskDone(),
          ))),
        );
      }
      yield* disturb(total);
      const queue = yield* joined<string>(servers, "jobs");
      yield* Effect.raceFirst(
        Effect.zipRight(Effect.forEach(producers, Fiber.join), queue.join),
        Effect.zipRight(Effect.forEach(consumers, Fiber.join), Effect.never),
      );
      yield* Fiber.interruptAll(consumers);
      for (const name of ["a", "b"]) {
        assertEquals(taken.flatMap((items) => of(name, items)).toSorted((a, b) => a - b), numbers(count));
      }
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    });

  const restart = ({ start, stop }: NatsServer) => Effect.zipRight(stop, start);

  test(
    "NatsShared: a server that is killed and comes back under load delays puts and gets; each item comes once (storm)",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const restarts = rounds(2, 10);
      const part = 100;
      yield* load(
        server.url,
        part * (restarts + 2) / 2,
        { capacity: 50, ackWait: "1 seconds" },
        (taken) =>
          Effect.forEach(
            numbers(restarts),
            (n) => Effect.zipRight(when(Effect.sync(taken), (sum) => sum >= part * (n + 1)), restart(server)),
          ),
      );
    }),
  );

  test(
    "NatsShared: a server that is killed and has lost its place in an empty queue gives out new items (full)",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const queue = yield* joined<number>(server.url, "q");
      for (let round = 0; round < 2; round++) {
        yield* queue.putAll(numbers(20));
        const items = yield* Effect.replicateEffect(queue.get, 20);
        // Each comes once. What is given out while the consumer is made anew may come later than its successors.
        assertEquals(items.toSorted((a, b) => a - b), [...numbers(20)]);
        yield* when(queue.size, (size) => size === 0);
        yield* queue.taskDone(12);
        yield* server.stop;
        server.forget("mp+default+queue+faults+q");
        yield* server.start;
        assertEquals((yield* queue.statistics).unfinished, 8);
        yield* queue.taskDone(8);
        yield* queue.join;
      }
    }),
  );

  test(
    "NatsShared: the items that were sent to a program which is cut off go to others; it goes on when it is back, and no item comes twice (full)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const network = yield* proxy(url);
      const queue = yield* joined<number>(url, "jobs", { ackWait: "1 seconds" });
      const cut = yield* joined<number>(network.url, "jobs");
      const here: Array<number> = [];
      const there: Array<number> = [];
      const theirs = yield* Effect.fork(Effect.forever(Effect.map(cut.get, (n) => void there.push(n))));
      yield* queue.putAll(numbers(50));
      yield* when(Effect.sync(() => there.length), (length) => length > 10);
      yield* network.cut;
      const ours = yield* Effect.fork(Effect.forever(Effect.map(queue.get, (n) => void here.push(n))));
      yield* queue.putAll(numbers(100).map((n) => 100 + n));
      yield* when(queue.size, (size) => size === 0);
      yield* network.heal;
      yield* Fiber.interrupt(ours);
      yield* queue.putAll(numbers(50).map((n) => 300 + n));
      // An item may come here at the moment of the interruption, and goes back a moment later.
      yield* when(Effect.sync(() => here.length + there.length), (length) => length === 200);
      yield* Fiber.interrupt(theirs);
      const all = [...here, ...there].toSorted((a, b) => a - b);
      assertEquals(all, [...numbers(50), ...numbers(100).map((n) => 100 + n), ...numbers(50).map((n) => 300 + n)]);
      assertEquals(yield* queue.tryGet, Option.none());
    }),
  );

  test(
    "NatsShared: a consumer that is stopped for longer than its lease takes no item that another one has (full)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const queue = yield* joined<string>(url, "jobs", { ackWait: "1 seconds" });
      const victim = yield* program(url, "jobs", "take");
      const all = numbers(3_000).map((n) => `a ${n}`);
      yield* queue.putAll(all);
      yield* Effect.promise(() => victim.line("got a 100"));
      victim.kill("SIGSTOP");
      const here: Array<string> = [];
      const ours = yield* Effect.fork(Effect.forever(Effect.map(queue.get, (item) => void here.push(item))));
      yield* when(queue.size, (size) => size === 0);
      victim.kill("SIGCONT");
      yield* queue.put("last");
      yield* when(queue.size, (size) => size === 0);
      yield* Fiber.interrupt(ours);
      const got = [...here, ...yield* killed(victim, "got")];
      assertEquals(repeated(got), []);
      const missing = [...all, "last"].filter((item) => !got.includes(item));
      // The one that it had taken and not printed when it was killed.
      assert(missing.length <= 1, `${missing}`);
    }),
  );
}
