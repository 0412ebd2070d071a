/**
 * Waiting for changes in shared memory.
 *
 * Each isolate has one doorbell per kind of memory. A waiter registers a watch in one of 32 buckets; a process that changes an object
 * rings the doorbell of a waiter for the object's bucket. An isolate therefore parks once, however many fibers wait in it.
 *
 * The check of a watch runs
 * - when the watch is registered, so that no earlier change is missed,
 * - when the doorbell was rung for the bucket,
 * - before the isolate parks for the first time with the watch, and every {@link PATROL} milliseconds after that, when it also looks for
 *   dead participants: they may have died before they rang.
 *
 * Waiting has two steps. The isolate first looks at the doorbell for a few microseconds: longer where that has paid, and less long where
 * it has not. Then it parks in its event loop, on a pipe (`"memory"`) or by `Atomics.waitAsync` (`"buffer"`), neither of which holds a
 * thread. A step between the two, a doze of the whole thread, was measured and was no faster. An isolate whose waits end without parking
 * gives its event loop a turn every {@link SHARE} milliseconds, so that its sockets and timers do not starve.
 *
 * A ring sets its bit in RUNG, adds to RINGS, and then swaps PARKED for 0; the process that has found 1 there wakes the isolate. The
 * isolate reads RINGS, takes RUNG, runs the checks, sets PARKED, and parks only if RINGS is unchanged. Both sides therefore write
 * their own word before they read the other's, and no ring is lost: the linearisation point of a ring is its addition to RINGS.
 * `os/doorbell_words.ts` has the layout. Free of Effect.
 *
 * @module
 */
import * as Os from "../../os/linux.ts";
import { bufferName, ENDED, INODE, PARKED, PIPE, RINGS, RUNG, SIZE } from "../../os/doorbell_words.ts";
import { markDoorbell } from "../../os/worker_mappings.ts";
import { attach, create, type Region, RegionError, type RegionKind, type Token } from "../../os/mapping.ts";
import { find, publish } from "../../os/shared_buffers.ts";
import { type PipeAddress, WakePipe, wakerOf } from "../../os/wake_pipe.ts";
import { notify, waitFor, type Words, words } from "../../os/atomics.ts";

/** Milliseconds between two checks of a watch that nobody rings for. */
export const PATROL = 250;

/** How often the isolate looks at RINGS before it parks. */
const FEWEST_LOOKS = 32;
const MOST_LOOKS = 1024;

/** Milliseconds for which an isolate may go on without a turn of its event loop. */
const SHARE = 1;

/** Microtasks after a check that has ended a wait: the fibers that were woken may ring the next one in them. */
const MICROTASKS = 16;

/** One wait for a change. */
export interface Watch {
  readonly bucket: number;
  /** Returns true if the wait is over. With `patrol`, it also looks for dead participants. */
  readonly check: (patrol: boolean) => boolean;
  /** Receives what `check` has thrown, which ends the wait. @default the error is thrown without a handler */
  readonly fail?: (error: unknown) => void;
}

/** This isolate as a participant, for the tables of arenas. */
export interface Identity {
  /** Thread id; the number of the doorbell for a `"buffer"`. */
  readonly owner: number;
  readonly pid: number;
  /** When the thread was started, in ticks since the system was. */
  readonly start: number;
  /** Descriptor and inode of the doorbell. */
  readonly fd: number;
  readonly inode: bigint;
}

/** The doorbell of this isolate, for one kind of memory. */
export class Doorbell {
  readonly #kind: RegionKind;
  readonly #watches: Array<Set<Watch>> = Array.from({ length: 32 }, () => new Set());
  #waiting = 0;
  #running = false;
  #looks = FEWEST_LOOKS;
  #parked = false;
  #region: Region | undefined;
  #pipe: WakePipe | undefined;
  #words: Words | undefined;
  #identity: Identity | undefined;
  #patrolled = 0;
  /** Whether a watch was registered since the last patrol. */
  #fresh = false;
  #holders = 0;

  constructor(kind: RegionKind) {
    this.#kind = kind;
  }

