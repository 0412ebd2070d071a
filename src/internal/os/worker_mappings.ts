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
const BELL = ENTRY * ENTRIES;

/** The word behind that: whether the worker was ended. */
const ENDED = BELL + 1;

/** A new ledger, for the host to give to its worker. */
export const make = (): SharedArrayBuffer => new SharedArrayBuffer((ENDED + 1) * 4);

/** Notes that the worker was ended: its thread may run on, to the end of its turn. */
export const end = (ledger: SharedArrayBuffer): void => words(ledger).store(ENDED, 1);

/** Whether this is a worker that was ended. */
export const ended = (): boolean => own !== undefined && own.load(ENDED) !== 0;

let own: Words | undefined;
let next = 0;

/** Called in a worker, when its host has given it its ledger. */
export const keep = (ledger: SharedArrayBuffer): void => {
  own = words(ledger);
};

/** Mapped memory, and the descriptor that goes with it. */
export interface Held {
  readonly fd: number | undefined;
  readonly pointer: Deno.PointerObject;
  readonly size: number;
}

/** Notes what is held. Returns a function that strikes it out; `undefined` if the ledger is full. */
export const enter = ({ fd, pointer, size }: Held): (() => void) | undefined => {
  const ledger = own;
  if (ledger === undefined) return () => {};
  for (let tries = 0; tries < ENTRIES; tries++) {
    const at = (next = (next + 1) % ENTRIES) * ENTRY;
    if (ledger.load(at) !== 0) continue;
    const address = Deno.UnsafePointer.value(pointer);
    ledger.store(at + 1, fd ?? -1);
    ledger.store(at + 2, Number(address & 0xffff_ffffn) | 0);
    ledger.store(at + 3, Number(address >> 32n));
    ledger.store(at + 4, size | 0);
    ledger.store(at + 5, Math.floor(size / 0x1_0000_0000));
    ledger.store(at, 1);
    return () => ledger.store(at, 0);
  }
  return undefined;
};

const wide = (ledger: Words, at: number): bigint =>
  BigInt(ledger.load(at + 1) >>> 0) << 32n | BigInt(ledger.load(at) >>> 0);

/** Notes that what was entered last is the doorbell. */
export const markBell = (): void => own?.store(BELL, next * ENTRY + 1);

/** The doorbell of a worker, while its memory is held. */
export const bellOf = (buffer: SharedArrayBuffer): Deno.PointerObject | null => {
  const ledger = words(buffer);
  const at = ledger.load(BELL) - 1;
  return at < 0 || ledger.load(at) === 0 ? null : Deno.UnsafePointer.create(wide(ledger, at + 2));
};

/** Frees what a worker held. Its thread must have ended: it would crash the process with its next look at what it had. */
export const sweep = (buffer: SharedArrayBuffer): void => {
  const ledger = words(buffer);
  for (let at = 0; at < ENTRY * ENTRIES; at += ENTRY) {
    if (ledger.exchange(at, 0) === 0) continue;
    const fd = ledger.load(at + 1);
    const pointer = Deno.UnsafePointer.create(wide(ledger, at + 2));
    if (pointer !== null) Os.unmap(pointer, Number(wide(ledger, at + 4)));
    if (fd >= 0) Os.close(fd);
  }
};
