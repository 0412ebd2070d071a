/**
 * Surveys a folder on all cores: counts the lines, words and distinct words of every file and takes its SHA-256, in a pool of
 * processes. Then does the same in this process alone, and compares.
 *
 *     deno task demo [folder] [--backend=subprocess|worker] [--size=N]
 *
 * Without a folder it surveys the sources of `effect`, some thousand files of this project's package cache. Symbolic links
 * are not followed. What cannot be read is counted and named, and does not stop the survey.
 *
 * Exit codes: 0 if the survey was done, even if some files could not be read; 1 if the folder cannot be read or the results
 * differ; 2 if the command line is wrong.
 *
 * @module
 */
import { Pool, runMain, SubprocessBackend, WorkerBackend } from "@effect-deno/multiprocessing";
import { Array, Chunk, Console, Data, Duration, Effect, Either, Stream } from "effect";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { survey, type Surveyed, surveyTask, type Unreadable, unreadable } from "./survey.ts";

// The two ways of doing it: in a pool, and alone.

const inPool = (files: ReadonlyArray<string>, size: number) =>
  Effect.gen(function* () {
    const pool = yield* Pool.make({ size });
    const surveyed = yield* Stream.fromIterable(files).pipe(
      pool.mapStream(surveyTask, { chunkSize: 32 }),
      Stream.zipWithIndex,
      Stream.tap(([, index]) => showProgress("in the pool", index + 1, files.length)),
      Stream.map(([file]) => file),
      Stream.runCollect,
    );
    return Chunk.toReadonlyArray(surveyed);
  }).pipe(Effect.scoped);

const alone = (files: ReadonlyArray<string>) =>
  Effect.forEach(files, (path, index) =>
    Effect.promise(() => survey(path)).pipe(
      Effect.tap(() => showProgress("alone", index + 1, files.length)),
    ));

// Which files.

class NotAFolder extends Data.TaggedError("NotAFolder")<{ readonly message: string }> {}

const ensureFolder = (folder: string): Effect.Effect<void, NotAFolder> =>
  Effect.tryPromise({
    try: () => Deno.stat(folder),
    catch: (error) =>
      new NotAFolder({ message: `Cannot survey ${folder}: it cannot be read (${(error as Error).name})` }),
  }).pipe(Effect.filterOrFail(
    (info) => info.isDirectory,
    () => new NotAFolder({ message: `Cannot survey ${folder}: it is not a folder` }),
  ));

/** The paths of all files in a folder and its subfolders; on the left the folders that cannot be listed. */
const walk = (folder: string): Stream.Stream<Either.Either<string, Unreadable>> =>
  Stream.fromAsyncIterable(Deno.readDir(folder), (error) => unreadable(folder, error)).pipe(
    Stream.flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory) return walk(path);
      return entry.isFile ? Stream.succeed(Either.right(path)) : Stream.empty;
    }),
    Stream.catchAll((unlisted) => Stream.succeed(Either.left(unlisted))),
  );

const defaultFolder = (): string => fileURLToPath(new URL(".", import.meta.resolve("effect/package.json")));

// What is printed.

const number = (value: number): string => value.toLocaleString("en");

const seconds = (duration: Duration.Duration): string => `${Duration.toSeconds(duration).toFixed(2)} s`;

