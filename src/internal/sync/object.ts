/**
 * What all shared objects have in common: how they are allocated, sent, found, and ended.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { HandleId } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import * as Os from "../os/linux.ts";
import { allocate, type Arena, type Block, bucketOf, exists, type ObjectAddress, reach } from "./protocol/arena.ts";
import type { Participants, WaitFailure } from "./protocol/participants.ts";
import { ended } from "../os/worker_mappings.ts";
import { RegionError } from "../os/mapping.ts";
import type { Words } from "../os/atomics.ts";
import { SyncError, type SyncFailure } from "./errors.ts";

/** The process or worker that holds a lock. */
export interface Owner {
  /** Process id; for a worker, of the process that hosts it. */
  readonly pid: number;
  /** Whether it is this process or worker itself. */
  readonly here: boolean;
}

/** The data of a handle. */
export interface Descriptor {
  readonly address: ObjectAddress;
  /** Name of the process that made the object. */
  readonly host: string;
}

/** Reads of a guard before the core is given to other threads: the holder of a guard may wait for a core. */
const LOOKS = 100;
/** Rounds of reads before each look whether the holder lives. */
const ROUNDS = 8;
/** Milliseconds for which a guard may hold up other fibers of this process. */
const LONG = 1;

/** The participants of an object. */
export const participantsOf = (arena: Arena, address: ObjectAddress): Participants => {
  const bucket = bucketOf(address.at + 1);
  const { doorbell, words } = arena;
  const own = arena.region.token.kind === "memory";
  let since = 0;
  return {
    self: arena.self,
    alive: (participant) => arena.alive(participant),
    at: (slot) => arena.at(slot),
    ring: (participant) => arena.ring(participant, bucket),
    watch: (check, fail) => doorbell.watch({ bucket, check, fail }),
    exists: () => exists(arena, address),
    ended,
    hold: (guard, holder, turn) => {
      for (let look = 0; look < LOOKS; look++) if (words.load(guard) !== holder) return "again";
      if (own) Os.yieldCore();
      if (turn === 0) since = performance.now();
      if (turn % ROUNDS !== ROUNDS - 1) return "again";
      if (!arena.alive(holder)) return "dead";
      return performance.now() - since > LONG ? "busy" : "again";
    },
  };
};

/** Converts an error of a region. */
const explain = (kind: string, host: string, error: unknown): SyncFailure => {
  if (!(error instanceof RegionError)) throw error;
  switch (error.reason) {
    case "Gone":
      return new Unreachable(kind, host);
    case "Unsupported":
      return new Unsupported(`${error.message}; without it, objects are shared among workers only`);
    default:
      return new SyncError("TooMany", error.message);
  }
};

/** Objects that this process uses, by address: all fibers of a process that wait for an object share one queue. */
const resolved = new Map<string, WeakRef<Resolved<unknown>>>();
const collected = new FinalizationRegistry<string>((name) => {
  if (resolved.get(name)?.deref() === undefined) resolved.delete(name);
});

const nameOf = ({ arena, at, stamp }: ObjectAddress): string =>
  `${arena.kind === "memory" ? arena.inode : arena.id} ${at} ${stamp}`;

/** Finds an object, or returns the one that this process uses already. Throws a {@link SyncFailure}. */
export const resolve = <A>(
  kind: string,
  { host, address }: Descriptor,
  make: (words: Words, at: number, participants: Participants) => A,
): Resolved<A> => {
  const name = nameOf(address);
  const known = resolved.get(name)?.deref();
  if (known !== undefined) return known as Resolved<A>;
  try {
    const { arena, at } = reach(address);
    const entry = { arena, address, object: make(arena.words, at, participantsOf(arena, address)) };
    resolved.set(name, new WeakRef(entry));
    collected.register(entry, name);
    return entry;
  } catch (error) {
    throw explain(kind, host, error);
  }
};

/** Objects that this process holds, which must not be collected. */
const pinned = new Set<unknown>();

/** An object that this process uses. */
export interface Resolved<A> {
  readonly arena: Arena;
  readonly address: ObjectAddress;
  readonly object: A;
}

/** Allocates an object, which ends with the scope. */
export const allocateObject = (
  kind: string,
  size: number,
): Effect.Effect<Descriptor, SyncFailure, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.suspend((): Effect.Effect<Block, SyncFailure> => {
        try {
          return Effect.succeed(allocate(size));
        } catch (error) {
          return Effect.fail(explain(kind, self().name, error));
        }
      }),
      (block) =>
        Effect.sync(() => {
          resolved.delete(nameOf(block.address));
          block.free();
        }),
    ),
    ({ address }) => ({ address, host: self().name }),
  );

/** A shared object for its users. It is found by its address when it is used first. */
export abstract class Shared<A, D extends Descriptor = Descriptor> {
  readonly #kind: string;
  readonly #descriptor: D;
  #resolved: Resolved<A> | undefined;

  constructor(kind: string, descriptor: D) {
    this.#kind = kind;
    this.#descriptor = descriptor;
  }

  get [HandleId](): { readonly kind: string; readonly encode: () => D } {
    return { kind: this.#kind, encode: () => this.#descriptor };
  }

  /** Name of the process that made the object. */
  get host(): string {
    return this.#descriptor.host;
  }

  toString(): string {
    return `${this.#kind}(${this.#descriptor.host})`;
  }

  protected get descriptor(): D {
    return this.#descriptor;
  }

  protected abstract make(words: Words, at: number, participants: Participants): A;

  /** Address of the object. */
  get address(): ObjectAddress {
    return this.#descriptor.address;
  }

  /** The object. Throws a {@link SyncFailure}, also if the object has ended. */
  protected get object(): A {
    const known = this.#resolved;
    if (known !== undefined && exists(known.arena, known.address)) return known.object;
    return this.#reach();
  }

  /** The object, unless it was not resolved yet, or is no more. */
  protected get there(): A | undefined {
    const known = this.#resolved;
    return known !== undefined && exists(known.arena, known.address) ? known.object : undefined;
  }

  #reach(): A {
    if (this.#resolved !== undefined) throw this.gone();
    const { object } = this.#resolved = resolve(
      this.#kind,
      this.#descriptor,
      (words, at, participants) => this.make(words, at, participants),
    );
    if (!exists(this.#resolved.arena, this.#resolved.address)) throw this.gone();
    return object;
  }

  /** Pins the state of the object in this process, so that it is not collected, or unpins it. */
  protected pin(pins: boolean): void {
    if (pins) pinned.add(this.#resolved);
    else pinned.delete(this.#resolved);
  }

  /** The failure of a use after the object has ended. */
  protected gone(): Unreachable {
    return new Unreachable(this.#kind, this.#descriptor.host);
  }

  /** The failure of a wait. */
  protected over(over: WaitFailure): Effect.Effect<never, Unreachable> {
    return over === "gone" ? Effect.fail(this.gone()) : Effect.die(over.error);
  }

  /** The owner that a participant stands for; `undefined` for 0. */
  protected ownerOf(participant: number): Owner | undefined {
    if (participant === 0) return undefined;
    const { arena } = this.#resolved!;
    return { pid: arena.pid(participant), here: participant === arena.self };
  }
}
