/**
 * Memory that an object has: as its maker, or attached.
 *
 * What comes to an isolate several times is mapped once, for all who have it. Its maker has a mapping of its own: so what the
 * maker closes is closed, and closes nothing for others.
 *
 * Memory that was closed is not kept for the next who wants some, though clearing it would be quicker than new pages: the system does
 * not say whether somebody still has it mapped, and a handle that arrives late would find in it what is another's.
 *
 * Memory of a file is an ArrayBuffer, which stays in its isolate. As a genuine SharedArrayBuffer it is mapped once more, over the
 * pages of a WebAssembly.Memory: V8 has them aligned, at one address for good, and gives them back to the system with its own
 * munmap, which ends this mapping, too. What is closed before is replaced by pages of zeros: whoever still has that buffer, in
 * whichever isolate, has memory of his own then. Free of Effect.
 *
 * @module
 */
import * as Os from "../os/linux.ts";
import { createApart, explain, type Kind, map, type Region, type Token } from "../os/mapping.ts";
import { checkSize, MemoryError } from "./errors.ts";
import { orMemoryError } from "./system_errors.ts";

const EMPTY = new ArrayBuffer(0);

/** A region and those here who have it. */
interface Attachment {
  readonly region: Region;
  users: number;
  wasm: { readonly memory: WebAssembly.Memory; readonly pointer: Deno.PointerObject } | undefined;
}

/** Bytes of a page of a WebAssembly.Memory. */
const PAGE = 65_536;

/** What is attached here. */
const attachments = new Map<string, WeakRef<Attachment>>();

const collected = new FinalizationRegistry<string>((key) => {
  if (attachments.get(key)?.deref() === undefined) attachments.delete(key);
});

/** Tells the memory of a token from all other. */
export const keyOf = (token: Token): string =>
  token.kind === "buffer" ? token.id : `${token.pid} ${token.device} ${token.inode}`;

/** Memory that one object has. */
export class Storage {
  readonly token: Token;
  #attachment: Attachment | undefined;

  constructor(attachment: Attachment) {
    this.token = attachment.region.token;
    this.#attachment = attachment;
    attachment.users++;
  }

  get closed(): boolean {
    return this.#attachment === undefined || this.#attachment.region.closed;
  }

  /** The memory; of length 0 once it was closed. */
  get buffer(): ArrayBuffer | SharedArrayBuffer {
    return this.#attachment?.region.buffer ?? EMPTY;
  }

  /** The memory as WebAssembly's. Throws a `MemoryError`. */
  get wasm(): WebAssembly.Memory {
    const attachment = this.#attachment;
    if (attachment === undefined) throw new MemoryError("Gone", "Cannot use the shared memory: it was closed");
    return (attachment.wasm ??= orMemoryError(() => overlay(attachment.region))).memory;
  }

  /** Gives it up. Views of it have length 0 then, unless others here have it, too, or it is a SharedArrayBuffer. */
  close(): void {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    this.#attachment = undefined;
    if (--attachment.users > 0) return;
    if (attachment.wasm !== undefined) Os.mapNothing(attachment.wasm.pointer, attachment.region.size);
    attachment.region.close();
  }
}

/** New memory. Throws a `MemoryError`. */
export const make = (size: number, kind?: Kind): Storage => {
  checkSize(size);
  return orMemoryError(() => keep(createApart(size, kind)));
};

/** The memory of a region that was made here. */
export const keep = (region: Region): Storage => new Storage({ region, users: 0, wasm: undefined });

/** Memory of another. Throws a `MemoryError`, and has then changed nothing. */
export const attach = (token: Token): Storage => {
  const key = keyOf(token);
  let attachment = attachments.get(key)?.deref();
  if (attachment === undefined || attachment.region.closed) {
    attachment = { region: orMemoryError(() => map(token)), users: 0, wasm: undefined };
    attachments.set(key, new WeakRef(attachment));
    collected.register(attachment, key);
  }
  return new Storage(attachment);
};

const overlay = ({ size, token }: Region): NonNullable<Attachment["wasm"]> => {
  if (token.kind === "buffer") {
    throw new MemoryError(
      "Unsupported",
      "Cannot make a WebAssembly.Memory of this memory: that needs --allow-ffi in the process that makes it",
    );
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
