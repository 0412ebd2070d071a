/**
 * Queues whose users and hosts are killed at random moments: each item that was put and not handed out arrives exactly
 * once and in order; no surviving process waits for ever; no capacity is lost.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../support/assert.ts";
import { below, rounds, seed } from "../support/chance.ts";
import { processEntry, until } from "../support/leaks.ts";
import * as Tasks from "./queue_fault_tasks.ts";
import * as Hosts from "../api/queue_tasks.ts";
import { temporary, test, warmUp, when } from "../support/suite.ts";
import { repeated, repeating } from "../support/tier.ts";

type Item = Tasks.Item;

/** Number of kills, and of queues in use at each. */
const KILLS = rounds(3, 13);
const QUEUES = 40;

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

const pick = <A>(...choices: ReadonlyArray<A>): A => choices[below(choices.length)];

/** Takes all available items. */
const empty = <A>(queue: Queue.Queue<A>): Effect.Effect<ReadonlyArray<A>, unknown> =>
  Effect.gen(function* () {
    const items: Array<A> = [];
    for (;;) {
      const item = yield* queue.tryGet;
      if (Option.isNone(item)) return items;
      items.push(item.value);
    }
  });

/**
 * The queue is empty, no operation waits, and the whole capacity is free: it accepts as many items as it has room for
 * at once.
 */
const clean = (queue: Queue.Queue<Item>, when_: string): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    yield* when(queue.statistics, ({ bytes, putters, size, takers }) => bytes + putters + size + takers === 0);
    if (queue.capacity === Infinity) return;
    for (const n of numbers(queue.capacity)) assert(yield* queue.tryPut(["filler", n]), `${when_}: a place is lost`);
    assert(!(yield* queue.tryPut(["filler", -1])), when_);
    assertEquals((yield* empty(queue)).length, queue.capacity, when_);
  });

/** The operations on one queue by the killed process and by this process. */
interface Round {
  readonly job: Tasks.Job;
  readonly kind: Hosts.Kind;
  /** Number of puts that have returned, and taken items in order, for the killed process and for this process. */
  readonly puts: { victim: number; own: number };
  readonly taken: { readonly victim: Array<Item>; readonly own: Array<Item> };
}

const ascending = (items: ReadonlyArray<Item>, producer: string): boolean => {
  const own = items.filter(([name]) => name === producer).map(([, n]) => n);
  return own.every((n, i) => i === 0 || own[i - 1] < n);
};

