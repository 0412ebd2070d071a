/**
 * A checker: thousands of submissions to one pool whose tasks succeed, throw, exit, hang, are retried or return values
 * that cannot be sent, while callers are interrupted, limits pass, and workers are killed, added and removed. Each
 * submission settles exactly once, with a possible cause.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Random from "effect/Random";
import * as Schedule from "effect/Schedule";
import * as Stream from "effect/Stream";
import { Backend, Pool, SubprocessBackend, type Task, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as tasks from "./checker_tasks.ts";
import { below, rounds, seed } from "../support/chance.ts";
import { descendants } from "../support/leaks.ts";
import { test, warmUp, when } from "../support/suite.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const SUBMISSIONS = rounds(1_000, 6_000);

interface Kind {
  readonly name: string;
  /** Frequency in a thousand submissions. */
  readonly share: number;
  readonly task: Task.Task<[number], unknown, unknown>;
  /** Options of a submission. */
  readonly options?: Pool.CallOptions;
  /** Whether its caller is interrupted. */
  readonly interrupted?: true;
  /** Whether this exit is possible for the submission if its worker is not killed. */
  readonly allows: (exit: Exit.Exit<unknown, unknown>, n: number) => boolean;
}

const failure = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

const reason = (exit: Exit.Exit<unknown, unknown>): unknown => {
  const error = failure(exit);
  return error instanceof Pool.PoolError ? error.reason : undefined;
};

const defect = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined;

const kinds = (killBusy: boolean): ReadonlyArray<Kind> => [
  {
    name: "explodes",
    share: 100,
    task: tasks.explode,
    allows: (exit, n) => (defect(exit) as Error | undefined)?.message === `exploded ${n}`,
  },
  { name: "mute", share: 50, task: tasks.mute, allows: (exit) => failure(exit) instanceof Backend.EncodeError },
  {
    name: "leaves",
    share: 3,
    task: tasks.leave,
    allows: (exit, n) => {
      const error = failure(exit);
      return error instanceof Backend.ProcessDied && error.status._tag === "Exited" &&
        error.status.code === 10 + n % 100;
    },
  },
  { name: "lingers, interrupted", share: 2, task: tasks.linger, interrupted: true, allows: Exit.isInterrupted },
  {
    name: "lingers, timed out",
    share: 2,
    task: tasks.linger,
    options: { timeout: 5 },
    allows: (exit) => reason(exit) === "Timeout",
  },
  {
    name: "lingers to its deadline",
    share: 2,
    task: tasks.linger,
    options: { deadline: 20 },
    allows: (exit) => reason(exit) === "Deadline",
  },
  {
    name: "has no time to wait",
    share: 20,
    task: tasks.succeed,
    options: { queueTimeout: 1 },
    allows: (exit, n) => Exit.isSuccess(exit) ? exit.value === n : reason(exit) === "QueueTimeout",
  },
  {
    name: "stumbles",
    share: 50,
    task: tasks.stumble,
    options: { retry: Schedule.recurs(2) },
    allows: (exit, n) => Exit.isSuccess(exit) ? exit.value === n : failure(exit) === `stumbled ${n}`,
  },
  {
    name: "kills",
    share: 2,
    task: tasks.leaveAgain,
    options: { retry: { schedule: Schedule.forever, kills: 2 } },
    allows: (exit, n) => {
      const error = failure(exit);
      return error instanceof Pool.Poisoned && error.task === "leaveAgain" && error.deaths.length === 2 && n >= 0;
    },
  },
  ...(killBusy
    ? [{
      name: "spins",
      share: 1,
      task: tasks.spin,
      options: { timeout: 5 },
      allows: (exit: Exit.Exit<unknown, unknown>) => reason(exit) === "Timeout",
    }]
    : []),
  // The remaining submissions.
  { name: "succeeds", share: 1000, task: tasks.succeed, allows: (exit, n) => Exit.isSuccess(exit) && exit.value === n },
];

const wasKilled = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = failure(exit);
  return error instanceof Backend.ProcessDied && error.status._tag === "Signaled" && error.status.signal === "SIGKILL";
};

/** The pools. */
const pools = {
  "of a fixed size": { size: 3 },
  "that grow and shrink, and send tasks ahead": {
    size: { min: 1, max: 4, growAfter: 1, idleTimeToLive: 5 },
    prefetch: 2,
    queueCapacity: 100,
  },
  "whose workers run three tasks at a time": { size: 2, concurrency: 3 },
} satisfies Record<string, Pool.Options>;

