/** Detects crashes and recovers from them: `deno task example:supervised`. */
import { Pool, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Ref, Schedule } from "effect";

/** Succeeds at the third attempt. The first two attempts end the process. */
const fragile = Task.make(import.meta, "fragile", (attempt: number) => {
  if (attempt < 3) Deno.exit(40 + attempt);
  return `worked at attempt ${attempt}`;
});

/** A task that sometimes kills its process. */
const half = Task.make(import.meta, "half", (n: number) => {
  if (n === 3) Deno.kill(Deno.pid, "SIGKILL");
  return n / 2;
});

const program = Effect.gen(function* () {
  // A caller that waits for a process that dies gets a `ProcessDied`, and can recover from it.
  const attempts = yield* Ref.make(0);
  const answer = yield* Ref.updateAndGet(attempts, (n) => n + 1).pipe(
    Effect.flatMap((attempt) => Process.run(fragile, attempt)),
    Effect.tapErrorTag(
      "ProcessDied",
      ({ status, task }) =>
        Console.log(`"${task}" was not done: ${status._tag === "Exited" ? `exit code ${status.code}` : status._tag}`),
    ),
    Effect.retry({
      while: (error) => error._tag === "ProcessDied",
      schedule: Schedule.intersect(Schedule.exponential("10 millis"), Schedule.recurs(5)),
    }),
  );
  yield* Console.log(answer);

  // A pool fails the one task whose worker died, replaces the worker and goes on.
  const pool = yield* Pool.make({ size: 1 });
  for (const n of [2, 3, 4]) {
    yield* pool.apply(half, n).pipe(
      Effect.map((result) => `half of ${n} is ${result}`),
      Effect.catchTag(
        "ProcessDied",
        ({ process, status }) =>
          Effect.succeed(`${process} died of ${status._tag === "Signaled" ? status.signal : status._tag}`),
      ),
      Effect.flatMap(Console.log),
    );
  }
  const { alive, completed, failed, replaced } = yield* pool.statistics;
  yield* Console.log(`alive ${alive}, completed ${completed}, failed ${failed}, replaced ${replaced}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
