/**
 * A checker: thousands of submissions to one pool whose tasks succeed, throw, exit, hang or return values that cannot
 * be sent, while callers are interrupted, time limits pass and workers are killed. Each submission settles exactly
 * once, with a possible cause.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Random from "effect/Random";
import { Backend, Pool, SubprocessBackend, type Task, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as tasks from "./checker_tasks.ts";
import { rounds } from "../support/chance.ts";
import { descendants } from "../support/leaks.ts";
import { test, warmUp, when } from "../support/suite.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const SUBMISSIONS = rounds(1_500, 10_000);

interface Kind {
  readonly name: string;
  /** Frequency in a thousand submissions. */
  readonly share: number;
  readonly task: Task.Task<[number], unknown>;
  /** Time limit of a submission, in milliseconds. */
  readonly timeout?: number;
  /** Whether its caller is interrupted. */
  readonly interrupted?: true;
  /** Whether this exit is possible for the submission if its worker is not killed. */
  readonly allows: (exit: Exit.Exit<unknown, unknown>, n: number) => boolean;
}

const failure = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

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
    timeout: 5,
    allows: (exit) => (failure(exit) as Pool.PoolError | undefined)?.reason === "Timeout",
  },
  ...(killBusy
    ? [{
      name: "spins",
      share: 1,
      task: tasks.spin,
      timeout: 5,
      allows: (exit: Exit.Exit<unknown, unknown>) =>
        (failure(exit) as Pool.PoolError | undefined)?.reason === "Timeout",
    }]
    : []),
  // The remaining submissions.
  { name: "succeeds", share: 1000, task: tasks.succeed, allows: (exit, n) => Exit.isSuccess(exit) && exit.value === n },
];

const wasKilled = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = failure(exit);
  return error instanceof Backend.ProcessDied && error.status._tag === "Signaled" && error.status.signal === "SIGKILL";
};

const check = (layer: Layer.Layer<Backend.Backend>, submissions: number): Effect.Effect<void, unknown> =>
  Effect.scoped(Effect.gen(function* () {
    const { capabilities } = yield* Backend.Backend;
    const all = kinds(capabilities.killBusy);
    const pool = yield* Pool.make({ size: 3, gracePeriod: "50 millis", forceKillAfter: "50 millis" });
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
        const submission = yield* Effect.orDie(pool.submitWith(kind.task, [n], { timeout: kind.timeout }));
        if (kind.interrupted === true) yield* submission.cancel;
        if (capabilities.signals && n % 500 === 250) yield* kill;
        const exit = yield* Effect.exit(submission.await);
        settled[n]++;
        if (!kind.allows(exit, n) && !(capabilities.signals && wasKilled(exit))) {
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
    const { busy, waiting } = yield* pool.statistics;
    assertEquals({ busy, waiting }, { busy: 0, waiting: 0 });
    // The last killed worker may have died after the last submission settled, so its replacement may still be starting.
    yield* when(pool.statistics, ({ alive, size }) => alive === size);
  })).pipe(Effect.provide(layer));

const backends = [
  ["subprocesses", SubprocessBackend.layer({ stderr: "null" })],
  ["workers", WorkerBackend.layer()],
] as const;

// A short first round: descriptors that Deno opens once and keeps do not count as a leak of the second round.
for (const [, layer] of casesOf(backends)) await warmUp(check(layer, 100));

registerEach(backends, ([name, layer]) =>
  test(
    `each of thousands of submissions to a pool of ${name} settles exactly once, with a cause it can have (full) (storm)`,
    check(layer, SUBMISSIONS),
  ));
