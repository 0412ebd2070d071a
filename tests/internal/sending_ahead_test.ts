/**
 * Jobs that are sent ahead: the dispatcher of a pool, with workers that take each of their steps when the test says so. Their requests
 * wait in the line of a real child, whose tickets the dispatcher recalls.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Child } from "../../src/Backend.ts";
import type { OpenCall, Place, Report } from "../../src/internal/child/call.ts";
import { ProcessDied } from "../../src/internal/child/errors.ts";
import { type OpenRequest, openRequest, RequestLine } from "../../src/internal/child/server/open_requests.ts";
import { BYTES, Tickets } from "../../src/internal/child/tickets.ts";
import { words } from "../../src/internal/os/atomics.ts";
import { Dispatcher, type Options } from "../../src/internal/pool/dispatcher.ts";
import { PoolError } from "../../src/internal/pool/errors.ts";
import { Observations } from "../../src/internal/pool/insights.ts";
import {
  type Job,
  type JobExit,
  makeSlot,
  type Reply,
  type Slot,
  type Terms,
  unlimited,
} from "../../src/internal/pool/job.ts";
import type { Channel, Link } from "../../src/internal/rpc/link.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, rounds, seed } from "../support/chance.ts";
import { testFunction } from "../support/tier.ts";

interface Sent {
  readonly name: number;
  readonly place: Place;
  readonly done: (reply: Reply) => void;
  readonly call: { interruptible: boolean; report: Report | undefined; cancel: () => void; forget: () => void };
  forgotten: boolean;
}

/** The reply for a job whose worker has died: an Effect that is run when the link has ended. */
const died = (started: ProcessDied["started"]): Reply =>
  Effect.fail(new ProcessDied({ process: "w", pid: 1, task: "t", started, status: { _tag: "Exited", code: 1 } }));

/** A worker, which does nothing by itself. */
class SteppedWorker {
  readonly child: Child;
  readonly tickets: Tickets;
  /** Messages on their way to it. */
  readonly inbox: Array<() => void> = [];
  /** Answers that it has given. */
  readonly answers: Array<{ readonly sent: Sent; readonly ok: boolean }> = [];
  /** Answers that have left. */
  readonly arriving: Array<{ readonly sent: Sent; readonly ok: boolean }> = [];
  /** The job that it runs. */
  running: { readonly sent: Sent; readonly request: OpenRequest } | undefined;
  readonly #line = new RequestLine();
  readonly #open = new Set<Sent>();
  readonly #watchers: Array<() => void> = [];
  readonly #begun: (name: number) => void;
  #flushed: Array<() => void> = [];
  readonly #link = { flushed: (done: () => void) => void this.#flushed.push(done) } as unknown as Link;

