/**
 * Finds the most similar source files of a folder. The work is the fingerprint of each file: the program parses the
 * file into tokens, and hashes every passage of it in 2,048 ways. First one process does all the work, then a pool; the
 * demo compares the results and the times.
 *
 *     deno task demo [folder] [--backend=subprocess|worker] [--size=N]
 *
 * Without a folder, the demo reads the sources of `effect` in the package cache of this project. Symbolic links are not
 * followed. Files that cannot be read are counted, and do not stop the demo.
 *
 * Exit codes: 0 on success, even if some files could not be read; 1 if the folder cannot be read or the results differ;
 * 2 if the command line is invalid.
 *
 * @module
 */
import { Pool, runMain, SubprocessBackend, WorkerBackend } from "@effect-deno/multiprocessing";
import * as ProgressBar from "@effect-deno/multiprocessing/ProgressBar";
import { Array, Console, Data, Duration, Effect, Either, Stream } from "effect";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Fingerprint, fingerprint, fingerprintTask, type Unreadable, unreadable } from "./fingerprint.ts";

// The two ways: in this process, and in a pool.

const alone = (files: ReadonlyArray<File>) =>
  Effect.forEach(files, ({ path }, index) =>
    Effect.promise(() => fingerprint(path)).pipe(
      Effect.tap(() => showProgress("alone", index + 1, files.length)),
    ));

/** Returns the fingerprints, and the time that the pool took after its start. */
const inPool = (files: ReadonlyArray<File>, size: number) =>
  Effect.gen(function* () {
    const pool = yield* Pool.make({ size });
    const progress = yield* Pool.progress;
    yield* ProgressBar.show(progress, { label: "in the pool" });
    return yield* Effect.timed(pool.map(fingerprintTask, files.map(({ path }) => path), { progress }));
  }).pipe(Effect.scoped);

// The files.

interface File {
  readonly path: string;
  readonly bytes: number;
}

class NotAFolder extends Data.TaggedError("NotAFolder")<{ readonly message: string }> {}

const ensureFolder = (folder: string): Effect.Effect<void, NotAFolder> =>
  Effect.tryPromise({
    try: () => Deno.stat(folder),
    catch: (error) =>
      new NotAFolder({ message: `Cannot take files from ${folder}: it cannot be read (${(error as Error).name})` }),
  }).pipe(Effect.filterOrFail(
    (info) => info.isDirectory,
    () => new NotAFolder({ message: `Cannot take files from ${folder}: it is not a folder` }),
  ));

const isSource = (name: string): boolean => /\.[cm]?[jt]sx?$/.test(name);

const describeFile = (path: string): Effect.Effect<Either.Either<File, Unreadable>> =>
  Effect.tryPromise({ try: () => Deno.stat(path), catch: (error) => unreadable(path, error) }).pipe(
    Effect.map(({ size }): File => ({ path, bytes: size })),
    Effect.either,
  );

/** The source files of a folder and its subfolders. The left side lists folders that cannot be read. */
const walk = (folder: string): Stream.Stream<Either.Either<File, Unreadable>> =>
  Stream.fromAsyncIterable(Deno.readDir(folder), (error) => unreadable(folder, error)).pipe(
    Stream.flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory) return walk(path);
      return entry.isFile && isSource(entry.name) ? Stream.fromEffect(describeFile(path)) : Stream.empty;
    }),
    Stream.catchAll((unlisted) => Stream.succeed(Either.left(unlisted))),
  );

/** The largest files come first: the small ones at the end let all workers finish at about the same time. */
const byWork = (a: File, b: File): number => b.bytes - a.bytes || (a.path < b.path ? -1 : 1);

const defaultFolder = (): string => fileURLToPath(new URL("src", import.meta.resolve("effect/package.json")));

// The similar files.

interface Pair {
  readonly files: readonly [Fingerprint, Fingerprint];
  /** The number of passages in both files, divided by the number in either. */
  readonly alike: number;
}

/** Elements that two samples must have in common, in a row, to be compared. */
const BAND = 4;

/** Minimum number of tokens of a file for a comparison. */
const ENOUGH = 100;

const compare = (a: Fingerprint, b: Fingerprint): Pair => ({
  files: a.path < b.path ? [a, b] : [b, a],
  alike: a.sample.filter((place, order) => place === b.sample[order]).length / a.sample.length,
});

/** The most similar pairs of files, found without comparing all files with all others. */
const findPairs = (files: ReadonlyArray<Fingerprint>, count: number): ReadonlyArray<Pair> => {
  const met = new Map<string, Array<Fingerprint>>();
  const pairs = new Map<string, Pair>();
  for (const file of files.filter(({ tokens }) => tokens >= ENOUGH)) {
    for (let start = 0; start < file.sample.length; start += BAND) {
      const key = `${start}: ${file.sample.subarray(start, start + BAND)}`;
      const others = met.get(key);
      if (others === undefined) met.set(key, [file]);
      else {
        for (const other of others) {
          const both = `${other.path}\n${file.path}`;
          if (!pairs.has(both)) pairs.set(both, compare(other, file));
        }
        others.push(file);
      }
    }
  }
  return [...pairs.values()].sort((a, b) => b.alike - a.alike).slice(0, count);
};

// The output.

const number = (value: number): string => value.toLocaleString("en");

