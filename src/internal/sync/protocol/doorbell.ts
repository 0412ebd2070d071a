/**
 * Waiting for what happens in shared memory.
 *
 * Each isolate has one doorbell. Who waits says in which of 32 buckets the news will come; who has news rings the other's bell
 * for a bucket. So an isolate parks once, however much it waits for, and never blocks its event loop: before it parks it looks
 * for a few microseconds, and it gives way in between.
 *
 * A waiter is asked whether it is done
 * - when it has begun to wait: what came before is not missed,
 * - when the bell was rung for its bucket,
 * - every {@link PATROL} milliseconds, when it is to look as well for those who have died: also before they rang.
 *
 * The words of a doorbell stand in `os/doorbell_words.ts`. Free of Effect.
 *
 * @module
 */
import * as Os from "../../os/linux.ts";
import { bufferName, ENDED, PARKED, RINGS, RUNG, SIZE } from "../../os/doorbell_words.ts";
import { markDoorbell } from "../../os/worker_mappings.ts";
import { attach, create, type Kind, type Region, RegionError, type Token } from "../../os/mapping.ts";
import { find, publish } from "../../os/shared_buffers.ts";
import { notify, waitFor, type Words, words } from "../../os/atomics.ts";

/** How often those who wait look for themselves, in milliseconds. */
export const PATROL = 250;

/** Looks before parking: first by itself, then between turns of others on this core, of which more are granted where it has paid. */
const LOOKS = 100;
const LOOKS_BETWEEN = 20;
const FEWEST_YIELDS = 2;
const MOST_YIELDS = 32;

/** So often may the bell be answered without a turn of the event loop. */
const STREAK = 64;

/** Turns of the microtasks in which those who were woken come to say what others may be waiting for. */
const TURNS = 16;

/** Something waited for. */
export interface Watch {
  readonly bucket: number;
  /** Whether it is over. With `patrol`, the dead are to be looked for. */
  readonly check: (patrol: boolean) => boolean;
  /** Is told what `check` has thrown, which ends the waiting. @default the error is thrown, with nobody to catch it */
  readonly fail?: (error: unknown) => void;
}

/** Who rings, for the tables of arenas. */
export interface Identity {
  /** Thread id, or number of the doorbell. */
  readonly owner: number;
  readonly pid: number;
  readonly start: number;
  readonly fd: number;
  readonly inode: bigint;
}

