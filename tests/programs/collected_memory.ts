/**
 * Makes SharedArrayBuffers of shared memory, drops or closes them, and prints the remaining mappings. Needs
 * `--expose-gc`.
 */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import * as SharedMemory from "../../src/SharedMemory.ts";

const { gc } = globalThis as unknown as { gc: () => void };
const mapped = (): number => Deno.readTextFileSync("/proc/self/maps").split("memfd:multiprocessing").length - 1;

const PAGE = 65_536;

/** Returns a buffer of memory whose scope has closed: only the buffer remains. */
const orphaned = Effect.scoped(
  Effect.map(SharedMemory.make({ size: PAGE }), (memory) => {
    const { shared } = memory;
    new Uint8Array(shared).fill(1);
    if (memory.bytes[PAGE - 1] !== 1) throw new Error("it is not shared");
    return shared;
  }),
);

// The first use loads the implementation, and `runSync` cannot wait for that.
await Effect.runPromise(orphaned);

let kept: SharedArrayBuffer | undefined;
for (let round = 0; round < 200; round++) {
  kept = Effect.runSync(orphaned);
  const bytes = new Uint8Array(kept);
  if (bytes[0] !== 0 || bytes.length !== PAGE) throw new Error("it is shared after it was closed");
  bytes.fill(2);
  if (round % 20 === 0) {
    gc();
    // Finalizers run in a later turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
console.log("closed:", mapped());

/** Memory without an owner that closes it, like memory from a received handle. */
const forgotten = (): void => {
  const memory = Effect.runSync(Effect.provideService(SharedMemory.make({ size: PAGE }), scopeTag, neverClosed));
  new Uint8Array(memory.shared)[5] = 1;
  if (memory.bytes[5] !== 1) throw new Error("it is not shared");
};

const scopeTag = Scope.Scope;
const neverClosed = { ...Effect.runSync(Scope.make()), addFinalizer: () => Effect.void } as Scope.CloseableScope;

for (let round = 0; round < 100; round++) forgotten();
for (let tries = 0; tries < 100 && mapped() > 0; tries++) {
  gc();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log("forgotten:", mapped());
const descriptors = [...Deno.readDirSync("/proc/self/fd")].length;
console.log("descriptors:", descriptors < 60 ? "few" : descriptors);
