/** Tasks of `move_test.ts`. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import * as Task from "../../src/Task.ts";

/** The bytes of the content, and their sum. */
export const sum = Task.make(import.meta, "sum", (bytes: Uint8Array): readonly [number, number] => [
  bytes.length,
  bytes.reduce((sum, byte) => sum + byte, 0),
]);

/** Changes the content where it is, and moves it back. */
export const increment = Task.make(import.meta, "increment", (bytes: Uint8Array): Uint8Array => {
  for (let i = 0; i < bytes.length; i++) bytes[i]++;
  return Task.move(bytes);
});

/** Ends its process in the first attempt. */
export const sumAgain = Task.make(import.meta, "sumAgain", (path: string, bytes: Uint8Array): number => {
  Deno.writeTextFileSync(path, "x", { append: true });
  return Deno.readTextFileSync(path).length === 1 ? Deno.exit(3) : bytes.reduce((sum, byte) => sum + byte, 0);
}, { idempotent: true });

/** Moves one buffer after the other, each filled with its number. */
export const fill = Task.make(
  import.meta,
  "fill",
  (count: number, size: number) => Stream.map(Stream.range(1, count), (n) => Task.move(new Uint8Array(size).fill(n))),
);

/** The length and the first byte of each element. */
export const lengths = Task.make(
  import.meta,
  "lengths",
  (stream: Stream.Stream<Uint8Array>) =>
    Effect.map(
      Stream.runCollect(Stream.map(stream, (bytes) => [bytes.length, bytes[0]] as const)),
      (all) => [...all],
    ),
);

const results = new Uint8Array(200_000).fill(1);

/** A result that its task keeps, or gives away. */
export const keep = Task.make(import.meta, "keep", (moves: boolean): readonly [number, Uint8Array] => [
  results.length,
  moves ? Task.move(results) : results,
]);

/** A result that cannot be sent, beside content that is to move. */
export const unsendable = Task.make(import.meta, "unsendable", (): readonly unknown[] => [
  Task.move(results),
  () => 1,
]);

/** Whether the content of {@link keep} is here. */
export const kept = Task.make(import.meta, "kept", (): number => results.length);
