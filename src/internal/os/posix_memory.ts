/**
 * Named memory on macOS: a file in `/tmp` that each process maps. **Never ran on macOS.** On Linux, where the tests run it,
 * only the numbers differ.
 *
 * Why not `shm_open`: its third parameter is variadic. On Apple's arm64, variadic arguments are passed on the stack and
 * others in registers, and Deno's FFI cannot declare a function as variadic, so the mode of the memory would be whatever lies
 * on the stack. No function here takes a variadic argument: `mkstemp` makes the file with mode 600, and `open` reads its
 * third parameter only when it creates a file.
 *
 * The space is reserved by writing zeros, since macOS lacks `posix_fallocate`, and `fcntl(F_PREALLOCATE)` is variadic. The
 * system may write changed pages to the disk. A program that is killed leaves its file behind, which macOS deletes after
 * three days.
 *
 * @module
 */
import { denied, find, type Found, OsError } from "./foreign.ts";
import type { NamedMapping, NamedMemory } from "./named_memory.ts";

/** What depends on the system. The other numbers below are the same on macOS and Linux. */
interface System {
  readonly libraries: ReadonlyArray<string>;
  /** The function that returns the address of `errno`. */
  readonly errno: string;
  readonly closeOnExec: number;
  readonly noFollow: number;
}

const systems: Readonly<Record<string, System>> = {
  darwin: { libraries: ["/usr/lib/libSystem.B.dylib"], errno: "__error", closeOnExec: 0x1000000, noFollow: 0x100 },
  linux: {
    libraries: ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`],
    errno: "__errno_location",
    closeOnExec: 0x80000,
    noFollow: Deno.build.arch === "x86_64" ? 0x20000 : 0x8000,
  },
};

const O_RDWR = 2;
const SEEK_END = 2;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** Bytes of one write. */
const STEP = 1024 * 1024;

const definitions = (errno: string) =>
  ({
    errno: { name: errno, parameters: [], result: "pointer" },
    mkstemp: { parameters: ["buffer"], result: "i32" },
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
    write: { parameters: ["i32", "buffer", "usize"], result: "i64" },
    unlink: { parameters: ["buffer"], result: "i32" },
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
  }) as const;

const cString = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${text}\0`);

/** The calls, or why there are none. */
export const open = (os: string): NamedMemory | string => {
  const system = systems[os];
  if (system === undefined) return `it needs Linux, macOS or Windows, and this is ${os}`;
  const missing = denied();
  if (missing !== undefined) return missing;
  const functions = find(system.libraries, definitions(system.errno));
  return functions === undefined ? "no C library was found that it knows" : new PosixMemory(system, functions);
};

class PosixMemory implements NamedMemory {
  readonly #system: System;
  readonly #c: Found<ReturnType<typeof definitions>>;

  constructor(system: System, c: Found<ReturnType<typeof definitions>>) {
    this.#system = system;
    this.#c = c;
  }

  create(size: number): NamedMapping {
    const c = this.#c;
    // Replaced by the name of the file.
    const path = cString(`/tmp/mp-${crypto.randomUUID()}-XXXXXX`);
    const fd = this.#checked("mkstemp", c.mkstemp(path));
    try {
      this.#fill(fd, size);
      const pointer = this.#map(fd, size);
      const name = new TextDecoder().decode(path.subarray(0, -1));
      return {
        name,
        pointer,
        close: () => {
          c.unlink(path);
          c.munmap(pointer, BigInt(size));
        },
      };
    } catch (error) {
      c.unlink(path);
      throw error;
    } finally {
      c.close(fd);
    }
  }

  attach(name: string, size: number): NamedMapping | undefined {
    const c = this.#c;
    const { closeOnExec, noFollow } = this.#system;
    const fd = c.open(cString(name), O_RDWR | closeOnExec | noFollow);
    if (fd < 0) {
      const error = this.#error("open");
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
    try {
      if (c.lseek(fd, 0n, SEEK_END) !== BigInt(size)) return undefined;
      const pointer = this.#map(fd, size);
      return { name, pointer, close: () => void c.munmap(pointer, BigInt(size)) };
    } finally {
      c.close(fd);
    }
  }

  #fill(fd: number, size: number): void {
    const zeros = new Uint8Array(Math.min(size, STEP));
    for (let done = 0; done < size;) {
      const wanted = BigInt(Math.min(zeros.length, size - done));
      const written = Number(this.#c.write(fd, zeros, wanted));
      if (written > 0) {
        done += written;
        continue;
      }
      const error = this.#error("write");
      if (error.code !== "EINTR") throw error;
    }
  }

  #map(fd: number, size: number): Deno.PointerObject {
    const pointer = this.#c.mmap(null, BigInt(size), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    if (pointer === null || Deno.UnsafePointer.value(pointer) === MAP_FAILED) throw this.#error("mmap");
    return pointer;
  }

  #checked(call: string, answer: number): number {
    if (answer < 0) throw this.#error(call);
    return answer;
  }

  #error(call: string): OsError {
    return new OsError(call, new Deno.UnsafePointerView(this.#c.errno()!).getInt32());
  }
}
