/**
 * Blocks of memory with a name: files in `/dev/shm`, as `shm_open` makes them, so that any program can attach them.
 *
 * - A block gets its name when it is complete: its space is reserved and its owner has locked it. Before that it has no name, and ends
 *   with its maker.
 * - The owner locks the first byte of the file. The kernel releases that lock when the owner ends, for any reason. A block of this
 *   library whose first byte is not locked is a leftover.
 * - The blocks of this library have the sticky bit, which has no meaning for a file and which no other program sets.
 * - A process that removes a leftover locks the second byte first. Removers therefore work one after the other, and none removes a block
 *   that another one has made in its place.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Os from "../os/linux.ts";
import { type Mapped, own } from "../os/mapping.ts";
import { name as isName } from "../os/arguments.ts";
import { checkSize, demandOptions, MemoryError } from "./errors.ts";
import { orMemoryError } from "./system_errors.ts";

const FOLDER = "/dev/shm";

/** Read and write permission for the user only, and the sticky bit. */
const MODE = 0o1600;
const PERMISSIONS = 0o7777;
const FORMAT = 0o170000;
const REGULAR = 0o100000;

const OWNER = 0;
const REMOVER = 1;

/** Attempts to lock a leftover that another process removes, before the leftover counts as owned. */
const PATIENCE = 1000;

const utf8 = new TextEncoder();

const pathOf = (name: string): string => {
  demandOptions("shared memory", { name }, { name: isName });
  // Python and C programs may say "/name" for it.
  const file = name.startsWith("/") ? name.slice(1) : name;
  const length = utf8.encode(file).length;
  if (file === "" || file === "." || file === ".." || /[/\0]/.test(file) || length > 255 || !file.isWellFormed()) {
    throw new MemoryError(
      "InvalidArgument",
      `Cannot use a block of shared memory: its name must have 1 to 255 bytes and no "/", received ${
        JSON.stringify(name)
      }`,
    );
  }
  return `${FOLDER}/${file}`;
};

const unsupported = (): void => {
  const missing = Os.unsupported();
  if (missing === undefined) return;
  throw new MemoryError(
    "Unsupported",
    `Cannot use shared memory by name: ${missing}; without it, SharedMemory.make gives memory that workers share`,
  );
};

const is = (error: unknown, ...codes: ReadonlyArray<string>): boolean =>
  error instanceof Os.OsError && codes.includes(error.code);

/** Opens a file by its name; `undefined` if there is none. */
const open = (path: string): number | undefined => {
  try {
    return Os.openOwn(path);
  } catch (error) {
    if (is(error, "ENOENT")) return undefined;
    throw error;
  }
};

/** Whether a name still refers to a file. */
const stillNames = (path: string, inode: bigint): boolean => Os.inspectName(path)?.inode === inode;

const isOurs = ({ mode }: Os.FileInfo): boolean => (mode & FORMAT) === REGULAR && (mode & PERMISSIONS) === MODE;

/** Removes a leftover. Returns `free` if there is no such name, and `taken` if the block has a living owner. */
const removeLeftover = (path: string): "removed" | "free" | "taken" => {
  let fd: number | undefined;
  try {
    const info = Os.inspectName(path);
    if (info === undefined) return "free";
    // Files of other programs are not even opened.
    if (!isOurs(info) || info.user !== Os.userId()) return "taken";
    fd = open(path);
    if (fd === undefined) return "free";
    const { inode } = Os.inspect(fd);
    if (Os.isByteLocked(fd, OWNER)) return "taken";
    for (let i = 0; !Os.lockByte(fd, REMOVER); i++) {
      if (i === PATIENCE) return "taken";
      Os.yieldCore();
    }
    // Another process may have removed the leftover, and the name may refer to another block by now.
    if (!stillNames(path, inode)) return "free";
    if (!isOurs(Os.inspect(fd))) return "taken";
    Os.unlink(path);
    return "removed";
  } catch (error) {
    // A file that cannot be opened belongs to another program.
    if (error instanceof Os.OsError) return "taken";
    throw error;
  } finally {
    if (fd !== undefined) Os.close(fd);
  }
};

