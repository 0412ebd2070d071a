/**
 * Arenas: regions in which one process, the maker, allocates small objects that many processes use at once.
 *
 * ```text
 *  word 0        magic
 *  word 16       participants: 256 slots of 16 words
 *  word 4112     blocks: one word for the stamp of the block, then the object
 * ```
 *
 * A participant is an isolate, either a main thread or a worker, that uses an object of the arena. An isolate also stands in for
 * processes that use an object by messages: each is a guest, a participant of its own whose doorbell is that of the isolate. The
 * words of a slot:
 *
 * | word | `"memory"` | `"buffer"` |
 * | --- | --- | --- |
 * | 0 | OWNER: thread id; 0 if the slot was never used | number of the isolate's doorbell |
 * | 1 | GENERATION: counts the participants that have had the slot | the same |
 * | 2 | PID: process id | 1 once the isolate has ended; the maker of the arena writes it |
 * | 3, 4 | START: when the thread was started (low, high) | |
 * | 5, 6, 7 | DOORBELL: descriptor, inode (low, high) | |
 * | 8 | GUEST: process id of the guest for which the isolate stands in; 0 for the isolate itself | the same |
 * | 9 | LEFT: 1 once the guest has left | the same |
 *
 * - A slot is taken by one compare-and-swap of OWNER, which is the linearisation point. The new owner then counts GENERATION and
 *   writes the other words, and no object refers to it before that.
 * - A slot is free if its thread has ended. A slot whose owner is still writing the other words looks the same, so a slot whose
 *   thread lives is never taken.
 * - An object refers to a participant by its slot and generation in one word. Nothing has to be cleaned up when a participant dies.
 * - The stamp of a block is odd while an object lives in it. A freed block rests for ten seconds before it is used again, so that no
 *   participant still works on the object that was there before.
 *
 * The table of participants and the blocks share one layout and one lifetime, so both stand in this file. Free of Effect.
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
import { attach, create, preferred, type Region, RegionError, type RegionKind, type Token } from "../../os/mapping.ts";
import { onWithdrawn } from "../../os/shared_buffers.ts";
import { glance, type Words, words } from "../../os/atomics.ts";

const MAGIC = 0x6d70_0001;
const SLOTS = 256;
const SLOT_WORDS = 16;
const TABLE = 16;
const BLOCKS = TABLE + SLOTS * SLOT_WORDS;

/** Sizes of arenas, in words. Each new arena is twice as large as the last one. */
const SMALLEST = 32 * 1024;
const LARGEST = 1024 * 1024;

const OWNER = 0;
const GENERATION = 1;
const PID = 2;
const START = 3;
const DOORBELL = 5;
const INODE = 6;
const GUEST = 8;
const LEFT = 9;

/** The size of a block is a multiple of this, in words: a cache line. */
const LINE = 16;

/** Milliseconds for which a freed block rests. */
const REST = 10_000;

/** A participant in one word: generation in bits 8 to 23, slot in bits 0 to 7. Never 0. */
export type Participant = number;

/** The slot of a participant. */
export const slotOf = (participant: Participant): number => participant & 0xff;

/** Identifies an object in any process. */
export interface ObjectAddress {
  readonly arena: Token;
  /** The first word of its block. */
  readonly at: number;
  /** The stamp of the block while it holds this object. */
  readonly stamp: number;
}

/** A process that uses objects of an arena through this isolate. */
export interface Guest {
  readonly participant: Participant;
  /** Declares the guest dead, so that others take over its locks and permits. */
  readonly leave: () => void;
}

/** Keeps the doorbell of this isolate open for an arena. */
interface DoorbellHold {
  release: (() => void) | undefined;
}

/** An arena, as one isolate sees it. */
export class Arena {
  readonly region: Region;
  readonly words: Words;
  readonly #doorbell: Doorbell;
  readonly hold: DoorbellHold = { release: undefined };
  readonly #guests = new Set<Participant>();
  #self: Participant = 0;

  constructor(region: Region) {
    this.region = region;
    this.words = words(region.buffer);
    this.#doorbell = doorbell(region.token.kind);
  }

  /** This isolate as a participant. Throws a `RegionError` if all slots are in use. */
  get self(): Participant {
    return this.#self === 0 ? this.#self = this.#enter(0) : this.#self;
  }

