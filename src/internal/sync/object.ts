/**
 * The life of every shared object: its allocation, its handle, its use in other processes, and its end.
 *
 * An object lives in memory of its maker, which is its host. A process that can map that memory uses the object there. The host serves
 * other processes by messages; see `messages/gateway.ts`. The handle says which ways there are: its `address` is the way by memory,
 * and its `location` the way by messages.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Carrier } from "../../Lock.ts";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { HandleId } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import * as Os from "../os/linux.ts";
import {
  allocate,
  type Arena,
  type Block,
  bucketOf,
  exists,
  type ObjectAddress,
  type Participant,
  reach,
} from "./protocol/arena.ts";
import type { Participants, WaitFailure } from "./protocol/participants.ts";
import { ended } from "../os/worker_mappings.ts";
import { isMappable, RegionError, type RegionKind } from "../os/mapping.ts";
import type { Words } from "../os/atomics.ts";
import { type Checks, oneOf, optional } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { address as homeAddress, host, type Hosted, retire } from "../rpc/router.ts";
import { isSyncFailure, SyncError, type SyncFailure } from "./errors.ts";
import { Gateway, type MessageOperations } from "./messages/gateway.ts";
import type { Location } from "./messages/protocol.ts";

/** The process or worker that holds a lock. */
export interface Owner {
  /** Process id; for a worker, of the process that hosts it. */
  readonly pid: number;
  /** Whether it is this process or worker itself. */
  readonly here: boolean;
}

/** Check of the option `carrier`. */
export const carrierOption: Checks = { carrier: optional(oneOf("memory", "messages")) };

/** The data of a handle. */
export interface Descriptor {
  /** The object in memory, unless other processes have to use messages. */
  readonly address?: ObjectAddress;
  /** Where the object is hosted, unless other processes have to use memory. */
  readonly location?: Location;
  /** Name of the process that made the object. */
  readonly host: string;
}

/** The address of an object that this process uses in memory; `undefined` for any other. */
export const addressOf = (object: object): ObjectAddress | undefined =>
  (object as { readonly address?: ObjectAddress }).address;

/** Whether this process uses the object of a handle by messages. */
export const byMessages = ({ address, location }: Descriptor): boolean =>
  location !== undefined && (address === undefined || !isMappable(address.arena));

/** Reads of a guard before the core is given to other threads: the holder of a guard may wait for a core. */
const LOOKS = 100;
/** Rounds of reads before each look whether the holder lives. */
const ROUNDS = 8;
/** Milliseconds for which a guard may hold up other fibers of this process. */
const LONG = 1;

