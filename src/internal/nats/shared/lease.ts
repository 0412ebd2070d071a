/**
 * A program's side of a lock or a semaphore: its waiting fibers, their grants, and the lease of these.
 *
 * One loop at a time writes the next state of the room; see `room.ts`. Each write is repeated until it is answered, so that it has happened
 * or never will when the loop goes on.
 *
 * - A lease counts from the moment at which its last sign of life was sent, by the clock of the holder, and ends for the holder somewhat
 *   before others may take over. They count from the moment at which they saw the sign, by their own clocks, and take over only if the
 *   room has not changed since. So a holder knows that its lease is lost before another program holds anything.
 * - A fiber that gives up while a write may get it something waits until that is given back.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";
import { after } from "../../os/timer.ts";
import { SyncError, type SyncFailure } from "../../sync/errors.ts";
import { isNotFirst } from "../jetstream.ts";
import { nothing, pack, unpack } from "../packing.ts";
import type { Watch } from "../watch.ts";
import type { Connection } from "./connection.ts";
import { advance, type Holder, holdingOf, type Room, roomOf, type Waiter } from "./room.ts";

/** The number of signs of life within a lease. */
const SIGNS = 3;

/** The part of a lease after which the holder gives it up. The rest is for clocks that do not run equally fast. */
const SAFE = 0.9;

/** How long a watch stays after the last fiber that waited, in milliseconds. */
const LINGER = 5000;

/** How long an interrupted fiber, or the end of the program, waits for the server, in milliseconds. */
const PATIENCE = 5000;

/** The largest number of programs that wait for a lock or a semaphore. */
const MAX_LINE = 1000;

/** Permits that a fiber has got. */
export interface Grant {
  permits: number;
  /** The sequence number of the state in which they were taken. */
  readonly fence: number;
  readonly abandoned: boolean;
  /** Why they were lost. */
  lost: SyncFailure | undefined;
  readonly listeners: Set<(failure: SyncFailure) => void>;
}

interface Request {
  readonly permits: number;
  /** Whether it waits for its permits. */
  readonly waits: boolean;
  /** `undefined` means that it does not wait, and there are too few permits. */
  readonly answer: (grant: Grant | undefined) => void;
  readonly fail: (failure: Effect.Effect<never, SyncFailure>) => void;
}

interface Version {
  readonly sequence: number;
  readonly room: Room | undefined;
}

/** A wait until this program has given back all permits that it does not keep. */
interface Settling {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The waiting fibers and the grants of one program at a lock or a semaphore. */
export class Seat {
  readonly #connection: Connection;
  readonly #kind: "lock" | "semaphore";
  readonly #name: string;
  readonly #subject: string;
  readonly #lease: number;
  /** The newest version of the room that this program knows; `undefined` if another program has replaced it. */
  #known: Version | undefined;
  /** The sequence number of the newest version that was ever known. */
  #newest = 0;
  /** When the room was read last; see `performance.now`. */
  #readAt = -Infinity;
  readonly #requests = new Fifo<Request>();
  #grants: Array<Grant> = [];
  /** Permits that were lost, and whose holders have not heard of it yet. */
  #lostPermits = 0;
  /** Numbers of releases and of losses, and those that the room knows of. */
  #releases = 0;
  #cleared = 0;
  #losses = 0;
  #accounted = 0;
  #capacity: number | undefined;
  #renewAt = Infinity;
  #leaseEnds = 0;
  #isRunning = false;
  #isDue = false;
  #isClosed = false;
  /** The request that the write on its way may grant. */
  #asked: Request | undefined;
  /** When each sign of life of another holder was seen first. */
  #signs = new Map<string, number>();
  #settling: Array<Settling> = [];
  #watch: Watch | undefined;
  #stops: Array<() => void> = [];
  #stopLingering: () => void = () => {};
  #stopGuard: () => void = () => {};
  /** The newest version that was seen while a write was on its way. */
  #seen: Version | undefined;

