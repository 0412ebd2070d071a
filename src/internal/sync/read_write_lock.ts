/**
 * `ReadWriteLock` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import type { Held } from "../../Lock.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { BUSY, type Busy } from "./protocol/monitor.ts";
import { ReadWriteLock as Protocol, type Side as SideName, sizeFor } from "./protocol/read_write_lock.ts";
import type { Words } from "../os/atomics.ts";
import type { ReadWriteLock, Side, Statistics } from "../../ReadWriteLock.ts";
import { SyncError, type SyncFailure } from "./errors.ts";
import { around, heldAs, scoped } from "./guard.ts";
import { allocateMemory, type Descriptor, Shared } from "./object.ts";
import { LATER, type Later, now, step, waitExactly } from "./waiting.ts";

export const TypeId = "~multiprocessing/ReadWriteLock";

/** The implementation of {@link ReadWriteLock}. */
export class ReadWriteLockClient extends Shared<Protocol> implements ReadWriteLock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("readwritelock", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
  }

  readonly read: Side = this.#side("read");
  readonly write: Side = this.#side("write");

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { abandoned, asking: [readers, writers], readers: reading, waiting, writer } = this.object;
    return {
      readers: reading,
      writer: Option.fromNullable(this.ownerOf(writer)),
      abandoned,
      waiting,
      waitingReaders: readers,
      waitingProcesses: writers,
    };
  });

  #side(side: SideName): Side {
    const taken = (lock: Protocol): Held => heldAs(lock.abandoned);
    const tryTake = (): boolean | Busy => this.object.tryTake(side);
    const giveBack = (): void | Busy => {
      const released = this.object.release(side);
      if (released === BUSY) return BUSY;
      if (!released) throw new SyncError("NotOwner", `Cannot release the lock: this process does not ${side}`);
    };
    const release: Effect.Effect<void, SyncFailure> = step(giveBack);
    const take: Effect.Effect<Held, SyncFailure> = step<Held, SyncFailure>(
      (): Held | Busy | Later => {
        const got = this.object.takeIfFree(side);
        return got === true ? taken(this.object) : got === false ? LATER : got;
      },
      waitExactly<Held, SyncFailure>((done) => {
        const lock = this.object;
        const leave = lock.wait(
          side,
          (outcome) => done(isWaitFailure(outcome) ? this.over(outcome) : Effect.succeed(taken(lock))),
        );
        return () => leave() || void Effect.runFork(Effect.ignore(release));
      }),
    );
    return {
      take,
      tryTake: step(tryTake),
      release,
      acquire: scoped(take, () => release) as Effect.Effect<Held, SyncFailure, Scope.Scope>,
      withLock: (effect, options) => around(take, release, effect, options),
      unsafeTryTake: () => now(tryTake),
      unsafeRelease: () => now(giveBack) as void,
    };
  }
}

register("readwritelock", (data) => new ReadWriteLockClient(data as Descriptor));

/** Makes a lock for readers and writers. */
export const make: Effect.Effect<ReadWriteLock, SyncFailure, Scope.Scope> = Effect.map(
  allocateMemory("readwritelock", sizeFor()),
  (descriptor) => new ReadWriteLockClient(descriptor),
);