const seconds = (duration: Duration.Duration): string => `${Duration.toSeconds(duration).toFixed(2)} s`;

const WIDTH = 40;

/** A progress bar on a terminal, of work that no pool does; nothing elsewhere. */
const showProgress = (label: string, done: number, total: number): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!Deno.stderr.isTerminal()) return;
    const percent = (done: number) => Math.floor(done * 100 / total);
    if (percent(done) === percent(done - 1)) return;
    const full = Math.floor(done * WIDTH / total);
    const bar = `  ${label.padEnd(11)} ${"█".repeat(full)}${"░".repeat(WIDTH - full)} ${percent(done)} %`;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${done < total ? bar : ""}`));
  });

/** Aligns rows of cells in columns. The columns in `right` are aligned to the right. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>, right: ReadonlyArray<number>): string => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell: string, column: number) =>
    right.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
  return rows.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n");
};

const describePairs = (folder: string, pairs: ReadonlyArray<Pair>): string =>
  pairs.length === 0 ? "  no two of them" : table(
    pairs.map(({ alike, files }) => [
      `${(alike * 100).toFixed(0)} %`,
      ...files.map(({ path }) => relative(folder, path)),
    ]),
    [0],
  );

const describeUnreadable = (folder: string, all: ReadonlyArray<Unreadable>): string => {
  const [{ path, reason }] = all;
  const first = `${relative(folder, path) || "the folder itself"} (${reason})`;
  return `Not counted, because they cannot be read: ${first}${all.length > 1 ? ` and ${all.length - 1} more` : ""}`;
};

interface Times {
  readonly alone: Duration.Duration;
  /** Includes the start and the end of the pool. */
  readonly pooled: Duration.Duration;
  readonly worked: Duration.Duration;
}

const describeTimes = (pool: string, { alone, pooled, worked }: Times): string => {
  const faster = (time: Duration.Duration) =>
    `${(Duration.toMillis(alone) / Duration.toMillis(time)).toFixed(2)} times as fast`;
  return table([
    ["one process alone", seconds(alone), ""],
    [pool, seconds(pooled), faster(pooled)],
    ["without its start and end", seconds(worked), faster(worked)],
  ], [1]);
};

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
    const [folder = defaultFolder()] = positionals;
    return { folder, subject: positionals[0] ?? "effect", backend, size: Number(size) };
  },
  catch: (error) =>
    new Usage({
      message: `${(error as Error).message}\nUsage: deno task demo [folder] [--backend=subprocess|worker] [--size=N]`,
    }),
});

/** True if other programs use more than half of the cores, so that the times mean little. */
const isBusy = (): boolean => Deno.loadavg()[0] > navigator.hardwareConcurrency / 2;

const program = Effect.gen(function* () {
  const { folder, subject, backend, size } = yield* readArguments;
  yield* ensureFolder(folder);
  const [unlisted, found] = Array.separate(yield* Stream.runCollect(walk(folder)));
  const files = found.toSorted(byWork);
  if (files.length === 0 && unlisted.length === 0) {
    return yield* Console.log(`There is no TypeScript or JavaScript in ${folder}.`);
  }
  yield* Console.log(`Which of the ${number(files.length)} source files of ${subject} are most alike?`);
  const busy = isBusy();

  // A subprocess may read only the folder. A worker has the permissions of this process.
  const layer = backend === "worker"
    ? WorkerBackend.layer()
    : SubprocessBackend.layer({ permissions: { read: [folder] } });
  const [aloneTime, expected] = yield* alone(files).pipe(Effect.timed);
  const [pooledTime, [workedTime, taken]] = yield* inPool(files, size).pipe(Effect.provide(layer), Effect.timed);
  if (JSON.stringify(taken) !== JSON.stringify(expected)) {
    return yield* new Different({ message: "The results differ. Did a file change meanwhile?" });
  }

  const [failed, done] = Array.partitionMap(
    taken,
    (file) => file._tag === "Fingerprint" ? Either.right(file) : Either.left(file),
  );
  const missed = [...unlisted, ...failed];
  const sum = (key: "lines" | "tokens") => number(done.reduce((total, file) => total + file[key], 0));
  yield* Console.log(`\n${describePairs(folder, findPairs(done, 5))}\n`);
  if (missed.length > 0) yield* Console.log(describeUnreadable(folder, missed));
  yield* Console.log(`The fingerprints of ${sum("lines")} lines, ${sum("tokens")} tokens, took`);
  const plural = size === 1 ? "" : backend === "worker" ? "s" : "es";
  const pool = `a pool of ${size} ${backend}${plural}`;
  yield* Console.log(describeTimes(pool, { alone: aloneTime, pooled: pooledTime, worked: workedTime }));
  yield* Console.log("and are the same, alone and in the pool.");
  if (busy) yield* Console.log("Other programs use the cores too: the times are better when they do not.");
});

/** Ends the program with a message and an exit code. */
const quit = (code: number) => (error: { readonly message: string }): Effect.Effect<void> =>
  Console.error(error.message).pipe(Effect.tap(() => Effect.sync(() => Deno.exitCode = code)));

if (import.meta.main) {
  runMain(Effect.catchTags(program, { Usage: quit(2), NotAFolder: quit(1), Different: quit(1) }));
}
