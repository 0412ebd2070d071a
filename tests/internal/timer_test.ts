/**
 * Durations that users choose, including those that `setTimeout` does not support.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { Backend, Pipe, Pool, Process, Queue, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import { after, LONGEST } from "../../src/internal/os/timer.ts";
import { assertEquals } from "../support/assert.ts";
import { signal, test, warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { casesOf, fullUnless, registerEach } from "../support/tier.ts";

const DAY = 24 * 3600 * 1000;

/** Runs a program with timers that fire at once, and returns the requested delays. */
const delays = (run: () => void): ReadonlyArray<number> => {
  const real = globalThis.setTimeout;
  const asked: Array<number> = [];
  const due: Array<() => void> = [];
  globalThis.setTimeout = ((callback: () => void, delay: number) => {
    asked.push(delay);
    due.push(callback);
    return 0;
  }) as unknown as typeof setTimeout;
  try {
    run();
    for (let next = due.shift(); next !== undefined; next = due.shift()) next();
  } finally {
    globalThis.setTimeout = real;
  }
  return asked;
};

Deno.test("timers: a duration longer than setTimeout keeps is divided, and runs to its end", () => {
  for (const millis of [0, 1, 1.5, LONGEST, LONGEST + 1, 30 * DAY, 400 * DAY]) {
    let runs = 0;
    const asked = delays(() => void after(millis, () => runs++));
    assertEquals(runs, 1, `${millis}`);
    assertEquals(asked.reduce((sum, delay) => sum + delay, 0), millis);
    assertEquals(asked.filter((delay) => !(delay >= 0 && delay <= LONGEST)), [], `${millis}`);
  }
});

Deno.test("timers: an infinite duration has no timer, and a stopped one does not go off", () => {
  let runs = 0;
  assertEquals(delays(() => void after(Infinity, () => runs++)), []);
  // The sanitizer of Deno finds a timer that is still active.
  for (const millis of [0, 30 * DAY, Infinity]) {
    const stop = after(millis, () => runs++);
    stop();
    stop();
  }
  assertEquals(runs, 0);
});

/** The source text of the arguments of each call of a function in a program, by name. */
const argumentsOf = (name: string, source: string): ReadonlyArray<ReadonlyArray<string>> =>
  [...source.matchAll(new RegExp(`\\b${name}\\(`, "g"))].map(({ 0: { length }, index }) => {
    const found = [""];
    let depth = 0;
    for (let at = index + length; depth >= 0; at++) {
      const char = source[at];
      if ("([{".includes(char)) depth++;
      if (")]}".includes(char)) depth--;
      if (depth === 0 && char === ",") found.push("");
      else if (depth >= 0) found[found.length - 1] += char;
    }
    return found.map((argument) => argument.trim()).filter((argument) => argument !== "");
  });

Deno.test("timers: no timer of the library but the one in os/timer.ts has a delay that is not a constant of its module", async () => {
  const variable: Array<string> = [];
  let constant = 0;
  const visit = async (folder: URL): Promise<void> => {
    for await (const { isDirectory, name } of Deno.readDir(folder)) {
      const url = new URL(name, folder);
      if (isDirectory) await visit(new URL(`${name}/`, folder));
      else if (!url.pathname.endsWith("/src/internal/os/timer.ts")) {
        const source = await Deno.readTextFile(url);
        for (const [, delay = "0"] of ["setTimeout", "setInterval"].flatMap((call) => argumentsOf(call, source))) {
          const name = delay.replace(/^\$\{(\w+)\}$/, "$1");
          if (/^[\d_* ]+$/.test(name) || new RegExp(`^const ${name} = [\\d_]+;`, "m").test(source)) constant++;
          else variable.push(`${url.pathname}: ${delay}`);
        }
      }
    }
  };
  await visit(new URL("../../src/", import.meta.url));
  assertEquals(variable, []);
  // The expected calls were found.
  assertEquals(constant > 10, true);
});

const backends = [
  ["subprocess", SubprocessBackend.layer()],
  ["worker", WorkerBackend.layer()],
] as const;

for (const [, layer] of casesOf(backends)) await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), layer));

registerEach(backends, ([name, layer]) => {
  for (const duration of ["30 days", "Infinity"] as const) {
    test(
      `timers on ${name}: a grace period of ${duration} lets finalizers take the time that they need${
        fullUnless(duration === "30 days")
      }`,
      Effect.gen(function* () {
        const backend = yield* Backend.Backend;
        const killed: Array<Backend.Signal> = [];
        const watched: Backend.Backend = {
          ...backend,
          spawn: (command) =>
            Effect.map(backend.spawn(command), (child) => ({
              ...child,
              kill: (signal) =>
                Effect.suspend(() => {
                  killed.push(signal);
                  return child.kill(signal);
                }),
            })),
        };
        const begun = yield* signal;
        const finishing = yield* Deferred.make<void>();
        const finish = yield* Deferred.make<void>();
        const slow = Stream.execute(
          Effect.zipRight(Deferred.succeed(finishing, undefined), Deferred.await(finish)),
        );
        const gracePeriod = duration === "Infinity" ? Infinity : duration;
        const child = yield* Effect.provideService(
          Process.spawnWith(Tasks.forever, [begun.stream, slow], { gracePeriod, forceKillAfter: gracePeriod }),
          Backend.Backend,
          watched,
        );
        yield* begun.fired;
        const ending = yield* Effect.fork(child.terminate);
        yield* Deferred.await(finishing);
        // A timer with an overflow fires before this resumes.
        yield* Process.run(Tasks.addEffect, 1, 2);
        yield* Deferred.succeed(finish, undefined);
        yield* ending.await;
        assertEquals(killed, []);
      }).pipe(Effect.provide(layer)),
    );

    test(
      `timers on ${name}: a task of a pool may run for ${duration}${fullUnless(duration === "30 days")}`,
      Effect.gen(function* () {
        const timeout = duration === "Infinity" ? Infinity : duration;
        const begun = yield* signal;
        const finish = yield* Deferred.make<void>();
        const pool = yield* Pool.make({ size: 2, timeout, gracePeriod: timeout });
        const gate = Stream.execute(Deferred.await(finish));
        const applied = yield* Effect.fork(pool.apply(Tasks.gate, begun.stream, gate, 1));
        const submitted = yield* pool.submitWith(Tasks.gate, [Stream.empty, gate, 2], { timeout });
        yield* begun.fired;
        yield* Process.run(Tasks.addEffect, 1, 2);
        yield* Deferred.succeed(finish, undefined);
        assertEquals([yield* applied, yield* submitted.await], [1, 2]);
      }).pipe(Effect.provide(layer)),
    );
  }
});

test(
  "timers: poll and wait with 30 days wait for what comes",
  Effect.gen(function* () {
    const [one, other] = yield* Pipe.make<number>();
    const queue = yield* Queue.make<number>();
    const polling = yield* Effect.fork(one.poll("30 days"));
    const waiting = yield* Effect.fork(wait([queue], { timeout: "30 days" }));
    yield* Effect.yieldNow();
    yield* other.send(1);
    yield* queue.put(1);
    assertEquals([yield* polling, yield* waiting], [true, [queue]]);
  }),
);
