/**
 * Makes and releases a block of one page of shared memory with five system calls. Prints the number of blocks per
 * second. Linux.
 */
import { rate } from "./rate.ts";

const libc = Deno.dlopen("libc.so.6", {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
});

const SIZE = 4096n;
const name = new TextEncoder().encode("raw\0");

console.log(
  await rate(() => {
    const file = libc.symbols.memfd_create(name, 0);
    libc.symbols.ftruncate(file, SIZE);
    const block = libc.symbols.mmap(null, SIZE, 3, 1, file, 0n);
    new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(block!, Number(SIZE)))[0] = 1;
    libc.symbols.munmap(block, SIZE);
    libc.symbols.close(file);
  }),
);
