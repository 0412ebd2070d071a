/**
 * Named memory on Windows: a section that the paging file backs. **Never ran on Windows.**
 *
 * The section has a name in the namespace of the session, and ends with its last user, even if all of them are killed. Its
 * pages are committed when it is made, so a later write never ends a process. The default security descriptor admits the
 * same user. All functions have the one calling convention of 64-bit Windows, and none is variadic.
 *
 * @module
 */
import { denied, find, type Found, OsError } from "./foreign.ts";
import type { NamedMapping, NamedMemory } from "./named_memory.ts";

const INVALID_HANDLE_VALUE = 0xffff_ffff_ffff_ffffn;
const PAGE_READWRITE = 4;
/** `FILE_MAP_WRITE | FILE_MAP_READ`. */
const FILE_MAP_READ_WRITE = 6;
const ERROR_FILE_NOT_FOUND = 2;

// A handle is as wide as a pointer, and is no address.
const definitions = {
  CreateFileMappingW: { parameters: ["u64", "pointer", "u32", "u32", "u32", "buffer"], result: "u64" },
  OpenFileMappingW: { parameters: ["u32", "i32", "buffer"], result: "u64" },
  MapViewOfFile: { parameters: ["u64", "u32", "u32", "u32", "usize"], result: "pointer" },
  UnmapViewOfFile: { parameters: ["pointer"], result: "i32" },
  CloseHandle: { parameters: ["u64"], result: "i32" },
  GetLastError: { parameters: [], result: "u32" },
} as const;

const failed = (call: string, code: number): OsError => new OsError(call, `error ${code} of Windows`);

/** Text as UTF-16 with a terminating NUL. */
const wide = (text: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Uint16Array.from(`${text}\0`, (unit) => unit.charCodeAt(0)).buffer);

/** The calls, or why there are none. */
export const open = (): NamedMemory | string => {
  const missing = denied();
  if (missing !== undefined) return missing;
  const functions = find(["kernel32.dll"], definitions);
  return functions === undefined ? "kernel32.dll lacks a function that it needs" : new WindowsMemory(functions);
};

class WindowsMemory implements NamedMemory {
  readonly #kernel: Found<typeof definitions>;

  constructor(kernel: Found<typeof definitions>) {
    this.#kernel = kernel;
  }

  create(size: number): NamedMapping {
    const kernel = this.#kernel;
    const name = `Local\\mp-${crypto.randomUUID()}`;
    const section = kernel.CreateFileMappingW(
      INVALID_HANDLE_VALUE,
      null,
      PAGE_READWRITE,
      Math.floor(size / 2 ** 32),
      size % 2 ** 32,
      wide(name),
    );
    if (section === 0n) throw this.#error("CreateFileMapping");
    try {
      const pointer = this.#map(section, size);
      return {
        name,
        pointer,
        close: () => {
          kernel.UnmapViewOfFile(pointer);
          // The name ends with the last handle.
          kernel.CloseHandle(section);
        },
      };
    } catch (error) {
      kernel.CloseHandle(section);
      throw error;
    }
  }

  attach(name: string, size: number): NamedMapping | undefined {
    const kernel = this.#kernel;
    const section = kernel.OpenFileMappingW(FILE_MAP_READ_WRITE, 0, wide(name));
    if (section === 0n) {
      const code = kernel.GetLastError();
      if (code === ERROR_FILE_NOT_FOUND) return undefined;
      throw failed("OpenFileMapping", code);
    }
    try {
      const pointer = this.#map(section, size);
      return { name, pointer, close: () => void kernel.UnmapViewOfFile(pointer) };
    } finally {
      // The view keeps the section.
      kernel.CloseHandle(section);
    }
  }

  #map(section: bigint, size: number): Deno.PointerObject {
    const pointer = this.#kernel.MapViewOfFile(section, FILE_MAP_READ_WRITE, 0, 0, BigInt(size));
    if (pointer === null) throw this.#error("MapViewOfFile");
    return pointer;
  }

  #error(call: string): OsError {
    return failed(call, this.#kernel.GetLastError());
  }
}
