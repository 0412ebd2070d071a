/**
 * Refuses to load where this library cannot run. Modules that every entry loads first import this one, so that a program gets one
 * sentence about its requirements, before a use of Deno fails.
 *
 * @module
 */

/** The oldest supported version of Deno. `tests/docs/runtimes_test.ts` runs the oldest ones. */
const OLDEST = "2.7.12";

/** The globals that this module may find instead of those of Deno. */
interface Globals {
  readonly Deno?: { readonly version?: { readonly deno?: string } };
  readonly Bun?: { readonly version?: string };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/** The error for a runtime that cannot run this library. Reads `process` last: its first use takes Deno 25 ms. */
const complaint = (globals: Globals): string | undefined => {
  const deno = globals.Deno?.version?.deno;
  const numbers = (version: string): ReadonlyArray<number> => version.split(".", 3).map((part) => parseInt(part));
  if (deno !== undefined) {
    const [major, minor, patch] = numbers(deno);
    const [oldestMajor, oldestMinor, oldestPatch] = numbers(OLDEST);
    const isOld = (major - oldestMajor || minor - oldestMinor || patch - oldestPatch) < 0;
    return isOld ? `Deno ${deno} is too old: upgrade it by \`deno upgrade\`` : undefined;
  }
  const { Bun, process } = globals;
  const node = process?.versions?.node;
  const here = Bun !== undefined ? `Bun ${Bun.version}` : node !== undefined ? `Node.js ${node}` : "another runtime";
  return `this is ${here}: run the program with \`deno run\`, or with \`npx deno run\``;
};

const found = complaint(globalThis as Globals);
if (found !== undefined) throw new Error(`@effect-deno/multiprocessing needs Deno ${OLDEST} or later; ${found}`);
