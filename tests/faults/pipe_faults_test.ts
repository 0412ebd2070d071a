/**
 * Pipes whose users and hosts are killed at random moments: each message whose send has returned arrives exactly once
 * and in order, followed by the end of file; an end that moves has one owner or is closed; no surviving process waits
 * for ever.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import { type Backend, Pipe, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, rounds, seed } from "../support/chance.ts";
import { until } from "../support/leaks.ts";
import * as Tasks from "./pipe_fault_tasks.ts";
import * as Hosts from "../api/pipe_tasks.ts";
import * as Queues from "../api/queue_tasks.ts";
import { temporary, test, warmUp, when } from "../support/suite.ts";
import { repeated, repeating } from "../support/tier.ts";

type Any = Tasks.Any;

/** Number of kills, and of pipes in use at each. */
const KILLS = rounds(3, 13);
const PIPES = 40;

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

const pick = <A>(choices: ReadonlyArray<A>): A => choices[below(choices.length)];

/** The tag and the reason of a failure. */
const described = (error: unknown): string => Queues.described(error as never);

const failure = (program: Effect.Effect<unknown, unknown>): Effect.Effect<string> =>
  Effect.map(Effect.flip(Effect.asVoid(program)), described) as Effect.Effect<string>;

type Make = (options?: Pipe.Options) => Effect.Effect<Hosts.Ends, unknown, Scope.Scope>;
type MakeQueue = Effect.Effect<Queue.Queue<Tasks.Bounced>, unknown, Scope.Scope>;

/** The operations on one pipe by the killed process and by this process. */
interface Round {
  readonly job: Tasks.Job;
  /** The other end. */
  readonly other: Any;
  /** Number of sends that have returned, and received numbers in order. */
  readonly sent: { victim: number; own: number };
  readonly got: { readonly victim: Array<number>; readonly own: Array<number> };
  /** The users of the pipe, each with its expected final failure. */
  readonly users: Array<readonly [Fiber.Fiber<unknown, unknown>, expected: "EndOfFile" | "BrokenPipe"]>;
  bouncing: Fiber.Fiber<unknown, unknown> | undefined;
  has: Tasks.Bounced | undefined;
}

