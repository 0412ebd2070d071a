/** Imports the library as Deno 2.7.11 would, and prints the message of the failure. */
Object.defineProperty(Deno, "version", { value: { ...Deno.version, deno: "2.7.11" } });
console.log(await import("../../mod.ts").then(() => "loaded", (error: Error) => error.message));