/** The participants of an object, as this isolate or one of its guests sees them. */
export const participantsOf = (
  arena: Arena,
  address: ObjectAddress,
  self: Participant = arena.self,
): Participants => {
  const bucket = bucketOf(address.at + 1);
  const { doorbell, words } = arena;
  const own = arena.region.token.kind === "memory";
  let since = 0;
  return {
    self,
    alive: (participant) => arena.alive(participant),
    at: (slot) => arena.at(slot),
    ring: (participant) => arena.ring(participant, bucket),
    watch: (check, fail) => doorbell.watch({ bucket, check, fail }),
    now: () => performance.now(),
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
      return new Unsupported(
        `${error.message}; or make the object without the option \`carrier\`, so that this process can use it by messages`,
      );
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
  { host, address }: Descriptor & { readonly address: ObjectAddress },
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

/** A kind of object. `P` is its protocol, and `S` what all its users know of it. */
export interface Kind<P, S> {
  readonly name: string;
  /** Words of an object. */
  readonly size: number;
  readonly make: (words: Words, at: number, participants: Participants, shape: S) => P;
  /** The operations of its users by messages. */
  readonly operations: MessageOperations<P>;
}

/** An object that this process has allocated. */
export interface Allocated {
  /** The data by which this process uses it. */
  readonly own: Descriptor & { readonly address: ObjectAddress };
  /** The data of its handle. */
  readonly sent: Descriptor;
}

/** An object of a kind that this process has allocated, and the gateway for its users by messages. */
export interface Hosting<P> {
  readonly block: Block;
  readonly gateway: Gateway<P>;
  /** The object, as this process uses it. */
  readonly own: () => P;
  readonly free: () => void;
}

/** Allocates an object and its gateway. Throws a {@link SyncFailure}. */
export const allocateHosted = <P, S>(kind: Kind<P, S>, shape: S, region?: RegionKind): Hosting<P> => {
  let block: Block;
  try {
    block = allocate(kind.size, region);
  } catch (error) {
    throw explain(kind.name, self().name, error);
  }
  const { address, arena, at, free } = block;
  const gateway = new Gateway<P>(
    arena,
    (guest) => kind.make(arena.words, at, participantsOf(arena, address, guest), shape),
    kind.operations,
  );
  return {
    block,
    gateway,
    own: () => kind.make(arena.words, at, participantsOf(arena, address), shape),
    free: () => {
      gateway.close();
      resolved.delete(nameOf(address));
      free();
    },
  };
};

/** The data of the handle of an object in memory of this process, and the function that withdraws them. */
export const offer = (
  address: ObjectAddress,
  gateway: Hosted,
  carrier: Carrier | undefined,
): { readonly sent: Descriptor; readonly retract: () => void } => {
  const named = { host: self().name };
  if (carrier === "memory") return { sent: { ...named, address }, retract: () => {} };
  const location = { address: homeAddress(), object: host(gateway), number: 0 };
  return {
    sent: { ...named, ...(carrier === "messages" ? {} : { address }), location },
    retract: () => retire(location.object),
  };
};

/** Allocates an object, and returns it with the function that frees it. Throws a {@link SyncFailure}. */
export const allocateShared = <P, S>(
  kind: Kind<P, S>,
  shape: S,
  carrier: Carrier | undefined,
  region?: RegionKind,
): Allocated & { readonly free: () => void } => {
  const { block: { address }, free, gateway } = allocateHosted(kind, shape, region);
  const { retract, sent } = offer(address, gateway, carrier);
  return {
    own: { host: self().name, address },
    sent,
    free: () => {
      retract();
      free();
    },
  };
};

/** Allocates an object, which ends with the scope. */
export const allocateObject = <P, S>(
  kind: Kind<P, S>,
  shape: S,
  carrier: Carrier | undefined,
): Effect.Effect<Allocated, SyncFailure, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      try {
        return Effect.succeed(allocateShared(kind, shape, carrier));
      } catch (error) {
        return isSyncFailure(error) ? Effect.fail(error) : Effect.die(error);
      }
    }),
    ({ free }) => Effect.sync(free),
  );

/** A shared object for a process that uses it in memory. It is found by its address when it is used first. */
export abstract class Shared<A, D extends Descriptor = Descriptor> {
  declare readonly pipe: Pipeable["pipe"];
  readonly #kind: string;
  readonly #descriptor: D;
  readonly #sent: D;
  #resolved: Resolved<A> | undefined;

  /** `sent` is the data of its handle, if that is not `descriptor`. */
  constructor(kind: string, descriptor: D, sent: D = descriptor) {
    this.#kind = kind;
    this.#descriptor = descriptor;
    this.#sent = sent;
  }

  get [HandleId](): { readonly kind: string; readonly encode: () => D } {
    return { kind: this.#kind, encode: () => this.#sent };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
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
    return this.#descriptor.address!;
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
      { ...this.#descriptor, address: this.address },
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
  over(over: WaitFailure): Effect.Effect<never, Unreachable> {
    return over === "gone" ? Effect.fail(this.gone()) : Effect.die(over.error);
  }

  /** The owner that a participant stands for; `undefined` for 0. */
  protected ownerOf(participant: number): Owner | undefined {
    if (participant === 0) return undefined;
    const { arena } = this.#resolved!;
    return { pid: arena.pid(participant), here: participant === arena.self };
  }
}
inspectable(Shared);
