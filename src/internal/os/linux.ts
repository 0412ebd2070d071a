/**
 * The system calls that shared memory needs on Linux, through FFI. Only this module contains call numbers, flags and
 * structure layouts of the kernel. It needs `--allow-ffi`, and opens no library before the first call.
 *
 * All functions are synchronous and fast.
 *
 * @module
 */
import { codeOf, denied, find, type Found, OsError } from "./foreign.ts";

export { OsError };

/**
 * Numbers that depend on the architecture: of calls for which some C library lacks a function, of flags, and of fields in
 * `struct stat`, in 32-bit words.
 */
const numbers = {
  x86_64: {
    fstat: 5,
    gettid: 186,
    getdents64: 217,
    fstatat: 262,
    directory: 0x10000,
    noFollow: 0x20000,
    mode: 6,
    user: 7,
  },
  aarch64: {
    fstat: 80,
    gettid: 178,
    getdents64: 61,
    fstatat: 79,
    directory: 0x4000,
    noFollow: 0x8000,
    mode: 4,
    user: 6,
  },
}[Deno.build.arch];

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_NONBLOCK = 0x800;
const O_CLOEXEC = 0x80000;
/** With `O_DIRECTORY`: creates an unnamed file in that folder. */
const O_TMPFILE = 0x400000;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_SYMLINK_NOFOLLOW = 0x100;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** Forbids more seals, shrinking and growing, so that mapped memory stays backed. */
const SEALS = 1 | 2 | 4;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 16;
const MAP_ANONYMOUS = 32;

