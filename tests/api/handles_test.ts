/** Handles of processes, wherever they were sent, and waiting for several objects at once. */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { type Backend, Pipe, Process, Queue, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import * as Handles from "./handle_tasks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { gateway, signal, type Step, warmUp, when } from "../support/suite.ts";
import { run, withWorkers, type Workers } from "../support/workers.ts";
import * as Effects from "../support/tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { signals }: Backend.Capabilities,
): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  check(
    "a sibling joins a process by its handle, and has its result",
    Effect.gen(function* () {
      const gate = yield* gateway;
      const begun = yield* signal;
      const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
      const joining = yield* Process.spawn(Handles.joins, child.handle);
      yield* gate.open;
      assertEquals(yield* joining.join, 5);
      assertEquals(yield* child.join, 5);
    }),
  );

  check(
    "a failure of the process comes by its handle with its tag and fields, and what became of it as data",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Effects.failing, 3);
      const error = yield* Effect.flip(
        run(Handles.joins, child.handle as unknown as Process.Handle<number, string>),
      );
      assertEquals((error as { readonly _tag?: string })._tag, "Shortage");
      assertEquals((error as unknown as { readonly missing: number }).missing, 3);
      const outcome = yield* run(Handles.outcomeOf, child.handle as unknown as Process.Handle<number>);
      assertEquals(outcome, "Failure");
    }),
  );

  check(
    "a handle has the name of the process, whether it lives, and which process started it",
    Effect.gen(function* () {
      const child = yield* Process.spawnWith(Tasks.linger, [], { name: "subject", daemon: true });
      const { daemon, host, pid } = child.handle;
      assertEquals([daemon, host, pid], [true, "MainProcess", child.pid]);
      assertEquals(yield* run(Handles.inspect, child.handle), {
        daemon: true,
        host: "MainProcess",
        name: "subject",
        pid: child.pid,
        alive: true,
        polled: "None",
      });
      yield* child.kill;
      const after = yield* run(Handles.inspect, child.handle);
      assertEquals([after.alive, after.polled], [false, "Some"]);
    }),
  );

  for (const [how, code] of [["terminate", -15], ["kill", -9]] as const) {
    check(
      `a sibling can ${how} a process by its handle`,
      Effect.gen(function* () {
        const child = yield* Process.spawn(Tasks.linger);
        assertEquals(yield* run(Handles.ends, child.handle, how), code);
        assertEquals(yield* child.exitCode, code);
      }),
    );
  }

  check(
    "a sibling interrupts a task by the handle of its process (full)",
    Effect.gen(function* () {
      const gate = yield* gateway;
      const begun = yield* signal;
      const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
      yield* begun.fired;
      assertEquals(yield* run(Handles.ends, child.handle, "interrupt"), 1);
      assert(Exit.isInterrupted(yield* Effect.exit(child.join)));
    }),
  );

  if (signals) {
    check(
      "a sibling sends a signal by a handle",
      Effect.gen(function* () {
        const child = yield* Process.spawn(Tasks.linger);
        assertEquals(yield* run(Handles.signals, child.handle), { _tag: "Signaled", signal: "SIGUSR2" });
      }),
    );
  }

  check(
    "a handle of a grandchild is good for as long as its parent keeps it, then it is Unreachable (full)",
    Effect.gen(function* () {
      const back = yield* Queue.make<Process.Handle<unknown>>();
      const end = yield* Queue.make<unknown>();
      const told = yield* Queue.make<string>();
      const child = yield* Process.spawnWith(Handles.lends, [back, end], { name: "lender" });
      const lent = yield* back.get;
      assertEquals([lent.name, lent.host, yield* lent.isAlive], ["lent", "lender", true]);
      yield* run(Handles.useTwice, lent, told);
      yield* end.put(null);
      yield* child.join;
      const error = yield* Effect.flip(lent.isAlive);
      assertInstanceOf(error, Process.Unreachable);
      assertStringIncludes(error.message, "lender");
      yield* run(Handles.useTwice, lent, told);
      assertEquals(yield* told.takeUpTo(2), ["true", "Unreachable"]);
    }),
  );

  check(
    "a process that joins by a handle is told at once when the starter is killed (full)",
    Effect.gen(function* () {
      const back = yield* Queue.make<Process.Handle<unknown>>();
      const end = yield* Queue.make<unknown>();
      const child = yield* Process.spawn(Handles.lends, back, end);
      const lent = yield* back.get;
      const joining = yield* Effect.fork(Effect.flip(lent.join));
      yield* lent.isAlive;
      yield* child.kill;
      assertInstanceOf(yield* Fiber.join(joining), Process.Unreachable);
    }),
  );

  check(
    "a process itself is in no message: the error says to send its handle",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Effects.add, 1, 2);
      const error = yield* Effect.flip(run(Handles.joins, child as unknown as Process.Handle<number, string>));
      assertStringIncludes(
        error.toString(),
        "Cannot encode args[0]: a Process stays in the process that has started it",
      );
    }),
  );

  check(
    "wait gives all that are ready, in their order, and takes nothing",
    Effect.gen(function* () {
      const a = yield* Queue.make<number>();
      const b = yield* Queue.make<number>();
      const child = yield* Process.spawn(Effects.add, 1, 2);
      yield* child.status;
      yield* b.put(1);
      assertEquals(yield* wait([a, b, child]), [b, child]);
      assertEquals(yield* wait([child, a, b]), [child, b]);
      assertEquals(yield* b.size, 1);
    }),
  );

  check(
    "wait without time only looks, with time gives none when that is over, and none of nothing",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      for (const timeout of [0, "1 millis", "20 millis"] as const) {
        assertEquals(yield* wait([queue], { timeout }), []);
      }
      assertEquals(yield* wait([], { timeout: 5 }), []);
      yield* queue.put(1);
      assertEquals(yield* wait([queue], { timeout: 0 }), [queue]);
    }),
  );

  check(
    "wait wakes up for an item, for the end of a queue, and for the end of a process, in whichever process it waits",
    Effect.gen(function* () {
      const begun = yield* Queue.make<null>();
      const lingering = yield* Process.spawn(Tasks.linger);
      for (const wake of ["item", "close", "shutdown", "end"] as const) {
        const [a, b] = [yield* Queue.make<number>(), yield* Queue.make<number>()];
        const child = wake === "end" ? yield* Process.spawn(Tasks.linger) : lingering;
        const there = yield* Process.spawn(Handles.waits, a, b, child.handle, begun);
        const here = yield* Effect.fork(wait([a, b, child]));
        yield* begun.get;
        if (wake === "item") yield* b.put(1);
        else if (wake === "end") yield* child.kill;
        else yield* b[wake];
        assertEquals(yield* there.join, [wake === "end" ? 2 : 1], wake);
        assertEquals(yield* Fiber.join(here), wake === "end" ? [child] : [b], wake);
      }
      yield* lingering.kill;
    }),
  );

  check(
    "wait takes queues, connections and processes together, wherever each of them is, and takes nothing",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const [mine, theirs] = yield* Pipe.make<string>();
      const child = yield* Process.spawn(Tasks.linger);
      const there = yield* Process.spawn(Handles.waitsForAll, queue, theirs, child.handle);
      assertEquals(yield* wait([queue, mine, child]), [mine]);
      assertEquals(yield* mine.recv, "begun");
      assertEquals(yield* wait([queue, mine, child], { timeout: "1 millis" }), []);
      yield* mine.send("hello");
      assertEquals(yield* mine.recv, "more");
      yield* queue.put(1);
      yield* when(queue.statistics, ({ size }) => size === 0);
      yield* child.kill;
      const [atFirst, ...later] = yield* there.join;
      assert(atFirst.length === 0 || `${atFirst}` === "1");
      assertEquals(later, [[1], [1], [2]]);
      assertEquals(yield* wait([queue, mine, child]), [mine, child]);
    }),
  );

  check(
    "a handle of each kind goes anywhere in a value: as an argument, a result, an item, a message, to a grandchild and back (full)",
    Effect.gen(function* () {
      const told = yield* Queue.make<string>();
      const [mine, theirs] = yield* Pipe.make<string>();
      const child = yield* Process.spawnWith(Tasks.linger, [], { name: "subject" });
      const about = (connection: Pipe.Connection<string>): Handles.All => ({
        of: new Map([["deep", {
          queue: told,
          connection,
          child: child.handle as unknown as Process.Handle<number>,
        }]]),
      });
      yield* Effect.forEach([1, 2, 3], (n) => mine.send(`message ${n}`));
      const result = yield* run(Handles.usesAll, about(theirs));
      const items = yield* Queue.make<Handles.All>();
      const [back, away] = yield* Pipe.make<Handles.All>({ duplex: false });
      const passing = yield* Process.spawn(Handles.passesAll, items, away);
      yield* items.put(result);
      const last = yield* back.recv;
      yield* passing.join;
      const { child: handle, connection, queue } = last.of.get("deep")!;
      yield* queue.put(`${yield* connection.recv} ${handle.name} ${yield* handle.isAlive}`);
      assertEquals(yield* told.takeUpTo(4), [1, 2, 3].map((n) => `message ${n} subject true`));
      assertEquals([yield* mine.recv, yield* mine.recv], ["received", "received"]);
      yield* child.kill;
    }),
  );

  check(
    "wait that is interrupted leaves nobody waiting",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      const child = yield* Process.spawn(Tasks.linger);
      for (let round = 0; round < 20; round++) {
        const waiting = yield* Effect.fork(wait([queue, child, child.handle], { timeout: "1 hour" }));
        for (let turn = 0; turn < round % 4; turn++) yield* Effect.yieldNow();
        yield* Fiber.interrupt(waiting);
      }
      yield* queue.put(1);
      assertEquals(yield* wait([queue, child]), [queue]);
      yield* child.kill;
    }),
  );

  withWorkers(`handles on ${name}`, layer, 1, steps);
};

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