  /** Keeps the doorbell open for participants that may ring it. Returns a function that releases it. */
  hold(): () => void {
    this.identity();
    this.#holders++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders--;
      this.#close();
    };
  }

  /** Number of watches. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Identifies this isolate to other participants; constant while the doorbell is held. */
  identity(): Identity {
    if (this.#identity !== undefined) return this.#identity;
    if (this.#kind === "buffer") {
      const owner = crypto.getRandomValues(new Int32Array(1))[0] | 1;
      const buffer = new SharedArrayBuffer(SIZE);
      publish(bufferName(owner), buffer);
      this.#region = attach({ kind: "buffer", id: bufferName(owner), size: SIZE });
      this.#words = words(this.#region.buffer);
      this.#identity = { owner, pid: 0, start: 0, fd: 0, inode: 0n };
    } else {
      const region = this.#region = create(SIZE, "memory");
      markDoorbell();
      this.#words = words(region.buffer);
      const { fd, inode } = (this.#pipe = new WakePipe()).address;
      this.#words.store(PIPE, fd);
      this.#words.store(INODE, Number(inode & 0xffff_ffffn) | 0);
      this.#words.store(INODE + 1, Number(inode >> 32n));
      const token = region.token as Token & { readonly kind: "memory" };
      const owner = Os.threadId();
      this.#identity = {
        owner,
        pid: token.pid,
        start: Os.startOf(token.pid, owner) ?? 0,
        fd: token.fd,
        inode: token.inode,
      };
    }
    return this.#identity;
  }

  /** Registers a watch, unless it is over at once. Returns a function that removes it. */
  watch(watch: Watch): () => void {
    this.identity();
    const watches = this.#watches[watch.bucket];
    watches.add(watch);
    if (this.#waiting++ === 0) this.#patrolled = performance.now();
    this.#fresh = true;
    const leave = (): void => {
      if (!this.#remove(watch)) return;
      if (this.#waiting === 0 && this.#parked) this.ringSelf(watch.bucket);
    };
    if (this.#check(watch, false)) {
      leave();
    } else if (!this.#running) {
      this.#running = true;
      // In a microtask: other fibers of this turn may be about to ring.
      queueMicrotask(() => void this.#run());
    }
    return leave;
  }

  /** Rings the doorbell of this isolate itself. */
  ringSelf(bucket: number): void {
    if (this.#running) ring(this.#words!, bucket, () => this.#wake());
  }

  #wake(): void {
    if (this.#pipe !== undefined) this.#pipe.wake();
    else notify(this.#region!.buffer as SharedArrayBuffer, RINGS);
  }

  /** Removes a watch; false if it was removed before. */
  #remove(watch: Watch): boolean {
    if (!this.#watches[watch.bucket].delete(watch)) return false;
    this.#waiting--;
    return true;
  }

  async #run(): Promise<void> {
    const words = this.#words!;
    const keepAlive = this.#kind === "buffer" ? setInterval(() => {}, 60_000) : undefined;
    try {
      while (this.#waiting > 0) {
        const rings = words.load(RINGS);
        const rung = words.exchange(RUNG, 0);
        const now = performance.now();
        const patrol = now - this.#patrolled >= PATROL;
        if (patrol) {
          this.#patrolled = now;
          this.#fresh = false;
        }
        const woken = this.#look(patrol ? -1 : rung, patrol);
        if (woken) { for (let i = 0; i < MICROTASKS; i++) await null; }
        if (now - turnedAt > SHARE) await this.#turn();
        else if (!woken && this.#waiting > 0 && !this.#spin(rings)) {
          if (this.#fresh) this.#patrolled = -PATROL;
          else await this.#park(rings);
        }
      }
    } catch (error) {
      // The doorbell itself has failed, so no watch would ever be checked again.
      for (const watches of this.#watches) for (const watch of [...watches]) this.#fail(watch, error);
    } finally {
      clearInterval(keepAlive);
      this.#running = false;
      this.#parked = false;
      this.#close();
    }
  }

  /** Whether a watch is over. A watch that throws is removed, and does not end other waits. */
  #check(watch: Watch, patrol: boolean): boolean {
    try {
      return watch.check(patrol);
    } catch (error) {
      this.#fail(watch, error);
      return true;
    }
  }

  #fail(watch: Watch, error: unknown): void {
    this.#remove(watch);
    if (watch.fail === undefined) return uncaught(error);
    try {
      watch.fail(error);
    } catch (another) {
      uncaught(another);
    }
  }

  /** Gives up descriptors and memory once no participant may ring, and this isolate is not parked there. */
  #close(): void {
    if (this.#holders > 0 || this.#running || this.#kind === "buffer") return;
    this.#region?.close();
    this.#pipe?.close();
    this.#region =
      this.#pipe =
      this.#words =
      this.#identity =
        undefined;
  }

  /** Runs the checks of these buckets. Returns whether a watch was rung for, or is over. */
  #look(buckets: number, patrol: boolean): boolean {
    let woken = false;
    for (let bucket = 0; buckets !== 0; bucket++, buckets >>>= 1) {
      if ((buckets & 1) === 0) continue;
      for (const watch of this.#watches[bucket]) {
        woken ||= !patrol;
        if (this.#check(watch, patrol)) woken = this.#remove(watch) || woken;
      }
    }
    return woken;
  }

  /** Whether the doorbell rings within some microseconds. */
  #spin(rings: number): boolean {
    const words = this.#words!;
    for (let i = 0; i < this.#looks; i++) {
      if (words.load(RINGS) === rings) continue;
      this.#looks = Math.min(this.#looks * 2, MOST_LOOKS);
      return true;
    }
    this.#looks = Math.max(this.#looks >> 1, FEWEST_LOOKS);
    return false;
  }

  /** Gives the event loop a turn in which it looks at its sockets. `setImmediate` does so only every 61st time. */
  async #turn(): Promise<void> {
    await (this.#pipe?.turn() ?? new Promise((resolve) => setTimeout(resolve, 0)));
    turnedAt = performance.now();
  }

  async #park(rings: number): Promise<void> {
    const words = this.#words!;
    const millis = Math.max(1, PATROL - (performance.now() - this.#patrolled));
    this.#parked = true;
    words.store(PARKED, 1);
    if (words.load(RINGS) === rings) {
      await (this.#pipe?.wait(millis) ??
        waitFor(this.#region!.buffer as SharedArrayBuffer, RINGS, rings, millis));
      turnedAt = performance.now();
    }
    words.store(PARKED, 0);
    this.#parked = false;
  }
}

/** When the event loop of this isolate had its last turn, as far as a doorbell knows. */
let turnedAt = 0;

/** Throws an error without a handler. */
const uncaught = (error: unknown): void =>
  queueMicrotask(() => {
    throw error;
  });

const ring = (words: Words, bucket: number, wake: () => void): void => {
  words.or(RUNG, 1 << bucket);
  words.add(RINGS, 1);
  // The isolate takes a while to wake up: only the first ring has to wake it.
  if (words.load(PARKED) !== 0 && words.exchange(PARKED, 0) !== 0) wake();
};

const doorbells = new Map<RegionKind, Doorbell>();

/** The doorbell of this isolate for a kind of memory. */
export const doorbell = (kind: RegionKind): Doorbell => {
  let known = doorbells.get(kind);
  if (known === undefined) doorbells.set(kind, known = new Doorbell(kind));
  return known;
};

/** Rings the doorbell of another isolate of this process. Does nothing if that isolate has ended. */
export const ringBuffer = (owner: number, bucket: number): void => {
  const buffer = find(bufferName(owner));
  if (buffer !== undefined) ring(words(buffer), bucket, () => notify(buffer, RINGS));
};

/** Identifies the doorbell of another process. */
export interface DoorbellAddress {
  readonly pid: number;
  readonly fd: number;
  readonly inode: bigint;
}

interface Remote {
  readonly words: Words;
  readonly wake: () => void;
}

/** Doorbells of other processes, by inode. */
const remotes = new Map<bigint, Remote>();

/** Doorbells of others that stay mapped. */
const REMOTES = 512;

const reach = (address: DoorbellAddress): Remote | undefined => {
  let known = remotes.get(address.inode);
  if (known !== undefined) return known;
  try {
    const region = attach({ kind: "memory", ...address, device: undefined, size: SIZE });
    const mapped = words(region.buffer);
    known = { words: mapped, wake: wakerOf(pipeOf(address.pid, mapped)) };
  } catch (error) {
    // The owner has ended.
    if (error instanceof RegionError && error.reason === "Gone") return undefined;
    throw error;
  }
  if (remotes.size >= REMOTES) remotes.clear();
  remotes.set(address.inode, known);
  return known;
};

const pipeOf = (pid: number, words: Words): PipeAddress => ({
  pid,
  fd: words.load(PIPE),
  inode: BigInt(words.load(INODE + 1)) << 32n | BigInt(words.load(INODE) >>> 0),
});

/** Like {@link reach}, but another process may have the process id by now, and deny access to its descriptor. */
const reachable = (address: DoorbellAddress): Remote | undefined => {
  try {
    return reach(address);
  } catch (error) {
    if (error instanceof RegionError && error.reason === "Failed") return undefined;
    throw error;
  }
};

/** Rings the doorbell of another process or worker. Does nothing if its owner has ended. */
export const ringMemory = (address: DoorbellAddress, bucket: number): void => {
  const remote = reachable(address);
  if (remote !== undefined) ring(remote.words, bucket, remote.wake);
};

/** Whether the owner of a doorbell was not declared dead. */
export const isAlive = (address: DoorbellAddress): boolean => reach(address)?.words.load(ENDED) === 0;