/** On a terminal one line that is written anew for each percent, elsewhere a line for each quarter. */
const showProgress = (label: string, done: number, total: number): Effect.Effect<void> =>
  Effect.sync(() => {
    const terminal = Deno.stderr.isTerminal();
    const step = (done: number) => Math.floor(done * (terminal ? 100 : 4) / total);
    if (step(done) === step(done - 1)) return;
    const line = `${label}: ${number(done)} of ${number(total)} files`;
    const text = terminal ? `\r\x1b[K${done < total ? line : ""}` : `${line}\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  });

/** Rows of cells in columns, the first to the left and the others to the right. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell: string, column: number) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]);
  return rows.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n");
};

const describeFiles = (folder: string, files: ReadonlyArray<Surveyed>): string => {
  const largest = files.toSorted((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)).slice(0, 8);
  const sum = (key: "bytes" | "lines" | "words") => number(files.reduce((total, file) => total + file[key], 0));
  return table([
    ["largest files", "bytes", "lines", "words", "distinct", "sha-256"],
    ...largest.map((file) => [
      relative(folder, file.path),
      number(file.bytes),
      number(file.lines),
      number(file.words),
      number(file.distinct),
      `${file.sha256.slice(0, 12)}…`,
    ]),
    [`total of ${number(files.length)} files`, sum("bytes"), sum("lines"), sum("words"), "", ""],
  ]);
};

const describeUnreadable = (folder: string, all: ReadonlyArray<Unreadable>): string =>
  [
    `${number(all.length)} could not be read and ${all.length === 1 ? "is" : "are"} not counted:`,
    ...all.map(({ path, reason }) => `  ${relative(folder, path) || "the folder itself"} (${reason})`),
  ].join("\n");

const describeTimes = (size: number, pooled: Duration.Duration, alone: Duration.Duration): string =>
  table([
    [`pool of ${size}, with starting and ending it`, seconds(pooled)],
    ["this process alone", seconds(alone)],
    ["speed-up", `${(Duration.toMillis(alone) / Duration.toMillis(pooled)).toFixed(2)} x`],
  ]);

// The program.

class Usage extends Data.TaggedError("Usage")<{ readonly message: string }> {}

class Different extends Data.TaggedError("Different")<{ readonly message: string }> {}

const readArguments = Effect.try({
  try: () => {
    const { values: { backend, size }, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        backend: { type: "string", default: "subprocess" },
        size: { type: "string", default: String(navigator.hardwareConcurrency) },
      },
    });
    if (positionals.length > 1) throw new Error(`One folder at a time, received ${positionals.length}`);
    if (backend !== "subprocess" && backend !== "worker") throw new Error(`There is no backend "${backend}"`);
    if (!/^[1-9]\d{0,2}$/.test(size)) {
      throw new Error(`The size must be a whole number from 1 to 999, received "${size}"`);
    }
    return { folder: positionals[0] ?? defaultFolder(), backend, size: Number(size) };
  },
  catch: (error) =>
    new Usage({
      message: `${(error as Error).message}\nUsage: deno task demo [folder] [--backend=subprocess|worker] [--size=N]`,
    }),
});

const program = Effect.gen(function* () {
  const { folder, backend, size } = yield* readArguments;
  yield* ensureFolder(folder);
  const [unlisted, files] = Array.separate(yield* Stream.runCollect(walk(folder)));
  if (files.length === 0 && unlisted.length === 0) return yield* Console.log(`There are no files in ${folder}.`);
  yield* Console.log(`${number(files.length)} files to survey, in a pool of ${size} (${backend}) and alone`);

  // A subprocess may read the folder and nothing else. A worker has the permissions of this process.
  const layer = backend === "worker"
    ? WorkerBackend.layer()
    : SubprocessBackend.layer({ permissions: { read: [folder] } });
  const [pooledTime, surveyed] = yield* inPool(files, size).pipe(Effect.provide(layer), Effect.timed);
  const [aloneTime, expected] = yield* alone(files).pipe(Effect.timed);
  if (JSON.stringify(surveyed) !== JSON.stringify(expected)) {
    return yield* new Different({ message: "The results differ. Did a file change meanwhile?" });
  }

  const [failed, done] = Array.partitionMap(
    surveyed,
    (file) => file._tag === "Surveyed" ? Either.right(file) : Either.left(file),
  );
  const missed = [...unlisted, ...failed];
  if (done.length > 0) yield* Console.log(describeFiles(folder, done));
  if (missed.length > 0) yield* Console.log(describeUnreadable(folder, missed));
  yield* Console.log(`The two results are equal.\n${describeTimes(size, pooledTime, aloneTime)}`);
});

/** Ends the program with a message and an exit code. */
const quit = (code: number) => (error: { readonly message: string }): Effect.Effect<void> =>
  Console.error(error.message).pipe(Effect.tap(() => Effect.sync(() => Deno.exitCode = code)));

if (import.meta.main) {
  runMain(Effect.catchTags(program, { Usage: quit(2), NotAFolder: quit(1), Different: quit(1) }));
}