const check = (
  layer: Layer.Layer<Backend.Backend>,
  submissions: number,
  options: Pool.Options,
): Effect.Effect<void, unknown> =>
  Effect.scoped(Effect.gen(function* () {
    const { capabilities } = yield* Backend.Backend;
    const all = kinds(capabilities.killBusy);
    const pool = yield* Pool.make({ ...options, gracePeriod: "50 millis", forceKillAfter: "50 millis" });
    // The death of a worker concerns all tasks that it runs.
    const shared = options.concurrency !== undefined;
    const settled = new Array<number>(submissions).fill(0);
    const wrong: Array<string> = [];
    let killed = 0;

    const kill = Effect.sync(() => {
      const workers = descendants(Deno.pid).filter(({ state }) => state !== "Z");
      const victim = workers[killed % workers.length];
      if (victim === undefined) return;
      Deno.kill(victim.pid, "SIGKILL");
      killed++;
    }).pipe(Effect.catchAllDefect(() => Effect.void));

    const submit = (n: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        let dice = yield* Random.nextIntBetween(0, 1000);
        const kind = all.find(({ share }) => (dice -= share) < 0)!;
        const priority = yield* Random.nextIntBetween(-1, 2);
        const submission = yield* Effect.orDie(pool.submitWith(kind.task, [n], { priority, ...kind.options }));
        if (kind.interrupted === true) yield* submission.cancel;
        if (capabilities.signals && n % 500 === 250) yield* kill;
        const exit = yield* Effect.exit(submission.await);
        settled[n]++;
        const error = failure(exit);
        const killed = shared
          // A task that is run again may meet several deaths of its neighbours' making.
          ? error instanceof Backend.ProcessDied ||
            (kind.options?.retry !== undefined && error instanceof Pool.Poisoned)
          : capabilities.signals && wasKilled(exit);
        if (!kind.allows(exit, n) && !killed) {
          wrong.push(`${n} ${kind.name}: ${Exit.isSuccess(exit) ? "succeeded" : Cause.pretty(exit.cause)}`);
        }
      });

    yield* Effect.forEach(Array.from({ length: submissions }, (_, n) => n), submit, {
      concurrency: "unbounded",
      discard: true,
    });
    assertEquals(wrong, []);
    assert(settled.every((times) => times === 1), "each submission settles exactly once");
    assert(!capabilities.signals || submissions < 500 || killed > 0, "workers were killed");
    // Afterwards the pool works as before.
    assertEquals(yield* pool.map(tasks.succeed, [1, 2, 3]), [1, 2, 3]);
    const { busy, resting, waiting } = yield* pool.statistics;
    assertEquals({ busy, resting, waiting }, { busy: 0, resting: 0, waiting: 0 });
    // The last killed worker may have died after the last submission settled, so its replacement may still be starting.
    yield* when(pool.statistics, ({ alive, size }) => alive === size);
  })).pipe(Effect.provide(layer));

/** Kills a worker now and then, while a stream is read. */
const killing = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.tap(Stream.zipWithIndex(stream), ([, index]) =>
    Effect.sync(() => {
      if (index % 200 !== 100) return;
      const workers = descendants(Deno.pid).filter(({ state }) => state !== "Z");
      const victim = workers[below(workers.length)];
      try {
        if (victim !== undefined) Deno.kill(victim.pid, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    })).pipe(Stream.map(([value]) => value));

const checkStreams: Effect.Effect<void, unknown> = Effect.scoped(Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 3 });
  const count = rounds(400, 2_000);
  const died = (exit: Exit.Exit<unknown, unknown>): boolean => failure(exit) instanceof Backend.ProcessDied;
  let deaths = 0;
  for (const options of [{}, { unordered: true }, { chunkSize: 7 }]) {
    const source = Stream.range(0, count - 1);
    const exits = Array.from(yield* Stream.runCollect(killing(pool.mapStreamSettled(tasks.succeed, options)(source))));
    assertEquals(exits.length, count);
    const values = exits.flatMap((exit) => Exit.isSuccess(exit) ? [exit.value] : []);
    assertEquals(new Set(values).size, values.length);
    if (options.unordered !== true) {
      assert(exits.every((exit, n) => Exit.isSuccess(exit) ? exit.value === n : died(exit)));
    } else assert(exits.every((exit) => Exit.isSuccess(exit) || died(exit)));
    deaths += exits.filter(died).length;
    // Chunks by time: the results before the death arrive, each once and in its place.
    const results: Array<number> = [];
    const read = Stream.runForEach(
      killing(pool.mapStream(tasks.succeed, options)(source)),
      (n) => Effect.sync(() => results.push(n)),
    );
    const exit = yield* Effect.exit(read);
    assert(Exit.isSuccess(exit) ? results.length === count : died(exit), `seed ${seed}: ${exit}`);
    assertEquals(new Set(results).size, results.length);
    if (options.unordered !== true) assertEquals(results, Array.from(results, (_, n) => n));
    yield* when(pool.statistics, ({ alive, busy, size, waiting }) => alive === size && busy + waiting === 0);
  }
  assert(deaths > 0 || count < 1000, `no worker died in a task, seed ${seed}`);
})).pipe(Effect.provide(SubprocessBackend.layer({ stderr: "null" })));

test(
  "each element of a stream through a pool whose workers are killed has one outcome, in its place (full) (storm)",
  checkStreams,
);

const backends = [
  ["subprocesses", SubprocessBackend.layer({ stderr: "null" })],
  ["workers", WorkerBackend.layer()],
] as const;

// A short first round: descriptors that Deno opens once and keeps do not count as a leak of the second round.
for (const [, layer] of casesOf(backends)) await warmUp(check(layer, 100, pools["of a fixed size"]));

for (const [kind, options] of Object.entries(pools)) {
  registerEach(backends, ([name, layer]) =>
    test(
      `each of thousands of submissions to a pool of ${name} ${kind} settles exactly once, with a cause it can have (full) (storm)`,
      check(layer, SUBMISSIONS, options),
    ));
}