  /** Enters a process that uses objects through this isolate. Throws a `RegionError` if all slots are in use. */
  admit(pid: number): Guest {
    const participant = this.#enter(pid);
    this.#guests.add(participant);
    return {
      participant,
      leave: () => {
        if (!this.#guests.delete(participant) || this.region.closed) return;
        this.words.store(this.#slot(slotOf(participant)) + LEFT, 1);
      },
    };
  }

  /** The doorbell of this isolate. */
  get doorbell(): Doorbell {
    return this.#doorbell;
  }

  /** The participant that has a slot, or had it last. */
  at(slot: number): Participant {
    return this.words.load(this.#slot(slot) + GENERATION) << 8 | slot;
  }

  /** Process id of a participant; for a worker, of the process that hosts it. */
  pid(participant: Participant): number {
    const slot = this.#slot(slotOf(participant));
    const guest = this.words.load(slot + GUEST);
    if (guest !== 0) return guest;
    return this.region.token.kind === "buffer" ? Deno.pid : this.words.load(slot + PID);
  }

  /** Whether a participant lives. It asks the system, so it takes microseconds. */
  alive(participant: Participant): boolean {
    if (participant === this.#self) return true;
    const slot = this.#slot(participant & 0xff);
    if (this.words.load(slot + GENERATION) !== participant >>> 8) return false;
    return this.#exists(slot);
  }

  /** Rings the doorbell of a participant for a bucket, 0 to 31. */
  ring(participant: Participant, bucket: number): void {
    if (participant === this.#self || this.#guests.has(participant)) return this.#doorbell.ringSelf(bucket);
    const slot = this.#slot(participant & 0xff);
    const { words } = this;
    if (words.load(slot + GENERATION) !== participant >>> 8) return;
    if (this.region.token.kind === "buffer") return ringBuffer(words.load(slot + OWNER), bucket);
    ringMemory(this.#doorbellOf(slot), bucket);
  }

  /** Rings the doorbell of the participant that has a slot now. */
  ringSlot(slot: number, bucket: number): void {
    const generation = this.words.load(this.#slot(slot) + GENERATION);
    if (generation !== 0) this.ring(generation << 8 | slot, bucket);
  }

  /** Rings the doorbells of all participants. */
  ringAll(bucket: number): void {
    for (let slot = 0; slot < SLOTS && this.words.load(this.#slot(slot) + GENERATION) !== 0; slot++) {
      this.ringSlot(slot, bucket);
    }
  }

  /** Records that the isolate with a doorbell has ended: the system cannot be asked about an isolate of a `"buffer"`. */
  markEnded(owner: number): void {
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
    if (words.load(slot + LEFT) !== 0) return false;
    if (this.region.token.kind === "buffer") {
      // A thread that was declared dead runs to the end of its turn, and may take a slot in that time.
      if (ended.has(owner)) words.store(slot + PID, 1);
      return words.load(slot + PID) === 0;
    }
    const start = Os.startOf(words.load(slot + PID), owner);
    if (start !== Number(join(words.load(slot + START), words.load(slot + START + 1)))) return false;
    return own || isAlive(this.#doorbellOf(slot));
  }

  /** Takes a slot, for a guest if its process id is given. */
  #enter(guest: number): Participant {
    const { words } = this;
    this.hold.release ??= this.#doorbell.hold();
    const me = this.#doorbell.identity();
    const live: Array<number> = [];
    for (let number = 0; number < SLOTS; number++) {
      const slot = this.#slot(number);
      const owner = words.load(slot + OWNER);
      if (owner === me.owner) {
        const stranger = words.load(slot + GUEST) !== 0;
        if (guest === 0 && !stranger) return this.#again(number, me);
        // A guest that has left, or the slot of an earlier thread with this id.
        if (!this.#exists(slot, true)) return this.#settle(number, me, guest);
        continue;
      }
      if (owner !== 0) {
        live.push(slot);
        continue;
      }
      if (words.swap(slot + OWNER, 0, me.owner) === 0) return this.#settle(number, me, guest);
    }
    // All slots have been used: take one whose owner has ended. If any thread with the id of the owner lives, it may be a new owner
    // that has not written the other words yet.
    for (const slot of live) {
      const owner = words.load(slot + OWNER);
      const pid = words.load(slot + PID);
      const ended = this.region.token.kind === "buffer"
        ? pid !== 0
        : Os.startOf(pid, owner) === undefined && Os.startOf(owner, owner) === undefined;
      if (ended && words.swap(slot + OWNER, owner, me.owner) === owner) {
        return this.#settle((slot - TABLE) / SLOT_WORDS, me, guest);
      }
    }
    throw new RegionError(
      "Full",
      `Cannot use the shared object: ${SLOTS} processes and workers use it and its neighbours, which is the limit`,
    );
  }

  /** Takes a slot that has this thread's id: its own, from before the arena was collected here, or that of an earlier thread. */
  #again(number: number, me: Identity): Participant {
    const slot = this.#slot(number);
    if (!this.#exists(slot, true)) return this.#settle(number, me, 0);
    this.#describe(slot, me, 0);
    return this.words.load(slot + GENERATION) << 8 | number;
  }

  #settle(number: number, me: Identity, guest: number): Participant {
    const { words } = this;
    const slot = this.#slot(number);
    const generation = (words.load(slot + GENERATION) & 0xffff) % 0xffff + 1;
    words.store(slot + GENERATION, generation);
    this.#describe(slot, me, guest);
    return generation << 8 | number;
  }

  #describe(slot: number, me: Identity, guest: number): void {
    const { words } = this;
    words.store(slot + GUEST, guest);
    words.store(slot + LEFT, 0);
    words.store(slot + PID, me.pid);
    words.store(slot + START, me.start | 0);
    words.store(slot + START + 1, Math.floor(me.start / 0x1_0000_0000));
    words.store(slot + DOORBELL, me.fd);
    words.store(slot + INODE, Number(me.inode & 0xffff_ffffn) | 0);
    words.store(slot + INODE + 1, Number(me.inode >> 32n));
  }
}

const join = (low: number, high: number): bigint => BigInt(high) << 32n | BigInt(low >>> 0);

/** An arena in the process that made it, with its free blocks. */
interface OwnArena {
  readonly arena: Arena;
  /** In words. */
  readonly capacity: number;
  next: number;
  used: number;
  readonly free: Map<number, Array<{ readonly at: number; readonly since: number }>>;
}

const ownArenas = new Map<RegionKind, Array<OwnArena>>();

/** Arenas that this isolate uses, until their last object has been collected. */
const attached = new Map<string, WeakRef<Arena>>();
const collected = new FinalizationRegistry<{ readonly key: string; readonly hold: DoorbellHold }>(({ hold, key }) => {
  hold.release?.();
  if (attached.get(key)?.deref() === undefined) attached.delete(key);
});

const remember = (arena: Arena): void => {
  const key = name(arena.region.token);
  attached.set(key, new WeakRef(arena));
  collected.register(arena, { key, hold: arena.hold });
};

const name = (token: Token): string => token.kind === "memory" ? `${token.inode}` : token.id;

/** Doorbells of isolates of this process that have ended. */
const ended = new Set<number>();

onWithdrawn((buffer) => {
  const owner = ownerOf(buffer);
  if (owner === undefined) return;
  ended.add(owner);
  for (const entry of attached.values()) {
    const arena = entry.deref();
    if (arena?.region.token.kind === "buffer") arena.markEnded(owner);
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

/** A block that this process has allocated. */
export interface Block {
  readonly address: ObjectAddress;
  readonly arena: Arena;
  /** The first word of the object. */
  readonly at: number;
  /** Ends the object: wakes all participants that wait for it, and lets the block rest. */
  readonly free: () => void;
}

/** Allocates an object of `size` words, all 0. Throws a `RegionError`. */
export const allocate = (size: number, kind: RegionKind = preferred()): Block => {
  const length = Math.ceil((size + 1) / LINE) * LINE;
  if (length > LARGEST - BLOCKS) {
    throw new RangeError(`Cannot allocate an object of ${size} words: an arena holds ${LARGEST - BLOCKS}`);
  }
  let arenas = ownArenas.get(kind);
  if (arenas === undefined) ownArenas.set(kind, arenas = []);
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
  const fresh: OwnArena = { arena, capacity, next: BLOCKS, used: 0, free: new Map() };
  arenas.push(fresh);
  return block(fresh, take(fresh, length)!, length);
};

const take = (from: OwnArena, length: number): number | undefined => {
  const rested = from.free.get(length);
  if (rested !== undefined && rested.length > 0 && performance.now() - rested[0].since > REST) {
    return rested.shift()!.at;
  }
  if (from.next + length > from.capacity) return undefined;
  const at = from.next;
  from.next += length;
  return at;
};

const block = (from: OwnArena, at: number, length: number): Block => {
  const { arena } = from;
  const { words } = arena;
  for (let i = 1; i < length; i++) words.store(at + i, 0);
  const stamp = words.load(at) + 1;
  words.store(at, stamp);
  from.used++;
  let freed = false;
  return {
    address: { arena: arena.region.token, at, stamp },
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

/** Closes an arena that holds no object any more. */
const retire = (from: OwnArena): void => {
  if (from.used > 0) return;
  const arenas = ownArenas.get(from.arena.region.token.kind)!;
  arenas.splice(arenas.indexOf(from), 1);
  from.arena.hold.release?.();
  from.arena.region.close();
};

/** Finds an object by its address. Throws a `RegionError` if the object has ended. */
export const reach = (address: ObjectAddress): { readonly arena: Arena; readonly at: number } => {
  const found = arena(address.arena);
  if (!exists(found, address)) {
    throw new RegionError("Gone", "Cannot use the shared object: its scope has closed, or its process has ended");
  }
  return { arena: found, at: address.at + 1 };
};

/** Whether the object with an address has not ended. */
export const exists = (arena: Arena, { at, stamp }: ObjectAddress): boolean =>
  !arena.region.closed && arena.words.load(at) === stamp;

/**
 * Returns a function like {@link exists} for hot loops, which reads the stamp without an atomic operation: it learns of the end of an
 * object as soon as the store of another core arrives. Blocks rest for longer than that.
 */
export const existenceProbe = ({ region }: Arena, { at, stamp }: ObjectAddress): () => boolean => {
  const here = glance(region.buffer);
  return () => here[at] === stamp;
};

/** The bucket of the doorbells of participants that wait for an object. */
export const bucketOf = (at: number): number => (at >>> 4) & 31;
