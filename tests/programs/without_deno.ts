/** Imports each entry without `Deno`, as on another runtime, and prints the message of each failure. */
import "effect";
import "@effect/platform";
import "@effect/rpc";
import config from "../../deno.json" with { type: "json" };

// Effect and the platform read `process`, which this Deno makes with the first access, by means of `Deno`.
Reflect.deleteProperty(globalThis, "Deno");
const messages: Record<string, string> = {};
for (const [entry, path] of Object.entries(config.exports)) {
  messages[entry] = await import(new URL(path, new URL("../../", import.meta.url)).href).then(
    () => "loaded",
    (error: Error) => error.message,
  );
}
console.log(JSON.stringify(messages));