  constructor(connection: Connection, kind: "lock" | "semaphore", name: string, lease: number) {
    this.#connection = connection;
    this.#kind = kind;
    this.#name = name;
    this.#subject = `${connection.base}.${kind}.${name}`;
    this.#lease = lease;
  }

  /** How long this program may be silent, in milliseconds. */
  get lease(): number {
    return this.#lease;
  }

  /** Permits that fibers of this program have. */
  get held(): number {
    this.#checkLease();
    return this.#grants.reduce((sum, { permits }) => sum + permits, 0);
  }

  /** The grant that was made first. */
  get grant(): Grant | undefined {
    this.#checkLease();
    return this.#grants[0];
  }

  /** Number of releases. */
  get releases(): number {
    return this.#releases;
  }

  /** Number of waiting fibers. */
  get waiting(): number {
    return this.#requests.length;
  }

  /** The state of the room, which sees all operations of this program that have ended. */
  async look(): Promise<Room> {
    const version = await this.#connection.js.persist(() => this.#fetch());
    this.#hear(version);
    return roomOf(version.room);
  }

  /** Sets the number of permits, or leaves that of the room if there is one. Returns it. */
  async establish(capacity: number | undefined): Promise<number> {
    const { room } = await this.#connection.js.persist(() => this.#fetch());
    if (room !== undefined && (capacity === undefined || room.capacity === capacity)) return room.capacity;
    this.#capacity = capacity ?? 1;
    await this.settled();
    return roomOf(this.#known?.room).capacity;
  }

  /**
   * Asks for permits. Calls `answer` once, perhaps before it returns. The function that it returns gives up the request or its grant;
   * the result of that function waits until this program has given the permits back.
   */
  request(
    permits: number,
    waits: boolean,
    answer: (result: Effect.Effect<Grant | undefined, SyncFailure>) => void,
  ): () => Effect.Effect<void> {
    if (this.#isClosed) {
      answer(Effect.fail(this.#connection.gone(this.#kind)));
      return () => Effect.void;
    }
    if (!waits && this.#requests.length > 0) {
      answer(Effect.succeed(undefined));
      return () => Effect.void;
    }
    let granted: Grant | undefined;
    const request: Request = {
      permits,
      waits,
      answer: (grant) => {
        granted = grant;
        answer(Effect.succeed(grant));
      },
      fail: answer,
    };
    const entry: FifoEntry<Request> = this.#requests.push(request);
    this.#wake();
    return () => {
      if (this.#requests.remove(entry)) {
        this.#wake();
        return this.#asked === request ? this.#patiently : Effect.void;
      }
      if (granted === undefined || granted.permits === 0) return Effect.void;
      this.#giveBack(granted, granted.permits, false);
      return this.#patiently;
    };
  }

  /** Gives back permits of a grant, or of the oldest grants. Fails if this program has fewer. */
  release(permits: number, grant?: Grant): Effect.Effect<void, SyncFailure> {
    return Effect.suspend(() => {
      if (this.#isClosed) return Effect.fail(this.#connection.gone(this.#kind));
      this.#checkLease();
      if (grant?.lost !== undefined) return Effect.fail(grant.lost);
      if (grant !== undefined) {
        // A fiber may have released it itself.
        if (grant.permits === 0) return Effect.void;
        this.#giveBack(grant, Math.min(permits, grant.permits), true);
      } else {
        const held = this.held;
        if (held < permits) {
          if (this.#lostPermits === 0) return Effect.fail(this.#notHeld(permits, held));
          this.#lostPermits = Math.max(0, this.#lostPermits - (permits - held));
          return Effect.fail(this.#leaseLost());
        }
        for (let left = permits; left > 0;) {
          const oldest = this.#grants[0];
          const part = Math.min(left, oldest.permits);
          left -= part;
          this.#giveBack(oldest, part, true);
        }
      }
      return this.#connection.asking(this.#kind, () => this.settled());
    });
  }

  /** Gives back the rest of a grant, and waits for a while until the server has heard of it. */
  giveUp(grant: Grant): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#checkLease();
      if (grant.lost !== undefined || grant.permits === 0) return Effect.void;
      this.#giveBack(grant, grant.permits, true);
      return this.#patiently;
    });
  }

  /** Waits until the room shows exactly the permits that this program holds. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settling.push({ resolve, reject });
      this.#wake();
    });
  }

  /** Gives everything back. Waiting fibers fail. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const gone = this.#connection.gone(this.#kind);
    for (const { fail } of this.#requests.drain()) fail(Effect.fail(gone));
    const isUsed = this.#isRunning || this.#known !== undefined;
    this.#releases += this.#grants.length;
    this.#end(gone);
    if (isUsed) {
      await Promise.race([
        // Its lease ends without this as well.
        this.settled().catch(() => {}),
        this.#connection.js.pause(PATIENCE),
      ]);
    }
    this.#stop();
    this.#watch?.close();
  }

  /** Waits for a while until all permits that are not kept were given back. */
  get #patiently(): Effect.Effect<void> {
    return Effect.promise(() => Promise.race([this.settled(), this.#connection.js.pause(PATIENCE)]).catch(() => {}));
  }

  /** Gives permits back. `isKnown` says that the fiber has heard whether the lock was abandoned. */
  #giveBack(grant: Grant, permits: number, isKnown: boolean): void {
    if (grant.lost !== undefined || grant.permits === 0) return;
    grant.permits -= permits;
    if (isKnown) this.#releases++;
    if (grant.permits === 0) this.#grants = this.#grants.filter((other) => other !== grant);
    if (this.#grants.length === 0) this.#stopGuard();
    this.#wake();
  }

  /** Ends all grants. */
  #end(failure: SyncFailure): void {
    const ended = this.#grants;
    this.#grants = [];
    this.#stopGuard();
    for (const grant of ended) {
      grant.lost = failure;
      for (const listener of grant.listeners) listener(failure);
      grant.listeners.clear();
    }
  }

  #lose(): void {
    this.#losses++;
    this.#lostPermits += this.#grants.reduce((sum, { permits }) => sum + permits, 0);
    this.#end(this.#leaseLost());
    this.#wake();
  }

  #leaseLost(): SyncError {
    return new SyncError(
      "LeaseLost",
      `Cannot keep the ${this.#kind} ${this.#name}: this program was not heard for ${this.#lease} ms; another one may have it now`,
    );
  }

  #notHeld(permits: number, held: number): SyncError {
    return this.#kind === "lock"
      ? new SyncError("NotOwner", "Cannot release the lock: it is not held by this process")
      : new SyncError("OverRelease", `Cannot release ${permits} permits: this program holds ${held}`);
  }

  /** Timers may be late, if this program was stopped or busy. */
  #checkLease(): void {
    if (this.#grants.length > 0 && performance.now() >= this.#leaseEnds) this.#lose();
  }

  /** Sees the end of the lease, also while a write waits for the server. */
  #guard(): void {
    this.#stopGuard();
    this.#stopGuard = after(Math.max(1, Math.ceil(this.#leaseEnds - performance.now())), () => {
      this.#checkLease();
      if (this.#grants.length > 0) this.#guard();
    });
  }

