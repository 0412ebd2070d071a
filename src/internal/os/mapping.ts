/**
 * Regions: memory that several processes, or several workers of one process, share.
 *
 * - `"memory"`: an unnamed file in memory, mapped through FFI. Any process of the same user on this machine can attach it
 *   until its maker closes it. The memory is freed once its last user has closed it or has ended, in any way.
 * - `"buffer"`: a SharedArrayBuffer, for the isolates of one process. It needs no permission.
 * - `"named"`: memory that other processes map by a random name; see `named_memory.ts`. Only blocks are made in this way.
 *
 * Closing a region of `"memory"` detaches it: all its views then have length 0. Views of a `"buffer"` stay valid, because a
 * SharedArrayBuffer cannot be detached. A region that was attached and not closed is unmapped once its last view has been
 * garbage-collected. This module does not import Effect.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { ReasonedError } from "./typed_error.ts";
import { type Mapping, record } from "./worker_mappings.ts";
import { type Host, host, machineName } from "./place.ts";
import { type NamedMapping, namedMemory } from "./named_memory.ts";
import { find, publish, withdraw } from "./shared_buffers.ts";

/** How memory is shared. */
export type RegionKind = "memory" | "buffer";

/** Identifies a region in any process. */
export type Token =
  | {
    readonly kind: "memory";
    /** The machine of the maker; `undefined` if it is known to be this one. */
    readonly host?: Host;
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
    /** The host of the maker, and the process whose isolates can attach the region, if they are known. */
    readonly host?: Host;
    readonly pid?: number;
  };

/** Identifies a `"named"` region in any process. */
export interface NamedToken {
  readonly kind: "named";
  readonly name: string;
  readonly size: number;
  readonly host: Host;
}

/** Identifies the memory of a block in any process. */
export type BlockToken = Token | NamedToken;

/**
 * A region could not be created or attached.
 *
 * - `Unsupported`: this system, or the permissions of this process, do not allow it; the message says what works instead.
 * - `Full`: there is not enough memory, or a limit of the system is reached.
 * - `Gone`: the maker has closed the region, or has ended.
 * - `Failed`: another error of the system; see `cause`.
 */
export class RegionError extends ReasonedError<"Unsupported" | "Full" | "Gone" | "Failed"> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "RegionError";
}

/** Mapped memory. */
export interface Region<T = Token> {
  readonly token: T;
  /** In bytes. */
  readonly size: number;
  /** The memory. A closed region of `"memory"` has a buffer of length 0. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Address of the mapping, for system calls; `undefined` for a `"buffer"`. */
  readonly pointer: Deno.PointerObject | undefined;
  readonly closed: boolean;
  /** Detaches the region in this isolate. If this isolate created the region, no other isolate can attach it any more. */
  readonly close: () => void;
}

/** The kind of memory that this process creates: `"memory"` if possible, since all processes can attach it. */
export const preferred = (): RegionKind => Os.unsupported() === undefined ? "memory" : "buffer";

/** Whether this isolate can attach a region, unless it has ended. */
export const isMappable = (token: Token): boolean =>
  token.kind === "memory"
    ? Os.unsupported() === undefined && elsewhere(token) === undefined
    : token.pid === undefined || (token.pid === Deno.pid && elsewhere(token) === undefined) ||
      find(token.id) !== undefined;

/** The machine of a region's maker; `undefined` if it is this one. Memory is found again by a process of the same boot. */
const elsewhere = ({ host: of, kind }: BlockToken): Host | undefined =>
  of === undefined || of.id === (kind === "memory" ? Os.machine() : host().id) ? undefined : of;

const unreachable = ({ name }: Host): RegionError =>
  new RegionError(
    "Unsupported",
    `Cannot attach the shared memory: it is on another machine (${name}), and this is ${machineName()}; send its data, or run the task there`,
  );

/** Error codes that mean a lack of memory or descriptors. */
const full = new Set(["ENOMEM", "ENOSPC", "EMFILE", "ENFILE", "EFBIG"]);

/** Converts an `OsError`. Throws any other error again. */
export const explain = (what: string, error: unknown): RegionError => {
  if (!(error instanceof Os.OsError)) throw error;
  const reason = full.has(error.code) ? "Full" : "Failed";
  const advice = error.code === "EMFILE" ? "; raise the limit of open files (ulimit -n)" : "";
  return new RegionError(reason, `Cannot ${what}: ${error.message}${advice}`, error);
};

/** Unmaps regions whose buffers were garbage-collected. */
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

/** A region of the kind `"memory"`. */
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

/** Unmaps named regions whose buffers were garbage-collected. */
const forgotten = new FinalizationRegistry<NamedMapping>(({ close }) => close());

