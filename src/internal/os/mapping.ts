/**
 * Memory that several processes, or several workers, see at once.
 *
 * - `"memory"`: a file in memory without a name, mapped over FFI. Any process of this user on this machine can attach it while its
 *   maker has not closed it; with the last user it is gone, whatever killed them.
 * - `"buffer"`: a SharedArrayBuffer, for the isolates of one operating system process. Needs no permission.
 *
 * Closing detaches: every view of it then has length 0 (`"memory"`; views of a `"buffer"` stay valid, since nobody can take them
 * back). What is attached and not closed is unmapped when the last view of it has been collected. Free of Effect.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { type Mapping, record } from "./worker_mappings.ts";
import { find, publish, withdraw } from "./shared_buffers.ts";

/** How memory is shared. */
export type Kind = "memory" | "buffer";

/** What a region is attached by, wherever the one lives who attaches it. */
export type Token =
  | {
    readonly kind: "memory";
    readonly pid: number;
    readonly fd: number;
    /** `undefined` if only the inode is known. */
    readonly device: bigint | undefined;
    readonly inode: bigint;
    readonly size: number;
  }
  | {
    readonly kind: "buffer";
    readonly id: string;
    readonly size: number;
    /** The process whose isolates can have it, where it is told. */
    readonly pid?: number;
  };

/**
 * Memory could not be had.
 *
 * - `Unsupported`: not here; the message says why, and what works instead.
 * - `Full`: there is not so much memory, or a limit of the system is reached.
 * - `Gone`: its maker has closed it, or has ended.
 * - `Failed`: anything else the system said; see `cause`.
 */
export class RegionError extends Error {
  /** How the error is printed. */
  override readonly name = "RegionError";
  readonly reason: "Unsupported" | "Full" | "Gone" | "Failed";

