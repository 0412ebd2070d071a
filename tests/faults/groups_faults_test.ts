/**
 * Groups and supervisors while processes are killed at random moments: a group ends with its members, and a supervised child
 * runs again after each death.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import { Backend, Group, Pool, Process, SubprocessBackend, Supervisor } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, random, rounds, seed } from "../support/chance.ts";
import { descendants } from "../support/leaks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { turn } from "../support/steps.ts";
import { test, warmUp, when } from "../support/suite.ts";

const layer = SubprocessBackend.layer({ stderr: "null" });

await warmUp(Effect.provide(Process.run(Tasks.echo, 1), layer));

const living = (): ReadonlyArray<number> =>
  descendants(Deno.pid).filter(({ state }) => state !== "Z").map(({ pid }) => pid);

/** Kills a child at random. Returns whether there was one. */
const kill = (except: ReadonlySet<number> = new Set()): number | undefined => {
  const pids = living().filter((pid) => !except.has(pid));
  if (pids.length === 0) return undefined;
  const pid = pids[below(pids.length)];
  try {
    Deno.kill(pid, "SIGKILL");
    return pid;
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
};

const wait = (turns: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: turns }), () => turn, { discard: true });

/** The groups of some members, and the values that each may give. */
const groups = {
  all: (members: ReadonlyArray<Member>) => Group.all(members),
  any: (members: ReadonlyArray<Member>) => Group.any(members),
  first: (members: ReadonlyArray<Member>) => Group.first(members, 2),
  until: (members: ReadonlyArray<Member>) => Group.until(members, (n) => n > 2),
  partial: (members: ReadonlyArray<Member>) => Group.partial(members, { deadline: below(100) }),
} as const;

type Member = Effect.Effect<number, unknown>;

const isDeath = (error: unknown): boolean => error instanceof Backend.ProcessDied;

/** Whether a group of the members 0 to 5 may end so. */
const allows = (kind: keyof typeof groups, exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isFailure(exit)) {
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause));
    if (kind === "all") return isDeath(error) || error instanceof Process.SpawnError;
    return kind !== "partial" && error instanceof Group.GroupError && error.reason === "TooFew";
  }
  const { value } = exit;
  const among = (n: unknown): boolean => typeof n === "number" && n >= 0 && n < 6;
  switch (kind) {
    case "all":
      return JSON.stringify(value) === "[0,1,2,3,4,5]";
    case "any":
      return among(value);
    case "first":
      return Array.isArray(value) && value.length === 2 && value.every(among) && value[0] !== value[1];
    case "until":
      return among(value) && value as number > 2;
    case "partial":
      return Array.isArray(value) && value.length === 6 &&
        value.every((found: Option.Option<Exit.Exit<number>>, n) =>
          Option.isNone(found) || Exit.isFailure(found.value) || found.value.value === n
        );
  }
};

const kinds = Object.keys(groups) as ReadonlyArray<keyof typeof groups>;

test(
  "a group ends with its members, whatever is killed meanwhile and whenever it is interrupted (full) (storm)",
  Effect.gen(function* () {
    const pool = yield* Pool.make({ size: 3 });
    yield* pool.broadcast(Tasks.echo, 1);
    for (let round = 0; round < rounds(6, 30); round++) {
      const kind = kinds[round % kinds.length];
      // Calls of a pool, and sometimes processes of their own.
      const alone = round % 7 === 6;
      const members = Array.from({ length: 6 }, (_, n): Member => {
        const task = random() < 0.2 && kind !== "all" ? Tasks.linger : undefined;
        if (alone) return Effect.provide(task === undefined ? Process.run(Tasks.echo, n) : Process.run(task), layer);
        return task === undefined ? pool.apply(Tasks.echo, n) : pool.apply(task);
      });
      const before = yield* pool.statistics;
      const group = yield* Effect.fork(groups[kind](members) as Effect.Effect<unknown, unknown>);
      const killing = yield* Effect.fork(Effect.repeat(
        Effect.zipRight(Effect.suspend(() => wait(below(6))), Effect.sync(() => kill())),
        { times: 2 },
      ));
      // A member that never ends may leave a group waiting.
      const ends = random() < 0.7 && (kind === "all" || kind === "partial");
      if (!ends) yield* wait(below(30));
      const exit = yield* ends ? Fiber.await(group) : Fiber.interrupt(group);
      const place = `round ${round}, ${kind}, seed ${seed}: ${exit}`;
      assert(allows(kind, exit) || Exit.isFailure(exit) && Cause.isInterrupted(exit.cause), place);
      // The members have ended, so no worker has a task, and no process of its own is left.
      const { busy, waiting } = yield* pool.statistics;
      assertEquals([busy, waiting], [0, 0], place);
      assertEquals(
        yield* Effect.map(Process.activeChildren, (all) => all.filter(({ name }) => !name.startsWith("PoolWorker"))),
        [],
      );
      yield* Fiber.join(killing);
      // The last death may not be known yet.
      const all = yield* Effect.retry(pool.broadcast(Tasks.echo, 7), { while: isDeath });
      assertEquals(all, [7, 7, 7], place);
      assert((yield* pool.statistics).completed > before.completed, place);
    }
  }).pipe(Effect.provide(layer)),
);

for (const strategy of ["oneForOne", "oneForAll", "restForOne"] as const) {
  test(
    `each death of a child that is supervised with ${strategy} is followed by its restart, and none outlives the supervisor (full) (storm)`,
    Effect.gen(function* () {
      const starts = new Map<string, number>();
      const kills = rounds(3, 10);
      const killed = new Set<number>();
      yield* Effect.scoped(Effect.gen(function* () {
        const names = ["a", "b", "c"];
        const supervisor = yield* Supervisor.make(
          names.map((name) => ({ name, run: Effect.provide(Process.run(Tasks.linger), layer) })),
          {
            strategy,
            intensity: { restarts: 1000, within: "1 hour" },
            onEvent: (event) => Effect.sync(() => event._tag === "Started" && starts.set(event.name, event.starts)),
          },
        );
        for (let n = 0; n < kills; n++) {
          yield* when(Effect.sync(living), (pids) => pids.some((pid) => !killed.has(pid)));
          yield* wait(below(30));
          const { restarts } = yield* supervisor.statistics;
          const pid = kill(killed);
          if (pid === undefined) continue;
          killed.add(pid);
          yield* when(
            supervisor.statistics,
            (now) => now.restarts > restarts && now.children.every(({ state }) => state === "Running"),
          );
        }
        const { children, restarts } = yield* supervisor.statistics;
        assert(
          restarts >= killed.size && killed.size > 0,
          `${restarts} restarts after ${killed.size} deaths, seed ${seed}`,
        );
        for (const { name, starts: number } of children) assertEquals(starts.get(name), number, `seed ${seed}`);
        if (strategy === "oneForAll") assertEquals(children.map(({ starts }) => starts), names.map(() => restarts + 1));
        if (strategy === "oneForOne") {
          assertEquals(children.reduce((sum, { starts }) => sum + starts, 0), names.length + restarts);
        }
      }));
      assertEquals(living(), []);
    }),
  );
}
