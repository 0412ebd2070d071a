/**
 * A table of the mappings and descriptors of a worker, shared with its host. This module does not import Effect.
 *
 * The end of a process frees its mappings and descriptors; the end of a worker frees nothing. The host gives each worker a
 * table, the worker records its mappings and descriptors there, and the host frees the remaining ones once the thread has
 * ended.
 *
 * ```text
 *  words 0 to 12287   2048 entries of 6 words: in use, descriptor or -1, pointer (low, high), size (low, high);
 *                     for a descriptor alone, the pointer is 0, and its inode takes the place of the size
 *  word 12288         first word of the entry of the worker's doorbell, plus 1; 0 while the worker has none
 *  word 12289         1 once the host has ended the worker
 * ```
 *
 * The worker writes `in use` last, so the host never frees an entry that is half written.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { type Words, words } from "./atomics.ts";

const ENTRY_WORDS = 6;
const ENTRIES = 2048;
const DOORBELL = ENTRY_WORDS * ENTRIES;
const ENDED = DOORBELL + 1;

/** Creates the table that a host gives to its worker. */
export const makeTable = (): SharedArrayBuffer => new SharedArrayBuffer((ENDED + 1) * 4);

/** Records that the host has ended the worker. The thread may still run to the end of its turn. */
export const end = (table: SharedArrayBuffer): void => words(table).store(ENDED, 1);

/** Whether this isolate is a worker that its host has ended. */
export const ended = (): boolean => own !== undefined && own.load(ENDED) !== 0;

let own: Words | undefined;
let next = 0;

/** Sets the table of this worker. */
export const adopt = (table: SharedArrayBuffer): void => {
  own = words(table);
};

/** Mapped memory, and the descriptor that is open with it, if any. */
export interface Mapping {
  readonly fd: number | undefined;
  readonly pointer: Deno.PointerObject;
  /** In bytes. */
  readonly size: number;
}

/** Records a mapping, and returns a function that removes the record; `undefined` if the table is full. */
export const record = ({ fd, pointer, size }: Mapping): (() => void) | undefined =>
  add(fd, Deno.UnsafePointer.value(pointer), size);

/** Records a descriptor alone, like {@link record}. Deno may close it as well; the inode shows whether it is still open. */
export const recordDescriptor = (fd: number, inode: bigint): (() => void) | undefined => add(fd, 0n, Number(inode));

const add = (fd: number | undefined, address: bigint, size: number): (() => void) | undefined => {
  const table = own;
  if (table === undefined) return () => {};
  for (let tries = 0; tries < ENTRIES; tries++) {
    const at = (next = (next + 1) % ENTRIES) * ENTRY_WORDS;
    if (table.load(at) !== 0) continue;
    table.store(at + 1, fd ?? -1);
    table.store(at + 2, Number(address & 0xffff_ffffn) | 0);
    table.store(at + 3, Number(address >> 32n));
    table.store(at + 4, size | 0);
    table.store(at + 5, Math.floor(size / 0x1_0000_0000));
    table.store(at, 1);
    return () => table.store(at, 0);
  }
  return undefined;
};

const wide = (table: Words, at: number): bigint =>
  BigInt(table.load(at + 1) >>> 0) << 32n | BigInt(table.load(at) >>> 0);

/** Marks the mapping that was recorded last as the doorbell. */
export const markDoorbell = (): void => own?.store(DOORBELL, next * ENTRY_WORDS + 1);

/** The doorbell of a worker, or `null` if the worker has none mapped. */
export const doorbellOf = (buffer: SharedArrayBuffer): Deno.PointerObject | null => {
  const table = words(buffer);
  const at = table.load(DOORBELL) - 1;
  return at < 0 || table.load(at) === 0 ? null : Deno.UnsafePointer.create(wide(table, at + 2));
};

/**
 * Frees the remaining mappings and descriptors of a worker. Its thread must have ended, because a thread that reads unmapped
 * memory crashes the process.
 */
export const sweep = (buffer: SharedArrayBuffer): void => {
  const table = words(buffer);
  for (let at = 0; at < ENTRY_WORDS * ENTRIES; at += ENTRY_WORDS) {
    if (table.exchange(at, 0) === 0) continue;
    const fd = table.load(at + 1);
    const pointer = Deno.UnsafePointer.create(wide(table, at + 2));
    if (pointer !== null) Os.unmap(pointer, Number(wide(table, at + 4)));
    else if (!isOpen(fd, wide(table, at + 4))) continue;
    if (fd >= 0) Os.close(fd);
  }
};

/** Whether a descriptor still refers to the file with this inode. */
const isOpen = (fd: number, inode: bigint): boolean => {
  try {
    return Os.inspect(fd).inode === inode;
  } catch (error) {
    if (error instanceof Os.OsError) return false;
    throw error;
  }
};
