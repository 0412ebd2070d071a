/**
 * Runs benchmark rows: this library and its alternatives, side by side in one run.
 *
 * A row module calls {@link bench} at its top level; `main.ts` imports the module. Every number is the result of one
 * sample, and the samples of a row are taken in turns (ours, Python, ours, Python ...), so that a busy machine affects
 * all columns alike. Trust the ratios, not the numbers.
 */

import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { limitOf } from "./limits.ts";
import { Missing, Sidecar } from "./sidecar.ts";

export type Unit = "ns" | "us" | "ms" | "items/s" | "tasks/s" | "messages/s" | "MB/s" | "MB";

/** Takes one sample of the row's peer, in the row's unit. `undefined` if this machine does not have that peer. */
export type Peer = (
  row: Bench,
  context: Context,
) => Promise<number | undefined>;

/** The resources that a run provides to its peers. */
export interface Context {
  /** The program of a column; `undefined` if this machine cannot run it. */
  readonly sidecar: (column: string) => Sidecar | undefined;
  /** Drops the column for the rest of the run, and reports so once. */
  readonly lose: (column: string, why: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly unit: Unit;
  readonly better: "lower" | "higher";
  /** The limit of our result, for the last column of the table. */
  readonly bound?: string;
  /**
   * Takes one sample of ours, of about half a second, in the row's unit. Closes its resources outside the measured
   * time.
   */
  readonly run: () => Promise<number>;
  /** By column. */
  readonly peers?: Readonly<Record<string, Peer>>;
}

/** Medians, and for each peer the ratio by which ours is better: above 1 means ahead, whichever way the unit runs. */
export interface Figures {
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  readonly ratio: Readonly<Record<string, number>>;
  /** The result of the row's raw program, and our share of it. */
  readonly limit?: { readonly name: string; readonly value: number; readonly reached: number };
}

/** A measured row. */
export interface Row extends Figures {
  readonly name: string;
  readonly unit: Unit;
  readonly bound?: string;
  /** The same while another program keeps one core busy. */
  readonly busy?: Figures;
}

const registered: Array<Bench> = [];

/** Registers a row. Rows run and are printed in the order of registration. */
export const bench = (row: Bench): void => {
  if (registered.some((other) => other.name === row.name)) {
    throw new Error(
      `Cannot register a row: its name must be unique, received ${row.name} twice`,
    );
  }
  registered.push(row);
};

/** The row of another name in `peer_rows.py`, for rows that share a peer. */
export const pythonRow = (name: string): Peer => ({ unit }, context) =>
  context.sidecar("python")?.measure({ name, unit }) ?? Promise.resolve(undefined);

/** The row of the same name in `peer_rows.py`, which must have the same unit. */
export const python: Peer = (row, context) => pythonRow(row.name)(row, context);

/**
 * The columns of npm packages: the rows of this name, without the backend's suffix, in `peers/<column>.ts`. A package
 * that cannot be installed, fails or does not answer loses its column, and affects no row.
 */
export const packages = (name: string, ...columns: ReadonlyArray<string>): Readonly<Record<string, Peer>> =>
  Object.fromEntries(columns.map((column): [string, Peer] => [column, async ({ unit }, context) => {
    try {
      return await context.sidecar(column)?.measure({ name, unit });
    } catch (error) {
      context.lose(column, error instanceof Missing ? error.message : `${name}: ${error}`);
      return undefined;
    }
  }]));

export const median = (samples: ReadonlyArray<number>): number => {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Milliseconds for which {@link warm} and {@link perTurn} let all processes compile their code, which takes thousands of calls. */
const WARM = 1500;

/** Approximate duration in milliseconds of one sample; `BUDGET` in `peer_rows.py`. */
const BUDGET = 400;

// Keeps results alive, because the optimiser may otherwise drop the calls that made them.
const sink: { result: unknown } = { result: undefined };

const batch = (operation: () => unknown, calls: number): number => {
  const start = performance.now();
  for (let call = 0; call < calls; call++) sink.result = operation();
  return performance.now() - start;
};

/**
 * Microseconds of one call of a synchronous operation, measured like `per_call` in `peer_rows.py`: the median of means
 * of 50 ms batches.
 */
export const perCall = (operation: () => unknown): number => {
  let calls = 1;
  while (batch(operation, calls) < 50) calls *= 2;
  const samples: Array<number> = [];
  const end = performance.now() + BUDGET;
  while (samples.length < 3 || performance.now() < end) {
    samples.push(batch(operation, calls) / calls * 1000);
  }
  sink.result = undefined;
  return median(samples);
};

/**
 * The median of samples taken for {@link BUDGET} ms, at least three and one more to warm up, like `sampled` in
 * `peer_rows.py`.
 */
export const sampled = async (sample: () => Promise<number>): Promise<number> => {
  await sample();
  const samples: Array<number> = [];
  const end = performance.now() + BUDGET;
  while (samples.length < 3 || performance.now() < end) samples.push(await sample());
  return median(samples);
};

/** {@link sampled}, once all processes have compiled their code; see {@link perTurn}. */
export const warm = async (sample: () => Promise<number>): Promise<number> => {
  for (const end = performance.now() + WARM; performance.now() < end;) await sample();
  return await sampled(sample);
};

/** Milliseconds that an operation takes. */
export const timed = async (operation: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await operation();
  return performance.now() - start;
};

/** Milliseconds that a module of this folder prints when it runs as a separate program. */
export const scripted = async (module: string, ...args: ReadonlyArray<string>): Promise<number> => {
  const { stderr, stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fileURLToPath(import.meta.resolve(`./${module}`)), ...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot measure: ${module} failed: ${new TextDecoder().decode(stderr)}`);
  return Number(new TextDecoder().decode(stdout));
};

/**
 * {@link perCall} for operations that take turns of the event loop: `repeat` runs the given number of calls in
 * sequence. Measures what a call costs once the processes are warm; the row `pipe.rtt.first` says what the first ones
 * cost.
 */
export const perTurn = async (repeat: (calls: number) => Promise<unknown>): Promise<number> => {
  for (const end = performance.now() + WARM; performance.now() < end;) await repeat(64);
  let calls = 1;
  while (await timed(() => repeat(calls)) < 50) calls *= 2;
  return await sampled(async () => await timed(() => repeat(calls)) / calls * 1000);
};

/** Milliseconds after which a row takes no further turns, if it has one. */
const ENOUGH = 60_000;

/** Abandoned rows, which may run for ever. */
let hung = false;

/** Abandons a sample of ours after the given number of milliseconds, because a row that hangs must not stop the run. */
const bounded = async (sample: Promise<number>, patience: number): Promise<number> => {
  let impatience: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    impatience = setTimeout(() => {
      hung = true;
      reject(new Error(`Cannot measure: a sample took more than ${patience / 1000} s`));
    }, patience);
  });
  try {
    return await Promise.race([sample, late]);
  } finally {
    clearTimeout(impatience);
  }
};

/** Takes the row's samples in turns. The first turn warms all sides up and is dropped. */
const measure = async (
  row: Bench,
  context: Context,
  { count, patience }: { readonly count: number; readonly patience: number },
): Promise<Figures> => {
  let limit = limitOf(row.name);
  const ours: Array<number> = [];
  const limits: Array<number> = [];
  const theirs = Object.entries(row.peers ?? {}).map(([name, sample]) => ({
    name,
    sample,
    samples: [] as Array<number>,
  }));
  const end = performance.now() + ENOUGH;
  for (let turn = 0; turn <= count && (ours.length === 0 || performance.now() < end); turn++) {
    const value = await bounded(row.run(), patience);
    if (turn > 0) ours.push(value);
    // A separate program, which warms up by itself.
    if (turn > 0 && limit !== undefined) {
      try {
        limits.push(await limit.measure(row.unit));
      } catch (error) {
        console.error(`Without the limit of ${row.name}: ${error}`);
        limit = undefined;
      }
    }
    for (const peer of theirs) {
      const value = await peer.sample(row, context);
      if (turn > 0 && value !== undefined) peer.samples.push(value);
    }
  }
  const value = median(ours);
  const ahead = (other: number): number => row.better === "lower" ? other / value : value / other;
  const measured = theirs.filter(({ samples }) => samples.length > 0)
    .map(({ name, samples }) => [name, median(samples)] as const);
  return {
    ours: value,
    peers: Object.fromEntries(measured),
    ratio: Object.fromEntries(measured.map(([name, value]) => [name, ahead(value)])),
    ...(limit !== undefined && {
      limit: { name: limit.name, value: median(limits), reached: ahead(median(limits)) },
    }),
  };
};

/** Measures while a program keeps one core busy. */
const whileBusy = async <A>(measure: () => Promise<A>): Promise<A> => {
  const busy = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fileURLToPath(new URL("busy.ts", import.meta.url))],
    stdin: "null",
  }).spawn();
  try {
    return await measure();
  } finally {
    busy.kill("SIGKILL");
    await busy.status;
  }
};

/** The sidecars of a run. Each is started with its first use. */
class Sidecars implements Context, AsyncDisposable {
  readonly #commands: (column: string) => [command: string, args: Array<string>];
  readonly #started = new Map<string, Sidecar | undefined>();
  readonly #lost = new Set<string>();

  constructor(python: string) {
    this.#commands = (column) =>
      column === "python"
        // -S skips the start-up hooks of installed packages. They run in every spawned child and are not part of
        // Python.
        ? [python, ["-S", fileURLToPath(new URL("peer.py", import.meta.url))]]
        // Needs no flags: Deno finds peers/deno.json and the lock file beside it from the path.
        : [Deno.execPath(), ["run", "-A", fileURLToPath(new URL(`peers/${column}.ts`, import.meta.url))]];
  }

  sidecar = (column: string): Sidecar | undefined => {
    if (this.#lost.has(column)) return undefined;
    if (!this.#started.has(column)) {
      const [command, args] = this.#commands(column);
      this.#started.set(column, Sidecar.start(command, args));
      if (this.#started.get(column) === undefined) this.lose(column, `there is no ${command}`);
    }
    return this.#started.get(column);
  };

  lose = (column: string, why: string): void => {
    if (!this.#lost.has(column)) console.error(`Without the column ${column}: ${why}`);
    this.#lost.add(column);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#started.values().map((sidecar) => sidecar?.[Symbol.asyncDispose]()));
  }
}

/** Formats the numbers of a table. */
export const compact = new Intl.NumberFormat("en", {
  notation: "compact",
  maximumSignificantDigits: 3,
});

const table = (
  rows: ReadonlyArray<Row>,
  bounds: ReadonlyMap<string, string>,
): string => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const cell = (value: number | undefined, suffix = ""): string =>
    value === undefined ? "-" : compact.format(value) + suffix;
  const reached = (share: number | undefined): string =>
    share === undefined ? "-" : `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
  const cells = (figures: Figures, name: string, unit: string, bound: string): ReadonlyArray<string> => [
    name,
    cell(figures.ours),
    unit,
    ...columns.flatMap((column) => [cell(figures.peers[column]), cell(figures.ratio[column], "x")]),
    cell(figures.limit?.value),
    reached(figures.limit?.reached),
    figures.limit?.name ?? "",
    bound,
  ];
  const lines = [
    [
      "name",
      "ours",
      "",
      ...columns.flatMap((column) => [column, "ratio"]),
      "limit",
      "reached",
      "limit by",
      "bound by",
    ],
    ...rows.flatMap((row) => [
      cells(row, row.name, row.unit, bounds.get(row.name) ?? ""),
      ...(row.busy === undefined ? [] : [cells(row.busy, "  while busy", row.unit, "")]),
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isText = (column: number): boolean => column === 0 || column === 2 || column >= widths.length - 2;
  return lines
    .map((line) =>
      line.map((text, column) => isText(column) ? text.padEnd(widths[column]) : text.padStart(widths[column])).join(
        "  ",
      ).trimEnd()
    )
    .join("\n");
};

/**
 * Runs the registered rows.
 *
 * `--filter=queue.,pipe.rtt` selects the rows whose name contains one of these parts, `--json` prints one object per
 * line as rows finish, of which `report.ts` makes the page of results, `--samples=5` is the number of turns, and
 * `--python=python3` is the interpreter to measure, which should be built with optimisations, as in a distribution.
 * `--busy` measures each row a second time while a spinning process keeps one core busy, and reports both.
 * `--patience=60` is the time limit of a sample in seconds. A row that fails, or does not end, is reported on stderr,
 * the others still run, and the exit code is 1.
 */
export const main = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      busy: { type: "boolean", default: false },
      filter: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      patience: { type: "string", default: "60" },
      python: { type: "string", default: "python3" },
      samples: { type: "string", default: "5" },
    },
  });
  const count = Number(values.samples);
  if (!Number.isInteger(count) || count < 1) {
    throw new Error(
      `Cannot run: --samples must be 1 or more, received ${values.samples}`,
    );
  }
  const patience = Number(values.patience) * 1000;
  if (!(patience > 0)) {
    throw new Error(`Cannot run: --patience must be a number of seconds above 0, received ${values.patience}`);
  }
  const parts = values.filter.split(",");
  const chosen = registered.filter(({ name }) => parts.some((part) => name.includes(part)));
  if (chosen.length === 0) {
    throw new Error(
      `Cannot run: no row's name contains ${JSON.stringify(values.filter)}`,
    );
  }

  const rows: Array<Row> = [];
  {
    await using sidecars = new Sidecars(values.python);
    for (const row of chosen) {
      if (Deno.stderr.isTerminal()) console.error(`${row.name} ...`);
      try {
        const quiet = await measure(row, sidecars, { count, patience });
        const measured: Row = {
          name: row.name,
          unit: row.unit,
          ...(row.bound !== undefined && { bound: row.bound }),
          ...quiet,
          ...(values.busy && { busy: await whileBusy(() => measure(row, sidecars, { count, patience })) }),
        };
        rows.push(measured);
        if (values.json) console.log(JSON.stringify(measured));
      } catch (error) {
        Deno.exitCode = 1;
        console.error(`${row.name} failed:`, error);
      }
    }
  }
  if (!values.json) {
    console.log(
      table(rows, new Map(chosen.map((row) => [row.name, row.bound ?? ""]))),
    );
  }
  // Abandoned rows are still running. Their children end with this process.
  if (hung) Deno.exit(1);
};
