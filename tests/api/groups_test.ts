/**
 * Groups of Effects, and the supervision of long-running children.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import * as TestClock from "effect/TestClock";
import * as TestContext from "effect/TestContext";
import { type Backend, Group, Pool, Process, SubprocessBackend, Supervisor, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { everywhere } from "../support/steps.ts";
import { signal, test, warmUp, when } from "../support/suite.ts";
import { repeated } from "../support/tier.ts";
import * as Shared from "../support/tasks.ts";

/** Members that say when they begin and end. */
const watched = () => {
  let running = 0;
  let most = 0;
  const member = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => void (most = Math.max(most, ++running))),
      () => effect,
      () => Effect.sync(() => void running--),
    );
  return { member, running: () => running, most: () => most };
};

const late = <A>(turns: number, value: A): Effect.Effect<A> =>
  Effect.as(Effect.repeatN(Effect.yieldNow(), turns), value);

const tooFew = <A, R>(group: Effect.Effect<A, unknown, R>): Effect.Effect<Group.GroupError, A, R> =>
  Effect.map(Effect.flip(group), (error) => {
    assertInstanceOf(error, Group.GroupError);
    assertEquals(error.reason, "TooFew");
    return error;
  });

test(
  "Group.all gives the values in the order of the members, and the first failure ends the others",
  Effect.gen(function* () {
    const { member, most, running } = watched();
    assertEquals(yield* Group.all([3, 1, 2].map((n) => member(late(n, n)))), [3, 1, 2]);
    assertEquals(yield* Group.all<number, never, never>([]), []);
    assertEquals(most(), 3);
    const group = Group.all([member(Effect.never), member(Effect.zipRight(late(2, 0), Effect.fail("no")))]);
    assertEquals(yield* Effect.flip(group), "no");
    assertEquals(running(), 0);
  }),
);

test(
  "at most `concurrency` members of a group run at a time",
  Effect.gen(function* () {
    const { member, most } = watched();
    assertEquals(yield* Group.all([1, 2, 3, 4, 5].map((n) => member(late(3, n))), { concurrency: 2 }), [1, 2, 3, 4, 5]);
    assertEquals(most(), 2);
  }),
);

test(
  "Group.any, first and until return the values that come first, and end the other members",
  Effect.gen(function* () {
    const { member, running } = watched();
    const members = [
      member(Effect.never),
      member(Effect.fail("no")),
      member(late(9, 1)),
      member(late(1, 2)),
      member(late(20, 3)),
    ];
    assertEquals(yield* Group.any(members), 2);
    assertEquals(yield* Group.first(members, 2), [2, 1]);
    assertEquals(yield* Group.first(members, 0), []);
    assertEquals(yield* Group.until(members, (n) => n > 2), 3);
    assertEquals(running(), 0);
  }),
);

test(
  "a group in which too few succeed fails with the causes of all failures",
  Effect.gen(function* () {
    const members = [Effect.fail("a"), Effect.succeed(1), Effect.die("b")];
    const groups: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      Group.first(members, 2),
      Group.until(members, (n) => n === 2),
    ];
    for (const group of groups) {
      const { causes, message } = yield* tooFew(group);
      assertEquals(causes.map((cause) => Cause.squash(cause)), ["a", "b"]);
      assertStringIncludes(message, "of 3 members 2 failed");
    }
    yield* tooFew(Group.any<number, never, never>([]));
    const defect = yield* Effect.exit(Group.until([Effect.succeed(1)], () => {
      throw new RangeError("the predicate");
    }));
    assert(Exit.isFailure(defect) && Cause.isDie(defect.cause));
  }),
);

test(
  "Group.partial gives the exits that there are at the deadline",
  Effect.gen(function* () {
    const { member, running } = watched();
    const group = Group.partial([
      member(Effect.never),
      Effect.succeed(1),
      Effect.fail("no"),
      Effect.delay(Effect.succeed(4), "1 hour"),
    ], {
      deadline: "1 minute",
    });
    const fiber = yield* Effect.fork(group);
    yield* TestClock.adjust("2 minutes");
    assertEquals(yield* Fiber.join(fiber), [
      Option.none(),
      Option.some(Exit.succeed(1)),
      Option.some(Exit.fail("no")),
      Option.none(),
    ]);
    assertEquals(running(), 0);
    assertEquals(yield* Group.partial([Effect.succeed(1)], { deadline: Infinity }), [Option.some(Exit.succeed(1))]);
  }).pipe(Effect.provide(TestContext.TestContext)),
);

