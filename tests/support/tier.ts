/**
 * The tests that a run registers.
 *
 * - `deno task test` runs each behaviour once.
 * - `deno task test:full` runs the tests whose name ends with "(full)". They repeat a behaviour in a further combination,
 *   for example on a second backend that shares the code, or try a rare one.
 * - `deno task test:faults` runs the tests whose name ends with "(storm)", at full length. `deno task test` runs them
 *   with few rounds, unless their name contains "(full)".
 *
 * `deno test FILE` without `tests/run.ts` runs all tests of the file.
 *
 * @module
 */

/** A child process may lack the permission to read its environment. */
export const variable = (name: string): string | undefined =>
  Deno.permissions.querySync({ name: "env", variable: name }).state === "granted" ? Deno.env.get(name) : undefined;

const tier = variable("MP_TEST_TIER");

/** Whether only storms run, at full length. */
export const storming: boolean = tier === "storm";

/** Whether this run registers a test of this name. */
export const chosen = (name: string): boolean => {
  if (storming) return name.includes("(storm)");
  if (tier === "full") return name.includes("(full)") && !name.includes("(storm)");
  return tier !== "quick" || !name.includes("(full)");
};

/** Adds what `--filter` of this run looks for to the name of a group, which `deno test` filters by its own name only. */
export const groupName = (name: string): string =>
  storming && !name.includes("(storm)")
    ? `${name} (storm)`
    : tier === "full" && !name.includes("(full)")
    ? `${name} (full)`
    : name;

/** The parts of titles that `repeated` leaves in the quick run, while it registers, and whether a title has them. */
let kept: Map<string, boolean> | undefined;

/** The name under which a test is registered. */
export const titled = (name: string): string => {
  if (kept === undefined) return name;
  const found = [...kept.keys()].filter((part) => name.includes(part));
  for (const part of found) kept.set(part, true);
  return found.length > 0 || name.includes("(full)") ? name : `${name} (full)`;
};

/** The end of the name of a test that is one of several alike: a quick run registers it only if `quick` holds. */
export const fullUnless = (quick: boolean): string => quick ? "" : " (full)";

/**
 * Registers tests that repeat others, for example on a second backend: each of them becomes a "(full)" test, except
 * those whose title contains one of the given texts.
 */
export const repeated = (register: () => void, except: ReadonlyArray<string> = []): void => {
  const parts = new Map(except.map((part) => [part, false]));
  kept = parts;
  try {
    register();
  } finally {
    kept = undefined;
  }
  for (const [part, found] of parts) if (!found) throw new Error(`No title contains ${JSON.stringify(part)}`);
};

/** Registers a test that is a function. */
export const testFunction = (
  name: string,
  fn: Deno.TestDefinition["fn"],
  options: Omit<Deno.TestDefinition, "name" | "fn"> = {},
): void => {
  const title = titled(name);
  if (chosen(title)) Deno.test({ ...options, name: title, fn });
};

/** Registers the same tests for several cases: for the first case as they are, for the others as repetitions. */
export const registerEach = <A>(
  cases: Iterable<A>,
  register: (value: A) => void,
  except: ReadonlyArray<string> = [],
): void => {
  const [first, ...others] = cases;
  register(first);
  repeated(() => others.forEach((value) => register(value)), except);
};

/** Whether this run has repetitions. Otherwise a module prepares nothing for them. */
export const repeating: boolean = tier !== "quick";

/** The cases for which `registerEach` registers tests in this run, apart from exceptions. */
export const casesOf = <A>(cases: ReadonlyArray<A>): ReadonlyArray<A> => repeating ? cases : cases.slice(0, 1);