/** A region of the kind `"named"`. The end of a worker does not unmap it; the end of the process does. */
class Named implements Region<NamedToken> {
  readonly token: NamedToken;
  readonly size: number;
  readonly buffer: ArrayBuffer;
  readonly pointer: Deno.PointerObject;
  readonly #mapping: NamedMapping;
  #closed = false;

  constructor(token: NamedToken, mapping: NamedMapping) {
    this.token = token;
    this.size = token.size;
    this.pointer = mapping.pointer;
    this.#mapping = mapping;
    this.buffer = Os.view(mapping.pointer, token.size);
    forgotten.register(this.buffer, mapping, this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    forgotten.unregister(this);
    this.buffer.transfer();
    this.#mapping.close();
  };
}

/** Creates a named region; `undefined` if this system or its permissions do not allow it. */
export const createNamed = (size: number): Region<NamedToken> | undefined => {
  const calls = namedMemory();
  if (typeof calls === "string") return undefined;
  try {
    const mapping = calls.create(size);
    return new Named({ kind: "named", name: mapping.name, size, host: host() }, mapping);
  } catch (error) {
    if (error instanceof Os.OsError) return undefined;
    throw error;
  }
};

/** Attaches a named region for the caller alone. Throws a `RegionError`, and then changes nothing. */
const mapNamed = (token: NamedToken): Region<NamedToken> => {
  const machine = elsewhere(token);
  if (machine !== undefined) throw unreachable(machine);
  const calls = namedMemory();
  if (typeof calls === "string") throw new RegionError("Unsupported", `Cannot attach the shared memory: ${calls}`);
  let mapping: NamedMapping | undefined;
  try {
    mapping = calls.attach(token.name, token.size);
  } catch (error) {
    throw explain("attach the shared memory", error);
  }
  if (mapping === undefined) throw gone();
  return new Named(token, mapping);
};

const gone = (): RegionError =>
  new RegionError("Gone", "Cannot attach the shared memory: its scope has closed, or its process has ended");

/** Attaches the memory of a block for the caller alone. Throws a `RegionError`, and then changes nothing. */
export const mapBlock = (token: BlockToken): Region<BlockToken> =>
  token.kind === "named" ? mapNamed(token) : map(token);

/** Regions that this isolate has mapped, so that it maps each region once. */
const mapped = new Map<bigint, WeakRef<Mapped>>();

/** Creates a zero-filled region. Throws a `RegionError`. */
export const create = (size: number, kind?: RegionKind): Region => {
  const region = createApart(size, kind);
  if (region instanceof Mapped) mapped.set(region.token.inode, new WeakRef(region));
  return region;
};

/** Like {@link create}, but not cached: a later {@link attach} maps the region again. */
export const createApart = (size: number, kind: RegionKind = preferred()): Region => {
  if (kind === "buffer") return createBuffer(size);
  const missing = Os.unsupported();
  if (missing !== undefined) {
    throw new RegionError("Unsupported", `Cannot share memory with other processes: ${missing}`);
  }
  return own(() => Os.createMemory(size), `make ${size} bytes of shared memory`);
};

/**
 * Maps the file that `open` opens, and closes the file with the region. An `OsError`, also of `open`, becomes a `RegionError`;
 * any other error is thrown unchanged.
 */
export const own = (open: () => number, what: string): Mapped => {
  let fd: number | undefined;
  try {
    fd = open();
    const { device, inode, size } = Os.inspect(fd);
    return new Mapped(
      { kind: "memory", host: { id: Os.machine(), name: machineName() }, pid: Deno.pid, fd, device, inode, size },
      Os.map(fd, size),
      fd,
    );
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
  return new Shared({ kind: "buffer", id, size, host: host(), pid: Deno.pid }, buffer, true);
};

/**
 * Attaches a region, or returns the region if it is already attached. All its users in this isolate share it, so only its
 * maker may close it. Throws a `RegionError`, and then changes nothing.
 */
export const attach = (token: Token): Region => {
  if (token.kind === "buffer") return map(token);
  const known = mapped.get(token.inode)?.deref();
  if (known !== undefined && !known.closed) return known;
  const region = map(token) as Mapped;
  mapped.set(token.inode, new WeakRef(region));
  return region;
};

/** Attaches a region for the caller alone, which may close it. Throws a `RegionError`, and then changes nothing. */
export const map = (token: Token): Region => {
  if (token.kind === "buffer") {
    const buffer = find(token.id);
    if (buffer !== undefined) return new Shared(token, buffer, false);
    const machine = elsewhere(token);
    if (machine !== undefined) throw unreachable(machine);
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
  const machine = elsewhere(token);
  if (machine !== undefined) throw unreachable(machine);
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
