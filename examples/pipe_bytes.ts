/** Sends the bytes of an image through a pipe, into a buffer of the receiver: `deno task example:pipe_bytes`. */
import { Pipe, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const width = 320;
const height = 200;
const rowBytes = 3 * width;

/** A horizon. Each pixel has three bytes: red, green and blue. */
const paint = (): Uint8Array => {
  const pixels = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      pixels.set(y < height / 2 ? [60, 120, 255 - y] : [40, 200 - y / 2, 40], y * rowBytes + 3 * x);
    }
  }
  return pixels;
};

/** Receives pixels after the header of a PPM file, turns them grey, and sends the file and then its last row. */
const develop = Task.make(import.meta, "develop", (connection: Pipe.Connection<never>) =>
  Effect.gen(function* () {
    const header = new TextEncoder().encode(`P6 ${width} ${height} 255\n`);
    const file = new Uint8Array(header.length + height * rowBytes);
    file.set(header);
    const received = yield* connection.recvBytesInto(file, header.length);
    for (let at = header.length; at < file.length; at += 3) {
      const [red, green, blue] = file.subarray(at, at + 3);
      file.fill(0.3 * red + 0.59 * green + 0.11 * blue, at, at + 3);
    }
    yield* connection.sendBytes(file);
    yield* connection.sendBytes(file, file.length - rowBytes, rowBytes);
    return received;
  }));

const reason = (error: Pipe.EndOfFile | Pipe.PipeFailure): string =>
  error._tag === "PipeError" ? `${error.reason}, ${error.size} bytes` : error.message;

const program = Effect.gen(function* () {
  const [ours, theirs] = yield* Pipe.make<never>();
  const child = yield* Process.spawn(develop, theirs);

  yield* ours.sendBytes(paint());
  const file = yield* ours.recvBytes();
  const header = new TextDecoder().decode(file.subarray(0, file.indexOf(10)));
  yield* Console.log(`sent ${yield* child.join} bytes, received ${file.length}: ${header}`);

  // A message that is too long for the limit or the buffer stays the next message.
  yield* Console.log(reason(yield* Effect.flip(ours.recvBytes(100))));
  yield* Console.log(reason(yield* Effect.flip(ours.recvBytesInto(new Uint8Array(rowBytes), 1))));
  const row = yield* ours.recvBytes(rowBytes);
  yield* Console.log(`the last row is ${row.length} bytes of ${row[0]}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
