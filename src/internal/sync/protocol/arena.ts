/**
 * One region in which its maker places small objects, locks say, that many processes use at once.
 *
 * ```text
 *  word 0        magic
 *  word 16       participants: 256 slots of 8 words
 *  word 2064     blocks: a word for the block's stamp, then the object
 * ```
 *
 * A participant is an isolate, a main thread or a worker, that uses an object of the arena. The words of its slot:
 *
 * | word | `"memory"` | `"buffer"` |
 * | --- | --- | --- |
 * | 0 | thread id; 0 if the slot was never used | number of its doorbell |
 * | 1 | generation: counts those who had the slot | the same |
 * | 2, 3, 4 | process id, start of the thread (low, high) | 1 when it has ended; the maker of the arena writes that |
 * | 5, 6, 7 | doorbell: descriptor, inode (low, high) | |
 *
 * Whoever takes a slot swaps word 0, then counts the generation, then writes the rest, and is known to others only after that. A
 * slot is free if its thread has ended; one in the making looks like that, so a slot whose thread lives is never taken. What an
 * object says of a participant is its slot and generation in one word, so nothing has to be cleaned when one dies.
 *
 * The stamp of a block is odd while an object lives in it. A block is used again only after a while: nobody is still at work on
 * what was there before. Free of Effect.
 *
 * @module
 */
import * as Os from "../../os/linux.ts";
import {
  type Doorbell,
  doorbell,
  type DoorbellAddress,
  type Identity,
  isAlive,
  ringBuffer,
  ringMemory,
} from "./doorbell.ts";
import { ownerOf } from "../../os/doorbell_words.ts";
import { attach, create, type Kind, preferred, type Region, RegionError, type Token } from "../../os/mapping.ts";
import { onWithdrawn } from "../../os/shared_buffers.ts";
import { glance, type Words, words } from "../../os/atomics.ts";

const MAGIC = 0x6d70_0001;
const SLOTS = 256;
const SLOT_WORDS = 8;
const TABLE = 16;
const BLOCKS = TABLE + SLOTS * SLOT_WORDS;

/** Sizes of arenas, in words: each is twice as large as the one before. */
const SMALLEST = 32 * 1024;
const LARGEST = 1024 * 1024;

const OWNER = 0;
const GENERATION = 1;
const PID = 2;
const START = 3;
const DOORBELL = 5;
const INODE = 6;

/** Blocks are multiples of this, in words: a cache line. */
const LINE = 16;

/** By when a block can be used again, in milliseconds. */
const REST = 10_000;

/** A participant in one word: generation in bits 8 to 23, slot in bits 0 to 7. Never 0. */
export type Participant = number;

/** Which slot that is. */
export const slotOf = (participant: Participant): number => participant & 0xff;

/** DoorbellAddress an object is. */
export interface ObjectAddress {
  readonly arena: Token;
  /** The first word of its block. */
  readonly at: number;
  /** The stamp of the block in which it is this object. */
  readonly stamp: number;
}

/** How long this isolate keeps its doorbell for an arena. */
interface Hold {
  release: (() => void) | undefined;
}

/** An arena as one isolate sees it. */
export class Arena {
  readonly region: Region;
  readonly words: Words;
  readonly #doorbell: Doorbell;
  readonly hold: Hold = { release: undefined };
  #self: Participant = 0;

  constructor(region: Region) {
    this.region = region;
    this.words = words(region.buffer);
    this.#doorbell = doorbell(region.token.kind);
  }

  /** This isolate as a participant. Throws a `RegionError` if there are too many. */
  get self(): Participant {
    return this.#self === 0 ? this.#self = this.#enter() : this.#self;
  }

  /** DoorbellAddress this isolate waits for what happens in the arena. */
  get doorbell(): Doorbell {
    return this.#doorbell;
  }

