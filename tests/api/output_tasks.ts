/** Tasks that write to their standard streams and do not wait for the write. */
import * as Task from "../../src/Task.ts";

const dots = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(size).fill(46);

export const byWriter = Task.make(import.meta, "byWriter", (where: "stdout" | "stderr", size: number): number => {
  const writer = Deno[where].writable.getWriter();
  for (let i = 0; i < 4; i++) writer.write(dots(size / 4));
  return 1;
});
export const byPipe = Task.make(import.meta, "byPipe", (where: "stdout" | "stderr", size: number): number => {
  const parts = Array.from({ length: 4 }, () => dots(size / 4));
  ReadableStream.from(parts).pipeTo(Deno[where].writable);
  return 1;
});
export const byWrite = Task.make(import.meta, "byWrite", (where: "stdout" | "stderr", size: number): number => {
  Deno[where].write(dots(size));
  return 1;
});
export const byConsole = Task.make(import.meta, "byConsole", (where: "stdout" | "stderr", size: number): number => {
  const line = ".".repeat(1023);
  for (let i = 0; i < size / 1024; i++) where === "stdout" ? console.log(line) : console.error(line);
  return 1;
});
export const exitCode = Task.make(import.meta, "exitCode", (where: "stdout" | "stderr", size: number): number => {
  Deno[where].writable.getWriter().write(dots(size));
  throw new Error("after it has written");
});
