/**
 * Processes that are neither parent nor child of each other: over a pair of ports, a socket of their own or a tunnel,
 * with one order and with the guarantees of their objects.
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import type { Task } from "../../src/Task.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as Pipes from "./pipe_tasks.ts";
import * as Queues from "./queue_tasks.ts";
import type { Way } from "../../src/internal/rpc/direct.ts";
import * as Tasks from "./sibling_tasks.ts";
import { test, warmUp, when } from "../support/suite.ts";
import { repeated } from "../support/tier.ts";

const daemon = <Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
  Process.spawnWith(task, args, { daemon: true });

/** A process that makes queues, and hosts them. */
const hosting = Effect.gen(function* () {
  const wanted = yield* Queue.make<Queues.Wanted>();
  const made = yield* Queue.make<Queues.Any>();
  const child = yield* daemon(Queues.hosting, wanted, made);
  const make: Effect.Effect<Queue.Queue<number>, unknown> = Effect.zipRight(wanted.put(["fifo", {}]), made.get);
  return { child, make };
});

/** A process that makes pipes, and hosts them. */
const hostingPipes = Effect.gen(function* () {
  const wanted = yield* Queue.make<object>();
  const made = yield* Queue.make<Pipes.Ends>();
  const child = yield* daemon(Pipes.hosting, wanted, made);
  return { child, make: Effect.zipRight(wanted.put({}), made.get) };
});

