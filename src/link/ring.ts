/**
 * A faster way for the bytes of a link that is much used: two rings in shared memory, one for each direction.
 *
 * The link begins on its socket or port, and stays there where memory cannot be shared. When it has carried a while, the parent
 * makes the memory and says so; the child, if it can attach it, notes there after how many bytes its side of the old way ends,
 * and goes on in its ring; then the parent does the same. The old way stays open: its end is still the news of a death.
 *
 * ```text
 *  word 16, 32   the parent's, the child's:
 *                0 whether it has changed over; 1, 2 after how many bytes (low, high); 3 to 6 its doorbell
 *  word 64, 128  the ring to the child, to the parent:
 *                0 bytes written; 16 bytes read; 32 whether the writer waits for room;
 *                48 how much news went the old way before what is written
 *  byte 4096     the bytes of the ring to the child, then those of the other
 * ```
 *
 * - What is written is published with one store, the count of bytes written. What was published outlives its writer.
 * - Counts go round at 2^32. A ring holds what was written and not read.
 * - News of shared buffers goes the old way, ahead of bytes that speak of them: those wait in the ring until it has come.
 * - Who writes rings the other's doorbell; who reads does, if the writer waits for room.
 *
 * Free of Effect.
 *
 * @module
 */
import { bell, ringerBuffer, ringerMemory } from "../region/bell.ts";
import { create, type Kind, map, type Region, RegionError, type Token } from "../region/region.ts";
import { type Words, words } from "../region/words.ts";
import { ProtocolError } from "../wire/frames.ts";
import type { Side } from "./link.ts";
import type { Changeable, Detour } from "./transport.ts";
import { enter, lookAround, type Way } from "./ways.ts";

/** Bytes that a ring holds; a power of two. */
const CAPACITY = 256 * 1024;

/** Bytes that are read at a time: what was read makes room while the rest is read. */
const PIECE = 64 * 1024;

/** Above so many bytes they are read where they lie; others are copied, once for all messages in them. */
const COPIED = 8 * 1024;

const HEADER = 4096;

const SIDES = { parent: 16, child: 32 };
const CHANGED = 0;
const AFTER = 1;
const BELL = 3;

const RINGS = { child: 64, parent: 128 };
const WRITTEN = 0;
const READ = 16;
const WAITS = 32;
const NEWS = 48;

/** After so many writes and reads a link is much used. */
const BUSY = 64;

/** What the parent says of the memory. */
export interface Offer {
  readonly token: Token;
  /** In which bucket the parent, and the child, is rung. */
  readonly buckets: readonly [number, number];
}

/** Buckets are given out in turn. */
let next = 0;

/** The two sides, and what they have in common. */
class Ring {
  readonly region: Region;
  readonly words: Words;
  /** Gives up this side's doorbell. */
  readonly release: () => void;
  readonly #memory: Uint8Array;
  readonly #side: Side;
  readonly #other: Side;
  /** Where the bytes that are written, and those that are read, begin. */
  readonly #out: number;
  readonly #in: number;
  readonly #bucket: number;
  #ring: ((bucket: number) => void) | undefined;
  #told = 0;

  constructor(region: Region, side: Side, bucket: number) {
    this.region = region;
    this.words = words(region.buffer, 0, HEADER);
    this.#memory = new Uint8Array(region.buffer as ArrayBuffer);
    this.#side = side;
    this.#other = side === "parent" ? "child" : "parent";
    this.#out = side === "parent" ? HEADER : HEADER + CAPACITY;
    this.#in = side === "parent" ? HEADER + CAPACITY : HEADER;
    this.#bucket = bucket;
    this.release = bell(region.token.kind).hold();
    const me = bell(region.token.kind).identity();
    const at = SIDES[side] + BELL;
    if (region.token.kind === "buffer") {
      this.words.store(at, me.owner);
    } else {
      this.words.store(at, me.pid);
      this.words.store(at + 1, me.fd);
      this.words.store(at + 2, Number(me.inode & 0xffff_ffffn) | 0);
      this.words.store(at + 3, Number(me.inode >> 32n));
    }
  }

