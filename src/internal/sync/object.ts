/**
 * What all objects in shared memory have in common: how they are made, travel, are reached, and end.
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
import { SyncError } from "./errors.ts";

/** Why an object cannot be resolved: it is no more, this process may not, or too many do. */
export type Failure = Unreachable | Unsupported | SyncError;

/** Who holds something. */
export interface Owner {
  /** Process id; of the process that hosts it, for a worker. */
  readonly pid: number;
  /** Whether it is this very process, or worker. */
  readonly here: boolean;
}

/** What a handle of an object says. */
export interface Descriptor {
  readonly place: ObjectAddress;
  /** Name of the process that made it. */
  readonly host: string;
}

/** Looks between two of which the core is given to others. */
const LOOKS = 100;
/** Rounds of them after which is asked whether somebody exists, and whether this takes too long. */
const ROUNDS = 8;
/** Milliseconds for which others of this process may be held up. */
const LONG = 1;

/** The participants of an object. */
export const participantsOf = (arena: Arena, place: ObjectAddress): Participants => {
  const bucket = bucketOf(place.at + 1);
  const { doorbell, words } = arena;
  const own = arena.region.token.kind === "memory";
  let since = 0;
  return {
    self: arena.self,
    alive: (participant) => arena.alive(participant),
    at: (slot) => arena.at(slot),
    ring: (participant) => arena.ring(participant, bucket),
    watch: (check, fail) => doorbell.watch({ bucket, check, fail }),
    exists: () => exists(arena, place),
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

/** What was thrown by a region, as a failure of an object. */
const explain = (kind: string, host: string, error: unknown): Failure => {
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

/** Objects that this process uses, by where they are: what stands in line in a process stands in one line. */
const resolved = new Map<string, WeakRef<Resolved<unknown>>>();
const collected = new FinalizationRegistry<string>((name) => {
  if (resolved.get(name)?.deref() === undefined) resolved.delete(name);
});

const nameOf = ({ arena, at, stamp }: ObjectAddress): string =>
  `${arena.kind === "memory" ? arena.inode : arena.id} ${at} ${stamp}`;

/** An object as this process uses it. Throws a {@link Failure}. */
export const resolve = <A>(
  kind: string,
  { host, place }: Descriptor,
  make: (words: Words, at: number, participants: Participants) => A,
): Resolved<A> => {
  const name = nameOf(place);
  const known = resolved.get(name)?.deref();
  if (known !== undefined) return known as Resolved<A>;
  try {
    const { arena, at } = reach(place);
    const entry = { arena, place, object: make(arena.words, at, participantsOf(arena, place)) };
    resolved.set(name, new WeakRef(entry));
    collected.register(entry, name);
    return entry;
  } catch (error) {
    throw explain(kind, host, error);
  }
};

/** Objects that somebody has in this process, though nobody may refer to them. */
const pinned = new Set<unknown>();

/** An object in use. */
export interface Resolved<A> {
  readonly arena: Arena;
  readonly place: ObjectAddress;
  readonly object: A;
}

/** Places an object in memory for as long as a scope is open. */
export const allocateObject = (
  kind: string,
  size: number,
): Effect.Effect<Descriptor, Failure, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.suspend((): Effect.Effect<Block, Failure> => {
        try {
          return Effect.succeed(allocate(size));
        } catch (error) {
          return Effect.fail(explain(kind, self().name, error));
        }
      }),
      (block) =>
        Effect.sync(() => {
          resolved.delete(nameOf(block.place));
          block.free();
        }),
    ),
    ({ place }) => ({ place, host: self().name }),
  );

/** A shared object, for its users: reached with its first use. */
export abstract class Shared<A, D extends Descriptor = Descriptor> {
  readonly #kind: string;
  readonly #descriptor: D;
  #resolved: Resolved<A> | undefined;

  constructor(kind: string, descriptor: D) {
    this.#kind = kind;
    this.#descriptor = descriptor;
  }

  /** It travels as where it is. */
  get [HandleId](): { readonly kind: string; readonly encode: () => D } {
    return { kind: this.#kind, encode: () => this.#descriptor };
  }

  /** Name of the process that made it. */
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

  /** The object, if it is still there. Throws a {@link Failure}. */
  protected get object(): A {
    const known = this.#resolved;
    if (known !== undefined && exists(known.arena, known.place)) return known.object;
    return this.#reach();
  }

  /** The object, unless it was not resolved yet, or is no more. */
  protected get there(): A | undefined {
    const known = this.#resolved;
    return known !== undefined && exists(known.arena, known.place) ? known.object : undefined;
  }

  #reach(): A {
    if (this.#resolved !== undefined) throw this.gone();
    const { object } = this.#resolved = resolve(
      this.#kind,
      this.#descriptor,
      (words, at, participants) => this.make(words, at, participants),
    );
    if (!exists(this.#resolved.arena, this.#resolved.place)) throw this.gone();
    return object;
  }

  /** Keeps what this process knows of the object, though nobody may refer to it, or not any more. */
  protected keep(keeps: boolean): void {
    if (keeps) pinned.add(this.#resolved);
    else pinned.delete(this.#resolved);
  }

  /** The error of who uses it when it is no more. */
  protected gone(): Unreachable {
    return new Unreachable(this.#kind, this.#descriptor.host);
  }

  /** How a wait ends that is over. */
  protected over(over: WaitFailure): Effect.Effect<never, Unreachable> {
    return over === "gone" ? Effect.fail(this.gone()) : Effect.die(over.error);
  }

  /** Who a participant is. */
  protected ownerOf(participant: number): Owner | undefined {
    if (participant === 0) return undefined;
    const { arena } = this.#resolved!;
    return { pid: arena.pid(participant), here: participant === arena.self };
  }
}
