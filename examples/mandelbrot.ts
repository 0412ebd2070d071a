/**
 * Several processes compute the Mandelbrot set in one shared block, and write a PNG file:
 * `deno task example:mandelbrot [file]`.
 */
import { Process, runMain, SharedMemory, SubprocessBackend, Task, Value } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";
import { crc32 } from "node:zlib";

const width = 640;
const height = 400;
const processes = 4;
const steps = 200;

/** Red, green and blue of a point, by the number of steps until it escapes. */
const colour = (x: number, y: number): readonly [number, number, number] => {
  let [a, b] = [0, 0];
  for (let step = 0; step < steps; step++) {
    [a, b] = [a * a - b * b + x, 2 * a * b + y];
    const distance = a * a + b * b;
    if (distance <= 256) continue;
    const t = (step + 1 - Math.log2(Math.log(distance) / 2)) / 24;
    const wave = (shift: number): number => Math.round(255 * (0.5 - 0.5 * Math.cos(Math.PI * (t + shift))));
    return [wave(0.05), wave(0.15), wave(0.4)];
  }
  return [0, 0, 0];
};

/** Takes the next free row and paints it, until no row is left. Returns the number of rows. */
const paint = Task.make(import.meta, "paint", (memory: SharedMemory.SharedMemory, next: Value.Of<"u32">) => {
  const pixels = memory.array(Uint8Array);
  for (let rows = 0;; rows++) {
    const y = next.raw.add(1);
    if (y >= height) return rows;
    for (let x = 0; x < width; x++) {
      pixels.set(colour(-2.3 + 3.2 * x / width, -1 + 2 * y / height), 3 * (y * width + x));
    }
  }
});

/** A chunk of a PNG file: length, name, content and check sum. */
const chunk = (name: string, data: Uint8Array): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc32(bytes.subarray(4, data.length + 8)));
  return bytes;
};

const png = async (pixels: Uint8Array): Promise<Blob> => {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 8 << 8 | 2); // 8 bits of each of three colours
  // Each row begins with its filter type: none.
  const rows = new Uint8Array(height * (1 + 3 * width));
  for (let y = 0; y < height; y++) {
    rows.set(pixels.subarray(y * 3 * width, (y + 1) * 3 * width), y * (1 + 3 * width) + 1);
  }
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Blob([
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ]);
};

const program = Effect.gen(function* () {
  const memory = yield* SharedMemory.make({ size: 3 * width * height });
  const next = yield* Value.make("u32");
  const rows = yield* Effect.all(
    Array.from({ length: processes }, () => Process.run(paint, memory, next)),
    { concurrency: processes },
  );
  yield* Console.log(`${processes} processes painted ${rows.reduce((a, b) => a + b)} rows, each of them in its turn`);
  yield* Effect.promise(async () => {
    const path = Deno.args[0] ?? await Deno.makeTempFile({ prefix: "mandelbrot_", suffix: ".png" });
    await Deno.writeFile(path, (await png(memory.bytes)).stream());
    console.log(`look at ${path}`);
  });
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
