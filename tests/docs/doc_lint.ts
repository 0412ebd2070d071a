/**
 * Lints the documentation of every entry point of the package: `deno doc --lint`, without its false errors.
 *
 * `deno doc` does not read the types of npm packages, so it reports each mention of a type of Effect as private.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };

const root = new URL("../../", import.meta.url);

/** Private types that the public API mentions and does not export, each with the file that mentions it. */
const PRIVATE: Readonly<Record<string, ReadonlyArray<string>>> = {
  // Parts of a link: a custom backend passes the link on and does not inspect it.
  "src/internal/rpc/link.ts": ["Channel", "Fill", "Hook", "LinkClosed", "Receiver"],
  // Conditional types that only name a step of a computation.
  "src/Task.ts": ["Data", "IsAny", "IsStream"],
};

const { stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", ...Object.values(config.exports)],
  cwd: root,
  env: { NO_COLOR: "1" },
  stdout: "null",
}).output();
const output = new TextDecoder().decode(stderr);

/** Whether a module has a type from a package of Effect: by its own import, or as a member of an imported module. */
const isForeign = (source: string, name: string): boolean =>
  [...source.matchAll(/^import (?:type )?(?:\* as (\w+)|\{([^}]+)\}) from "(?:effect|@effect\/\w+)\/\w+";$/gm)].some((
    [, namespace, names],
  ) =>
    namespace !== undefined
      ? namespace === name || new RegExp(`\\b${namespace}\\.${name}\\b`).test(source)
      : names.split(",").some((own) => own.trim().replace(/^type /, "") === name)
  );

const messages = output.split(/^(?=error\[)/m).filter((message) => message.startsWith("error["));
if (messages.length === 0 && !/^Checked /m.test(output)) {
  console.error(output);
  Deno.exit(1);
}

const errors = messages.filter((message) => {
  const name = /^error\[private-type-ref\]: .* references private type '(\w+)'/.exec(message)?.[1];
  const path = /--> (.+?):\d+:\d+/.exec(message)?.[1];
  if (name === undefined || path === undefined) return true;
  const file = path.slice(fileURLToPath(root).length);
  return !(PRIVATE[file]?.includes(name) || isForeign(Deno.readTextFileSync(path), name));
});
for (const error of errors) console.error(error.replace(/\nerror: Found[^]*/, "").trimEnd());
console.log(`Linted the documentation of ${Object.keys(config.exports).length} entry points: ${errors.length} errors`);
Deno.exit(errors.length === 0 ? 0 : 1);