/** The doorbell of this isolate, for one kind of memory. */
export class Doorbell {
  readonly #kind: Kind;
  readonly #watches: Array<Set<Watch>> = Array.from({ length: 32 }, () => new Set());
  #waiting = 0;
  #running = false;
  #yields = FEWEST_YIELDS;
  #parked = false;
  #region: Region | undefined;
  #words: Words | undefined;
  #identity: Identity | undefined;
  #patrolled = 0;
  #holders = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  /** Keeps the doorbell for those who may ring it. Returns what gives it up. */
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

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Who this isolate is to others, while it holds its doorbell. */
  identity(): Identity {
    if (this.#identity !== undefined) return this.#identity;
    if (this.#kind === "buffer") {
      const owner = crypto.getRandomValues(new Int32Array(1))[0] | 1;
      const buffer = new SharedArrayBuffer(SIZE);
      publish(bufferName(owner), buffer);
      this.#region = attach({ kind: "buffer", id: bufferName(owner), size: SIZE });
      this.#identity = { owner, pid: 0, start: 0, fd: 0, inode: 0n };
    } else {
      const region = this.#region = create(SIZE, "memory");
      markDoorbell();
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
    this.#words = words(this.#region.buffer);
    return this.#identity;
  }

  /** Begins to wait, if it is not over at once. Returns what takes the wish back. */
  watch(watch: Watch): () => void {
    this.identity();
    const watches = this.#watches[watch.bucket];
    watches.add(watch);
    if (this.#waiting++ === 0) this.#patrolled = performance.now();
    const leave = (): void => {
      if (!this.#over(watch)) return;
      if (this.#waiting === 0 && this.#parked) this.ringSelf(watch.bucket);
    };
    if (this.#check(watch, false)) {
      leave();
    } else if (!this.#running) {
      this.#running = true;
      // After those who are about to ring have had their turn.
      queueMicrotask(() => void this.#run());
    }
    return leave;
  }

  /** Has this isolate itself look again. */
  ringSelf(bucket: number): void {
    if (this.#running) ring(this.#words!, bucket, () => this.#wake());
  }

  #wake(): void {
    const region = this.#region!;
    if (region.pointer === undefined) notify(region.buffer as SharedArrayBuffer, RINGS);
    else Os.futexWake(region.pointer);
  }

  /** Whether it was waited for until now. */
  #over(watch: Watch): boolean {
    if (!this.#watches[watch.bucket].delete(watch)) return false;
    this.#waiting--;
    return true;
  }

  async #run(): Promise<void> {
    const words = this.#words!;
    const keepAlive = this.#kind === "buffer" ? setInterval(() => {}, 60_000) : undefined;
    try {
      for (let streak = 0; this.#waiting > 0;) {
        const rings = words.load(RINGS);
        const rung = words.exchange(RUNG, 0);
        const patrol = performance.now() - this.#patrolled >= PATROL;
        if (patrol) this.#patrolled = performance.now();
        if (this.#look(patrol ? -1 : rung, patrol)) {
          // Those who were woken go first: they may be who we would wait for.
          if (++streak % STREAK === 0) await new Promise((resolve) => setImmediate(resolve));
          else for (let turn = 0; turn < TURNS; turn++) await null;
        } else if (this.#waiting > 0 && !this.#spin(rings)) {
          streak = 0;
          await this.#park(rings);
        }
      }
    } catch (error) {
      // The bell itself does not work: nobody who waits for it would hear anything any more.
      for (const watches of this.#watches) for (const watch of [...watches]) this.#fail(watch, error);
    } finally {
      clearInterval(keepAlive);
      this.#running = false;
      this.#parked = false;
      this.#close();
    }
  }

  /** Whether a watch is over. One that throws is taken out: it must not end the waiting of all others. */
  #check(watch: Watch, patrol: boolean): boolean {
    try {
      return watch.check(patrol);
    } catch (error) {
      this.#fail(watch, error);
      return true;
    }
  }

  #fail(watch: Watch, error: unknown): void {
    this.#over(watch);
    if (watch.fail === undefined) return uncaught(error);
    try {
      watch.fail(error);
    } catch (another) {
      uncaught(another);
    }
  }

  /** Gives up the descriptor, and the memory, when nobody rings any more; not before a parked thread has come back from there. */
  #close(): void {
    if (this.#holders > 0 || this.#running || this.#kind === "buffer") return;
    this.#region?.close();
    this.#region = this.#words = this.#identity = undefined;
  }

  /** Asks those who wait in these buckets; whether there was somebody. */
  #look(buckets: number, patrol: boolean): boolean {
    let asked = false;
    for (let bucket = 0; buckets !== 0; bucket++, buckets >>>= 1) {
      if ((buckets & 1) === 0) continue;
      for (const watch of this.#watches[bucket]) {
        asked ||= !patrol;
        if (this.#check(watch, patrol)) asked = this.#over(watch) || asked;
      }
    }
    return asked;
  }

  /** Whether the bell rings within some microseconds. */
  #spin(rings: number): boolean {
    const words = this.#words!;
    for (let i = 0; i < LOOKS; i++) if (words.load(RINGS) !== rings) return true;
    // What others can do on this core is worth waiting for only if they are let.
    if (Os.unsupported() !== undefined) return false;
    for (let i = 0; i < this.#yields; i++) {
      Os.yieldCore();
      for (let j = 0; j < LOOKS_BETWEEN; j++) {
        if (words.load(RINGS) === rings) continue;
        this.#yields = Math.min(this.#yields * 2, MOST_YIELDS);
        return true;
      }
    }
    this.#yields = Math.max(this.#yields >> 1, FEWEST_YIELDS);
    return false;
  }

  async #park(rings: number): Promise<void> {
    const words = this.#words!;
    const region = this.#region!;
    const millis = Math.max(1, PATROL - (performance.now() - this.#patrolled));
    this.#parked = true;
    words.store(PARKED, 1);
    if (words.load(RINGS) === rings) {
      await (region.pointer === undefined
        ? waitFor(region.buffer as SharedArrayBuffer, RINGS, rings, millis)
        : Os.futexWait(region.pointer, rings, millis));
    }
    words.store(PARKED, 0);
    this.#parked = false;
  }
}

/** Throws where nobody catches it. */
const uncaught = (error: unknown): void =>
  queueMicrotask(() => {
    throw error;
  });

const ring = (words: Words, bucket: number, wake: () => void): void => {
  words.or(RUNG, 1 << bucket);
  words.add(RINGS, 1);
  // Whoever is woken needs a while to come: nobody else has to wake it meanwhile.
  if (words.load(PARKED) !== 0 && words.exchange(PARKED, 0) !== 0) wake();
};

const doorbells = new Map<Kind, Doorbell>();

/** The doorbell of this isolate. */
export const doorbell = (kind: Kind): Doorbell => {
  let known = doorbells.get(kind);
  if (known === undefined) doorbells.set(kind, known = new Doorbell(kind));
  return known;
};

/** Rings in another isolate of this process; nothing happens if it is not known, or not any more. */
export const ringBuffer = (owner: number, bucket: number): void => {
  const buffer = find(bufferName(owner));
  if (buffer !== undefined) ring(words(buffer), bucket, () => notify(buffer, RINGS));
};

/** DoorbellAddress the doorbell of another process is. */
export interface DoorbellAddress {
  readonly pid: number;
  readonly fd: number;
  readonly inode: bigint;
}

interface Far {
  readonly region: Region;
  readonly words: Words;
}

/** Doorbells of others, by inode. */
const far = new Map<bigint, Far>();

/** So many are kept mapped. */
const FAR = 512;

const reach = (where: DoorbellAddress): Far | undefined => {
  let known = far.get(where.inode);
  if (known !== undefined) return known;
  try {
    const region = attach({ kind: "memory", ...where, device: undefined, size: SIZE });
    known = { region, words: words(region.buffer) };
  } catch (error) {
    // There is nobody who could hear it.
    if (error instanceof RegionError && error.reason === "Gone") return undefined;
    throw error;
  }
  if (far.size >= FAR) far.clear();
  far.set(where.inode, known);
  return known;
};

/** Its process number may be another's by now, whose descriptor is anything, and may not be opened: nobody is there to be rung. */
const reachable = (where: DoorbellAddress): Far | undefined => {
  try {
    return reach(where);
  } catch (error) {
    if (error instanceof RegionError && error.reason === "Failed") return undefined;
    throw error;
  }
};

/** Rings in another process, or worker; nothing happens if it has ended. */
export const ringMemory = (where: DoorbellAddress, bucket: number): void => {
  const known = reachable(where);
  if (known !== undefined) ring(known.words, bucket, () => Os.futexWake(known.region.pointer!));
};

/** Whether the owner of a doorbell has not been declared dead, as a worker is that cannot be stopped. */
export const isAlive = (where: DoorbellAddress): boolean => reach(where)?.words.load(ENDED) === 0;
