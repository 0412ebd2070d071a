/**
 * No child outlives its parent, even if the parent is killed while the child is busy. Covers each of the three
 * mechanisms.
 *
 * @module
 */
import { noLeaks } from "../support/leaks.ts";
import { gone, type Script, script } from "../support/scripts.ts";
import { fullUnless, testFunction } from "../support/tier.ts";

const narrow = ["--allow-read", "--allow-env", `--allow-run=${Deno.execPath()}`];

const ways = [
  { way: "the launcher sees to it", flags: ["-A"] },
  { way: "the child sees to it by FFI", flags: [...narrow, "--allow-ffi"] },
  { way: "the child sees to it without FFI", flags: narrow },
];

const numbers = (text: string): ReadonlyArray<number> => text.split(" ").filter((part) => part !== "").map(Number);

/** The processes and files that must be gone, known once the scenario is set up. */
const scenarios: Readonly<Record<string, (running: Script) => Promise<ReadonlyArray<number>>>> = {
  idle: async ({ line }) => numbers(await line("children")),
  busy: async ({ line }) => [...numbers(await line("busy")), ...numbers(await line("children"))],
  starting: async ({ line }) => numbers(await line("children")),
  grandchildren: async ({ line }) => [...numbers(await line("busy")), ...numbers(await line("children"))],
  fromWorker: async ({ line }) => numbers(await line("busy")),
};

/** Whether a quick run tries a scenario with this mechanism. */
const quick = (scenario: string, flags: ReadonlyArray<string>): boolean =>
  scenario === "busy" || scenario === "grandchildren" && flags.includes("--allow-ffi");

for (const { way, flags } of ways) {
  for (const [scenario, pids] of Object.entries(scenarios)) {
    testFunction(
      `orphans: none is left of ${scenario} when the parent is killed; ${way}${fullUnless(quick(scenario, flags))}`,
      () =>
        noLeaks(async () => {
          const running = script("orphans.ts", [scenario], flags);
          const children = await pids(running);
          running.kill("SIGKILL");
          await running.ended;
          await gone(children);
        }),
    );
  }
}
