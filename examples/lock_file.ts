/** Three processes write lines to one file, and hold a lock for each line: `deno task example:lock_file`. */
import { Lock, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** Writes a line in two parts, which must stay together. */
const writeLine = (path: string, line: string) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => Deno.writeTextFile(path, `${line} `, { append: true }));
    yield* Effect.promise(() => Deno.writeTextFile(path, "is whole\n", { append: true }));
  });

/** Writes with `withLock`, which releases the lock in every case. */
const short = Task.make(
  import.meta,
  "short",
  (lock: Lock.Lock, path: string, name: string) =>
    Effect.forEach(["one", "two"], (n) => lock.withLock(writeLine(path, `${name} ${n}`)), { discard: true }),
);

/** Writes with `take` and `release`. */
const long = Task.make(import.meta, "long", (lock: Lock.Lock, path: string, name: string) =>
  Effect.gen(function* () {
    const { abandoned } = yield* lock.take;
    if (abandoned) yield* Console.log("the last holder died while it wrote");
    yield* Effect.ensuring(writeLine(path, name), Effect.orDie(lock.release));
  }));

const program = Effect.gen(function* () {
  const lock = yield* Lock.make();
  const path = yield* Effect.acquireRelease(
    Effect.promise(() => Deno.makeTempFile()),
    (path) => Effect.promise(() => Deno.remove(path)),
  );
  const writers = [
    yield* Process.spawn(short, lock, path, "a"),
    yield* Process.spawn(short, lock, path, "b"),
    yield* Process.spawn(long, lock, path, "c"),
  ];
  for (const writer of writers) yield* writer.join;
  const lines = (yield* Effect.promise(() => Deno.readTextFile(path))).trimEnd().split("\n");
  for (const line of lines.toSorted()) yield* Console.log(line);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