  /** Who has a slot, or had it last. */
  at(slot: number): Participant {
    return this.words.load(this.#slot(slot) + GENERATION) << 8 | slot;
  }

  /** Process id of a participant; of the process that hosts it, for a worker. */
  pid(participant: Participant): number {
    return this.region.token.kind === "buffer" ? Deno.pid : this.words.load(this.#slot(participant & 0xff) + PID);
  }

  /** Whether a participant lives. Asks the system, so it takes microseconds. */
  alive(participant: Participant): boolean {
    if (participant === this.#self) return true;
    const slot = this.#slot(participant & 0xff);
    if (this.words.load(slot + GENERATION) !== participant >>> 8) return false;
    return this.#exists(slot);
  }

  /** Has a participant look again at what it waits for in a bucket, 0 to 31. */
  ring(participant: Participant, bucket: number): void {
    if (participant === this.#self) return this.#doorbell.ringSelf(bucket);
    const slot = this.#slot(participant & 0xff);
    const { words } = this;
    if (words.load(slot + GENERATION) !== participant >>> 8) return;
    if (this.region.token.kind === "buffer") return ringBuffer(words.load(slot + OWNER), bucket);
    ringMemory(this.#doorbellOf(slot), bucket);
  }

  /** The same for whoever has that slot now. */
  ringSlot(slot: number, bucket: number): void {
    const generation = this.words.load(this.#slot(slot) + GENERATION);
    if (generation !== 0) this.ring(generation << 8 | slot, bucket);
  }

  /** Has all participants look again. */
  ringAll(bucket: number): void {
    for (let slot = 0; slot < SLOTS && this.words.load(this.#slot(slot) + GENERATION) !== 0; slot++) {
      this.ringSlot(slot, bucket);
    }
  }

  /** The isolate with that doorbell has ended: where there is no thread to ask for, it has to be written down. */
  mark(owner: number): void {
    for (let number = 0; number < SLOTS; number++) {
      const slot = this.#slot(number);
      if (this.words.load(slot + OWNER) === owner) this.words.store(slot + PID, 1);
    }
  }

  #slot(number: number): number {
    return TABLE + number * SLOT_WORDS;
  }

  #doorbellOf(slot: number): DoorbellAddress {
    const { words } = this;
    return {
      pid: words.load(slot + PID),
      fd: words.load(slot + DOORBELL),
      inode: join(words.load(slot + INODE), words.load(slot + INODE + 1)),
    };
  }

  #exists(slot: number, own = false): boolean {
    const { words } = this;
    const owner = words.load(slot + OWNER);
    if (this.region.token.kind === "buffer") {
      // Its thread may have come here after it was declared dead: it runs to the end of its turn.
      if (ended.has(owner)) words.store(slot + PID, 1);
      return words.load(slot + PID) === 0;
    }
    const start = Os.startOf(words.load(slot + PID), owner);
    if (start !== Number(join(words.load(slot + START), words.load(slot + START + 1)))) return false;
    return own || isAlive(this.#doorbellOf(slot));
  }

  #enter(): Participant {
    const { words } = this;
    this.hold.release ??= this.#doorbell.hold();
    const me = this.#doorbell.identity();
    const live: Array<number> = [];
    for (let number = 0; number < SLOTS; number++) {
      const slot = this.#slot(number);
      const owner = words.load(slot + OWNER);
      if (owner === me.owner) return this.#again(number, me);
      if (owner !== 0) {
        live.push(slot);
        continue;
      }
      if (words.swap(slot + OWNER, 0, me.owner) === 0) return this.#settle(number, me);
    }
    // All slots have been used: one whose owner has ended. A thread that exists, though it is not the one that was noted, may
    // be about to settle.
    for (const slot of live) {
      const owner = words.load(slot + OWNER);
      const pid = words.load(slot + PID);
      const ended = this.region.token.kind === "buffer"
        ? pid !== 0
        : Os.startOf(pid, owner) === undefined && Os.startOf(owner, owner) === undefined;
      if (ended && words.swap(slot + OWNER, owner, me.owner) === owner) {
        return this.#settle((slot - TABLE) / SLOT_WORDS, me);
      }
    }
    throw new RegionError(
      "Full",
      `Cannot use the shared object: ${SLOTS} processes and workers use this one and its neighbours`,
    );
  }

  /** The slot has this thread's number: it was its own, before it had forgotten the arena, or that of one long ended. */
  #again(number: number, me: Identity): Participant {
    const slot = this.#slot(number);
    if (!this.#exists(slot, true)) return this.#settle(number, me);
    this.#describe(slot, me);
    return this.words.load(slot + GENERATION) << 8 | number;
  }

  #settle(number: number, me: Identity): Participant {
    const { words } = this;
    const slot = this.#slot(number);
    const generation = (words.load(slot + GENERATION) & 0xffff) % 0xffff + 1;
    words.store(slot + GENERATION, generation);
    this.#describe(slot, me);
    return generation << 8 | number;
  }

  #describe(slot: number, me: Identity): void {
    const { words } = this;
    words.store(slot + PID, me.pid);
    words.store(slot + START, me.start | 0);
    words.store(slot + START + 1, Math.floor(me.start / 0x1_0000_0000));
    words.store(slot + DOORBELL, me.fd);
    words.store(slot + INODE, Number(me.inode & 0xffff_ffffn) | 0);
    words.store(slot + INODE + 1, Number(me.inode >> 32n));
  }
}

const join = (low: number, high: number): bigint => BigInt(high) << 32n | BigInt(low >>> 0);

/** The part of an arena that only its maker has: which blocks are free. */
interface Made {
  readonly arena: Arena;
  /** In words. */
  readonly capacity: number;
  next: number;
  used: number;
  readonly free: Map<number, Array<{ readonly at: number; readonly since: number }>>;
}

const made = new Map<Kind, Array<Made>>();

/** Arenas that are in use here: forgotten with their last object. */
const attached = new Map<string, WeakRef<Arena>>();
const forgotten = new FinalizationRegistry<{ readonly key: string; readonly hold: Hold }>(({ hold, key }) => {
  hold.release?.();
  if (attached.get(key)?.deref() === undefined) attached.delete(key);
});

const remember = (arena: Arena): void => {
  const key = name(arena.region.token);
  attached.set(key, new WeakRef(arena));
  forgotten.register(arena, { key, hold: arena.hold });
};

const name = (token: Token): string => token.kind === "memory" ? `${token.inode}` : token.id;

/** Isolates of this operating system process that have ended. */
const ended = new Set<number>();

onWithdrawn((buffer) => {
  const owner = ownerOf(buffer);
  if (owner === undefined) return;
  ended.add(owner);
  for (const entry of attached.values()) {
    const arena = entry.deref();
    if (arena?.region.token.kind === "buffer") arena.mark(owner);
  }
});

/** The arena of a token. Throws a `RegionError`. */
export const arena = (token: Token): Arena => {
  const known = attached.get(name(token))?.deref();
  if (known !== undefined && !known.region.closed) return known;
  const found = new Arena(attach(token));
  if (token.size < BLOCKS * 4 || found.words.load(0) !== MAGIC) {
    throw new RegionError("Gone", "Cannot attach the shared object: there is no arena");
  }
  remember(found);
  return found;
};

/** An object's place, with what reaches it. */
export interface Block {
  readonly place: ObjectAddress;
  readonly arena: Arena;
  /** The first word of the object. */
  readonly at: number;
  /** Says that the object is no more, to all who wait for it too, and lets the block rest. */
  readonly free: () => void;
}

/** Places an object of so many words, all 0. Throws a `RegionError`. */
export const allocate = (size: number, kind: Kind = preferred()): Block => {
  const length = Math.ceil((size + 1) / LINE) * LINE;
  if (length > LARGEST - BLOCKS) throw new RangeError(`Cannot place an object of ${size} words in an arena`);
  let arenas = made.get(kind);
  if (arenas === undefined) made.set(kind, arenas = []);
  for (const candidate of arenas) {
    const at = take(candidate, length);
    if (at !== undefined) return block(candidate, at, length);
  }
  const last = arenas.at(-1);
  let capacity = last === undefined ? SMALLEST : Math.min(last.capacity * 2, LARGEST);
  while (capacity < BLOCKS + length) capacity *= 2;
  const arena = new Arena(create(capacity * 4, kind));
  arena.words.store(0, MAGIC);
  remember(arena);
  const fresh: Made = { arena, capacity, next: BLOCKS, used: 0, free: new Map() };
  arenas.push(fresh);
  return block(fresh, take(fresh, length)!, length);
};

const take = (made: Made, length: number): number | undefined => {
  const rested = made.free.get(length);
  if (rested !== undefined && rested.length > 0 && performance.now() - rested[0].since > REST) {
    return rested.shift()!.at;
  }
  if (made.next + length > made.capacity) return undefined;
  const at = made.next;
  made.next += length;
  return at;
};

const block = (from: Made, at: number, length: number): Block => {
  const { arena } = from;
  const { words } = arena;
  for (let i = 1; i < length; i++) words.store(at + i, 0);
  const stamp = words.load(at) + 1;
  words.store(at, stamp);
  from.used++;
  let freed = false;
  return {
    place: { arena: arena.region.token, at, stamp },
    arena,
    at: at + 1,
    free: () => {
      if (freed) return;
      freed = true;
      words.store(at, stamp + 1);
      arena.ringAll(bucketOf(at + 1));
      const resting = from.free.get(length);
      const entry = { at, since: performance.now() };
      if (resting === undefined) from.free.set(length, [entry]);
      else resting.push(entry);
      from.used--;
      retire(from);
    },
  };
};

/** Closes an arena in which nothing lives any more. */
const retire = (from: Made): void => {
  if (from.used > 0) return;
  const arenas = made.get(from.arena.region.token.kind)!;
  arenas.splice(arenas.indexOf(from), 1);
  from.arena.hold.release?.();
  from.arena.region.close();
};

/** Reaches an object by its place. Throws a `RegionError` if it is no more. */
export const reach = (place: ObjectAddress): { readonly arena: Arena; readonly at: number } => {
  const found = arena(place.arena);
  if (!exists(found, place)) {
    throw new RegionError("Gone", "Cannot use the shared object: its scope has closed, or its process has ended");
  }
  return { arena: found, at: place.at + 1 };
};

/** Whether the object at a place is still the one that was meant. */
export const exists = (arena: Arena, { at, stamp }: ObjectAddress): boolean =>
  !arena.region.closed && arena.words.load(at) === stamp;

/**
 * The same again and again, without waiting for the memory: an object that has gone for longer than another core needs to say so is
 * seen to have gone. Blocks rest before they are used again, for longer than that.
 */
export const existenceProbe = ({ region }: Arena, { at, stamp }: ObjectAddress): () => boolean => {
  const here = glance(region.buffer);
  return () => here[at] === stamp;
};

/** The bucket in which waiters for an object are woken. */
export const bucketOf = (at: number): number => (at >>> 4) & 31;