const functions = {
  errno: { name: "__errno_location", parameters: [], result: "pointer" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "i64" },
  unlink: { parameters: ["buffer"], result: "i32" },
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fileLock: { name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  fstat: { name: "syscall", parameters: ["i64", "i64", "buffer"], result: "i64" },
  fstatat: { name: "syscall", parameters: ["i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
  getdents64: { name: "syscall", parameters: ["i64", "i64", "buffer", "i64"], result: "i64" },
  gettid: { name: "syscall", parameters: ["i64"], result: "i64" },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i64" },
} as const;

type Library = Found<typeof functions>;

let library: Library | undefined;

/** The reason why these calls are unavailable; `undefined` if they are available. */
export const unsupported = (): string | undefined => {
  if (library !== undefined) return undefined;
  if (Deno.build.os !== "linux") return `it needs Linux, and this is ${Deno.build.os}`;
  if (numbers === undefined) return `it needs x86-64 or arm64, and this is ${Deno.build.arch}`;
  return denied() ?? (libc() === undefined ? "no C library was found that it knows" : undefined);
};

const libc = (): Library | undefined => library ??= find(["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`], functions);

const c = (): Library => library ?? libc()!;

const errno = (): number => new Deno.UnsafePointerView(c().errno()!).getInt32();

/** Returns the result of a call, or throws if the result is -1. */
const checked = (call: string, answer: number): number => {
  if (answer < 0) throw new OsError(call, errno());
  return answer;
};

const utf8 = new TextEncoder();
/** Converts a path to the null-terminated form that system calls take. */
export const cString = (text: string): Uint8Array<ArrayBuffer> => utf8.encode(`${text}\0`);

/** Creates an unnamed file in memory, which is freed with its last user. Its space is reserved, and its size is final. */
export const createMemory = (size: number): number => {
  const fd = checked("memfd_create", c().memfd_create(cString("multiprocessing"), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  try {
    reserve(fd, size);
    checked("fcntl", c().fcntl(fd, F_ADD_SEALS, SEALS));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
};

/** Space is reserved in steps of this size, in bytes. Each step first checks the available memory. */
const STEP = 64 * 1024 * 1024;

/**
 * Sets the size of a file and reserves its space, so that a process that touches it later is not killed because the disk is
 * full. Checks the available memory first, because the system would kill processes to obtain memory.
 */
export const reserve = (fd: number, size: number): void => {
  for (let start = 0; start < size;) {
    const length = Math.min(STEP, size - start);
    if (size - start > available(size)) throw new OsError("fallocate", ENOSPC);
    const error = c().posix_fallocate(fd, BigInt(start), BigInt(length));
    if (error === 0) start += length;
    else if (codeOf(error) !== "EINTR") throw new OsError("fallocate", error);
  }
};

const ENOSPC = 28;

/** Available memory in bytes. Returns `Infinity` without a check if little memory is wanted. */
const available = (wanted: number): number => {
  if (wanted < STEP) return Infinity;
  const kilobytes = /^MemAvailable:\s+(\d+)/m.exec(readText("/proc/meminfo") ?? "")?.[1];
  const most = Number(readText("/sys/fs/cgroup/memory.max") ?? NaN);
  const used = Number(readText("/sys/fs/cgroup/memory.current") ?? NaN);
  return Math.min(
    kilobytes === undefined ? Infinity : Number(kilobytes) * 1024,
    Number.isFinite(most - used) ? most - used : Infinity,
  );
};

/** Creates an unnamed file in a folder. It is deleted with its last user, unless {@link nameFile} names it. */
export const createNameless = (folder: string, mode: number): number =>
  checked("open", c().open(cString(folder), O_TMPFILE | numbers!.directory | O_RDWR | O_CLOEXEC, mode));

/** Gives an unnamed file a name, which must be free. The file appears at once with its whole content. */
export const nameFile = (fd: number, path: string): void =>
  void checked(
    "linkat",
    c().linkat(AT_FDCWD, cString(`/proc/self/fd/${fd}`), AT_FDCWD, cString(path), AT_SYMLINK_FOLLOW),
  );

/** Opens a file for reading and writing. */
export const openFile = (path: string): number => checked("open", c().open(cString(path), O_RDWR | O_CLOEXEC, 0));

/** Like {@link openFile}, but does not follow a symbolic link, and does not block on any type of file. */
export const openOwn = (path: string): number =>
  checked("open", c().open(cString(path), O_RDWR | O_NONBLOCK | O_CLOEXEC | numbers!.noFollow, 0));

/** `struct flock`: type and whence (16 bits each), start, length (64 bits each), process. */
const byteLock = (type: number, at: number): Int32Array<ArrayBuffer> => new Int32Array([type, 0, at, 0, 1, 0, 0, 0]);

/**
 * Locks a byte of a file. Returns `false` if the byte is already locked. The lock lasts until the opened file is neither open
 * nor mapped anywhere, so it ends with its process.
 */
export const lockByte = (fd: number, at: number): boolean => {
  if (c().fileLock(fd, F_OFD_SETLK, byteLock(F_WRLCK, at)) === 0) return true;
  const error = new OsError("fcntl", errno());
  if (error.code === "EAGAIN" || error.code === "EACCES") return false;
  throw error;
};

/** Whether a byte of a file is locked through another opened file. */
export const isByteLocked = (fd: number, at: number): boolean => {
  const lock = byteLock(F_WRLCK, at);
  checked("fcntl", c().fileLock(fd, F_OFD_GETLK, lock));
  return (lock[0] & 0xffff) !== F_UNLCK;
};

/** Removes a file's name. */
export const unlink = (path: string): void => void checked("unlink", c().unlink(cString(path)));

export const close = (fd: number): void => void c().close(fd);

const stat = new BigUint64Array(32);
const statWords = new Uint32Array(stat.buffer);

export interface FileInfo {
  readonly device: bigint;
  readonly inode: bigint;
  /** In bytes. */
  readonly size: number;
  /** Type of the file, and its permissions. */
  readonly mode: number;
  /** User id of the owner. */
  readonly user: number;
}

const found = (): FileInfo => {
  const { mode, user } = numbers!;
  return { device: stat[0], inode: stat[1], size: Number(stat[6]), mode: statWords[mode], user: statWords[user] };
};

/** Inspects the file of a descriptor. */
export const inspect = (fd: number): FileInfo => {
  checked("fstat", Number(c().fstat(BigInt(numbers!.fstat), BigInt(fd), stat)));
  return found();
};

/** Inspects a named file without opening it or following a link; `undefined` if there is no such file. */
export const inspectName = (path: string): FileInfo | undefined => {
  const flags = BigInt(AT_SYMLINK_NOFOLLOW);
  if (c().fstatat(BigInt(numbers!.fstatat), BigInt(AT_FDCWD), cString(path), stat, flags) === 0n) return found();
  const error = new OsError("fstatat", errno());
  if (error.code === "ENOENT") return undefined;
  throw error;
};

/** The effective user id of this process. */
export const userId = (): number => c().geteuid();

/** The names in a folder. */
export const list = (folder: string): ReadonlyArray<string> => {
  const fd = checked("open", c().open(cString(folder), O_RDONLY | numbers!.directory | O_CLOEXEC, 0));
  const entries = new Uint8Array(32 * 1024);
  const view = new DataView(entries.buffer);
  const names: Array<string> = [];
  try {
    for (;;) {
      const call = c().getdents64(BigInt(numbers!.getdents64), BigInt(fd), entries, BigInt(entries.length));
      const length = checked("getdents64", Number(call));
      if (length === 0) return names;
      for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
        const name = entries.subarray(at + 19, entries.indexOf(0, at + 19));
        names.push(new TextDecoder().decode(name));
      }
    }
  } finally {
    close(fd);
  }
};

/** Maps a whole file, shared. */
export const map = (fd: number, size: number): Deno.PointerObject => {
  const pointer = c().mmap(null, BigInt(size), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
  if (pointer === null || Deno.UnsafePointer.value(pointer) === 0xffff_ffff_ffff_ffffn) {
    throw new OsError("mmap", errno());
  }
  return pointer;
};

/** Maps a whole file over existing memory of this process. */
export const mapOver = (memory: Deno.PointerObject, fd: number, size: number): void => {
  const pointer = c().mmap(memory, BigInt(size), PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0n);
  if (pointer === null || Deno.UnsafePointer.value(pointer) === 0xffff_ffff_ffff_ffffn) {
    throw new OsError("mmap", errno());
  }
};

/** Replaces a file that was mapped over memory by private memory of zeros. */
export const mapNothing = (memory: Deno.PointerObject, size: number): void =>
  void c().mmap(memory, BigInt(size), PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0n);

/** Unmaps memory. A later use of any view of it would crash the process. */
export const unmap = (pointer: Deno.PointerObject, size: number): void => void c().munmap(pointer, BigInt(size));

/** The bytes at a pointer, as a buffer. */
export const view = (pointer: Deno.PointerObject, size: number): ArrayBuffer =>
  Deno.UnsafePointerView.getArrayBuffer(pointer, size);

/** Creates a pipe: the descriptors of its reader and of its writer, neither of which blocks. */
export const createPipe = (): readonly [reader: number, writer: number] => {
  const fds = new Int32Array(2);
  checked("pipe2", c().pipe2(fds, O_NONBLOCK | O_CLOEXEC));
  return [fds[0], fds[1]];
};

/** Opens the writer of a pipe. Returns `undefined` if the pipe has no reader, or if the path cannot be opened for writing. */
export const openWriter = (path: Uint8Array<ArrayBuffer>): number | undefined => {
  const fd = c().open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
  return fd < 0 ? undefined : fd;
};

const ONE = new Uint8Array(1);

/** Writes one byte. Ignores errors: a full pipe already contains a wake-up, and a pipe without a reader needs none. */
export const writeByte = (fd: number): void => void c().write(fd, ONE, 1n);

/** Lets other threads of this core run. */
export const yieldCore = (): void => void c().sched_yield();

/** The id of this thread. Each worker has its own, whereas its process id is that of its host. */
export const threadId = (): number => Number(c().gettid(BigInt(numbers!.gettid)));

const scratch = new Uint8Array(4096);
const latin1 = new TextDecoder("latin1");

/** Reads the start of a small file of the system; `undefined` if there is none. */
const readText = (path: string): string | undefined => {
  const fd = c().open(cString(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const length = Number(c().read(fd, scratch, BigInt(scratch.length)));
  close(fd);
  return length <= 0 ? undefined : latin1.decode(scratch.subarray(0, length));
};

let machineId: string | undefined;

/** Identifies this boot of this machine, and the namespace of process ids: two processes that find the same one agree about ids. */
export const machine = (): string => {
  if (machineId === undefined) {
    const fd = checked("open", c().open(cString("/proc/self/ns/pid"), O_RDONLY | O_CLOEXEC, 0));
    machineId = `${readText("/proc/sys/kernel/random/boot_id")?.trim()} ${inspect(fd).inode}`;
    close(fd);
  }
  return machineId;
};

/**
 * The start time of a thread, in ticks since the start of the system; `undefined` if there is no such thread, or if it is a
 * zombie. The ids and the start time together identify a thread uniquely since the start of the system.
 */
export const startOf = (pid: number, tid: number): number | undefined => {
  const text = readText(`/proc/${pid}/task/${tid}/stat`);
  if (text === undefined) return undefined;
  // The name of the thread may contain any character; it ends at the last bracket.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
};
