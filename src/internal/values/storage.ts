/**
 * Memory of an object, in the process that made it or attached.
 *
 * - An isolate that receives the same memory several times maps it once. The maker has a mapping of its own, so closing it there closes
 *   nothing for other users.
 * - Memory that was closed is not reused, although clearing it would be faster than new pages: the system does not say whether another
 *   process still maps it, and a handle that arrives late would see the data of another object.
 * - Memory of a file is an ArrayBuffer, which stays in its isolate. For a genuine SharedArrayBuffer it is mapped a second time, over the
 *   pages of a WebAssembly.Memory. V8 keeps these pages aligned and at one address, and its own `munmap` ends this mapping as well. When
 *   the memory is closed before that, pages of zeros replace it, in every isolate that has the buffer.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Os from "../os/linux.ts";
import {
  type BlockToken,
  createApart,
  createNamed,
  explain,
  mapBlock,
  type Region,
  type RegionKind,
} from "../os/mapping.ts";
import { checkSize, MemoryError } from "./errors.ts";
import { orMemoryError } from "./system_errors.ts";

const EMPTY = new ArrayBuffer(0);

/** A region, and the number of its users in this isolate. */
interface Attachment {
  readonly region: Region<BlockToken>;
  users: number;
  wasm: { readonly memory: WebAssembly.Memory; readonly pointer: Deno.PointerObject } | undefined;
}

/** Bytes of a page of a WebAssembly.Memory. */
const PAGE = 65_536;

/** Regions that this isolate has attached. */
const attachments = new Map<string, WeakRef<Attachment>>();

const collected = new FinalizationRegistry<string>((key) => {
  if (attachments.get(key)?.deref() === undefined) attachments.delete(key);
});

/** Identifies the memory of a token. */
export const keyOf = (token: BlockToken): string => {
  switch (token.kind) {
    case "buffer":
      return token.id;
    case "named":
      return `${token.host.id} ${token.name}`;
    case "memory":
      return `${token.host?.id} ${token.pid} ${token.device} ${token.inode}`;
  }
};

/** Memory of one object. */
export class Storage {
  readonly token: BlockToken;
  #attachment: Attachment | undefined;

  constructor(attachment: Attachment) {
    this.token = attachment.region.token;
    this.#attachment = attachment;
    attachment.users++;
  }

  get closed(): boolean {
    return this.#attachment === undefined || this.#attachment.region.closed;
  }

  /** The memory; of length 0 after it was closed. */
  get buffer(): ArrayBuffer | SharedArrayBuffer {
    return this.#attachment?.region.buffer ?? EMPTY;
  }

  /** The memory as a WebAssembly.Memory. Throws a `MemoryError`. */
  get wasm(): WebAssembly.Memory {
    const attachment = this.#attachment;
    if (attachment === undefined) throw new MemoryError("Gone", "Cannot use the shared memory: it was closed");
    return (attachment.wasm ??= orMemoryError(() => overlay(attachment.region))).memory;
  }

  /** The same memory for another user in this isolate. Throws a `MemoryError`. */
  again(): Storage {
    if (this.#attachment === undefined) throw new MemoryError("Gone", "Cannot use the shared memory: it was closed");
    return new Storage(this.#attachment);
  }

  /** Closes the memory. Its views then have length 0, unless it has other users in this isolate or is a SharedArrayBuffer. */
  close(): void {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    this.#attachment = undefined;
    if (--attachment.users > 0) return;
    if (attachment.wasm !== undefined) Os.mapNothing(attachment.wasm.pointer, attachment.region.size);
    attachment.region.close();
  }
}

/** Allocates memory. Throws a `MemoryError`. */
export const make = (size: number, kind?: RegionKind): Storage => {
  checkSize(size);
  return orMemoryError(() => keep(createApart(size, kind)));
};

/** Allocates memory with a random name, if this system has such memory. */
export const makeNamed = (size: number): Storage | undefined => {
  checkSize(size);
  const region = createNamed(size);
  return region && keep(region);
};

/** Wraps a region of this process. */
export const keep = (region: Region<BlockToken>): Storage => new Storage({ region, users: 0, wasm: undefined });

/** Attaches memory of another object. Throws a `MemoryError`, and has then changed nothing. */
export const attach = (token: BlockToken): Storage => {
  const key = keyOf(token);
  let attachment = attachments.get(key)?.deref();
  if (attachment === undefined || attachment.region.closed) {
    attachment = { region: orMemoryError(() => mapBlock(token)), users: 0, wasm: undefined };
    attachments.set(key, new WeakRef(attachment));
    collected.register(attachment, key);
  }
  return new Storage(attachment);
};

const overlay = ({ size, token }: Region<BlockToken>): NonNullable<Attachment["wasm"]> => {
  if (token.kind !== "memory") {
    const why = token.kind === "buffer" ? "its maker needs --allow-ffi" : "it was made with the option `experimental`";
    throw new MemoryError("Unsupported", `Cannot make a WebAssembly.Memory of this memory: ${why}`);
  }
  if (size % PAGE !== 0) {
    throw new MemoryError(
      "InvalidArgument",
      `Cannot make a SharedArrayBuffer of this memory: its size must be a multiple of ${PAGE} bytes, and is ${size}`,
    );
  }
  const pages = size / PAGE;
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw new MemoryError(
      "Full",
      `Cannot make a SharedArrayBuffer of ${size} bytes: ${(error as Error).message}`,
      error,
    );
  }
  let fd: number | undefined;
  try {
    fd = Os.openFile(`/proc/${token.pid}/fd/${token.fd}`);
    if (Os.inspect(fd).inode !== token.inode) {
      throw new MemoryError("Gone", "Cannot make a SharedArrayBuffer of this memory: its maker has closed it");
    }
    const pointer = Deno.UnsafePointer.of(new Uint8Array(memory.buffer))!;
    Os.mapOver(pointer, fd, size);
    return { memory, pointer };
  } catch (error) {
    if (!(error instanceof Os.OsError)) throw error;
    if (error.code === "ENOENT") {
      throw new MemoryError("Gone", "Cannot make a SharedArrayBuffer of this memory: its maker has closed it", error);
    }
    throw explain("make a SharedArrayBuffer of shared memory", error);
  } finally {
    if (fd !== undefined) Os.close(fd);
  }
};
