/**
 * Loaded before a program: makes it take this system for macOS. Together with `--deny-ffi` and `--deny-read=/proc`, a
 * program and its children can do no more than on other systems than Linux.
 *
 * @module
 */
Object.defineProperty(Deno, "build", {
  value: { ...Deno.build, os: "darwin", vendor: "apple", target: "aarch64-apple-darwin" },
});