/** Removes all leftovers, and returns their names. Throws a `MemoryError`. */
export const sweep = (): ReadonlyArray<string> => {
  unsupported();
  return orMemoryError(() => {
    let names: ReadonlyArray<string>;
    try {
      names = Os.list(FOLDER);
    } catch (error) {
      if (is(error, "ENOENT")) return [];
      throw error;
    }
    return names.filter((name) => name !== "." && name !== ".." && removeLeftover(`${FOLDER}/${name}`) === "removed");
  });
};

let swept = false;

/** A named block. */
export interface NamedBlock {
  readonly region: Mapped;
  /** Removes the name of the block, if it still refers to the block. */
  readonly unlink: () => void;
}

/**
 * Creates a block of zeros, which `prepare` may fill before the block gets its name. Throws a `MemoryError`, or the error of `prepare`,
 * and has then changed nothing.
 */
export const create = (name: string, size: number, prepare?: (buffer: ArrayBuffer) => void): NamedBlock => {
  const path = pathOf(name);
  unsupported();
  checkSize(size);
  // Leftovers of killed programs take up memory: each program removes them once.
  if (!swept) {
    swept = true;
    try {
      sweep();
    } catch (error) {
      // An error that concerns this block as well occurs again below.
      if (!(error instanceof MemoryError)) throw error;
    }
  }
  const what = `make the block ${JSON.stringify(name)}`;
  const region = orMemoryError(() => own(() => createFile(size), what));
  const { fd, inode } = region.token;
  try {
    prepare?.(region.buffer);
    orMemoryError(() => giveName(fd, path, name));
  } catch (error) {
    region.close();
    throw error;
  }
  let named = true;
  return {
    region,
    unlink: () => {
      if (!named) return;
      named = false;
      if (stillNames(path, inode)) Os.unlink(path);
    },
  };
};

/** Creates a file without a name, which this process owns. */
const createFile = (size: number): number => {
  let fd: number;
  try {
    fd = Os.createNameless(FOLDER, MODE);
  } catch (error) {
    if (!is(error, "ENOENT", "EOPNOTSUPP", "EISDIR")) throw error;
    throw new MemoryError(
      "Unsupported",
      `Cannot use shared memory by name: ${FOLDER} does not exist here, or is not a file system in memory; ` +
        "SharedMemory.make works without it",
      error,
    );
  }
  try {
    Os.reserve(fd, size);
    Os.lockByte(fd, OWNER);
    return fd;
  } catch (error) {
    Os.close(fd);
    throw error;
  }
};

const giveName = (fd: number, path: string, name: string): void => {
  for (;;) {
    try {
      return Os.nameFile(fd, path);
    } catch (error) {
      if (!is(error, "EEXIST")) throw error;
    }
    if (removeLeftover(path) !== "taken") continue;
    throw new MemoryError(
      "Exists",
      `Cannot make the block ${
        JSON.stringify(name)
      } of shared memory: a block of that name exists, and its owner lives; ` +
        "attach it, or choose another name",
    );
  }
};

/** Attaches a block of any program by its name. Throws a `MemoryError`, and has then changed nothing. */
export const attach = (name: string): Mapped => {
  const path = pathOf(name);
  unsupported();
  const what = `attach the block ${JSON.stringify(name)}`;
  return orMemoryError(() => own(() => openBlock(path, what), what));
};

const openBlock = (path: string, what: string): number => {
  const fail = (reason: "NotFound" | "Denied" | "Gone", why: string, cause?: unknown): MemoryError =>
    new MemoryError(reason, `Cannot ${what} of shared memory: ${why}`, cause);
  let fd: number | undefined;
  try {
    fd = open(path);
  } catch (error) {
    if (is(error, "EACCES", "EPERM")) throw fail("Denied", "it belongs to another user", error);
    if (is(error, "ELOOP", "EISDIR", "E6")) {
      throw fail("NotFound", "the file of that name is not a block of memory", error);
    }
    throw error;
  }
  if (fd === undefined) throw fail("NotFound", "no block of that name exists");
  try {
    const info = Os.inspect(fd);
    if ((info.mode & FORMAT) !== REGULAR) throw fail("NotFound", "the file of that name is not a block of memory");
    if (info.size === 0) throw fail("NotFound", "it has no size yet");
    if (isOurs(info) && !Os.isByteLocked(fd, OWNER)) {
      throw fail("Gone", "its owner has ended without removing it; creating a block of that name replaces it");
    }
    return fd;
  } catch (error) {
    Os.close(fd);
    throw error;
  }
};