  /** This side writes into the ring from now on. */
  change(sent: number): void {
    const at = SIDES[this.#side];
    this.words.store(at + AFTER, sent | 0);
    this.words.store(at + AFTER + 1, Math.floor(sent / 0x1_0000_0000));
    this.words.store(at + CHANGED, 1);
    this.ring();
  }

  /** After how many bytes the other side writes into the ring; `undefined` as long as it does not. */
  get changed(): number | undefined {
    const at = SIDES[this.#other];
    if (this.words.load(at + CHANGED) === 0) return undefined;
    return (this.words.load(at + AFTER) >>> 0) + this.words.load(at + AFTER + 1) * 0x1_0000_0000;
  }

  /** Has the other side look. */
  ring(): void {
    if (this.reachable) this.#ring!(this.#bucket);
  }

  /** Whether the other can be told of anything: news of its doorbell may still be on its way, and who is dead has none. */
  get reachable(): boolean {
    return (this.#ring ??= this.#ringer()) !== undefined;
  }

  #ringer(): ((bucket: number) => void) | undefined {
    const { words } = this;
    const at = SIDES[this.#other] + BELL;
    if (this.region.token.kind === "buffer") return ringerBuffer(words.load(at));
    const inode = BigInt(words.load(at + 3)) << 32n | BigInt(words.load(at + 2) >>> 0);
    return words.load(at) === 0 ? undefined : ringerMemory({ pid: words.load(at), fd: words.load(at + 1), inode });
  }

  /** Writes as many bytes as there is room for, from `from` on; how many. */
  write(bytes: Uint8Array, from: number): number {
    const { words } = this;
    const ring = RINGS[this.#other];
    const written = words.load(ring + WRITTEN);
    const count = Math.min(CAPACITY - held(written, words.load(ring + READ)), bytes.length - from);
    if (count === 0) return 0;
    const at = written & (CAPACITY - 1);
    const first = Math.min(count, CAPACITY - at);
    this.#memory.set(bytes.subarray(from, from + first), this.#out + at);
    if (first < count) this.#memory.set(bytes.subarray(from + first, from + count), this.#out);
    words.store(ring + WRITTEN, (written + count) | 0);
    return count;
  }

  /** What is written from now on speaks of what the other side was told so often. */
  tell(told: number): void {
    if (told === this.#told) return;
    this.#told = told;
    this.words.store(RINGS[this.#other] + NEWS, told | 0);
  }

  /** How often this side was told something before what is in the ring. */
  get news(): number {
    return this.words.load(RINGS[this.#side] + NEWS);
  }

  /** Asks to be told of room. Whoever asks has to look again then. */
  await(): void {
    this.words.store(RINGS[this.#other] + WAITS, 1);
  }

  /** How many bytes there are to read. */
  get readable(): number {
    const ring = RINGS[this.#side];
    return held(this.words.load(ring + WRITTEN), this.words.load(ring + READ));
  }

  /** The next bytes, at most so many, as they lie in the ring: until {@link took} says that they were taken. */
  peek(most: number): Uint8Array {
    const read = this.words.load(RINGS[this.#side] + READ);
    const at = read & (CAPACITY - 1);
    const start = this.#in + at;
    return this.#memory.subarray(start, start + Math.min(most, CAPACITY - at, PIECE));
  }

  /** So many bytes were taken. */
  took(count: number): void {
    const { words } = this;
    const ring = RINGS[this.#side];
    words.store(ring + READ, (words.load(ring + READ) + count) | 0);
    if (words.load(ring + WAITS) !== 0 && words.exchange(ring + WAITS, 0) !== 0) this.ring();
  }
}

/** Bytes that are in a ring. */
const held = (written: number, read: number): number => {
  const count = (written - read) >>> 0;
  if (count > CAPACITY) throw new ProtocolError("Cannot read from the peer: it counts more bytes than the ring holds");
  return count;
};

/** The way through the rings, beside the old one. */
class Detoured implements Detour, Way {
  readonly #transport: Changeable;
  readonly #unwatch: () => void;
  readonly #leave: () => void;
  #ring: Ring | undefined;
  /** Whether this side writes into its ring, and reads from the other's. */
  writes = false;
  #reads = false;
  /** What waits for room in the ring, and how far it is written. */
  #chunks: ReadonlyArray<Uint8Array> | undefined;
  #chunk = 0;
  #offset = 0;
  #done = (): void => {};
  #pushing = false;
  #pulling = false;
  #ending = false;
  readonly #again: () => void;

  constructor(
    transport: Changeable,
    region: Region,
    side: Side,
    [own, other]: readonly [number, number],
    readonly direct: boolean,
  ) {
    this.#transport = transport;
    this.#ring = new Ring(region, side, other);
    this.#leave = enter(this);
    this.#again = () => bell(region.token.kind).ringSelf(own);
    this.#unwatch = bell(region.token.kind).watch({
      bucket: own,
      calm: true,
      check: () => {
        this.pull();
        this.#push();
        return this.#ring === undefined;
      },
    });
  }

  get changed(): boolean {
    return this.writes && this.#reads;
  }

  /** This side changes over. */
  change(): void {
    if (this.writes || this.#ring === undefined) return;
    this.writes = true;
    this.#ring.change(this.#transport.sent);
  }

  write(chunks: ReadonlyArray<Uint8Array>, done: () => void): boolean {
    if (!this.writes) return false;
    this.#chunks = chunks;
    this.#chunk = 0;
    this.#offset = 0;
    this.#done = done;
    this.#push();
    return true;
  }

  /** Reads what has come, once all has come that was sent by the old way. */
  pull(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    if (!this.#reads) {
      if (ring.changed !== this.#transport.received || !(this.#ending || ring.reachable)) return;
      this.#reads = true;
      this.change();
    }
    // Whoever is given something may come here again.
    if (this.#pulling) return;
    this.#pulling = true;
    for (let budget = CAPACITY; budget > 0 && this.#ring === ring;) {
      // What is there now, and then what others have brought before it was there.
      let left = Math.min(budget, this.#readable(ring));
      if (left === 0 || (this.#uninformed(ring) && !this.#ending)) break;
      budget -= left;
      lookAround(this);
      while (left > 0 && this.#ring === ring) {
        const bytes = ring.peek(left);
        const count = bytes.length;
        left -= count;
        if (count > COPIED) {
          this.#transport.take(bytes, true);
          if (this.#ring === ring) ring.took(count);
        } else {
          const copy = bytes.slice();
          ring.took(count);
          this.#transport.take(copy, false);
        }
      }
    }
    this.#pulling = false;
    // What is left is for the next turn, or for the one in which the news comes.
    if (this.#ring === ring && this.#readable(ring) > 0 && !this.#uninformed(ring)) this.#again();
  }

  /** How many bytes there are to read. */
  #readable(ring: Ring): number {
    return this.#unlessBroken(() => ring.readable) ?? 0;
  }

  /** Whether news is still on its way of what is spoken of in the ring. */
  #uninformed(ring: Ring): boolean {
    return ((ring.news - this.#transport.heard) | 0) > 0;
  }

  /** A peer that does not keep to the rules ends the link. */
  #unlessBroken<A>(action: () => A): A | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#close();
      this.#transport.lost(error);
      return undefined;
    }
  }

  end(): void {
    this.#ending = true;
    // What has come outlives its sender.
    while (!this.#pulling && this.#ring !== undefined && this.#readable(this.#ring) > 0) {
      if (!this.#reads && this.#ring?.changed !== this.#transport.received) break;
      this.pull();
    }
    this.#close();
  }

  #close(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    this.#ring = undefined;
    this.#chunks = undefined;
    this.#unwatch();
    this.#leave();
    ring.release();
    ring.region.close();
  }

  #push(): void {
    if (this.#pushing) return;
    this.#pushing = true;
    let told = true;
    for (;;) {
      const ring = this.#ring;
      const chunks = this.#chunks;
      if (ring === undefined || chunks === undefined) break;
      if (this.#chunk === chunks.length) {
        this.#chunks = undefined;
        if (!told) ring.ring();
        told = true;
        // Whoever is told that his chunks are taken may bring more at once.
        this.#done();
        continue;
      }
      const chunk = chunks[this.#chunk];
      const count = this.#unlessBroken(() => {
        ring.tell(this.#transport.told);
        const count = ring.write(chunk, this.#offset);
        if (count > 0 || this.#offset === chunk.length) return count;
        ring.await();
        return ring.write(chunk, this.#offset);
      });
      if (count === undefined) break;
      if (count === 0 && this.#offset < chunk.length) {
        if (!told) ring.ring();
        break;
      }
      told = false;
      this.#offset += count;
      if (this.#offset < chunk.length) continue;
      this.#chunk++;
      this.#offset = 0;
    }
    this.#pushing = false;
  }
}

/** What both sides do with an error of the memory: they go on as they are. */
const unlessRefused = <A>(action: () => A): A | undefined => {
  try {
    return action();
  } catch (error) {
    if (error instanceof RegionError) return undefined;
    throw error;
  }
};

/**
 * The parent's part: makes the memory, and gives what is to be said of it to the child; `undefined` if there is none. A way is
 * `direct` if the two are no parent and child.
 */
export const offer = (transport: Changeable, kind: Kind, direct: boolean = false): Offer | undefined =>
  unlessRefused(() => {
    const region = create(HEADER + 2 * CAPACITY, kind);
    const buckets = [next++ & 31, next++ & 31] as const;
    transport.detour = new Detoured(transport, region, "parent", buckets, direct);
    return { token: region.token, buckets };
  });

/** The same, once the link is much used. */
export const offerRing = (transport: Changeable, kind: Kind, say: (offer: Offer) => void): void =>
  transport.onUse(BUSY, () => {
    const made = offer(transport, kind);
    if (made !== undefined) say(made);
  });

/** The child's part. `false` if it cannot. */
export const acceptRing = (transport: Changeable, { buckets: [other, own], token }: Offer, direct = false): boolean => {
  const detour = unlessRefused(() => new Detoured(transport, map(token), "child", [own, other], direct));
  if (detour === undefined) return false;
  transport.detour = detour;
  detour.change();
  return true;
};
