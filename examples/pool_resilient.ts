/**
 * Measures all source files of a folder, whatever happens to the workers: with progress, retries, a deadline, a report of what could not be
 * done, and a picture of the work: `deno task example:pool_resilient [folder [timeline.svg]]`.
 */
import { Pool, runMain, SubprocessBackend, Task, Timeline } from "@effect-deno/multiprocessing";
import * as ProgressBar from "@effect-deno/multiprocessing/ProgressBar";
import { Cause, Console, Effect, Exit, Schedule } from "effect";

/** The lines of a file. It may run twice, so the pool may repeat it when a worker dies. */
const measure = Task.make(
  import.meta,
  "measure",
  (path: string): Effect.Effect<number, string> =>
    Effect.suspend(() => {
      const text = Deno.readTextFileSync(path);
      // Stands for a file on which a native library crashes.
      if (text.startsWith("// crash")) Deno.exit(70);
      return text.startsWith("// secret") ? Effect.fail("the file is secret") : Effect.succeed(text.split("\n").length);
    }),
  { idempotent: true },
);

const sourceFiles = function* (folder: string): Generator<string> {
  for (const { isDirectory, isFile, name } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* sourceFiles(`${folder}/${name}`);
    else if (isFile && name.endsWith(".ts")) yield `${folder}/${name}`;
  }
};

const program = Effect.gen(function* () {
  const folder = Deno.args[0] ?? `${import.meta.dirname}/../src`;
  const files = [...sourceFiles(folder)].sort();
  const timeline = yield* Timeline.make();
  const pool = yield* Pool.make({ size: { min: 1, max: 4, idleTimeToLive: "5 seconds" }, timeline });
  const progress = yield* Pool.progress;
  yield* ProgressBar.show(progress, { label: "files" });
  const exits = yield* pool.mapSettled(measure, files, {
    progress,
    retry: { schedule: Schedule.recurs(3).pipe(Schedule.addDelay(() => "10 millis")), kills: 2 },
    deadline: "1 minute",
  });
  let lines = 0;
  for (const [i, exit] of exits.entries()) {
    if (Exit.isSuccess(exit)) lines += exit.value;
    else yield* Console.log(`${files[i].slice(folder.length + 1)}: ${explain(exit.cause)}`);
  }
  const { done, failed } = yield* progress.snapshot;
  yield* Console.log(`${done} files have ${lines} lines, ${failed} could not be measured`);
  const { replaced, retried } = yield* pool.statistics;
  yield* Console.log(`${replaced} workers were replaced, ${retried} attempts repeated`);
  const [, picture] = Deno.args;
  // A browser shows which worker has measured which file when.
  if (picture !== undefined) yield* Effect.map(timeline.svg, (svg) => Deno.writeTextFileSync(picture, svg));
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

const explain = (cause: Cause.Cause<string | Pool.PoolFailure>): string => {
  const error = Cause.squash(cause);
  return error instanceof Pool.Poisoned ? `has killed ${error.deaths.length} workers` : String(error);
};

if (import.meta.main) runMain(program);
