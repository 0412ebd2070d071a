import config from "../deno.json" with { type: "json" };
import { assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

const readme = await Deno.readTextFile(new URL("README.md", root));

/** Each program, the section that it stands in, and what it prints if the README says so. */
const programs = readme.split(/^## /m).flatMap((section) =>
  [...section.matchAll(/^```ts\n(.+?)^```\n(?:\n```text\n(.+?)^```)?/gms)].map(([_, code, output = ""]) => ({
    heading: section.slice(0, section.indexOf("\n")),
    code,
    output,
  }))
);

/** Runs a program as a user does: in a project of his own, which has this package and its dependencies. */
const runAsUser = async (code: string): Promise<{ code: number; stdout: string }> => {
  const folder = await Deno.makeTempDir();
  try {
    const entries = Object.entries(config.exports).map(([entry, path]) => [
      config.name + entry.slice(1),
      new URL(path, root).href,
    ]);
    const imports = { effect: config.imports.effect, ...Object.fromEntries(entries) };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await Deno.copyFile(new URL("deno.lock", root), `${folder}/deno.lock`);
    await Deno.writeTextFile(`${folder}/main.ts`, code);
    const { code: exitCode, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stderr: "inherit",
    }).output();
    return { code: exitCode, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

for (const { heading, code, output } of programs) {
  Deno.test(`the README's program under "${heading}" does what it says`, async () => {
    assertEquals(await runAsUser(code), { code: 0, stdout: output });
  });
}