test(
  "a group that is interrupted, at whatever step, has ended its members, also in an uninterruptible region",
  Effect.gen(function* () {
    const { member, running } = watched();
    const members = [member(late(5, 1)), member(late(3, 2)), member(late(4, 3))];
    const groups: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      Group.all(members),
      Group.any(members),
      Group.first(members, 2),
      Group.partial(members, { deadline: "1 minute" }),
    ];
    for (const group of groups) {
      yield* everywhere(group, { rounds: 20, turns: 2 }, (when) => Effect.sync(() => assertEquals(running(), 0, when)));
    }
    assertEquals(yield* Effect.uninterruptible(Group.any([member(Effect.never), Effect.succeed(1)])), 1);
    assertEquals(running(), 0);
  }),
);

// Supervision

/** A child that ends when it is told to. */
const puppet = (name: string) => {
  let end: Deferred.Deferred<void, string> | undefined;
  const child = (log: Array<string>, restart?: "permanent" | "transient" | "temporary"): Supervisor.Child => ({
    name,
    restart,
    run: Effect.acquireUseRelease(
      Effect.sync(() => {
        end = Effect.runSync(Deferred.make<void, string>());
        log.push(`+${name}`);
        return end;
      }),
      (end) => Deferred.await(end),
      () => Effect.sync(() => void log.push(`-${name}`)),
    ),
  });
  const fail = Effect.suspend(() => Deferred.fail(end!, `${name} failed`));
  const succeed = Effect.suspend(() => Deferred.succeed(end!, undefined));
  return { child, fail, succeed };
};

const settled = (log: Array<string>, wanted: ReadonlyArray<string>) =>
  Effect.zipRight(
    when(Effect.sync(() => log.length), (length) => length >= wanted.length),
    Effect.sync(() => assertEquals(log.splice(0), [...wanted])),
  );

for (
  const [strategy, wanted] of [
    ["oneForOne", ["-b", "+b"]],
    ["oneForAll", ["-b", "-c", "-a", "+a", "+b", "+c"]],
    ["restForOne", ["-b", "-c", "+b", "+c"]],
  ] as const
) {
  test(
    `a supervisor with ${strategy} restarts the children that belong together, and ends them in the reverse order`,
    Effect.gen(function* () {
      const log: Array<string> = [];
      const [a, b, c] = ["a", "b", "c"].map(puppet);
      yield* Effect.scoped(Effect.gen(function* () {
        const supervisor = yield* Supervisor.make([a.child(log), b.child(log), c.child(log)], { strategy });
        yield* settled(log, ["+a", "+b", "+c"]);
        yield* b.fail;
        yield* settled(log, wanted);
        yield* b.succeed;
        yield* settled(log, wanted);
        const { children, restarts } = yield* supervisor.statistics;
        assertEquals(restarts, 2);
        assertEquals(children.map(({ state }) => state), ["Running", "Running", "Running"]);
        yield* supervisor.restart("a");
        log.splice(0);
      }));
      assertEquals(log, ["-c", "-b", "-a"]);
    }),
  );
}

test(
  "a transient child starts again after a failure, a temporary one never, and the supervisor is done when no child is left",
  Effect.gen(function* () {
    const log: Array<string> = [];
    const [a, b] = ["a", "b"].map(puppet);
    const events: Array<string> = [];
    const supervisor = yield* Supervisor.make([a.child(log, "transient"), b.child(log, "temporary")], {
      onEvent: (event) => Effect.sync(() => events.push(`${event._tag} ${event.name}`)),
    });
    yield* settled(log, ["+a", "+b"]);
    yield* a.fail;
    yield* settled(log, ["-a", "+a"]);
    yield* b.fail;
    yield* settled(log, ["-b"]);
    yield* a.succeed;
    yield* supervisor.await;
    assertEquals(log, ["-a"]);
    assertEquals(events, ["Started a", "Started b", "Ended a", "Started a", "Ended b", "Ended a"]);
  }),
);

