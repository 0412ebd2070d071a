/**
 * Resources that a test must not leave behind: child processes, descriptors, worker threads, names in `/dev/shm`. Only
 * resources of this process and its descendants count, because other tests may run on the machine.
 *
 * @module
 */
import v8 from "node:v8";
import vm from "node:vm";
import { fail } from "./assert.ts";

v8.setFlagsFromString("--expose-gc");
/** Memory that another process shares is released by its finalization, which follows a collection. */
export const collect = vm.runInNewContext("gc") as () => void;

/** The resources of this process, with a count for each name. Resources without a name in the system share one. */
type Holdings = ReadonlyMap<string, number>;

const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
};

const read = (path: string): string | undefined => {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
};

/** A process as `/proc` describes it. The start time is part of its identity, because pids are used again. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** `Z` for a process that has ended and was not awaited. */
  readonly state: string;
  readonly started: string;
}

/** The entry of one process, if the process exists. */
export const processEntry = (pid: number): ProcessEntry | undefined => {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name before the state may contain any character, such as spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { pid, state: fields[0], parent: Number(fields[1]), started: fields[19] };
};

const keepers = new Set<number>();

/** The children of this process may outlive the test that needed them: they are its own. */
export const keepsChildren = (pid: number): void => void keepers.add(pid);

/** All descendants of a process, without those of processes that keep their children. */
export const descendants = (root: number): ReadonlyArray<ProcessEntry> => {
  const all = entries("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => processEntry(Number(name)) ?? []);
  const found = new Set([root]);
  const result: Array<ProcessEntry> = [];
  for (let grown = true; grown;) {
    grown = false;
    for (const entry of all) {
      if (found.has(entry.pid) || !found.has(entry.parent) || keepers.has(entry.parent)) continue;
      found.add(entry.pid);
      result.push(entry);
      grown = true;
    }
  }
  return result;
};

/** Open descriptors and their targets, without the descriptor that reads the list. */
const descriptors = (): ReadonlyArray<string> =>
  entries("/proc/self/fd").flatMap((fd) => {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${fd}`);
      return /^\/proc\/\d+\/fd$/.test(target) ? [] : [`descriptor of ${target}`];
    } catch {
      return [];
    }
  });

const workers = (): ReadonlyArray<string> =>
  entries("/proc/self/task").flatMap((id) => {
    const name = read(`/proc/self/task/${id}/comm`)?.trim();
    return name?.startsWith("worker-") ? [`thread ${id} of ${name}`] : [];
  });

/** The mode of a named block of this library: a regular file with the sticky bit. */
const BLOCK = 0o101600;

/** The inodes of locked files, as `/proc/locks` and `/proc/PID/fdinfo` list them. */
const locked = (list: string | undefined): ReadonlyArray<number> =>
  [...(list ?? "").matchAll(/^.*\d+: OFDLCK .* [0-9a-f]+:[0-9a-f]+:(\d+) /gm)].map(([, inode]) => Number(inode));

const stat = (path: string): Deno.FileInfo | undefined => {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
};

/** The prefix by which a test distinguishes its own blocks of shared memory from those of other programs. */
export const mark = `mp_test_${Deno.pid}_`;

/**
 * The names of blocks of shared memory. The owner of a block holds a lock on its file, so a block with another owner
 * than these processes does not count. A leftover block has no owner; it counts if its name begins with the mark.
 */
const blocks = (pids: ReadonlyArray<number>): ReadonlyArray<string> => {
  const found = entries("/dev/shm").flatMap((name) => {
    const info = stat(`/dev/shm/${name}`);
    return info?.mode === BLOCK && info.uid === Deno.uid() ? [{ name, inode: info.ino }] : [];
  });
  if (found.length === 0) return [];
  const all = new Set(locked(read("/proc/locks")));
  const own = new Set(
    pids.flatMap((pid) => entries(`/proc/${pid}/fdinfo`).flatMap((fd) => locked(read(`/proc/${pid}/fdinfo/${fd}`)))),
  );
  return found.filter(({ inode, name }) => own.has(inode!) || name.startsWith(mark) && !all.has(inode!)).map((
    { name },
  ) => `/dev/shm/${name}`);
};

/**
 * The kinds of resources to check: all, or only processes and threads, if the test shares other resources with other
 * tests.
 */
export type Watched = "everything" | "processes";

const holdings = (watched: Watched): Holdings => {
  const counts = new Map<string, number>();
  const family = descendants(Deno.pid);
  for (
    const thing of [
      ...family.map(({ pid, started, state }) =>
        // Whether it runs or sleeps at this moment does not matter.
        `process ${pid} started ${started}${state === "Z" ? ", ended and not awaited" : ""}`
      ),
      ...workers(),
      ...(watched === "everything" ? [...descriptors(), ...blocks([Deno.pid, ...family.map(({ pid }) => pid)])] : []),
    ]
  ) counts.set(thing, (counts.get(thing) ?? 0) + 1);
  return counts;
};

/** Time limit for resources that the system releases with a delay, such as the descriptors of a thread. */
const SETTLE_MILLIS = 20_000;

/** Waits until a condition holds, by polling: for states of the system without a notification. */
export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const start = performance.now();
  while (!holds()) {
    if (performance.now() - start > SETTLE_MILLIS) fail(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

/**
 * The largest counts of event loops of Deno at rest. Deno keeps the descriptors of the last worker for a while, even of
 * a worker without this library. So a count that was seen before is no leak, and a higher count is one.
 */
const rest = new Map<string, number>();

const allowed = (before: Holdings, thing: string): number => {
  const count = before.get(thing) ?? 0;
  // Deno sometimes keeps the descriptors of one more worker. The tests that watch a hundred scopes together find real
  // leaks of them.
  return thing.includes("anon_inode:") ? Math.max(count, rest.get(thing) ?? 0) + 1 : count;
};

/** Runs a test, and fails if it leaves more resources in use than before. */
export const noLeaks = async (
  body: () => Promise<unknown>,
  settleMillis: number = SETTLE_MILLIS,
  watched: Watched = "everything",
): Promise<void> => {
  const before = holdings(watched);
  for (const thing of before.keys()) rest.set(thing, allowed(before, thing));
  const left = (): ReadonlyArray<string> =>
    [...holdings(watched)].flatMap(([thing, count]) => {
      const more = count - allowed(before, thing);
      return more > 0 ? [`${more} ${thing}`] : [];
    });
  await body();
  const start = performance.now();
  // The runtime ends its last operations in later turns of the event loop, such as those on the lock of a worker.
  for (let look = 1; look === 1 || left().length > 0; look++) {
    if (look % 64 === 0) collect();
    if (performance.now() - start > settleMillis) fail(`left behind:\n${left().join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};
