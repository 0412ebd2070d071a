/**
 * Tasks that report whether their process was a standby child.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Redacted from "effect/Redacted";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";

/** The mark of `fixtures/preloaded.ts`; absent in a process that was started on demand. */
export const mark = Task.make(
  import.meta,
  "mark",
  (): string | undefined => (globalThis as { [key: symbol]: string | undefined })[Symbol.for("tests/preloaded")],
);

/** All that a process knows of itself, and its mark. */
export const everything = Task.make(import.meta, "everything", () =>
  Effect.gen(function* () {
    return {
      mark: (globalThis as { [key: symbol]: string | undefined })[Symbol.for("tests/preloaded")],
      self: yield* Process.current,
      key: Redacted.value(yield* Process.authKey),
    };
  }));