test(
  "a supervisor gives up when its children end too often, or its back-off has ended, and has ended all of them",
  Effect.gen(function* () {
    for (
      const [options, reason] of [
        [{ intensity: { restarts: 2, within: "1 minute" } }, "TooManyRestarts"],
        [{ intensity: { restarts: 9, within: "1 minute" }, backoff: Schedule.recurs(2) }, "NoMoreRestarts"],
      ] as const
    ) {
      const log: Array<string> = [];
      const [a, b] = ["a", "b"].map(puppet);
      const supervisor = yield* Supervisor.make([a.child(log), b.child(log)], options);
      yield* settled(log, ["+a", "+b"]);
      for (let i = 0; i < 2; i++) {
        yield* a.fail;
        yield* settled(log, ["-a", "+a"]);
      }
      yield* a.fail;
      const error = yield* Effect.flip(supervisor.await);
      assertEquals(error.reason, reason);
      assertEquals(Cause.squash(error.cause as Cause.Cause<unknown>), "a failed");
      assertEquals(log, ["-a", "-b"]);
      assertEquals((yield* Effect.flip(supervisor.restart("a"))).reason, "Stopped");
      assertEquals((yield* Effect.flip(supervisor.restart("z"))).reason, "UnknownChild");
    }
  }),
);

test(
  "restarts that are long ago do not count, and the back-off of a child that lived long begins anew",
  Effect.gen(function* () {
    const log: Array<string> = [];
    const a = puppet("a");
    const supervisor = yield* Supervisor.make([a.child(log)], {
      intensity: { restarts: 1, within: "1 minute" },
      backoff: Schedule.addDelay(Schedule.recurs(1), () => "10 seconds"),
    });
    const settled = (wanted: ReadonlyArray<string>) =>
      Effect.zipRight(
        Effect.repeat(Effect.yieldNow(), { until: () => log.length >= wanted.length }),
        Effect.sync(() => assertEquals(log.splice(0), [...wanted])),
      );
    yield* settled(["+a"]);
    for (let i = 0; i < 3; i++) {
      yield* TestClock.adjust("2 minutes");
      yield* a.fail;
      yield* settled(["-a"]);
      yield* Effect.repeat(Effect.zipRight(Effect.yieldNow(), supervisor.statistics), {
        until: ({ children }) => children[0].state === "Waiting",
      });
      yield* TestClock.adjust("10 seconds");
      yield* settled(["+a"]);
    }
    assertEquals((yield* supervisor.statistics).restarts, 3);
  }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext)),
);

test(
  "a supervisor that is interrupted while it starts, at whatever step, leaves no child",
  Effect.gen(function* () {
    const { member, running } = watched();
    const supervise = Effect.scoped(Effect.flatMap(
      Supervisor.make([{ name: "a", run: member(late(3, 1)), restart: "temporary" }, {
        name: "b",
        run: member(late(5, 1)),
        restart: "temporary",
      }], { strategy: "oneForAll" }),
      (supervisor) => supervisor.await,
    ));
    yield* everywhere(
      supervise,
      { rounds: 40, turns: 2 },
      (when) => Effect.sync(() => assertEquals(running(), 0, when)),
    );
  }),
);

/** Registers the tests with processes for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`groups and supervision on ${name}: ${title}`, Effect.provide(program, layer));

  check(
    "a group of calls of a pool ends those that are not needed, and frees their workers",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const begun = yield* signal;
      const ended = yield* signal;
      const first = yield* Group.any([
        pool.apply(Shared.forever, begun.stream, ended.stream),
        Effect.zipRight(begun.fired, pool.apply(Shared.addEffect, 1, 2)),
      ]);
      assertEquals(first, 3);
      assert(yield* ended.seen);
      const { busy, replaced } = yield* pool.statistics;
      assertEquals([busy, replaced], [0, 0]);
    }),
  );

  check(
    "a supervisor starts a process again that has died, and ends it with its scope",
    Effect.gen(function* () {
      const exits: Array<unknown> = [];
      yield* Effect.scoped(Effect.gen(function* () {
        const supervisor = yield* Supervisor.make([
          { name: "dying", run: Process.run(Shared.exitWith, 3) },
          { name: "living", run: Process.run(Shared.never) },
        ], {
          intensity: { restarts: 1, within: "1 minute" },
          onEvent: (event) => Effect.sync(() => event._tag === "Ended" && exits.push(event.exit)),
        });
        const error = yield* Effect.flip(supervisor.await);
        assertEquals(error.reason, "TooManyRestarts");
        assertInstanceOf(Cause.squash(error.cause as Cause.Cause<unknown>), Process.ProcessDied);
        // The other child was ended before the supervisor gave up.
        assertEquals(yield* Process.activeChildren, []);
      }));
      assertEquals(exits.length, 2);
    }),
  );
};

for (
  const [name, layer] of [["subprocess", SubprocessBackend.layer({ stderr: "null" })], [
    "worker",
    WorkerBackend.layer(),
  ]] as const
) {
  await warmUp(Effect.provide(Process.run(Shared.addEffect, 1, 2), layer));
  if (name === "subprocess") suite(name, layer);
  else repeated(() => suite(name, layer));
}
