/**
 * The requirements of every backend. If a backend lacks the capability of a test, a test of the alternative takes its
 * place.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, Task } from "../../mod.ts";
import * as Call from "../../src/internal/child/call.ts";
import { CALL } from "../../src/internal/child/request.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotStrictEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import { until } from "../support/leaks.ts";
import { user } from "../support/portable_refs.ts";
import { relay } from "../support/portable_relay.ts";
import * as Portable from "../support/portable_tasks.ts";
import { gateway, signal, type Step, temporary, test } from "../support/suite.ts";
import * as Shared from "../support/workers.ts";
import * as Tasks from "../support/tasks.ts";

/** A backend under test. */
export interface Subject {
  readonly name: string;
  readonly layer: (options?: { readonly maxMessageSize?: number }) => Layer.Layer<Backend.Backend>;
  readonly capabilities: Backend.Capabilities;
}

/** The typed error of a program that must fail with one. */
const errorOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<E, A, R> => Effect.flip(program);

/** The cause of a program that must fail. */
const causeOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Cause.Cause<E>, never, R> =>
  Effect.map(Effect.exit(program), (exit) => {
    assert(Exit.isFailure(exit), "succeeded");
    return exit.cause;
  });

const refusal = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Task.TaskError, A, R> =>
  Effect.map(errorOf(program), (error) => {
    assertInstanceOf(error, Task.TaskError);
    return error;
  });

/** This backend, with a count of the children that it has started. */
const counting = Effect.map(Backend.Backend, (backend) => {
  const counter = { started: 0 };
  const counted: Backend.Backend = {
    ...backend,
    spawn: (command) => {
      counter.started++;
      return backend.spawn(command);
    },
  };
  return { counter, counted };
});

/** Waits until a task that blocks its event loop has begun. */
export const busy = (path: string): Effect.Effect<void> =>
  Effect.promise(() => until("it is busy", () => Deno.readTextFileSync(path) !== ""));

const fixture = (name: string): ImportMeta => Tasks.meta(import.meta.resolve(`../fixtures/${name}`));

const throwsAtLoad = Task.make(fixture("throws.ts"), "task", () => 1);
const importsMissing = Task.make(fixture("imports_missing.ts"), "task", () => 1);
const missingFile = Task.make(fixture("there is no such.ts"), "task", () => 1);
const inFunction = Task.make(fixture("not_top_level.ts"), "inFunction", () => 1);
const underMain = Task.make(fixture("not_top_level.ts"), "underMain", () => 1);
const dataUrl = Task.make(Tasks.meta("data:application/javascript,export%20const%20nothing%20=%201"), "task", () => 1);
const throwingDataUrl = Task.make(
  Tasks.meta("data:application/javascript,throw%20new%20RangeError('from%20data')"),
  "task",
  () => 1,
);
/** The task for a caller whose module does not have the Schema. */
const strict = Task.make(fixture("stricter.ts"), "strict", (_: unknown) => 1);

