/**
 * Runs the tests: each file in its own process, one more at once than there are cores. Files do not disturb each other,
 * because the leak check of a test covers only its process and its descendants.
 *
 *     deno task test [FILE...] [options of deno test]
 *     deno task test:full [FILE...] [options of deno test]
 *     deno task test:faults [FILE...] [--seed=N] [--rounds=N]
 *
 * A FILE is a part of a path. `--jobs=N` sets the number of files that run at once. `--times[=N]` adds a list of the
 * files that take most processor time. The last line is a summary in the format of `deno test`.
 *
 * @module
 */

/** Files whose tests depend on the whole machine. They run one after the other, while no other tests run. */
const ALONE: ReadonlyArray<string> = [
  // These tests expect the leftovers of a killed process in `/dev/shm` to stay until they look; any program may sweep
  // them.
  "tests/api/SharedMemory_names_test.ts",
  "tests/faults/leaks_test.ts",
  // This test compares the rate of answers of a server with the other work of the machine.
  "tests/faults/responsive_test.ts",
];

/** One run of `deno test`. */
interface Job {
  readonly title: string;
  readonly args: ReadonlyArray<string>;
}

interface Result {
  readonly title: string;
  readonly code: number;
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
  readonly seconds: number;
  /** Processor time in seconds, of the run and its children. */
  readonly cpu: number;
}

const root = new URL("../", import.meta.url);

const values = new Map<string, string>();
const files: Array<string> = [];
const passOn: Array<string> = [];
for (const argument of Deno.args) {
  const [, name, value] = /^--(seed|rounds|jobs|times|full|storm)(?:=(.*))?$/.exec(argument) ?? [];
  if (name !== undefined) values.set(name, value ?? "");
  else if (argument.startsWith("-")) passOn.push(argument);
  else files.push(argument);
}

/** A positive integer option. */
const integer = (name: string): number | undefined => {
  const text = values.get(name);
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  console.error(`Invalid option --${name}: expected a whole number, received ${JSON.stringify(text)}`);
  Deno.exit(2);
};

/** The tests that run: `support/tier.ts` describes the tiers. */
const tier = values.has("storm") ? "storm" : values.has("full") ? "full" : "quick";
const task = { quick: "test", full: "test:full", storm: "test:faults" }[tier];
/** What the source of a file with tests of this tier contains. */
const sign = { quick: /(?:)/, full: /\(full\)|\b(?:repeated|registerEach)\(/, storm: /\(storm\)/ }[tier];
const rounds = integer("rounds");
const seed = integer("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0];
// One more than there are cores, because most tests also wait for processes.
const atOnce = integer("jobs") ?? navigator.hardwareConcurrency + 1;

const jobs: Array<Job> = [];
/** The test files in a folder and its subfolders. */
const testsIn = (folder: string): ReadonlyArray<string> =>
  [...Deno.readDirSync(new URL(folder, root))].flatMap(({ isDirectory, name }) =>
    isDirectory ? testsIn(`${folder}/${name}`) : name.endsWith("_test.ts") ? [`${folder}/${name}`] : []
  );

for (const path of testsIn("tests").toSorted()) {
  if (!sign.test(Deno.readTextFileSync(new URL(path, root)))) continue;
  jobs.push({ title: path, args: tier === "quick" ? [path] : [`--filter=(${tier})`, path] });
}
// Separate tests run the programs that print.
if (tier === "full") jobs.push({ title: "documentation of src", args: ["--doc", "src"] });

const wanted = jobs.filter(({ title }) => files.length === 0 || files.some((part) => title.includes(part)));

const results: Array<Result> = [];

/** Processor time in seconds of all children that have ended so far, if `/proc` exists. */
const childTime = (): number => {
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {
    return 0;
  }
};

let counted = childTime();

/** The current runs. A runner that is stopped stops them. */
const running = new Set<Deno.ChildProcess>();

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.addSignalListener(signal, () => {
    for (const child of running) child.kill("SIGKILL");
    Deno.exit(code);
  });
}

const run = async ({ args, title }: Job): Promise<void> => {
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--sanitize-ops", "--sanitize-resources", ...passOn, ...args],
    cwd: root,
    env: {
      NO_COLOR: "1",
      MP_TEST_SEED: `${seed}`,
      MP_TEST_TIER: tier,
      ...(rounds === undefined ? {} : { MP_TEST_ROUNDS: `${rounds}` }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  running.add(child);
  const { code, stderr, stdout } = await child.output();
  running.delete(child);
  // Output since the end of the last run belongs to this run.
  const total = childTime();
  const cpu = total - counted;
  counted = total;
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const summary = text.match(/^(?:ok|FAILED) \| \d+ passed.*$/gm)?.at(-1);
  // Steps count as tests: `ok | 2 passed (9 steps) | 0 failed (3s)`.
  const count = (what: string): number =>
    Number(summary?.match(`(\\d+) ${what}`)?.[1] ?? 0) + Number(summary?.match(`${what} \\((\\d+) step`)?.[1] ?? 0);
  const failed = count("failed");
  // A process that ends without a summary, or that fails without a failed test, counts as one failure.
  const result: Result = {
    title,
    code,
    passed: count("passed"),
    failed: code !== 0 && failed === 0 ? 1 : failed,
    ignored: count("ignored"),
    seconds: (performance.now() - begun) / 1000,
    cpu,
  };
  results.push(result);
  console.log(text.trimEnd());
  if (summary === undefined) console.log(`${title}: ended with exit code ${code} and without a summary`);
};

/** Runs jobs with bounded concurrency. */
const runAll = async (jobs: ReadonlyArray<Job>, atOnce: number): Promise<void> => {
  const queue = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await run(job);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
};

console.log(
  `seed ${seed}: deno task ${task} --seed=${seed}${rounds === undefined ? "" : ` --rounds=${rounds}`}`,
);

const begun = performance.now();
await runAll(wanted.filter(({ title }) => !ALONE.includes(title)), atOnce);
await runAll(wanted.filter(({ title }) => ALONE.includes(title)), 1);

if (values.has("times")) {
  const column = (seconds: number): string => seconds.toFixed(1).padStart(7);
  console.log("\nseconds     cpu  file");
  const most = values.get("times") === "" ? 20 : integer("times");
  for (const { cpu, seconds, title } of results.toSorted((a, b) => b.cpu - a.cpu).slice(0, most)) {
    console.log(`${column(seconds)} ${column(cpu)}  ${title}`);
  }
  console.log(`${column((performance.now() - begun) / 1000)} ${column(counted)}  all of it`);
}

const sum = (count: (result: Result) => number): number => results.reduce((total, result) => total + count(result), 0);
const bad = results.filter(({ failed }) => failed > 0);
if (bad.length > 0) console.log(`\nfailed in:\n${bad.map(({ failed, title }) => `  ${title}: ${failed}`).join("\n")}`);
const passed = sum((result) => result.passed);
const failed = sum((result) => result.failed);
const ok = failed === 0 && passed > 0;
console.log(
  `\n${ok ? "ok" : "FAILED"} | ${passed} passed | ${failed} failed | ${
    sum((result) => result.ignored)
  } ignored (seed ${seed}, ${Math.round((performance.now() - begun) / 1000)}s)`,
);
Deno.exit(ok ? 0 : 1);