const check = ({ job, kind, puts, taken }: Round, victim: string, when: string): void => {
  const says = `${when}: ${JSON.stringify({ ...job, queue: kind, puts, taken })}`;
  const all = [...taken.victim, ...taken.own].map(([producer, n]) => `${producer} ${n}`);
  assertEquals(new Set(all).size, all.length, `an item has come twice ${says}`);
  const there = new Set(all);
  // Items that were handed to the killed process, which died before it wrote them down.
  let missing = 0;
  const batch = job.produce?.batch ?? 1;
  for (const [producer, returned, more] of [[victim, puts.victim, batch], ["own", puts.own, 1]] as const) {
    const come = numbers(returned + more).filter((n) => there.delete(`${producer} ${n}`));
    missing += returned - come.filter((n) => n < returned).length;
    // Of the puts that have not returned, the first ones may be in the queue.
    const late = come.filter((n) => n >= returned);
    assert(job.consume !== undefined || late.every((n, i) => n === returned + i), `a gap ${says}`);
  }
  assertEquals([...there], [], `items that nobody has put ${says}`);
  // A stream holds one item.
  const atOnce = job.consume === undefined ? 0 : Math.max(job.consume, 1);
  assert(missing <= atOnce, `${missing} items are lost ${says}`);
  if (kind !== "fifo") return;
  for (const producer of [victim, "own"]) {
    assert(ascending(taken.victim, producer), `the victim got them out of order ${says}`);
    // Items that return from the killed process are behind items that others took meanwhile.
    assert(job.consume !== undefined || ascending(taken.own, producer), `out of order ${says}`);
  }
};

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>, { signals }: { readonly signals: boolean }): void => {
  const register = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`queue faults on ${name}: ${title}`, Effect.provide(program, layer));

  /** A process that makes queues, and hosts them. */
  const hosting = Effect.gen(function* () {
    const wanted = yield* Queue.make<Hosts.Wanted>();
    const made = yield* Queue.make<Hosts.Any>();
    const child = yield* Process.spawnWith(Hosts.hosting, [wanted, made], { daemon: true });
    return {
      child,
      make: (kind: Hosts.Kind, options: Queue.Options): Effect.Effect<Queue.Queue<Item>, unknown> =>
        Effect.zipRight(wanted.put([kind, options]), made.get),
    };
  });

  /** One kill, and its effect on all these queues. */
  const kill = (
    queues: ReadonlyArray<{ readonly kind: Hosts.Kind; readonly queue: Queue.Queue<Item> }>,
    number: number,
  ): Effect.Effect<void, unknown, Backend.Backend> =>
    Effect.scoped(Effect.gen(function* () {
      const victim = `victim-${number}`;
      const used = queues.map(({ kind, queue }, id): Round => ({
        kind,
        job: {
          id,
          queue,
          ...pick<Omit<Tasks.Job, "id" | "queue">>(
            { produce: { name: victim, batch: pick(1, 1, 5) } },
            { consume: pick(1, 3, 0, 0) },
            { produce: { name: victim, batch: pick(1, 5) }, consume: pick(1, 3, 0) },
          ),
        },
        puts: { victim: 0, own: 0 },
        taken: { victim: [], own: [] },
      }));
      const path = yield* temporary;
      const child = yield* Process.spawnWith(Tasks.victim, [used.map(({ job }) => job), path], { daemon: true });
      // In some rounds the process is killed before it begins.
      const early = below(8) === 0;
      if (!early) yield* Effect.promise(() => until("it has begun", () => Deno.statSync(path).size > 0));
      const fibers = yield* Effect.forEach(used, ({ job: { consume, produce, queue }, puts, taken }) => {
        const put = Effect.map(Effect.suspend(() => queue.put(["own", puts.own])), () => void puts.own++);
        const get = Effect.map(queue.get, (item) => void taken.own.push(item));
        // If the process both puts and takes, this process does both as well. Otherwise it does the opposite.
        return Effect.fork(Effect.all([
          consume !== undefined ? Effect.forever(put) : Effect.void,
          produce !== undefined ? Effect.forever(get) : Effect.void,
        ], { concurrency: "unbounded" }));
      });
      if (!early) yield* Effect.sleep(below(12));
      // The exit of the process arrives after everything that it has sent.
      yield* Effect.all([Effect.zipRight(child.kill, child.exit), Fiber.interruptAll(fibers)], { concurrency: 2 });
      const when_ = `kill ${number}, seed ${seed}`;
      for (const { job: { queue }, taken } of used) {
        yield* when(queue.statistics, ({ putters, takers }) => putters + takers === 0);
        taken.own.push(...yield* empty(queue));
      }
      for (const line of Deno.readTextFileSync(path).split("\n").slice(1, -1)) {
        const [sign, id, ...rest] = line.split(" ");
        const round = used[Number(id)];
        if (sign === "+") round.puts.victim = Number(rest[0]);
        else round.taken.victim.push([rest[0], Number(rest[1])]);
      }
      for (const round of used) {
        check(round, victim, when_);
        yield* clean(round.job.queue, when_);
      }
    }));

  for (const where of ["here", "in a process that is none of the two"] as const) {
    register(
      `a producer or a consumer that is killed while ${QUEUES} queues are in use, the queues ${where} (full) (storm)`,
      Effect.gen(function* () {
        const make = where === "here"
          ? (kind: Hosts.Kind, options: Queue.Options) =>
            Hosts.kinds[kind](options) as unknown as Effect.Effect<Queue.Queue<Item>, unknown, Scope.Scope>
          : (yield* hosting).make;
        const queues = yield* Effect.forEach(numbers(QUEUES), (n) => {
          const kind = n % 4 < 2 ? "fifo" : n % 4 === 2 ? "lifo" : "priority";
          return Effect.map(
            make(kind, { capacity: [1, 2, 7, 100][(n >> 2) % 4] }),
            (queue) => ({ kind, queue } as const),
          );
        });
        for (const n of numbers(KILLS)) yield* kill(queues, n);
      }),
    );
  }

  register(
    "a producer that is killed in the middle of a long item has put all of it or nothing (full)",
    Effect.gen(function* () {
      const size = 30_000_000;
      const queue = yield* Queue.make<Uint8Array>({ capacity: 2 });
      for (const round of numbers(10)) {
        const child = yield* Process.spawnWith(Tasks.put, [queue, size], { daemon: true });
        yield* when(queue.statistics, ({ bytes }) => bytes > 0);
        for (let turn = 0; turn < 2 * round; turn++) yield* Effect.yieldNow();
        yield* Effect.zipRight(child.kill, child.exit);
        for (const item of yield* empty(queue)) {
          assertEquals(item.length, size);
          assert(item[0] === 1 && item[size - 1] === 1);
        }
        yield* when(queue.statistics, ({ bytes, putters }) => bytes + putters === 0);
        assert((yield* queue.tryPut(new Uint8Array(1))) && (yield* queue.tryPut(new Uint8Array(1))));
        yield* empty(queue);
      }
    }),
  );

  register(
    "a fiber that waits for a queue whose host is killed is told at once which process died",
    Effect.gen(function* () {
      const { child, make } = yield* hosting;
      const queue = (yield* make("fifo", {})) as Queue.Queue<unknown>;
      const full = (yield* make("fifo", { capacity: 1 })) as Queue.Queue<unknown>;
      yield* full.put(1);
      const waiting = yield* Effect.forEach([
        queue.get,
        queue.takeUpTo(3),
        queue.ready,
        Stream.runDrain(queue.toStream),
        full.put(2),
        full.putAll([2, 3]),
        full.join,
        Stream.run(Stream.make(2), full.toSink),
      ] as ReadonlyArray<Effect.Effect<unknown, unknown>>, (operation) => Effect.fork(Effect.flip(operation)));
      const siblings = [
        yield* Process.spawn(Hosts.attempt, queue, "get"),
        yield* Process.spawn(Hosts.attempt, full, "put"),
        yield* Process.spawn(Hosts.attempt, full, "join"),
      ];
      yield* when(queue.statistics, ({ takers }) => takers === 4);
      yield* when(full.statistics, ({ putters }) => putters === 4);
      yield* child.kill;
      for (const fiber of waiting) {
        const error = yield* Fiber.join(fiber);
        assertInstanceOf(error, Queue.Unreachable);
        assertEquals([error.host, error.kind], [child.name, "queue"]);
      }
      for (const { join } of siblings) assertEquals(yield* join, `Unreachable ${child.name}`);
      assertInstanceOf(yield* Effect.flip(queue.size), Queue.Unreachable);
    }),
  );

  register(
    "a host that is killed at any moment leaves nobody waiting (full) (storm)",
    Effect.gen(function* () {
      for (const round of numbers(rounds(4, 16))) {
        const { child, make } = yield* hosting;
        const queues = yield* Effect.forEach(numbers(8), (n) => make("fifo", { capacity: 1 + n * n }));
        const users = yield* Effect.forEach(queues, (queue) => {
          const operations: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            Effect.forever(queue.put(["own", 1])),
            Effect.forever(queue.putAll([["own", 1], ["own", 2]])),
            Effect.forever(queue.get),
            Effect.forever(queue.takeUpTo(2)),
            Effect.forever(queue.tryPut(["own", 1])),
            Effect.forever(queue.size),
          ];
          return Effect.forEach(operations, (operation) => Effect.fork(Effect.flip(operation)));
        });
        yield* when(queues[0].statistics, ({ unfinished }) => unfinished > 10);
        yield* Effect.sleep(below(8));
        yield* child.kill;
        for (const fiber of users.flat()) {
          assertEquals(
            Hosts.described(yield* Fiber.join(fiber)),
            `Unreachable ${child.name}`,
            `${round}, seed ${seed}`,
          );
        }
      }
    }),
  );

  if (!signals) return;

  register(
    "what a producer has put is there, though it is dead when this process writes to it before it reads (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<Item>();
      for (const round of numbers(10)) {
        const path = yield* temporary;
        const job = { id: 0, queue, produce: { name: "victim", batch: 1 } };
        const child = yield* Process.spawnWith(Tasks.victim, [[job], path], { daemon: true });
        const lines = (): number => Deno.readTextFileSync(path).split("\n").length - 2;
        yield* Effect.promise(() => until("it puts", () => lines() > 0));
        yield* Effect.sync(() => {
          // The link is not read meanwhile.
          const before = lines();
          for (let looks = 0; looks < 500 && lines() < before + 3; looks++);
          Deno.kill(child.pid, "SIGKILL");
          while (processEntry(child.pid)?.state !== "Z");
        });
        yield* child.interrupt;
        yield* child.exit;
        const there = (yield* empty(queue)).length;
        assert(there === lines() || there === lines() + 1, `${lines()} were put, ${there} are there, round ${round}`);
      }
    }),
  );

  register(
    "what was lent to a consumer that stands still and is killed comes back to its place",
    Effect.gen(function* () {
      for (const kind of ["fifo", "lifo", "priority"] as const) {
        const queue = (yield* Hosts.kinds[kind]({ capacity: 4 })) as Queue.Queue<unknown>;
        const child = yield* Process.spawnWith(Hosts.attempt, [queue, "get"], { daemon: true });
        yield* when(queue.statistics, ({ takers }) => takers === 1);
        yield* child.signal("SIGSTOP");
        yield* queue.put(2);
        const lent = yield* queue.statistics;
        assertEquals([lent.size, lent.takers], [0, 0]);
        yield* queue.putAll([1, 3, 0]);
        // The lent item keeps its place.
        assertEquals([yield* queue.size, yield* queue.isFull, yield* queue.tryPut(4)], [3, true, false]);
        const next = { fifo: 1, lifo: 0, priority: 0 }[kind];
        assertEquals(yield* queue.get, next);
        yield* child.kill;
        yield* when(queue.statistics, ({ size }) => size === 3);
        const rest = { fifo: [2, 3, 0], lifo: [3, 1, 2], priority: [1, 2, 3] }[kind];
        // In a FIFO queue the item is the first; in a LIFO queue it is behind later items.
        assertEquals(kind === "fifo" ? [2, 3, 0] : rest, yield* empty(queue) as Effect.Effect<Array<number>, unknown>);
      }
    }),
  );

  register(
    "gets go on while a consumer stands still with what was lent to it (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const child = yield* Process.spawnWith(Hosts.attempt, [queue, "get"], { daemon: true });
      yield* when(queue.statistics, ({ takers }) => takers === 1);
      yield* child.signal("SIGSTOP");
      const waiting = yield* Effect.fork(Effect.all([queue.get, queue.get]));
      yield* when(queue.statistics, ({ takers }) => takers === 2);
      yield* queue.putAll([1, 2, 3]);
      assertEquals(yield* Fiber.join(waiting), [2, 3]);
      yield* queue.close;
      // One more item may come back, so the queue has not ended yet.
      const last = yield* Effect.fork(queue.get);
      yield* when(queue.statistics, ({ takers }) => takers === 1);
      yield* child.kill;
      assertEquals(yield* Fiber.join(last), 1);
      assertEquals(Hosts.described(yield* Effect.flip(queue.get)), "QueueClosed Closed");
    }),
  );

  register(
    "places that were promised to a producer that stands still and is killed are free again (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<Item>({ capacity: 300 });
      const path = yield* temporary;
      const job = { id: 0, queue, produce: { name: "victim", batch: 1 } };
      const child = yield* Process.spawnWith(Tasks.victim, [[job], path], { daemon: true });
      yield* when(queue.statistics, ({ size }) => size > 50);
      yield* child.signal("SIGSTOP");
      const before = (yield* empty(queue)).length;
      // Other producers continue: the stopped one holds only the room that was promised to it.
      for (const n of numbers(100)) yield* queue.put(["own", n]);
      yield* Effect.zipRight(child.kill, child.exit);
      const after = (yield* empty(queue)).filter(([producer]) => producer === "victim").length;
      const returned = Deno.readTextFileSync(path).split("\n").length - 2;
      assert(returned <= before + after && before + after <= returned + 1, `${returned}, ${before}, ${after}`);
      yield* clean(queue, "stopped");
    }),
  );
};

const preload = [import.meta.resolve("./queue_fault_tasks.ts")];
const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), worker));

suite("subprocess", SubprocessBackend.layer({ stderr: "null", standby: 1, preload }), { signals: true });
repeated(() => suite("worker", WorkerBackend.layer({ standby: 1, preload }), { signals: false }));