  constructor(begun: (name: number) => void) {
    this.#begun = begun;
    const ring = words(new ArrayBuffer(BYTES));
    this.#line.ring = ring;
    this.tickets = new Tickets(ring, () => {});
    const closed: { reason: unknown } = { reason: undefined };
    const link = {
      get closed() {
        return closed.reason;
      },
      onClosed: (watcher: () => void) => this.#watchers.push(watcher),
    };
    this.child = { name: "worker", link } as unknown as Child;
    this.die = () => {
      // What had left arrives before the end.
      while (this.receive());
      closed.reason = true;
      for (const { done, place } of [...this.#open]) done(died(place.unbegun() ? "no" : "unknown"));
      for (const watcher of this.#watchers) watcher();
    };
  }

  readonly die: () => void;

  begin(name: number, done: (reply: Reply) => void, place: Place): OpenCall {
    const cancel = (): void => {
      this.inbox.push(() => {
        if (this.#line.leave(request)) reply(false);
        else if (this.running?.sent === sent) this.finish(false);
      });
    };
    const forget = (): void => {
      sent.forgotten = true;
      this.#open.delete(sent);
    };
    const call = { interruptible: false, report: undefined, cancel, forget };
    const sent: Sent = { name, place, done, call, forgotten: false };
    const request = openRequest(
      {} as Channel,
      { queued: true, fresh: !place.ahead, ticket: place.ticket } as never,
      [],
    );
    const reply = (ok: boolean): void => {
      this.answers.push({ sent, ok });
      this.#line.advance(request, this.#link, !ok);
    };
    this.#open.add(sent);
    this.inbox.push(() =>
      this.#line.add(request, () => {
        this.#begun(name);
        this.running = { sent, request };
      })
    );
    return sent.call;
  }

  /** The next message arrives. */
  deliver(): boolean {
    const message = this.inbox.shift();
    message?.();
    return message !== undefined;
  }

  /** The running job ends. */
  finish(ok: boolean): boolean {
    if (this.running === undefined) return false;
    const { request, sent } = this.running;
    this.running = undefined;
    this.answers.push({ sent, ok });
    this.#line.advance(request, this.#link, !ok);
    return true;
  }

  /** The answers leave, and the next job begins. */
  flush(): boolean {
    const flushed = this.#flushed;
    if (flushed.length === 0) return false;
    this.#flushed = [];
    this.arriving.push(...this.answers.splice(0));
    for (const done of flushed) done();
    return true;
  }

  /** The pool reads the next answer. */
  receive(): boolean {
    const answer = this.arriving.shift();
    if (answer === undefined) return false;
    const { ok, sent } = answer;
    assert(!sent.forgotten, "the answer of a job that was taken back");
    this.#open.delete(sent);
    sent.call.report = {
      work: 0.01,
      decoding: 0,
      decodedAt: undefined,
      bytes: 1,
      maxBytes: 100,
      failed: !ok,
      before: undefined,
    };
    sent.done(ok ? Exit.succeed(sent.name) : Exit.fail("failed"));
    return true;
  }

  /** All steps until nothing is left to do. */
  run(): boolean {
    let moved = false;
    while (this.deliver() || this.finish(true) || this.flush() || this.receive()) moved = true;
    return moved;
  }
}

const nothing = { task: "nothing", idempotent: false, queueable: false, long: false, encoding: 0 };

const open: OpenCall = { interruptible: false, report: undefined, cancel: () => {}, forget: () => {} };

class World {
  readonly dispatcher: Dispatcher;
  readonly workers: Array<SteppedWorker> = [];
  readonly slots: Array<Slot> = [];
  /** The jobs that have begun, in their order. */
  readonly begun: Array<number> = [];
  readonly exits = new Map<number, JobExit>();
  readonly timers: Array<() => void> = [];
  readonly #replies: Array<() => void> = [];
  readonly #byChild = new Map<Child, SteppedWorker>();
  #named = 0;

  constructor(size: number, options: Partial<Options> = {}) {
    this.dispatcher = new Dispatcher({
      gracePeriod: "1 hour",
      concurrency: 1,
      ahead: 2,
      measured: false,
      maxJobs: Infinity,
      kill: () => {},
      run: (reply, done) => void this.#replies.push(() => done(Effect.runSyncExit(reply))),
      rest: () => () => {},
      after: (_millis, run) => {
        this.timers.push(run);
        return () => {};
      },
      overrun: (reason) => new PoolError({ reason, message: reason }),
      onIdle: () => {},
      onWaiting: () => {},
      onAhead: () => {},
      onLast: () => {},
      onFinished: () => {},
      observations: new Observations(undefined, () => {}),
      ...options,
    });
    for (let i = 0; i < size; i++) {
      this.slots.push(makeSlot(i));
      this.dispatcher.open(this.slots[i]);
      this.start(i);
    }
  }

  /** A worker dies, and another one takes its place. */
  replace(at: number): void {
    this.workers[at].die();
    for (const run of this.#replies.splice(0)) run();
    this.start(at);
  }

  /** Starts a worker in a slot, which has tickets at once. */
  start(at: number): void {
    const worker = new SteppedWorker((name) => this.begun.push(name));
    this.workers[at] = worker;
    this.#byChild.set(worker.child, worker);
    const slot = this.slots[at];
    const held = this.dispatcher.submit(
      { ...nothing, begin: (_child, done) => ({ ...open, cancel: () => done(Exit.void) }) },
      () => {},
      { ...unlimited, priority: 100 },
      slot,
    );
    this.dispatcher.add(slot, worker.child, 0);
    slot.tickets = worker.tickets;
    this.dispatcher.cancel(held);
  }

  submit(terms: Partial<Terms> = {}, task = "task"): { readonly name: number; readonly job: Job } {
    const name = this.#named++;
    const job = this.dispatcher.submit(
      {
        task,
        idempotent: false,
        queueable: true,
        long: false,
        encoding: 0,
        begin: (child, done, place) =>
          this.#byChild.get(child)!.begin(name, done, place ?? { ahead: false, ticket: 0, unbegun: () => false }),
      },
      (exit) => {
        assert(!this.exits.has(name), `job ${name} settles twice`);
        this.exits.set(name, exit);
      },
      { ...unlimited, ...terms },
    );
    return { name, job };
  }

  get counts(): readonly [busy: number, waiting: number] {
    return [this.dispatcher.busy, this.dispatcher.waiting];
  }

  /** Lets all workers do everything. */
  run(): void {
    while (this.workers.map((worker) => worker.run()).includes(true));
  }
}

const succeeded = (exit: JobExit | undefined): boolean => exit !== undefined && Exit.isSuccess(exit);

testFunction("a job that was sent ahead counts as waiting until its worker takes it up", () => {
  const world = new World(1);
  const [first, second] = [world.submit(), world.submit()];
  world.workers[0].deliver();
  world.workers[0].deliver();
  assertEquals([world.counts, world.workers[0].inbox.length], [[1, 1], 0]);
  assertEquals(second.job.ahead, true);
  world.workers[0].finish(true);
  world.workers[0].flush();
  world.workers[0].receive();
  assertEquals([world.counts, second.job.ahead, world.begun], [[1, 0], false, [first.name, second.name]]);
  world.run();
  assertEquals([world.exits.size, world.counts], [2, [0, 0]]);
});

testFunction("an idle worker gets a job that was sent ahead to a worker that computes", () => {
  const world = new World(2);
  const jobs = Array.from({ length: 4 }, () => world.submit());
  const [busy, free] = world.workers[0].inbox.length > world.workers[1].inbox.length
    ? world.workers
    : world.workers.toReversed();
  // This one has begun its first job, and reads nothing.
  busy.deliver();
  const [long] = world.begun;
  free.run();
  assertEquals(world.exits.size, 3);
  assertEquals(world.begun.toSorted(), jobs.map(({ name }) => name));
  assertEquals([world.exits.has(long), ...world.counts], [false, 1, 0]);
  // The requests arrive when it has ended, and are dropped.
  world.run();
  assertEquals([world.begun.length, world.exits.size], [4, 4]);
  assert([...world.exits.values()].every(succeeded));
});

testFunction("a job that has begun stays with its worker", () => {
  const world = new World(2);
  const jobs = Array.from({ length: 3 }, () => world.submit());
  const [loaded, free] = world.workers[0].inbox.length > 1 ? world.workers : world.workers.toReversed();
  loaded.deliver();
  loaded.deliver();
  loaded.finish(true);
  // The second job begins; the answer to the first is on its way.
  loaded.flush();
  free.run();
  assertEquals(world.begun.length, 3);
  assertEquals(world.exits.size, 1);
  world.run();
  assertEquals(world.begun.toSorted(), jobs.map(({ name }) => name));
  assertEquals(world.exits.size, 3);
});

testFunction("a job that was sent ahead and is cancelled never begins, and nothing waits for its worker", () => {
  const world = new World(1);
  const [first, second, third] = [world.submit(), world.submit(), world.submit()];
  world.workers[0].deliver();
  assertEquals(world.dispatcher.cancel(second.job), true);
  assertEquals(world.counts, [1, 1]);
  world.run();
  assertEquals(world.begun, [first.name, third.name]);
  assertEquals([...world.exits.keys()], [first.name, third.name]);
});

testFunction("a job of a larger priority begins before those that were sent ahead", () => {
  const world = new World(1);
  const [first, second, third] = [world.submit(), world.submit(), world.submit()];
  world.workers[0].deliver();
  const urgent = world.submit({ priority: 1 });
  world.run();
  assertEquals(world.begun, [first.name, urgent.name, second.name, third.name]);
  assertEquals(world.exits.size, 4);
});

testFunction("the limit of a job's wait holds until it begins", () => {
  const world = new World(1);
  const first = world.submit();
  const [late, begun] = [world.submit({ queueTimeout: 10 }), world.submit({ queueTimeout: 10 })];
  assertEquals(world.timers.length, 2);
  world.workers[0].deliver();
  world.timers[0]();
  assert(Exit.isFailure(world.exits.get(late.name)!));
  world.workers[0].deliver();
  world.workers[0].deliver();
  world.workers[0].finish(true);
  world.workers[0].flush();
  // It has begun, which the pool does not know yet.
  world.timers[1]();
  world.run();
  assertEquals(world.begun, [first.name, begun.name]);
  assert(succeeded(world.exits.get(begun.name)));
});

testFunction("after a failure, jobs that were sent ahead begin when the pool has seen it", () => {
  const world = new World(1);
  const [first, second, third] = [world.submit(), world.submit(), world.submit()];
  const [worker] = world.workers;
  while (worker.deliver());
  worker.finish(false);
  worker.flush();
  assertEquals(world.begun, [first.name]);
  worker.receive();
  assertEquals(world.counts, [1, 1]);
  world.run();
  assertEquals(world.begun, [first.name, second.name, third.name]);
  assertEquals([second, third].map(({ name }) => succeeded(world.exits.get(name))), [true, true]);
});

testFunction(
  "a job that its worker has not begun when it dies runs elsewhere, even if the pool counted it as running",
  () => {
    const world = new World(1);
    const [first, second, third] = [world.submit(), world.submit(), world.submit()];
    const [worker] = world.workers;
    worker.deliver();
    worker.finish(true);
    worker.flush();
    worker.receive();
    // The second request has not arrived.
    assertEquals([second.job.ahead, third.job.ahead], [false, true]);
    world.replace(0);
    assertEquals(world.exits.size, 1);
    world.run();
    assertEquals(world.begun, [first.name, second.name, third.name]);
    assert([...world.exits.values()].every(succeeded));
  },
);

testFunction("jobs behind a late one begin elsewhere before later jobs", () => {
  const world = new World(2);
  const jobs = Array.from({ length: 8 }, () => world.submit());
  const [late, other] = world.workers;
  late.deliver();
  const [front] = jobs.filter(({ job }) => job.slot === world.slots[0]);
  const behind = jobs.filter(({ job }) => job.slot === world.slots[0] && job.ahead).map(({ name }) => name);
  assertEquals(behind.length, 2);
  // As if it had run for a minute.
  front.job.since -= 60_000;
  other.run();
  assertEquals(world.begun.length, 8);
  const order = world.begun.filter((name) => behind.includes(name) || name >= 6);
  assertEquals(order, [...behind, 6, 7]);
});

testFunction(
  "with measured times, jobs are sent ahead only behind short ones, to workers that can give them back",
  () => {
    const world = new World(1, { measured: true, ahead: 8 });
    const [worker] = world.workers;
    for (let i = 0; i < 16; i++) {
      world.submit({}, "short");
      world.submit({}, "other");
      assertEquals(world.slots[0].running.size, 1);
      world.run();
    }
    world.submit({}, "short");
    world.submit({}, "unknown");
    world.submit({}, "short");
    // Behind a task whose time is not known, nothing is sent ahead.
    assertEquals(world.slots[0].running.size, 2);
    world.run();
    world.slots[0].tickets = undefined;
    world.submit({}, "short");
    world.submit({}, "short");
    assertEquals(world.slots[0].running.size, 1);
    worker.run();
    assertEquals(world.dispatcher.waiting, 0);
  },
);

/** One round: workers and callers do what chance says. */
const storm = (): void => {
  const size = 1 + below(3);
  const world = new World(size, { ahead: 1 + below(3) });
  const jobs: Array<{ readonly name: number; readonly job: Job }> = [];
  const cancelled = new Set<number>();
  let deaths = 0;
  for (let step = 0; step < 300; step++) {
    const at = below(size);
    const worker = world.workers[at];
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        jobs.push(world.submit({ priority: below(3) - 1, affinity: below(4) === 0 ? below(3) : undefined }));
        break;
      case 3: {
        const victim = jobs[below(jobs.length)];
        if (victim !== undefined && world.dispatcher.cancel(victim.job)) cancelled.add(victim.name);
        break;
      }
      case 4:
        if (below(5) > 0) break;
        deaths++;
        world.replace(at);
        break;
      case 5:
        worker.finish(below(8) > 0);
        break;
      case 6:
        worker.flush();
        break;
      case 7:
        worker.receive();
        break;
      default:
        worker.deliver();
    }
    const [busy, waiting] = world.counts;
    assertEquals(busy + waiting + world.exits.size + cancelled.size, jobs.length, `seed ${seed}, step ${step}`);
  }
  world.run();
  assertEquals(world.exits.size + cancelled.size, jobs.length, `seed ${seed}: all settle`);
  assertEquals(new Set(world.begun).size, world.begun.length, `seed ${seed}: none begins twice`);
  assertEquals(world.counts, [0, 0]);
  for (const { name } of jobs) {
    const begun = world.begun.includes(name);
    assert(!(cancelled.has(name) && begun), `seed ${seed}: ${name} was taken back, and has begun`);
    assert(!succeeded(world.exits.get(name)) || begun, `seed ${seed}: ${name} succeeds, and has not begun`);
    assert(deaths > 0 || cancelled.has(name) || begun || world.exits.has(name), `seed ${seed}: ${name} is lost`);
  }
};

testFunction("whatever happens in whatever order, each job settles once and begins at most once (storm)", () => {
  for (let round = rounds(300, 20_000); round > 0; round--) storm();
});
