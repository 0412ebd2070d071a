/**
 * The base of the library's errors behaves as `Data.TaggedError` does, without loading Effect.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Cause, Data, Effect, Exit, Logger, Stream } from "effect";
import { TypedError } from "../../src/internal/os/typed_error.ts";
import * as Mp from "../../mod.ts";

class Ours extends TypedError {
  readonly _tag = "Ours";
  constructor(readonly size: number, cause?: unknown) {
    super(`too large: ${size}`, { cause });
  }
}

class Theirs extends Data.TaggedError("Ours")<{ readonly size: number; readonly message: string }> {}

const ours = new Ours(3);
const theirs = new Theirs({ size: 3, message: "too large: 3" });

/** Runs a program, and returns its exit and its log. */
const run = async <A, E>(program: Effect.Effect<A, E>): Promise<readonly [Exit.Exit<A, E>, ReadonlyArray<unknown>]> => {
  const logged: Array<unknown> = [];
  const logger = Logger.make(({ message }) => void logged.push(message));
  const exit = await Effect.runPromiseExit(Effect.provide(program, Logger.replace(Logger.defaultLogger, logger)));
  return [exit, logged];
};

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Array.from(Cause.failures(exit.cause))[0] : undefined;

Deno.test("an error fails with itself when it is yielded, run, piped or returned, without a warning", async () => {
  const programs: ReadonlyArray<Effect.Effect<unknown, Ours>> = [
    Effect.gen(function* () {
      yield* ours;
    }),
    ours,
    Effect.flatMap(Effect.yieldNow(), () => ours),
    ours.pipe(Effect.tap(() => Effect.void)),
    Stream.runDrain(Stream.flatMap(Stream.make(1, 2), () => ours)),
    Effect.suspend(() => ours),
  ];
  for (const program of programs) {
    const [exit, logged] = await run(program);
    assert(failureOf(exit) === ours);
    assertEquals(logged, []);
  }
});

Deno.test("an error is caught by its tag, with its type", async () => {
  const program: Effect.Effect<number> = Effect.gen(function* () {
    return yield* ours;
  }).pipe(Effect.catchTag("Ours", ({ size }) => Effect.succeed(size)));
  assertEquals(await Effect.runPromise(program), 3);
});

Deno.test("an inspected Exit shows message and fields, as that of Data.TaggedError does", () => {
  assertEquals(Exit.fail(ours).toJSON(), Exit.fail(theirs).toJSON());
  assertEquals(Effect.isEffect(ours), Effect.isEffect(theirs));
  assertEquals(Object.keys(ours).toSorted(), ["_tag", "size"]);
  const cause = new Error("full");
  assertEquals(JSON.parse(JSON.stringify(Exit.fail(new Ours(3, "full")))).cause.error.cause, "full");
  assert(new Ours(3, cause).cause === cause);
  assert(!("cause" in ours));
});

Deno.test("an error prints its tag, message and stack", () => {
  assertEquals(ours.name, "Ours");
  assertEquals(String(ours), "Ours: too large: 3");
  assert(ours.stack?.startsWith("Ours: too large: 3\n"));
  assert(Deno.inspect(ours).includes("size: 3"));
  assert(Cause.pretty(Cause.fail(ours)).startsWith("Ours: too large: 3"));
});

Deno.test("errors of the library are yieldable", async () => {
  const errors = [
    new Mp.Queue.QueueClosed("Closed"),
    new Mp.Backend.SpawnError({ reason: "Failed", message: "Cannot start" }),
    new Mp.Backend.EncodeError("a function"),
    new Mp.Backend.MessageTooLarge(2, 1),
    new Mp.Task.TaskError({ reason: "NotDefined", task: "t", message: "no such task" }),
  ];
  for (const error of errors) {
    const [exit, logged] = await run(Effect.gen(function* () {
      yield* error as Effect.Effect<never, unknown>;
    }));
    assert(failureOf(exit) === error);
    assertEquals(logged, []);
  }
});

Deno.test("the base loads nothing", () => {
  const path = new URL("../../src/internal/os/typed_error.ts", import.meta.url);
  const imports = Array.from(Deno.readTextFileSync(path).matchAll(/^import (?!type )/gm));
  assertEquals(imports.length, 0);
});