const contiguous = (items: ReadonlyArray<number>): boolean => items.every((n, i) => n === i);

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>, { signals }: { readonly signals: boolean }): void => {
  const register = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`pipe faults on ${name}: ${title}`, Effect.provide(program, layer));

  /** A process that makes pipes, and hosts them. */
  const hosting = Effect.gen(function* () {
    const wanted = yield* Queue.make<Pipe.Options>();
    const made = yield* Queue.make<Hosts.Ends>();
    const child = yield* Process.spawnWith(Hosts.hosting, [wanted, made], { daemon: true });
    const make: Make = (options = {}) => Effect.zipRight(wanted.put(options), made.get);
    return { child, make };
  });

  /** A process that makes queues, and hosts them. */
  const hostingQueues = Effect.gen(function* () {
    const wanted = yield* Queue.make<Queues.Wanted>();
    const made = yield* Queue.make<Queues.Any>();
    const child = yield* Process.spawnWith(Queues.hosting, [wanted, made], { daemon: true });
    const make: MakeQueue = Effect.zipRight(wanted.put(["fifo", {}]), made.get);
    return { child, make };
  });

  /** Makes a pipe, and the job of its user. */
  const begin = (id: number, make: Make, queue: MakeQueue): Effect.Effect<Round, unknown, Scope.Scope> =>
    Effect.gen(function* () {
      const [other, end] = yield* make({ maxBytes: pick([500, 20_000, 200_000]) });
      const base = {
        other,
        sent: { victim: 0, own: 0 },
        got: { victim: [], own: [] },
        users: [],
        bouncing: undefined,
        has: undefined,
      };
      const kind = id % 8;
      if (kind < 5) {
        return {
          ...base,
          job: {
            id,
            end,
            ...[0, 1, 2].includes(kind) ? { send: pick(Tasks.sendings) } : {},
            ...[2, 3, 4].includes(kind) ? { receive: pick(Tasks.receivings) } : {},
          },
        };
      }
      if (kind === 5) return { ...base, job: { id, end } };
      const [from, to] = [yield* queue, yield* queue];
      yield* from.put([end, 0]);
      return { ...base, job: { id, bounce: { from, to, does: kind === 6 ? "sends" : "receives" } } };
    });

  /** Uses the other end as the job requires. */
  const use = (round: Round): Effect.Effect<void, unknown> =>
    Effect.gen(function* () {
      const { got, job: { bounce, receive, send }, other, sent, users } = round;
      const reads = (how: Tasks.Receiving) => Tasks.receiveNumbers(other, how, (n) => got.own.push(n));
      const writes = (how: Tasks.Sending) => Tasks.sendNumbers(other, how, (count) => sent.own = count);
      if (send !== undefined) users.push([yield* Effect.fork(reads(pick(Tasks.waysToReceive[send]))), "EndOfFile"]);
      if (receive !== undefined) {
        const ways = Tasks.sendings.filter((way) => Tasks.waysToReceive[way].includes(receive));
        users.push([yield* Effect.fork(writes(pick(ways))), "BrokenPipe"]);
      }
      if (send === undefined && receive === undefined && bounce === undefined) {
        users.push([yield* Effect.fork(other.recv), "EndOfFile"]);
      }
      if (bounce === undefined) return;
      const { does, from, to } = bounce;
      if (does === "sends") users.push([yield* Effect.fork(reads("recv")), "EndOfFile"]);
      else users.push([yield* Effect.fork(writes("send")), "BrokenPipe"]);
      round.bouncing = yield* Effect.fork(Tasks.bounce({ does, from: to, to: from }, {
        did: (n) => does === "sends" ? sent.own = n + 1 : got.own.push(n),
        has: (bounced) => round.has = bounced,
      }));
    });

  /** Finds the end that was moving, unless it died with the killed process, and checks that it works. */
  const recover = (round: Round, says: string): Effect.Effect<void, unknown> =>
    Effect.gen(function* () {
      const { bouncing, job: { bounce }, other } = round;
      if (bounce === undefined) return;
      yield* Fiber.interrupt(bouncing!);
      const found = round.has ?? Option.getOrUndefined(yield* bounce.from.tryGet) ??
        Option.getOrUndefined(yield* bounce.to.tryGet);
      if (found === undefined) return;
      const [end, next] = found;
      if (bounce.does === "sends") {
        yield* Tasks.sendOne(end, next);
        round.sent.own = next + 1;
        yield* Effect.promise(() => until(`it has come: ${says}`, () => round.got.own.length === next + 1));
      } else {
        assertEquals(yield* Tasks.recvOne(end), next, says);
        round.got.own.push(next);
      }
      assertEquals((yield* other.statistics).peer, "open", says);
      yield* end.close;
    });

  const check = ({ got, job, sent }: Round, says: string): void => {
    const { bounce, receive, send } = job;
    if (send !== undefined || bounce?.does === "sends") {
      assert(contiguous(got.own), `not all in order ${says}`);
      const returned = Math.max(sent.victim, bounce === undefined ? 0 : sent.own);
      const more = got.own.length - returned;
      assert(more >= 0, `${-more} messages are lost ${says}`);
      assert(more <= (send === "toSink" ? Tasks.BATCH : 1), `${more} messages too many ${says}`);
    }
    if (receive !== undefined) {
      assert(contiguous(got.victim), `the victim did not receive all in order ${says}`);
      assert(got.victim.length <= sent.own + Tasks.BATCH, `the victim received more than was sent ${says}`);
    }
    if (bounce?.does === "receives") {
      for (const list of [got.victim, got.own]) assert(list.every((n, i) => i === 0 || list[i - 1] < n), says);
      assert(contiguous([...got.victim, ...got.own].sort((a, b) => a - b)), `lost or come twice ${says}`);
    }
  };

  /** One kill, and its effect on all these pipes. */
  const kill = (make: Make, queue: MakeQueue, number: number): Effect.Effect<void, unknown, Backend.Backend> =>
    Effect.scoped(Effect.gen(function* () {
      const used = yield* Effect.forEach(numbers(PIPES), (id) => begin(id, make, queue));
      const path = yield* temporary;
      const child = yield* Process.spawnWith(Tasks.victim, [used.map(({ job }) => job), path], { daemon: true });
      // In some rounds the process is killed before it begins.
      const early = below(8) === 0;
      if (!early) yield* Effect.promise(() => until("it has begun", () => Deno.statSync(path).size > 0));
      const idle = used.filter(({ job }) =>
        job.end !== undefined && job.send === undefined && job.receive === undefined
      );
      if (!early) {
        for (const { other } of idle) {
          // No message arrives, however long the receiver waits.
          assertEquals(yield* other.poll(below(2)), false);
          assert(Option.isNone(yield* Effect.timeoutOption(other.recv, "1 millis")));
        }
      }
      yield* Effect.forEach(used, use);
      if (!early) yield* Effect.sleep(below(12));
      // The exit of the process arrives after everything that it has sent.
      yield* Effect.zipRight(child.kill, child.exit);
      const lines = Deno.readTextFileSync(path).split("\n").slice(1, -1);
      const which = `kill ${number}, seed ${seed}`;
      for (const line of lines) {
        const [sign, id, n] = line.split(" ");
        assert(sign !== "!", `${which}: ${line}`);
        if (sign === "+") used[Number(id)].sent.victim = Number(n);
        else used[Number(id)].got.victim.push(Number(n));
      }
      for (const round of used) {
        const { job, other, users } = round;
        const says = `${which}: ${
          JSON.stringify({ job, sent: round.sent, got: [round.got.victim.length, round.got.own.length] })
        }`;
        yield* recover(round, says);
        for (const [fiber, expected] of users) {
          const onTimeout = () => new Error(`the receiver waits in vain: ${says}`);
          const waited = Effect.timeoutFail(Fiber.await(fiber), { duration: "20 seconds", onTimeout });
          const exit = yield* waited as Effect.Effect<Exit.Exit<unknown, unknown>, unknown>;
          assertEquals(yield* failure(exit), expected, says);
        }
        // Every later operation fails at once.
        assertEquals(yield* failure(other.send(1)), "BrokenPipe", says);
        assertEquals(yield* other.poll(), true, says);
        if (job.send !== undefined || job.receive === undefined) {
          assertEquals(yield* failure(other.recv), "EndOfFile", says);
        }
        check(round, says);
      }
    }));

  for (const where of ["here", "in a process that is none of the two"] as const) {
    register(
      `a process that is killed with ends of ${PIPES} pipes, the pipes ${where} (full) (storm)`,
      Effect.gen(function* () {
        const make: Make = where === "here" ? (options) => Pipe.make<unknown>(options) : (yield* hosting).make;
        const queues = [Queue.make<Tasks.Bounced>(), (yield* hostingQueues).make];
        for (const n of numbers(KILLS)) yield* kill(make, queues[n % 2], n);
      }),
    );
  }

  /** Runs the test with pipes of this process, and with pipes of another process. */
  const anywhere = (
    title: string,
    program: (make: Make) => Effect.Effect<unknown, unknown, Backend.Backend | Scope.Scope>,
  ) =>
    register(
      title,
      Effect.gen(function* () {
        yield* program((options) => Pipe.make<unknown>(options));
        yield* program((yield* hosting).make);
      }),
    );

  /** Puts an end into this queue, and returns the other end. */
  const away = (
    make: Make,
    into: (end: unknown) => Effect.Effect<unknown, unknown>,
  ): Effect.Effect<Any, unknown, Scope.Scope> =>
    Effect.gen(function* () {
      const [mine, theirs] = yield* make();
      yield* theirs.send("early");
      // Nested deeply, beside other values.
      const [more, other] = yield* make();
      yield* into({ deep: [theirs, { more }] });
      assert(theirs.closed && more.closed);
      assertEquals(
        yield* failure(Effect.zipRight(other.recv, Effect.void)).pipe(Effect.timeoutOption("1 millis")),
        Option.none(),
      );
      assertEquals(yield* mine.recv, "early");
      return mine;
    });

  anywhere(
    "an end in a queue that is shut down, or whose scope closes, is closed (full)",
    (make) =>
      Effect.gen(function* () {
        const elsewhere = (yield* hostingQueues).make;
        for (const queue of [yield* Queue.make<unknown>(), (yield* elsewhere) as Queue.Queue<unknown>]) {
          const one = yield* away(make, queue.put);
          const other = yield* away(make, (end) => queue.putAll([1, end, 2]));
          yield* queue.shutdown;
          assertEquals([yield* failure(one.recv), yield* failure(other.recv)], ["EndOfFile", "EndOfFile"]);
          // A refused message has moved nothing.
          const [mine, theirs] = yield* make();
          assertEquals(yield* failure(queue.put(theirs)), "QueueClosed ShutDown");
          assert(!theirs.closed);
          yield* theirs.send("kept");
          assertEquals(yield* mine.recv, "kept");
        }
        const scope = yield* Scope.make();
        const queue = yield* Scope.extend(Queue.make<unknown>(), scope);
        const mine = yield* away(make, queue.put);
        yield* Scope.close(scope, Exit.void);
        assertEquals(yield* failure(mine.recv), "EndOfFile");
      }),
  );

  anywhere("an end in a queue whose host is killed is closed (full)", (make) =>
    Effect.gen(function* () {
      const host = yield* hostingQueues;
      const queue = (yield* host.make) as Queue.Queue<unknown>;
      const mine = yield* away(make, queue.put);
      const waiting = yield* Effect.fork(failure(mine.recv));
      yield* when(mine.statistics, ({ receivers }) => receivers === 1);
      yield* host.child.kill;
      assertEquals(yield* Fiber.join(waiting), "EndOfFile");
    }));

  anywhere("an end in an item that has no place in the order is closed (full)", (make) =>
    Effect.gen(function* () {
      const queue = yield* Queue.priority<unknown>({ key: () => NaN });
      const [mine, theirs] = yield* make();
      assertEquals(yield* failure(queue.put(theirs)), "QueueError NotOrderable");
      assertEquals(yield* failure(mine.recv), "EndOfFile");
    }));

  anywhere("an end in a message that nobody will receive is closed (full)", (make) =>
    Effect.gen(function* () {
      const third = yield* hosting;
      for (const wrap of [make, third.make]) {
        // Unread when its reader closes, and sent after its reader has closed.
        const [reader, writer] = yield* wrap();
        const mine = yield* away(make, writer.send);
        yield* reader.close;
        assertEquals(yield* failure(mine.recv), "EndOfFile");
        // Unread when its reader is killed. The messages that the reader has read are lost with it.
        const [sends, reads] = yield* wrap();
        const child = yield* Process.spawnWith(Hosts.receiveAndKeep, [reads], { daemon: true });
        const [first, second] = [yield* away(make, sends.send), yield* away(make, sends.send)];
        yield* when(sends.statistics, ({ pendingBytes, unread }) => unread === 1 && pendingBytes > 0);
        yield* child.kill;
        assertEquals([yield* failure(first.recv), yield* failure(second.recv)], ["EndOfFile", "EndOfFile"]);
      }
      // An end without references would be collected and closed.
      const [reader, writer] = yield* third.make();
      const mine = yield* away(make, writer.send);
      yield* third.child.kill;
      assertEquals(yield* failure(mine.recv), "EndOfFile");
      yield* reader.close;
    }));

  anywhere(
    "an end that an interrupted receive gave back has not moved to the receiver (full)",
    (make) =>
      Effect.gen(function* () {
        const queue = (yield* (yield* hostingQueues).make) as Queue.Queue<unknown>;
        for (const round of numbers(40)) {
          const [mine, theirs] = yield* make();
          yield* queue.putAll([theirs, 1]);
          const fiber = yield* Effect.fork(queue.takeUpTo(3));
          if (round < 20) { for (const _ of numbers(round)) yield* Effect.yieldNow(); }
          else {for (const _ of numbers(round - 20)) {
              yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
            }}
          const exit = yield* Effect.zipRight(Fiber.interruptFork(fiber), Fiber.await(fiber));
          const [end] = (Exit.isSuccess(exit) ? exit.value : yield* queue.takeUpTo(3)) as ReadonlyArray<Any>;
          yield* end.send(round);
          assertEquals(yield* mine.recv, round);
          yield* end.close;
          yield* Effect.ignore(queue.tryGet);
        }
      }),
  );

  register(
    "what was sent in the last turn of a process is there, however long that takes after the kill",
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<string>();
      const path = yield* temporary;
      const lines = (): number => Deno.readTextFileSync(path).split("\n").length - 1;
      const child = Effect.gen(function* () {
        const { exit, kill } = yield* Process.spawnWith(Tasks.lastTurn, [theirs, path], { daemon: true });
        yield* Effect.promise(() => until("it has begun", () => lines() === 1));
        yield* Effect.zipRight(kill, exit);
      });
      // Its thread has ended with its scope as well.
      yield* Effect.scoped(child);
      assertEquals(yield* mine.recv, "first");
      const got = yield* Effect.either(mine.recv);
      assertEquals(got._tag === "Right", lines() === 2);
      assertEquals(yield* failure(mine.recv), "EndOfFile");
    }),
  );

  register(
    "a host that is killed at any moment leaves nobody waiting: what has come is received, then all are told (full) (storm)",
    Effect.gen(function* () {
      for (const round of numbers(rounds(2, 6))) {
        const { child, make } = yield* hosting;
        const pipes = yield* Effect.forEach(numbers(8), () => make({ maxBytes: 2000 }));
        const bystander = yield* make();
        const reader = yield* Process.spawn(Hosts.receiveAll, bystander[1]);
        const users = yield* Effect.forEach(pipes, ([one, other], id) =>
          Effect.gen(function* () {
            const got: Array<number> = [];
            const how = Tasks.sendings[id % 3];
            const reads = Tasks.receiveNumbers(other, pick(Tasks.waysToReceive[how]), (n) => got.push(n));
            const fibers = yield* Effect.forEach(
              [Tasks.sendNumbers(one, how, () => {}), reads, one.recv, other.ready, Effect.forever(one.poll("1 hour"))],
              (operation) => Effect.fork(operation as Effect.Effect<unknown, unknown>),
            );
            return { got, fibers };
          }));
        yield* bystander[0].send(round);
        yield* Effect.promise(() => until("they are busy", () => users.every(({ got }) => got.length > 5)));
        yield* Effect.sleep(below(8));
        yield* child.kill;
        for (const { fibers, got } of users) {
          for (const [i, fiber] of fibers.entries()) {
            const exit = yield* Fiber.await(fiber as Fiber.Fiber<unknown, unknown>);
            // A message is available, or was available at the check.
            if (i === 3 && Exit.isSuccess(exit)) continue;
            assertEquals(yield* failure(exit), `Unreachable ${child.name}`, `${i}, ${round}, seed ${seed}`);
          }
          assert(contiguous(got), `${got}, seed ${seed}`);
        }
        assertEquals(yield* failure(reader.join), `Unreachable ${child.name}`);
      }
    }),
  );

  if (!signals) return;

  anywhere(
    "an end that was lent to a consumer that stands still and is killed is for the next, and goes on",
    (make) =>
      Effect.gen(function* () {
        const queue = yield* Queue.make<Any>();
        const [mine, theirs] = yield* make();
        yield* mine.send("unread");
        const child = yield* Process.spawnWith(Queues.attempt, [queue as Queue.Queue<unknown>, "get"], {
          daemon: true,
        });
        yield* when(queue.statistics, ({ takers }) => takers === 1);
        yield* child.signal("SIGSTOP");
        yield* queue.put(theirs);
        assertEquals(yield* queue.size, 0);
        yield* child.kill;
        yield* when(queue.statistics, ({ size }) => size === 1);
        const back = yield* queue.get;
        assertEquals(yield* back.recv, "unread");
        yield* back.send("back");
        assertEquals(yield* mine.recv, "back");
      }),
  );
};

const preload = [import.meta.resolve("./pipe_fault_tasks.ts")];
const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Queues.makeAndReturn), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Queues.makeAndReturn), worker));

suite("subprocess", SubprocessBackend.layer({ stderr: "null", standby: 1, preload }), { signals: true });
repeated(() => suite("worker", WorkerBackend.layer({ standby: 1, preload }), { signals: false }));