  constructor(reason: RegionError["reason"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/** Mapped memory. */
export interface Region {
  readonly token: Token;
  /** In bytes. */
  readonly size: number;
  /** The memory; of length 0 when this has been closed, if it is of the kind `"memory"`. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Where it is mapped, for calls to the system; `undefined` for a `"buffer"`. */
  readonly pointer: Deno.PointerObject | undefined;
  readonly closed: boolean;
  /** Detaches it here; nobody can attach it any more if this is its maker. */
  readonly close: () => void;
}

/** The kind that this process can make: `"memory"` where it is possible, since all can attach it. */
export const preferred = (): Kind => Os.unsupported() === undefined ? "memory" : "buffer";

/** Which errors of the system mean that there is no room. */
const full = new Set(["ENOMEM", "ENOSPC", "EMFILE", "ENFILE", "EFBIG"]);

/** What an error of the system is to somebody who wanted memory. */
export const explain = (what: string, error: unknown): RegionError => {
  if (!(error instanceof Os.OsError)) throw error;
  const reason = full.has(error.code) ? "Full" : "Failed";
  const advice = error.code === "EMFILE" ? "; raise the limit of open files (ulimit -n)" : "";
  return new RegionError(reason, `Cannot ${what}: ${error.message}${advice}`, error);
};

/** Unmaps what was attached and is not referred to any more. */
const abandoned = new FinalizationRegistry<Abandoned>(({ fd, inode, pointer, size, unrecord }) => {
  unrecord();
  Os.unmap(pointer, size);
  if (fd !== undefined) Os.close(fd);
  if (mapped.get(inode)?.deref() === undefined) mapped.delete(inode);
});

interface Abandoned extends Mapping {
  readonly inode: bigint;
  readonly unrecord: () => void;
}

/** Memory of the kind `"memory"`. */
export class Mapped implements Region {
  readonly token: Token & { readonly kind: "memory" };
  readonly size: number;
  readonly buffer: ArrayBuffer;
  readonly pointer: Deno.PointerObject;
  readonly #fd: number | undefined;
  readonly #unrecord: () => void;
  #closed = false;

  constructor(token: Token & { readonly kind: "memory" }, pointer: Deno.PointerObject, fd: number | undefined) {
    const { inode, size } = token;
    const unrecord = record({ fd, pointer, size });
    if (unrecord === undefined) {
      Os.unmap(pointer, size);
      throw new RegionError("Full", "Cannot share memory: a worker can use 2048 regions at once");
    }
    this.#unrecord = unrecord;
    this.token = token;
    this.size = size;
    this.pointer = pointer;
    this.buffer = Os.view(pointer, size);
    this.#fd = fd;
    abandoned.register(this.buffer, { fd, pointer, size, inode, unrecord }, this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this);
    const { inode } = this.token;
    if (mapped.get(inode)?.deref() === this) mapped.delete(inode);
    this.buffer.transfer();
    this.#unrecord();
    Os.unmap(this.pointer, this.size);
    if (this.#fd !== undefined) Os.close(this.#fd);
  };
}

class Shared implements Region {
  readonly token: Token & { readonly kind: "buffer" };
  readonly size: number;
  readonly buffer: SharedArrayBuffer;
  readonly pointer = undefined;
  readonly #own: boolean;
  #closed = false;

  constructor(token: Token & { readonly kind: "buffer" }, buffer: SharedArrayBuffer, own: boolean) {
    this.token = token;
    this.size = token.size;
    this.buffer = buffer;
    this.#own = own;
  }

  get closed(): boolean {
    return this.#closed;
  }

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#own) withdraw(this.token.id);
  };
}

/** What this isolate has mapped, so that a region that comes again is not mapped again. */
const mapped = new Map<bigint, WeakRef<Mapped>>();

/** Makes a region of zeros. Throws a `RegionError`. */
export const create = (size: number, kind?: Kind): Region => {
  const region = createApart(size, kind);
  if (region instanceof Mapped) mapped.set(region.token.inode, new WeakRef(region));
  return region;
};

/** The same for who never attaches what it has made: it would not be given this one. */
export const createApart = (size: number, kind: Kind = preferred()): Region => {
  if (kind === "buffer") return createBuffer(size);
  const missing = Os.unsupported();
  if (missing !== undefined) {
    throw new RegionError("Unsupported", `Cannot share memory with other processes: ${missing}`);
  }
  return own(() => Os.createMemory(size), `make ${size} bytes of shared memory`);
};

/**
 * A region of a file that is opened for it, and closed with it. Throws a `RegionError` if it cannot be mapped, and what `open` throws
 * unless that comes from the system.
 */
export const own = (open: () => number, what: string): Mapped => {
  let fd: number | undefined;
  try {
    fd = open();
    const { device, inode, size } = Os.inspect(fd);
    return new Mapped({ kind: "memory", pid: Deno.pid, fd, device, inode, size }, Os.map(fd, size), fd);
  } catch (error) {
    if (fd !== undefined) Os.close(fd);
    throw error instanceof Os.OsError ? explain(what, error) : error;
  }
};

const createBuffer = (size: number): Region => {
  let buffer: SharedArrayBuffer;
  try {
    buffer = new SharedArrayBuffer(size);
  } catch (error) {
    throw new RegionError("Full", `Cannot make ${size} bytes of shared memory: ${(error as Error).message}`, error);
  }
  const id = crypto.randomUUID();
  publish(id, buffer);
  return new Shared({ kind: "buffer", id, size, pid: Deno.pid }, buffer, true);
};

/**
 * Gives a region that is attached already, or attaches it. It belongs to all who have got it: nobody closes it, apart from its
 * maker. Throws a `RegionError`, and has then changed nothing.
 */
export const attach = (token: Token): Region => {
  if (token.kind === "buffer") return map(token);
  const known = mapped.get(token.inode)?.deref();
  if (known !== undefined && !known.closed) return known;
  const region = map(token) as Mapped;
  mapped.set(token.inode, new WeakRef(region));
  return region;
};

/** Attaches a region for the caller alone, who may close it. Throws a `RegionError`, and has then changed nothing. */
export const map = (token: Token): Region => {
  if (token.kind === "buffer") {
    const buffer = find(token.id);
    if (buffer !== undefined) return new Shared(token, buffer, false);
    if (token.pid !== undefined && token.pid !== Deno.pid) {
      throw new RegionError(
        "Unsupported",
        "Cannot attach the shared memory: it was made without --allow-ffi, for workers, and this is a process of its own; " +
          "give its maker --allow-ffi, or run the task on a worker",
      );
    }
    throw new RegionError("Gone", "Cannot attach the shared memory: its scope has closed, or its maker has ended");
  }
  const missing = Os.unsupported();
  if (missing !== undefined) throw new RegionError("Unsupported", `Cannot attach the shared memory: ${missing}`);
  const gone = (): RegionError =>
    new RegionError("Gone", "Cannot attach the shared memory: its scope has closed, or its process has ended");
  let fd: number | undefined;
  try {
    fd = Os.openFile(`/proc/${token.pid}/fd/${token.fd}`);
    const found = Os.inspect(fd);
    const same = (token.device ?? found.device) === found.device && found.inode === token.inode;
    if (!same || found.size !== token.size) throw gone();
    return new Mapped(token, Os.map(fd, token.size), undefined);
  } catch (error) {
    if (error instanceof Os.OsError && (error.code === "ENOENT" || error.code === "ENXIO" || error.code === "E6")) {
      throw gone();
    }
    throw error instanceof RegionError ? error : explain("attach the shared memory", error);
  } finally {
    if (fd !== undefined) Os.close(fd);
  }
};