/** Registers the suite for one backend. */
export const conformance = ({ capabilities, layer, name }: Subject): void => {
  const steps: Array<Step<Backend.Backend | Shared.Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Shared.Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };
  /** Registers a test with its own backend. */
  const checkWith = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>,
    options: { readonly maxMessageSize: number },
  ): void => test(`${name}: ${title}`, Effect.provide(program, layer(options)));

  // These tests share processes, because they do not depend on the life of a process.
  const { run: apply, stream: read } = Shared;
  // These tests of starts and ends use their own processes.
  const { run, spawn, spawnWith, stream } = Process;

  // Results of handlers

  check(
    "a handler returns a value, a Promise or an Effect",
    Effect.gen(function* () {
      assertEquals(yield* apply(Tasks.add, 1, 2), 3);
      assertEquals(yield* apply(Tasks.addLater, 1, 2), 3);
      assertEquals(yield* apply(Tasks.addEffect, 1, 2), 3);
      assertEquals(yield* apply(Tasks.nothing), undefined);
    }),
  );

  check(
    "a handler that returns data of Effect means the data",
    Effect.gen(function* () {
      for (const task of [Tasks.echo, Tasks.echoEffect]) {
        assertEquals(yield* apply(task, Option.some(1)), Option.some(1));
        assertEquals(yield* apply(task, Either.left(1)), Either.left(1));
        assertEquals(yield* apply(task, Chunk.make(1, 2)), Chunk.make(1, 2));
      }
      // An Exit is an Effect. It is data only inside the result of an Effect.
      assertEquals(yield* apply(Tasks.echoEffect, Exit.fail("data")), Exit.fail("data"));
    }),
  );

  check(
    "a handler returns a Stream: all its elements arrive, in order",
    Effect.gen(function* () {
      const elements = yield* Stream.runCollect(read(Tasks.countTo, 30_000));
      assertEquals(Array.from(elements), Array.from({ length: 30_000 }, (_, i) => i + 1));
    }),
  );

  check(
    "the failure of a Stream comes after its elements",
    Effect.gen(function* () {
      const seen: Array<number> = [];
      const error = yield* errorOf(
        Stream.runForEach(read(Tasks.failingStream, 3), (n) => Effect.sync(() => seen.push(n))),
      );
      assertEquals(seen, [1, 2, 3]);
      assert(error._tag === "Shortage");
      assertEquals(error.missing, 3);
    }),
  );

  check(
    "what a Stream throws is a defect with the remote stack",
    Effect.gen(function* () {
      const cause = yield* causeOf(Stream.runDrain(read(Tasks.throwingStream)));
      const [defect] = Cause.defects(cause);
      assertInstanceOf(defect, RangeError);
      assertStringIncludes(String(defect.stack), "tasks.ts");
    }),
  );

  check(
    "an element of a Stream that cannot be sent is an EncodeError with its path",
    Effect.gen(function* () {
      const error = yield* errorOf(Stream.runDrain(read(Tasks.functions)));
      assertInstanceOf(error, Backend.EncodeError);
      assertMatch(error.path, /^(result|element)\[\d+\]$/);
    }),
  );

  check(
    "a Stream that is not read to its end is stopped, and runs ahead of its reader by a few messages only",
    Effect.gen(function* () {
      const pulled = yield* temporary;
      const elements = yield* Stream.runCollect(Stream.take(read(Tasks.wide, 64 * 1024, pulled), 20));
      assertEquals(Array.from(elements, (element) => element[0]), Array.from({ length: 20 }, (_, i) => i + 1));
      assertLessOrEqual(Number(Deno.readTextFileSync(pulled)), 50);
    }),
  );

  // Streams as arguments

  check(
    "a Stream as an argument is read where the task runs",
    Effect.gen(function* () {
      assertEquals(yield* apply(Tasks.sum, Stream.range(1, 20_000)), 200_010_000);
      assertEquals(yield* apply(Tasks.sum, Stream.empty), 0);
    }),
  );

  check(
    "a Stream goes in and another comes out",
    Effect.gen(function* () {
      const doubled = yield* Stream.runCollect(read(Tasks.double, Stream.range(1, 5_000)));
      assertEquals(Array.from(doubled), Array.from({ length: 5_000 }, (_, i) => 2 * (i + 1)));
    }),
  );

  check(
    "the typed failure of a Stream that is an argument fails its reader",
    Effect.gen(function* () {
      const numbers = Stream.concat(Stream.make(1), Stream.fail(new Tasks.Shortage({ missing: 5 })));
      const error = yield* errorOf(Stream.runDrain(read(Tasks.double, numbers)));
      assert(error._tag === "Shortage");
      assertEquals(error.missing, 5);
    }),
  );

  check(
    "a Stream that is an argument is interrupted when its reader has enough",
    Effect.gen(function* () {
      const finalized = yield* Deferred.make<void>();
      const numbers = Stream.ensuring(Stream.iterate(1, (n) => n + 1), Deferred.succeed(finalized, undefined));
      assertEquals(yield* apply(Tasks.firstOf, 3, numbers), [1, 2, 3]);
      yield* Deferred.await(finalized);
    }),
  );

  check(
    "a Stream that is an argument is interrupted when its process is killed",
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>();
      const finalized = yield* Deferred.make<void>();
      const numbers = Stream.execute(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never));
      const child = yield* spawn(Tasks.sum, Stream.ensuring(numbers, Deferred.succeed(finalized, undefined)));
      yield* Deferred.await(begun);
      yield* child.kill;
      yield* Deferred.await(finalized);
    }),
  );

  check(
    "a Stream that is an argument runs once: reading it again is a defect that says so",
    Effect.gen(function* () {
      const cause = yield* causeOf(apply(Tasks.twice, Stream.make(1, 2)));
      assertStringIncludes(Cause.pretty(cause), "twice");
    }),
  );

  // Tasks that cannot begin

  for (
    const [title, task] of [["in a function", inFunction], ["under import.meta.main", underMain]] as const
  ) {
    check(
      `a task that is defined ${title} is refused as NotDefined, with what the module has instead`,
      Effect.gen(function* () {
        const error = yield* refusal(run(task));
        assertEquals(error.reason, "NotDefined");
        assertEquals(error.task, task.name);
        assertStringIncludes(error.message, "visible");
        assertStringIncludes(error.message, "top level");
      }),
    );
  }

  check(
    "a module that throws while it loads is LoadFailed, with its error and its stack",
    Effect.gen(function* () {
      const error = yield* refusal(run(throwsAtLoad));
      assertEquals(error.reason, "LoadFailed");
      assertStringIncludes(error.message, "this module throws");
      assertInstanceOf(error.cause, RangeError);
      assertMatch(String(error.cause.stack), /fuse.*throws\.ts:3/);
      assertStringIncludes((yield* refusal(run(throwingDataUrl))).message, "from data");
    }),
  );

  check(
    "a module with a syntax error is LoadFailed, and names the place (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const source = `${path}.ts`;
      yield* Effect.acquireRelease(
        Effect.sync(() => Deno.writeTextFileSync(source, "export const a = 1;\nexport const = ;\n")),
        () => Effect.sync(() => Deno.removeSync(source)),
      );
      const error = yield* refusal(run(Task.make(Tasks.meta(`file://${source}`), "task", () => 1)));
      assertEquals(error.reason, "LoadFailed");
      assertStringIncludes(error.message, `${source}:2`);
    }),
  );

  check(
    "a module that does not exist is ModuleNotFound, and so is one that imports such a module",
    Effect.gen(function* () {
      const error = yield* refusal(run(missingFile));
      assertEquals(error.reason, "ModuleNotFound");
      assertStringIncludes(error.message, "there%20is%20no%20such.ts");
      const imports = yield* refusal(run(importsMissing));
      assertEquals(imports.reason, "ModuleNotFound");
      assertStringIncludes(imports.message, "missing.ts");
    }),
  );

  check(
    "a module that defines no task is NotDefined",
    Effect.gen(function* () {
      const error = yield* refusal(run(dataUrl));
      assertEquals(error.reason, "NotDefined");
      assertStringIncludes(error.message, "no task");
    }),
  );

  // Schemas

  check(
    "a Schema rebuilds class instances on the other side, both ways",
    Effect.gen(function* () {
      const mirrored = yield* apply(Tasks.mirror, new Tasks.Point({ x: 3, y: 4 }), 2);
      assertInstanceOf(mirrored, Tasks.Point);
      assertEquals(mirrored.length, 10);
      const all = yield* Stream.runCollect(read(Tasks.points, 3));
      assertEquals(Array.from(all, (point) => [point instanceof Tasks.Point, point.length]), [[true, 1], [true, 2], [
        true,
        3,
      ]]);
    }),
  );

  check(
    "the error Schema makes a typed failure of what a plain function throws, and of what an Effect fails with",
    Effect.gen(function* () {
      const at = new Tasks.Point({ x: 0, y: 4 });
      for (const program of [apply(Tasks.mirror, at, 0), apply(Tasks.mirrorEffect, at)]) {
        const caught = yield* Effect.catchTag(program, "Refusal", (refusal) => Effect.succeed(refusal));
        assertInstanceOf(caught, Tasks.Refusal);
        assertInstanceOf(caught.at, Tasks.Point);
        assertEquals(caught.at.length, 4);
      }
    }),
  );

  check(
    "arguments that the payload Schema refuses are an EncodeError, and start nothing",
    Effect.gen(function* () {
      const { counted, counter } = yield* counting;
      const wrong = { x: "text", y: 1 } as unknown as Tasks.Point;
      const error = yield* errorOf(Effect.provideService(spawn(Tasks.mirrorEffect, wrong), Backend.Backend, counted));
      assertInstanceOf(error, Backend.EncodeError);
      assertStringIncludes(error.message, "mirrorEffect");
      assertEquals(counter.started, 0);
    }),
  );

  check(
    "arguments that the payload Schema refuses in the child are InvalidPayload (full)",
    Effect.gen(function* () {
      const error = yield* refusal(run(strict, "text"));
      assertEquals(error.reason, "InvalidPayload");
      assertStringIncludes(error.message, "strict");
      assertEquals(yield* run(strict, 5), 5);
    }),
  );

  check(
    "a result that the success Schema refuses is an EncodeError at the result",
    Effect.gen(function* () {
      for (const task of [Tasks.wrongResult, Tasks.wrongResultEffect]) {
        const error = yield* errorOf(apply(task, "text"));
        assertInstanceOf(error, Backend.EncodeError);
        assertEquals(error.path, "result");
      }
    }),
  );

  check(
    "a failure that the error Schema refuses is a defect that says so",
    Effect.gen(function* () {
      const cause = yield* causeOf(apply(Tasks.wrongFailure));
      assert(Cause.isDie(cause));
      assertStringIncludes(Cause.pretty(cause), "error Schema");
    }),
  );

  // Layers

  check(
    "a layer is built once for all tasks of a process, and released when it ends in good order",
    Effect.gen(function* () {
      const released = yield* temporary;
      const backend = yield* Backend.Backend;
      yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* backend.spawn({ name: "layers", daemon: false, modules: [Tasks.buildCount.url] });
        const call = (task: Task.Task<[], number>) => request(child, task, []);
        assertEquals(yield* Effect.all([call(Tasks.buildCount), call(Tasks.buildCountAgain)], { concurrency: 2 }), [
          1,
          1,
        ]);
        assertEquals(yield* request(child, Tasks.tellRelease, [released]), 1);
        child.link.close();
        assertEquals(yield* child.exited, { _tag: "Exited", code: 0 });
      }));
      assertEquals(Deno.readTextFileSync(released), "released 1");
    }),
  );

  check(
    "the layer of a process for one task is released before the process has ended (full)",
    Effect.gen(function* () {
      const released = yield* temporary;
      assertEquals(yield* run(Tasks.tellRelease, released), 1);
      assertEquals(Deno.readTextFileSync(released), "released 1");
    }),
  );

  check(
    "a layer that cannot be built is LayerFailed, with its error",
    Effect.gen(function* () {
      const failed = yield* refusal(run(Tasks.brokenLayer));
      assertEquals(failed.reason, "LayerFailed");
      assertEquals((failed.cause as Tasks.Shortage)._tag, "Shortage");
      assertEquals((failed.cause as Tasks.Shortage).missing, 3);
      const died = yield* refusal(run(Tasks.dyingLayer));
      assertEquals(died.reason, "LayerFailed");
      assertInstanceOf(died.cause, RangeError);
    }),
  );

  // Failures

  check(
    "a failure keeps its tag and its fields",
    Effect.gen(function* () {
      const caught = yield* Effect.catchTag(
        apply(Tasks.failing, 7),
        "Shortage",
        ({ missing }) => Effect.succeed(missing),
      );
      assertEquals(caught, 7);
      const plain = yield* Effect.catchTag(apply(Tasks.failingWithData), "Plain", ({ at }) => Effect.succeed(at));
      assertEquals(plain, [1, 2]);
    }),
  );

  check(
    "what a handler throws is a defect: its class, message, cause and remote stack arrive",
    Effect.gen(function* () {
      for (const task of [Tasks.throwing, Tasks.throwingLater, Tasks.dying]) {
        const cause = yield* causeOf(run(task));
        const [defect] = Cause.defects(cause);
        assertInstanceOf(defect, RangeError);
        assertEquals(defect.message, "boom");
        assertEquals((defect.cause as Error).message, "fuse");
        assertStringIncludes(String(defect.stack), "tasks.ts");
        const pretty = Cause.pretty(cause);
        assertStringIncludes(pretty, "tasks.ts");
        assertStringIncludes(pretty, task.name);
      }
      assertEquals(Array.from(Cause.defects(yield* causeOf(run(Tasks.throwingText)))), ["only text"]);
    }),
  );

  check(
    "the spans that were open in the child show up where a failure is printed (full)",
    Effect.gen(function* () {
      const pretty = Cause.pretty(yield* causeOf(run(Tasks.failingInSpan)));
      assertStringIncludes(pretty, "inner span");
      assertStringIncludes(pretty, "failingInSpan");
      assertStringIncludes(pretty, "tasks.ts");
    }),
  );

  check(
    "a task that interrupts itself is interrupted for the caller as well",
    Effect.gen(function* () {
      assert(Cause.isInterruptedOnly(yield* causeOf(run(Tasks.interrupting))));
    }),
  );

  check(
    "parallel and sequential causes keep their shape",
    Effect.gen(function* () {
      const cause = yield* causeOf(apply(Tasks.failingTwice));
      assertEquals(
        cause as Cause.Cause<unknown>,
        Cause.parallel(Cause.fail("left"), Cause.sequential(Cause.fail("right"), Cause.die("after"))),
      );
    }),
  );

  check(
    "a part of a failure that cannot be sent is described, and the failure stays what it is",
    Effect.gen(function* () {
      const cause = yield* causeOf(apply(Tasks.failingWithFunction));
      const { f } = Option.getOrThrow(Cause.failureOption(cause)) as { readonly f: unknown };
      assertMatch(`${f}`, /cannot be sent: functions do not cross/);
    }),
  );

  // How a process ends

  check(
    "the end of a process is data: Success, Failure, Died, Rejected",
    Effect.gen(function* () {
      assertEquals(yield* (yield* spawn(Tasks.add, 1, 2)).exit, { _tag: "Success", value: 3 });
      const failed = yield* (yield* spawn(Tasks.failing, 1)).exit;
      assert(failed._tag === "Failure");
      assertEquals(Option.getOrThrow(Cause.failureOption(failed.cause)).missing, 1);
      const died = yield* (yield* spawn(Tasks.exitWith, 3)).exit;
      assert(died._tag === "Died");
      assertEquals(died.error.status, { _tag: "Exited", code: 3 });
      const rejected = yield* (yield* spawn(throwsAtLoad)).exit;
      assert(rejected._tag === "Rejected");
      assertInstanceOf(rejected.error, Task.TaskError);
    }),
  );

  check(
    "Deno.exit in a task ends it with a ProcessDied that names process, task and code, whatever the code",
    Effect.gen(function* () {
      for (const task of [Tasks.exitWith, Tasks.exitLater]) {
        for (const code of [0, 3]) {
          const child = yield* spawnWith(task, [code], { name: `exits with ${code}` });
          const error = yield* errorOf(child.join);
          assertInstanceOf(error, Process.ProcessDied);
          assertEquals(error.process, `exits with ${code}`);
          assertEquals(error.pid, child.pid);
          assertEquals(error.task, task.name);
          assertEquals(error.status, { _tag: "Exited", code });
          assertStringIncludes(error.message, `exited with code ${code}`);
        }
      }
    }),
  );

  check(
    "a process that did its task has exited with code 0, one that failed with another",
    Effect.gen(function* () {
      const done = yield* spawn(Tasks.add, 1, 2);
      assertEquals(yield* done.status, { _tag: "Exited", code: 0 });
      const failed = yield* spawn(Tasks.failing, 1);
      yield* failed.exit;
      assertEquals(yield* failed.status, { _tag: "Exited", code: 1 });
    }),
  );

  check(
    "join may be used any number of times, also after the end, and exit and status as well",
    Effect.gen(function* () {
      const child = yield* spawn(Tasks.add, 1, 2);
      assertEquals(yield* Effect.all([child.join, child.join, child.exit], { concurrency: 3 }), [3, 3, {
        _tag: "Success",
        value: 3,
      }]);
      assertEquals(yield* child.join, 3);
      assertFalse(yield* child.isAlive);
    }),
  );

  check(
    "interrupting join stops the waiting, not the process (full)",
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const child = yield* spawn(Tasks.gate, begun.stream, gate.stream, 5);
      yield* begun.fired;
      const joining = yield* Effect.fork(child.join);
      yield* Effect.yieldNow();
      yield* Fiber.interrupt(joining);
      assert(yield* child.isAlive);
      yield* gate.open;
      assertEquals(yield* child.join, 5);
    }),
  );

  check(
    "interrupt asks an Effect to stop: its finalizers run, and it ends as interrupted",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const child = yield* spawn(Tasks.forever, begun.stream, finalized.stream);
      yield* begun.fired;
      yield* child.interrupt;
      const exit = yield* child.exit;
      assert(exit._tag === "Failure" && Cause.isInterruptedOnly(exit.cause));
      assert(yield* finalized.seen);
    }),
  );

  check(
    "terminate lets the finalizers of an Effect run, and waits for the end",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const child = yield* spawn(Tasks.forever, begun.stream, finalized.stream);
      yield* begun.fired;
      assert(yield* child.isAlive);
      yield* child.terminate;
      assertFalse(yield* child.isAlive);
      assert(yield* finalized.seen);
      const exit = yield* child.exit;
      assert(exit._tag === "Failure" && Cause.isInterruptedOnly(exit.cause));
      yield* child.terminate;
      yield* child.kill;
      yield* child.interrupt;
    }),
  );

  check(
    "terminate ends an Effect whose finalizers do not end, after its gracePeriod",
    Effect.gen(function* () {
      const begun = yield* signal;
      const child = yield* spawnWith(Tasks.clinging, [begun.stream], {
        gracePeriod: "20 millis",
        forceKillAfter: "20 millis",
      });
      yield* begun.fired;
      yield* child.terminate;
      const error = yield* errorOf(child.join);
      assertInstanceOf(error, Process.ProcessDied);
      assertEquals(error.status._tag, "Signaled");
    }),
  );

  check(
    "terminate ends a Promise that never settles, and a process that has just been started",
    Effect.gen(function* () {
      const waiting = yield* spawn(Tasks.never);
      yield* waiting.terminate;
      assertFalse(yield* waiting.isAlive);
      assertNotEquals((yield* waiting.exit)._tag, "Success");
    }),
  );

  check(
    "kill ends a process without asking: its finalizers do not run, and join says how it died",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const child = yield* spawn(Tasks.forever, begun.stream, finalized.stream);
      yield* begun.fired;
      yield* child.kill;
      assertFalse(yield* child.isAlive);
      const error = yield* errorOf(child.join);
      assertInstanceOf(error, Process.ProcessDied);
      assertEquals(error.status, { _tag: "Signaled", signal: "SIGKILL" });
      assertFalse(yield* finalized.seen);
    }),
  );

  check(
    "an error that nobody catches ends the process and its task",
    Effect.gen(function* () {
      for (const task of [Tasks.throwInTimer, Tasks.rejectUnhandled]) {
        const error = yield* errorOf(run(task));
        assertInstanceOf(error, Process.ProcessDied);
        if (error.status._tag === "Crashed") assertStringIncludes(error.status.message, "boom");
        else assertEquals(error.status, { _tag: "Exited", code: 1 });
      }
    }),
  );

  if (capabilities.signals) {
    check(
      "a signal that ends a process is its status",
      Effect.gen(function* () {
        for (const killer of ["SIGKILL", "SIGTERM"] as const) {
          const error = yield* errorOf(run(Tasks.killItself, killer));
          assertInstanceOf(error, Process.ProcessDied);
          assertEquals(error.status, { _tag: "Signaled", signal: killer });
        }
      }),
    );

    check(
      "SIGTERM from anywhere lets the finalizers of an Effect run, and is its status",
      Effect.gen(function* () {
        const begun = yield* signal;
        const finalized = yield* signal;
        const child = yield* spawn(Tasks.forever, begun.stream, finalized.stream);
        yield* begun.fired;
        assert(yield* child.signal("SIGTERM"));
        assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGTERM" });
        assert(yield* finalized.seen);
        assertFalse(yield* child.signal("SIGTERM"));
      }),
    );
  } else {
    check(
      "without signals: a signal is Unsupported, a typed error",
      Effect.gen(function* () {
        const child = yield* spawnWith(Tasks.never, [], { daemon: true });
        assertInstanceOf(yield* errorOf(child.signal("SIGUSR1")), Backend.Unsupported);
        assertEquals(child.pid, Deno.pid);
      }),
    );
  }

  if (capabilities.killBusy) {
    check(
      "terminate ends a plain function in an endless loop by SIGTERM",
      Effect.gen(function* () {
        const path = yield* temporary;
        const child = yield* spawnWith(Tasks.busy, [path], { gracePeriod: "10 minutes" });
        yield* busy(path);
        yield* child.terminate;
        assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGTERM" });
      }),
    );

    check(
      "terminate ends an Effect in an endless loop by SIGKILL, since it cannot see SIGTERM",
      Effect.gen(function* () {
        const path = yield* temporary;
        const child = yield* spawnWith(Tasks.busyEffect, [path], {
          gracePeriod: "20 millis",
          forceKillAfter: "20 millis",
        });
        yield* busy(path);
        yield* child.terminate;
        assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGKILL" });
      }),
    );
  }

  // Scopes

  check(
    "a scope that closes with success joins its processes",
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const child = yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* spawn(Tasks.gate, begun.stream, gate.stream, 5);
        yield* begun.fired;
        // Finalizers run in reverse order, so this one runs before the process is joined.
        yield* Effect.addFinalizer(() => gate.open);
        return child;
      }));
      assertFalse(yield* child.isAlive);
      assertEquals(yield* child.exit, { _tag: "Success", value: 5 });
    }),
  );

  check(
    "a scope that closes with failure terminates its processes",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const error = yield* errorOf(Effect.scoped(Effect.gen(function* () {
        yield* spawn(Tasks.forever, begun.stream, finalized.stream);
        yield* begun.fired;
        return yield* Effect.fail("broken off" as const);
      })));
      assertEquals(error, "broken off");
      assert(yield* finalized.seen);
    }),
  );

  check(
    "a scope that is interrupted terminates its processes",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
        const child = yield* spawn(Tasks.forever, begun.stream, finalized.stream);
        return yield* child.join;
      })));
      yield* begun.fired;
      assert(Exit.isInterrupted(yield* Fiber.interrupt(fiber)));
      assert(yield* finalized.seen);
    }),
  );

  check(
    "a scope that is interrupted while it joins its processes terminates them (full)",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const closing = yield* Deferred.make<void>();
      const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
        yield* spawn(Tasks.forever, begun.stream, finalized.stream);
        yield* begun.fired;
        yield* Effect.addFinalizer(() => Deferred.succeed(closing, undefined));
      })));
      yield* Deferred.await(closing);
      yield* Fiber.interrupt(fiber);
      assert(yield* finalized.seen);
    }),
  );

  check(
    "a daemon is terminated when its scope closes with success",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const child = yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* spawnWith(Tasks.forever, [begun.stream, finalized.stream], { daemon: true });
        yield* begun.fired;
        return child;
      }));
      assertFalse(yield* child.isAlive);
      assert(yield* finalized.seen);
    }),
  );

  check(
    "run that is interrupted terminates its process",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const fiber = yield* Effect.fork(run(Tasks.forever, begun.stream, finalized.stream));
      yield* begun.fired;
      yield* Fiber.interrupt(fiber);
      assert(yield* finalized.seen);
    }),
  );

  // Values that cannot be sent, and sizes

  check(
    "an argument that cannot be sent is an EncodeError with its path, before anything is started",
    Effect.gen(function* () {
      const { counted, counter } = yield* counting;
      const wrong = { items: [0, 1, 2, { callback: () => 1 }] };
      for (
        const program of [
          Effect.asVoid(spawn(Tasks.echo, wrong)),
          Stream.runDrain(stream(Tasks.countTo, wrong as never)),
        ]
      ) {
        const error = yield* errorOf(Effect.provideService(program, Backend.Backend, counted));
        assertInstanceOf(error, Backend.EncodeError);
        assertEquals(error.path, "args[0].items[3].callback");
        assertStringIncludes(error.message, "define a Task");
      }
      assertEquals(counter.started, 0);
    }),
  );

  check(
    "a result that cannot be sent is an EncodeError with its path",
    Effect.gen(function* () {
      for (const task of [Tasks.returningFunction, Tasks.returningFunctionEffect]) {
        const error = yield* errorOf(run(task));
        assertInstanceOf(error, Backend.EncodeError);
        assertEquals(error.path, "result.items[1].callback");
      }
    }),
  );

  checkWith(
    "a message over maxMessageSize is MessageTooLarge in either direction, and the link stays usable",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      const child = yield* backend.spawn({ name: "limited", daemon: false, modules: [Tasks.size.url] });
      const limit = 1_000_000;
      const outgoing = yield* errorOf(request(child, Tasks.size, [new Uint8Array(limit)]));
      assertInstanceOf(outgoing, Backend.MessageTooLarge);
      assertEquals(outgoing.limit, limit);
      const text = yield* errorOf(request(child, Tasks.echo, ["x".repeat(limit)]));
      assertInstanceOf(text, Backend.MessageTooLarge);
      const incoming = yield* errorOf(request(child, Tasks.bytes, [limit + 1]));
      assertInstanceOf(incoming, Backend.MessageTooLarge);
      assertEquals(incoming.limit, limit);
      assertStringIncludes(incoming.message, "maxMessageSize");
      assertEquals(yield* request(child, Tasks.size, [new Uint8Array(limit - 1000)]), limit - 1000);
      assertEquals((yield* request(child, Tasks.bytes, [limit - 1000])).length, limit - 1000);
      child.link.close();
      yield* child.exited;
    }),
    { maxMessageSize: 1_000_000 },
  );

  checkWith(
    "an element of a Stream over maxMessageSize fails the Stream, typed, and nobody hangs",
    Effect.gen(function* () {
      const path = yield* temporary;
      const error = yield* errorOf(Stream.runDrain(stream(Tasks.wide, 1_000_001, path)));
      assertInstanceOf(error, Backend.MessageTooLarge);
    }),
    { maxMessageSize: 1_000_000 },
  );

  check(
    "64 MiB of bytes go there and come back unchanged (full)",
    Effect.gen(function* () {
      const size = 64 * 1024 * 1024;
      const words = new Uint32Array(size / 4);
      for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761);
      const copy = yield* run(Tasks.echo, words);
      assertInstanceOf(copy, Uint32Array);
      assertNotStrictEquals(copy, words);
      assertEquals(copy.length, words.length);
      assert(copy.every((word, i) => word === words[i]));
    }),
  );

  check(
    "a large message does not stall the small ones that come after it (full)",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      const child = yield* backend.spawn({ name: "busy link", daemon: false, modules: [Tasks.add.url] });
      assertEquals(yield* request(child, Tasks.add, [0, 0]), 0);
      const order: Array<string> = [];
      const large = Effect.map(
        request(child, Tasks.echo, [new Uint8Array(64 * 1024 * 1024)]),
        () => order.push("large"),
      );
      const small = Effect.map(request(child, Tasks.add, [1, 2]), () => order.push("small"));
      yield* Effect.all([large, small], { concurrency: 2 });
      assertEquals(order, ["small", "large"]);
      child.link.close();
      yield* child.exited;
    }),
  );

  // Knowledge of a process, and processes in processes

  check(
    "a process knows its name, its parent and its backend",
    Effect.gen(function* () {
      const here = yield* Process.current;
      assertEquals([here.name, here.backend, here.pid], ["MainProcess", "main", Deno.pid]);
      assert(Option.isNone(yield* Process.parent));
      const child = yield* spawnWith(Tasks.whoAmI, [], { name: "somebody" });
      const there = yield* child.join;
      assertEquals(there.name, "somebody");
      const above = Option.getOrThrow(yield* run(Tasks.whoIsMyParent));
      assertEquals([above.name, above.pid], ["MainProcess", Deno.pid]);
      assertEquals(there.backend, (yield* Backend.Backend).name);
      assertEquals(there.pid, child.pid);
    }),
  );

  check(
    "each way to start a process takes the options of the process after the arguments of its task (full)",
    Effect.gen(function* () {
      const options = { name: "somebody" };
      assertEquals((yield* Process.runWith(Tasks.whoAmI, [], options)).name, "somebody");
      const [streamed] = yield* Stream.runCollect(Process.streamWith(Tasks.whoAmIStream, [], options));
      assertEquals(streamed.name, "somebody");
      const child = yield* spawnWith(Tasks.whoAmI, [], options);
      assertEquals((yield* child.join).name, "somebody");
    }),
  );

  check(
    "in a child the module of the task is not the main one",
    Effect.gen(function* () {
      assertFalse(yield* run(Tasks.isMain));
    }),
  );

  check(
    "a task may start processes of its own, and these others",
    Effect.gen(function* () {
      const child = yield* spawnWith(Tasks.nested, [2], { name: "outer" });
      assertEquals(yield* child.join, ["outer", "outer:1", "outer:1:1"]);
    }),
  );

  check(
    "the caller's trace goes on in the child (full)",
    Effect.gen(function* () {
      const [here, there] = yield* Effect.withSpan(
        Effect.all([Effect.orDie(Effect.currentSpan), run(Tasks.parentSpan)]),
        "caller",
      );
      assertEquals(there.traceId, here.traceId);
    }),
  );

  check(
    "the value of a portable FiberRef travels with a call, a Stream, the tasks of a pool, and to children of children (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const seen = Effect.gen(function* () {
        return [
          yield* run(Portable.current),
          yield* pool.apply(Portable.current),
          ...yield* pool.map(Portable.currentOf, [1]),
          ...yield* Stream.runCollect(stream(Portable.currentStream)),
          ...yield* Stream.runCollect(pool.mapUnordered(Portable.currentOf, [1])),
          yield* Effect.flatMap(pool.submit(Portable.current), (submission) => submission.await),
        ];
      });
      const value = { id: 7, since: new Date(Date.UTC(2024)) };
      assertEquals(yield* Effect.locally(seen, user, value), new Array(6).fill("7 since 2024"));
      assertEquals(yield* seen, new Array(6).fill("0 since 1970"));
      // The process between has not loaded the declaration, and passes the value on.
      assertEquals(yield* Effect.locally(run(relay), user, value), { text: "7 since 2024", declared: 0 });
    }),
  );

  check(
    "a portable FiberRef does not come back, and a value that its Schema refuses fails the caller before anything starts (full)",
    Effect.gen(function* () {
      assertEquals(yield* run(Portable.changed), "8 since 1970");
      assertEquals((yield* FiberRef.get(user)).id, 0);
      const { counted, counter } = yield* counting;
      const refused = Effect.locally(run(Portable.current), user, { id: 1.5, since: new Date(0) });
      const error = yield* errorOf(Effect.provideService(refused, Backend.Backend, counted));
      assertInstanceOf(error, Backend.EncodeError);
      assertStringIncludes(error.path, `"user" of ${import.meta.resolve("../support/portable_refs.ts")}`);
      assertEquals(counter.started, 0);
    }),
  );

  Shared.withWorkers(name, layer(), 2, steps);
};

/** Makes one request over the link of a child, as a pool does. */
export const request = <Args extends ReadonlyArray<unknown>, A, E>(
  child: Backend.Child,
  task: Task.Task<Args, A, E>,
  args: Args,
): Effect.Effect<A, E | Backend.CallError> =>
  Effect.flatMap(Call.prepare(task, CALL, args), (prepared) =>
    Effect.async<unknown, unknown>((resume) => {
      Call.start(child, prepared, false, true, resume);
    })) as Effect.Effect<A, E | Backend.CallError>;
