/**
 * Blocks of memory that have a name: files in `/dev/shm`, as `shm_open` makes them, so that any program can attach them.
 *
 * - A block gets its name when it is whole: its space reserved, its owner's lock on it. Before that it has none, and is gone with
 *   its maker.
 * - The owner's lock lies on the first byte of the file. It is the kernel's, and ends with the owner, however that ends: a
 *   block of this library's whose first byte nobody has locked is a leftover.
 * - The blocks of this library have the sticky bit. It means nothing for a file, and nobody else sets it.
 * - Who removes a leftover locks its second byte first, so that they go one after the other, and none removes what another has made
 *   in its place.
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

/** Only its user reads and writes it; and the sticky bit. */
const MODE = 0o1600;
const PERMISSIONS = 0o7777;
const FORMAT = 0o170000;
const REGULAR = 0o100000;

const OWNER = 0;
const REMOVER = 1;

/** How often somebody looks whether another has removed a leftover, before it counts as owned. */
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

/** Opens what has a name now; `undefined` if nothing has it. */
const open = (path: string): number | undefined => {
  try {
    return Os.openOwn(path);
  } catch (error) {
    if (is(error, "ENOENT")) return undefined;
    throw error;
  }
};

/** Whether a name still stands for this file. */
const stillNames = (path: string, inode: bigint): boolean => Os.inspectName(path)?.inode === inode;

const isOurs = ({ mode }: Os.FileInfo): boolean => (mode & FORMAT) === REGULAR && (mode & PERMISSIONS) === MODE;

/** Removes what a dead owner has left: whether it has, or found that nobody has the name, or that somebody has. */
const removeLeftover = (path: string): "removed" | "free" | "taken" => {
  let fd: number | undefined;
  try {
    const info = Os.inspectName(path);
    if (info === undefined) return "free";
    // What is not ours is not even opened.
    if (!isOurs(info) || info.user !== Os.userId()) return "taken";
    fd = open(path);
    if (fd === undefined) return "free";
    const { inode } = Os.inspect(fd);
    if (Os.isByteLocked(fd, OWNER)) return "taken";
    for (let i = 0; !Os.lockByte(fd, REMOVER); i++) {
      if (i === PATIENCE) return "taken";
      Os.yieldCore();
    }
    // Somebody else may have removed it, and the name stand for another block.
    if (!stillNames(path, inode)) return "free";
    if (!isOurs(Os.inspect(fd))) return "taken";
    Os.unlink(path);
    return "removed";
  } catch (error) {
    // What cannot be opened is not ours.
    if (error instanceof Os.OsError) return "taken";
    throw error;
  } finally {
    if (fd !== undefined) Os.close(fd);
  }
};

/** Removes all that dead owners have left, and gives the names. Throws a `MemoryError`. */
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

/** A block that has a name. */
export interface Block {
  readonly region: Mapped;
  /** Takes its name away, if it still has it. */
  readonly unlink: () => void;
}

/**
 * Makes a block of zeros, which `prepare` may fill before anybody sees it. Throws a `MemoryError`, or what that throws, and has then
 * changed nothing.
 */
export const create = (name: string, size: number, prepare?: (buffer: ArrayBuffer) => void): Block => {
  const path = pathOf(name);
  unsupported();
  checkSize(size);
  // What was left by programs that were killed takes up memory: each program looks for it once.
  if (!swept) {
    swept = true;
    try {
      sweep();
    } catch (error) {
      // Whatever it is, it concerns this block only if its own creation fails.
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

/** A file that has no name yet, and that is owned by who has made it. */
const createFile = (size: number): number => {
  let fd: number;
  try {
    fd = Os.createNameless(FOLDER, MODE);
  } catch (error) {
    if (!is(error, "ENOENT", "EOPNOTSUPP", "EISDIR")) throw error;
    throw new MemoryError(
      "Unsupported",
      `Cannot use shared memory by name: there is no ${FOLDER} here, or it is no file system in memory; ` +
        "SharedMemory.make needs none",
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
      `Cannot make the block ${JSON.stringify(name)} of shared memory: there is one of that name, whose owner lives; ` +
        "attach it, or choose another name",
    );
  }
};

/** Attaches a block that has a name, whoever made it. Throws a `MemoryError`, and has then changed nothing. */
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
    if (is(error, "EACCES", "EPERM")) throw fail("Denied", "it is another user's", error);
    if (is(error, "ELOOP", "EISDIR", "E6")) throw fail("NotFound", "what has this name is no block of memory", error);
    throw error;
  }
  if (fd === undefined) throw fail("NotFound", "there is none of that name");
  try {
    const info = Os.inspect(fd);
    if ((info.mode & FORMAT) !== REGULAR) throw fail("NotFound", "what has this name is no block of memory");
    if (info.size === 0) throw fail("NotFound", "it has no size yet");
    if (isOurs(info) && !Os.isByteLocked(fd, OWNER)) {
      throw fail("Gone", "its owner has ended without removing it; who creates one of this name replaces it");
    }
    return fd;
  } catch (error) {
    Os.close(fd);
    throw error;
  }
};
