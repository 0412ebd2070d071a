/**
 * What a worker has mapped, and whether it was ended. The end of a process frees all that it had of the system; that of a worker frees nothing: its host
 * reads here what is left, once the thread has ended. Free of Effect.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { type Words, words } from "./atomics.ts";

/** Words of an entry: in use or not, descriptor or -1, pointer (low, high), size (low, high). */
const ENTRY = 6;

/** So many regions a worker can have. */
const ENTRIES = 2048;

/** The word behind the entries: where the entry of the worker's doorbell begins, and 1 more; 0 as long as it has none. */
const DOORBELL = ENTRY * ENTRIES;

/** The word behind that: whether the worker was ended. */
const ENDED = DOORBELL + 1;

/** A new table, for the host to give to its worker. */
export const makeTable = (): SharedArrayBuffer => new SharedArrayBuffer((ENDED + 1) * 4);

/** Notes that the worker was ended: its thread may run on, to the end of its turn. */
export const end = (table: SharedArrayBuffer): void => words(table).store(ENDED, 1);

/** Whether this is a worker that was ended. */
export const ended = (): boolean => own !== undefined && own.load(ENDED) !== 0;

let own: Words | undefined;
let next = 0;

/** Called in a worker, when its host has given it its table. */
export const adopt = (table: SharedArrayBuffer): void => {
  own = words(table);
};

/** Mapped memory, and the descriptor that goes with it. */
export interface Mapping {
  readonly fd: number | undefined;
  readonly pointer: Deno.PointerObject;
  readonly size: number;
}

/** Notes what is held. Returns a function that strikes it out; `undefined` if the table is full. */
export const record = ({ fd, pointer, size }: Mapping): (() => void) | undefined => {
  const table = own;
  if (table === undefined) return () => {};
  for (let tries = 0; tries < ENTRIES; tries++) {
    const at = (next = (next + 1) % ENTRIES) * ENTRY;
    if (table.load(at) !== 0) continue;
    const address = Deno.UnsafePointer.value(pointer);
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

/** Notes that what was entered last is the doorbell. */
export const markDoorbell = (): void => own?.store(DOORBELL, next * ENTRY + 1);

/** The doorbell of a worker, while its memory is held. */
export const doorbellOf = (buffer: SharedArrayBuffer): Deno.PointerObject | null => {
  const table = words(buffer);
  const at = table.load(DOORBELL) - 1;
  return at < 0 || table.load(at) === 0 ? null : Deno.UnsafePointer.create(wide(table, at + 2));
};

/** Frees what a worker held. Its thread must have ended: it would crash the process with its next look at what it had. */
export const sweep = (buffer: SharedArrayBuffer): void => {
  const table = words(buffer);
  for (let at = 0; at < ENTRY * ENTRIES; at += ENTRY) {
    if (table.exchange(at, 0) === 0) continue;
    const fd = table.load(at + 1);
    const pointer = Deno.UnsafePointer.create(wide(table, at + 2));
    if (pointer !== null) Os.unmap(pointer, Number(wide(table, at + 4)));
    if (fd >= 0) Os.close(fd);
  }
};