  #wake(): void {
    this.#isDue = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#isDue) {
        this.#isDue = false;
        await this.#step();
        this.#report();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isRunning = false;
    this.#arm();
  }

  /** Tells those that wait for it that nothing is left to be given back. */
  #report(): void {
    if (this.#settling.length === 0 || this.#known === undefined || this.#capacity !== undefined) return;
    const { caller } = this.#connection;
    const { room } = this.#known;
    if ((holdingOf(room, caller)?.permits ?? 0) !== this.held) return;
    const isThere = [...room?.line ?? [], ...room?.holders ?? []].some(({ program }) => program === caller);
    if (isThere && this.#requests.length === 0 && this.held === 0) return;
    const settled = this.#settling;
    this.#settling = [];
    for (const { resolve } of settled) resolve();
  }

  #fail(error: unknown): void {
    let failure: Effect.Effect<never, SyncFailure>;
    try {
      failure = Effect.fail(this.#connection.failure(this.#kind, error));
    } catch (defect) {
      failure = Effect.die(defect);
    }
    this.#isDue = false;
    this.#asked = undefined;
    this.#known = undefined;
    for (const { fail } of this.#requests.drain()) fail(failure);
    const settling = this.#settling;
    this.#settling = [];
    for (const { reject } of settling) reject(error);
  }

  /** One write, or the discovery that there is nothing to write. */
  async #step(): Promise<void> {
    const began = performance.now();
    if (this.#seen !== undefined && this.#seen.sequence > this.#newest) this.#learn(this.#seen);
    this.#seen = undefined;
    const known = this.#known ?? await this.#read();
    this.#checkLease();
    const request = this.#requests.first;
    if (request !== undefined && this.#refused(request, known.room)) return;
    const beat = `${this.#connection.caller}.${this.#connection.nextWrite()}`;
    const releases = this.#releases;
    const losses = this.#losses;
    const capacity = this.#capacity;
    const next = advance(known.room, {
      program: this.#connection.caller,
      pid: Deno.pid,
      lease: this.#lease,
      beat,
      capacity,
      keeps: this.held,
      takes: request?.permits ?? 0,
      waits: request?.waits ?? false,
      next: this.#requests.second?.permits ?? 0,
      renews: this.#grants.length > 0 && began >= this.#renewAt,
      clears: releases > this.#cleared,
      lost: losses > this.#accounted,
      isSilent: (holder) => performance.now() >= this.#silentAt(holder),
    });
    if (request?.waits === false && next?.granted !== true) {
      this.#isDue = true;
      // The known version may be old.
      if (this.#readAt < began) {
        this.#known = undefined;
        return;
      }
      this.#answer(request, undefined);
    }
    if (next === undefined) {
      this.#cleared = releases;
      this.#accounted = losses;
      if (this.#capacity === capacity) this.#capacity = undefined;
      return;
    }
    this.#asked = next.granted ? request : undefined;
    const sentAt = performance.now();
    const written = await this.#write(known.sequence, next.room, beat);
    this.#asked = undefined;
    if (written === undefined) {
      this.#known = undefined;
      this.#isDue = true;
      return;
    }
    this.#cleared = releases;
    this.#accounted = losses;
    if (this.#capacity === capacity) this.#capacity = undefined;
    this.#learn(written);
    if (holdingOf(next.room, this.#connection.caller) !== undefined) {
      this.#leaseEnds = sentAt + SAFE * this.#lease;
      this.#renewAt = sentAt + this.#lease / SIGNS;
    }
    // Something that was not granted, or is not wanted any more, is seen by the next step.
    this.#isDue ||= next.granted || this.#requests.length > 0 && this.#requests.first !== request;
    if (next.granted && this.#requests.first === request && performance.now() < this.#leaseEnds) {
      const grant: Grant = {
        permits: request!.permits,
        fence: written.sequence,
        abandoned: next.room.abandoned,
        lost: undefined,
        listeners: new Set(),
      };
      this.#grants.push(grant);
      this.#guard();
      this.#answer(request!, grant);
    }
  }

  #answer(request: Request, grant: Grant | undefined): void {
    this.#requests.shift();
    request.answer(grant);
  }

  /** Whether a request can never be granted. */
  #refused(request: Request, room: Room | undefined): boolean {
    const { capacity, line } = roomOf(room);
    const failure = request.permits > capacity && this.#capacity === undefined
      ? new SyncError(
        "InvalidArgument",
        `Cannot take ${request.permits} permits: the semaphore ${this.#name} has ${capacity}`,
      )
      : request.waits && line.length >= MAX_LINE &&
          !line.some(({ program }: Waiter) => program === this.#connection.caller)
      ? new SyncError("TooMany", `Cannot wait for the ${this.#kind} ${this.#name}: ${MAX_LINE} programs wait for it`)
      : undefined;
    if (failure === undefined) return false;
    this.#requests.shift();
    this.#isDue = true;
    request.fail(Effect.fail(failure));
    return true;
  }

  async #write(before: number, room: Room, beat: string): Promise<Version | undefined> {
    const { js } = this.#connection;
    const packed = pack(room, nothing);
    let isUnsure = false;
    return await js.persist(async (repeated) => {
      isUnsure ||= repeated;
      try {
        return { sequence: await js.store(this.#subject, packed, { after: before, id: beat }), room };
      } catch (error) {
        if (!isNotFirst(error)) throw error;
        if (!isUnsure) return undefined;
        // It may have been stored before. Then it can be seen, unless this program was taken for dead since.
        const version = await this.#fetch();
        return holdingOf(version.room, this.#connection.caller)?.beat === beat ? version : undefined;
      }
    });
  }

  async #fetch(): Promise<Version> {
    const { js } = this.#connection;
    const stored = await js.read(this.#connection.stream("shared"), this.#subject);
    return stored === undefined
      ? { sequence: 0, room: undefined }
      : { sequence: stored.sequence, room: unpack<Room>(stored.data).head };
  }

  async #read(): Promise<Version> {
    const began = performance.now();
    const version = await this.#connection.js.persist(() => this.#fetch());
    this.#learn(version);
    this.#readAt = began;
    return this.#known!;
  }

  /** Has a version considered by the next step, if it is new. A write may be on its way. */
  #hear(version: Version): void {
    if (version.sequence <= Math.max(this.#newest, this.#seen?.sequence ?? 0)) return;
    this.#seen = version;
    this.#wake();
  }

  #learn(version: Version): void {
    this.#known = version;
    this.#newest = version.sequence;
    const now = performance.now();
    const signs = new Map<string, number>();
    for (const { beat, program } of version.room?.holders ?? []) {
      if (program !== this.#connection.caller) signs.set(beat, this.#signs.get(beat) ?? now);
    }
    this.#signs = signs;
    const own = holdingOf(version.room, this.#connection.caller);
    if (own === undefined && this.#grants.length > 0) this.#lose();
  }

  /** When a holder has been silent for too long. One that was offered permits does not use them, so it may be silent for a shorter time. */
  #silentAt({ beat, lease, offered }: Holder): number {
    return (this.#signs.get(beat) ?? Infinity) + (offered === true ? lease / SIGNS : lease);
  }

  /** Watches the room while a fiber waits, and sets the timers. */
  #arm(): void {
    this.#stop();
    if (this.#isClosed) return;
    const times: Array<number> = [];
    if (this.#requests.length > 0) {
      this.#stopLingering();
      this.#stopLingering = () => {};
      this.#watch ??= this.#watching();
      for (const holder of this.#known?.room?.holders ?? []) {
        if (holder.program !== this.#connection.caller) times.push(this.#silentAt(holder));
      }
    } else if (this.#watch !== undefined) {
      this.#stopLingering();
      this.#stopLingering = after(LINGER, () => {
        this.#watch?.close();
        this.#watch = undefined;
      });
    }
    if (this.#grants.length > 0) times.push(this.#renewAt);
    const now = performance.now();
    const soonest = Math.min(...times);
    if (soonest !== Infinity) this.#stops.push(after(Math.max(1, Math.ceil(soonest - now)), () => this.#wake()));
  }

  #stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    if (this.#isClosed) this.#stopLingering();
  }

  #watching(): Watch {
    return this.#connection.watch(
      this.#subject,
      ({ data, sequence }) => {
        if (sequence > this.#newest) this.#hear({ sequence, room: unpack<Room>(data).head });
      },
      (error) => {
        this.#watch = undefined;
        this.#fail(error);
      },
    );
  }
}
