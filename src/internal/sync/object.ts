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
import { allocate, type Arena, type Block, bucketOf, lives, type Place, reach } from "./protocol/arena.ts";
import type { Family, Over } from "./protocol/participants.ts";
import { ended } from "../os/worker_mappings.ts";
import { RegionError } from "../os/mapping.ts";
import type { Words } from "../os/atomics.ts";
import { SyncError } from "./errors.ts";

/** Why an object cannot be used: it is no more, this process may not, or too many do. */
export type Failure = Unreachable | Unsupported | SyncError;

/** Who holds something. */
export interface Owner {
  /** Process id; of the process that hosts it, for a worker. */
  readonly pid: number;
  /** Whether it is this very process, or worker. */
  readonly here: boolean;
}

/** What a handle of an object says. */
export interface Described {
  readonly place: Place;
  /** Name of the process that made it. */
  readonly host: string;
}

/** Looks between two of which the core is given to others. */
const LOOKS = 100;
/** Rounds of them after which is asked whether somebody lives, and whether this takes too long. */
const ROUNDS = 8;
/** Milliseconds for which others of this process may be held up. */
const LONG = 1;

/** The family of an object. */
export const familyOf = (arena: Arena, place: Place): Family => {
  const bucket = bucketOf(place.at + 1);
  const { bell, words } = arena;
  const own = arena.region.token.kind === "memory";
  let since = 0;
  return {
    self: arena.self,
    alive: (participant) => arena.alive(participant),
    at: (slot) => arena.at(slot),
    ring: (participant) => arena.ring(participant, bucket),
    watch: (check, fail) => bell.watch({ bucket, check, fail }),
    lives: () => lives(arena, place),
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
const used = new Map<string, WeakRef<Used<unknown>>>();
const unused = new FinalizationRegistry<string>((name) => {
  if (used.get(name)?.deref() === undefined) used.delete(name);
});

const nameOf = ({ arena, at, life }: Place): string =>
  `${arena.kind === "memory" ? arena.inode : arena.id} ${at} ${life}`;

/** An object as this process uses it. Throws a {@link Failure}. */
export const use = <A>(
  kind: string,
  { host, place }: Described,
  make: (words: Words, at: number, family: Family) => A,
): Used<A> => {
  const name = nameOf(place);
  const known = used.get(name)?.deref();
  if (known !== undefined) return known as Used<A>;
  try {
    const { arena, at } = reach(place);
    const entry = { arena, place, object: make(arena.words, at, familyOf(arena, place)) };
    used.set(name, new WeakRef(entry));
    unused.register(entry, name);
    return entry;
  } catch (error) {
    throw explain(kind, host, error);
  }
};

/** Objects that somebody has in this process, though nobody may refer to them. */
const kept = new Set<unknown>();

/** An object in use. */
export interface Used<A> {
  readonly arena: Arena;
  readonly place: Place;
  readonly object: A;
}

/** Places an object in memory for as long as a scope is open. */
export const place = (
  kind: string,
  size: number,
): Effect.Effect<Described, Failure, Scope.Scope> =>
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
          used.delete(nameOf(block.place));
          block.free();
        }),
    ),
    ({ place }) => ({ place, host: self().name }),
  );

/** A shared object, for its users: reached with its first use. */
export abstract class Shared<A, D extends Described = Described> {
  readonly #kind: string;
  readonly #described: D;
  #used: Used<A> | undefined;

  constructor(kind: string, described: D) {
    this.#kind = kind;
    this.#described = described;
  }

  /** It travels as where it is. */
  get [HandleId](): { readonly kind: string; readonly encode: () => D } {
    return { kind: this.#kind, encode: () => this.#described };
  }

  /** Name of the process that made it. */
  get host(): string {
    return this.#described.host;
  }

  toString(): string {
    return `${this.#kind}(${this.#described.host})`;
  }

  protected get described(): D {
    return this.#described;
  }

  protected abstract make(words: Words, at: number, family: Family): A;

  /** The object, if it is still there. Throws a {@link Failure}. */
  protected get object(): A {
    const known = this.#used;
    if (known !== undefined && lives(known.arena, known.place)) return known.object;
    return this.#reach();
  }

  /** The object, unless it was not used yet, or is no more. */
  protected get there(): A | undefined {
    const known = this.#used;
    return known !== undefined && lives(known.arena, known.place) ? known.object : undefined;
  }

  #reach(): A {
    if (this.#used !== undefined) throw this.gone();
    const { object } = this.#used = use(
      this.#kind,
      this.#described,
      (words, at, family) => this.make(words, at, family),
    );
    if (!lives(this.#used.arena, this.#used.place)) throw this.gone();
    return object;
  }

  /** Keeps what this process knows of the object, though nobody may refer to it, or not any more. */
  protected keep(keeps: boolean): void {
    if (keeps) kept.add(this.#used);
    else kept.delete(this.#used);
  }

  /** The error of who uses it when it is no more. */
  protected gone(): Unreachable {
    return new Unreachable(this.#kind, this.#described.host);
  }

  /** How a wait ends that is over. */
  protected over(over: Over): Effect.Effect<never, Unreachable> {
    return over === "gone" ? Effect.fail(this.gone()) : Effect.die(over.error);
  }

  /** Who a participant is. */
  protected ownerOf(participant: number): Owner | undefined {
    if (participant === 0) return undefined;
    const { arena } = this.#used!;
    return { pid: arena.pid(participant), here: participant === arena.self };
  }
}