const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { signals, way }: { readonly way: Way; readonly signals: boolean },
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`siblings on ${name}: ${title}`, Effect.provide(program, layer));

  /** The links of a process that communicates with `count` siblings. */
  const links = (count: number) => ({ port: 0, socket: 0, tunnel: 0, [way]: count });
  const ways = links(1);
  /** Asserts that links were made, and only of this kind. */
  const only = (made: { readonly [way in Way]: number }): void => {
    assert(made[way] > 0);
    assertEquals({ ...made, [way]: 0 }, links(0));
  };

  check(
    "what several siblings put into a queue of another arrives once and in the order of each, however it comes",
    Effect.gen(function* () {
      const made = yield* Queue.make<Queue.Queue<Tasks.Numbered>>();
      const host = yield* Process.spawn(Tasks.hostsAndTakes, made, 3, 400);
      const queue = yield* made.get;
      const producers = yield* Effect.forEach([0, 1, 2], (n) => Process.spawn(Tasks.produces, queue, n, 400));
      assertEquals(yield* Effect.forEach(producers, ({ join }) => join), [ways, ways, ways]);
      only(yield* host.join);
    }),
  );

  check(
    "a put that has returned is seen by every process that learns of it, in whatever way it asks (full)",
    Effect.gen(function* () {
      const { make } = yield* hosting;
      const [queue, other] = [yield* make, yield* make];
      const told = yield* Queue.make<number>();
      const telling = yield* Process.spawn(Tasks.tells, 400, queue, told);
      for (let n = 0; n < 400; n++) {
        assertEquals(yield* told.get, n);
        assert((yield* queue.size) > n);
      }
      assertEquals(yield* telling.join, ways);
      const heard = yield* Queue.make<number>();
      const asking = yield* Process.spawn(Tasks.asks, 400, other, heard);
      yield* Process.spawn(Tasks.tells, 400, other, heard);
      assertEquals(yield* asking.join, { ways });
    }),
  );

  check(
    "a message that was sent is seen by every process that learns of it (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* (yield* hostingPipes).make;
      const told = yield* Queue.make<number>();
      const telling = yield* Process.spawn(Tasks.tellsOfSent, 300, theirs, told);
      for (let n = 0; n < 300; n++) {
        assertEquals(yield* told.get, n);
        assertEquals(yield* mine.poll(), true);
        assertEquals(yield* mine.recv, n);
      }
      assertEquals(yield* telling.join, ways);
    }),
  );

  check(
    "a pipe that one of two siblings has made carries messages of any size both ways",
    Effect.gen(function* () {
      const made = yield* Queue.make<Tasks.Any>();
      const conversing = yield* Process.spawn(Tasks.converses, made, 300);
      const echoing = yield* Process.spawn(Tasks.echoes, yield* made.get);
      assertEquals(yield* conversing.join, ways);
      yield* echoing.join;
    }),
  );

  check(
    "a grandchild talks with this process, and with its parent's sibling (full)",
    Effect.gen(function* () {
      const made = yield* Queue.make<Tasks.Any>();
      const conversing = yield* Process.spawn(Tasks.conversesBelow, made, 200);
      const end = yield* made.get;
      for (let n = 0; n < 200; n++) yield* end.send(yield* end.recv);
      only(yield* conversing.join);
      const cousins = yield* Process.spawn(Tasks.conversesBelow, made, 200);
      const echoing = yield* Process.spawn(Tasks.echoes, yield* made.get);
      only(yield* cousins.join);
      yield* echoing.join;
    }),
  );

  check(
    "a message that is too large for one of the two is a typed error, and the queue goes on (full)",
    Effect.gen(function* () {
      const { make } = yield* hosting;
      const queue = (yield* make) as Queue.Queue<unknown>;
      const error = yield* Effect.flip(Process.run(Tasks.putsBytes, queue, 3_000_000));
      assertEquals((error as { readonly _tag: string })._tag, "MessageTooLarge");
      yield* Process.run(Tasks.putsBytes, queue, 1_000_000);
      assertEquals(((yield* queue.get) as Uint8Array).length, 1_000_000);
    }).pipe((program) =>
      Effect.provide(
        program,
        name === "worker"
          ? WorkerBackend.layer({ maxMessageSize: 2_000_000 })
          : SubprocessBackend.layer({ maxMessageSize: 2_000_000 }),
      )
    ),
  );

  check(
    "items that a process has received stay received when it ends right after (full)",
    Effect.gen(function* () {
      const { make } = yield* hosting;
      const queue = yield* make;
      yield* queue.putAll(Array.from({ length: 400 }, (_, n) => n));
      for (let n = 99; n < 400; n += 100) assertEquals(yield* Process.run(Tasks.takesAndEnds, queue, 100), n);
      assertEquals(yield* queue.size, 0);
    }),
  );

  check(
    "an end that goes from sibling to sibling brings each message once (full)",
    Effect.gen(function* () {
      const [mine, theirs] = yield* (yield* hostingPipes).make;
      const passing = yield* Queue.make<Tasks.Any>();
      const sending = yield* Effect.fork(Effect.forEach(Array.from({ length: 500 }, (_, n) => n), (n) => mine.send(n)));
      let end: Tasks.Any = theirs;
      const got: Array<number> = [];
      for (let round = 0; round < 5; round++) {
        yield* passing.put(end);
        const result = yield* Process.run(Tasks.receivesSome, passing, 100);
        got.push(...result.got);
        end = result.end;
      }
      yield* Fiber.join(sending);
      assertEquals(got, Array.from({ length: 500 }, (_, n) => n));
    }),
  );

  if (signals) {
    check(
      "when the host is killed, a sibling in the middle of its use has a typed error that names it",
      Effect.gen(function* () {
        const { child, make } = yield* hosting;
        const used = yield* Queue.make<number>();
        const using = yield* Process.spawn(Tasks.usesUntil, yield* make, used);
        for (let n = 0; n < 200; n++) yield* used.get;
        yield* child.kill;
        assertEquals(yield* using.join, { tag: "Unreachable", host: child.name });
      }),
    );

    check(
      "a sibling that is stopped holds up only processes that wait for it (full)",
      Effect.gen(function* () {
        const stopped = yield* hosting;
        const other = yield* hosting;
        const [queue, free] = [yield* stopped.make, yield* other.make];
        const used = yield* Queue.make<number>();
        const waiting = yield* Process.spawn(Tasks.usesUntil, queue, used);
        for (let n = 0; n < 200; n++) yield* used.get;
        yield* stopped.child.signal("SIGSTOP");
        yield* Process.run(Tasks.tells, 100, free, yield* Queue.make<number>());
        assertEquals(yield* free.size, 100);
        yield* stopped.child.signal("SIGCONT");
        yield* when(used.size, (size) => size > 20);
        yield* waiting.kill;
      }),
    );
  }
};

const backends = {
  subprocess: SubprocessBackend.layer(),
  "subprocess without sockets": SubprocessBackend.layer({
    permissions: { read: true, env: true, run: true, sys: true },
  }),
  worker: WorkerBackend.layer(),
};

await warmUp(Effect.gen(function* () {
  for (const layer of Object.values(backends)) yield* Effect.provide(Process.run(Tasks.direct), layer);
}));

suite("subprocess", backends.subprocess, { way: "socket", signals: true });
repeated(
  () => suite("subprocess without sockets", backends["subprocess without sockets"], { way: "tunnel", signals: true }),
  ["a pipe that one of two siblings"],
);
repeated(() => suite("worker", backends.worker, { way: "port", signals: false }), ["a pipe that one of two siblings"]);
