/**
 * `ReadWriteLock` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import type { CarrierOptions, Held } from "../../Lock.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { BUSY, type Busy } from "./protocol/monitor.ts";
import type { ReadWriteLock as Protocol, Side as SideName } from "./protocol/read_write_lock.ts";
import type { Words } from "../os/atomics.ts";
import type { MemoryReadWriteLock, MemorySide, Statistics } from "../../ReadWriteLock.ts";
import { type SyncFailure, wrongOption } from "./errors.ts";
import { around, heldAs, scoped } from "./guard.ts";
import { notHeld, readWriteLockKind, ReadWriteLockMessages, statistics, TypeId } from "./messages/read_write_lock.ts";
import { allocateObject, byMessages, carrierOption, type Descriptor, Shared } from "./object.ts";
import { ifDiscarded, LATER, type Later, now, step, waitExactly } from "./waiting.ts";

/** The implementation of {@link MemoryReadWriteLock}. */
export class ReadWriteLockClient extends Shared<Protocol> implements MemoryReadWriteLock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor, sent?: Descriptor) {
    super("readwritelock", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return readWriteLockKind.make(words, at, participants, undefined);
  }

  readonly read: MemorySide = this.#side("read");
  readonly write: MemorySide = this.#side("write");

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => ({
    ...statistics(this.object),
    writer: Option.fromNullable(this.ownerOf(this.object.writer)),
  }));

  #side(side: SideName): MemorySide {
    const taken = (lock: Protocol): Held => heldAs(lock.abandoned);
    const giveBack = (): void | Busy => {
      const released = this.object.release(side);
      if (released === BUSY) return BUSY;
      if (!released) throw notHeld(side);
    };
    const release: Effect.Effect<void, SyncFailure> = step(giveBack);
    /** Returns a function that gives this side back, unless this process has released a side since. */
    const giveUp = (): () => void => {
      const since = this.object.releases;
      return () => {
        if (this.there?.releases === since) Effect.runFork(Effect.ignore(release));
      };
    };
    const take: Effect.Effect<Held, SyncFailure> = step<Held, SyncFailure>(
      (): Held | Busy | Later => {
        const got = this.object.takeIfFree(side);
        if (got !== true) return got === false ? LATER : got;
        ifDiscarded(giveUp());
        return taken(this.object);
      },
      waitExactly<Held, SyncFailure>((done) => {
        const lock = this.object;
        let give = (): void => {};
        const leave = lock.wait(side, (outcome) => {
          if (isWaitFailure(outcome)) return done(this.over(outcome));
          give = giveUp();
          done(Effect.succeed(taken(lock)));
        });
        return () => leave() || give();
      }),
    );
    return {
      take,
      tryTake: step(() => {
        const taken = this.object.tryTake(side);
        if (taken === true) ifDiscarded(giveUp());
        return taken;
      }),
      release,
      acquire: scoped(take, () => release) as Effect.Effect<Held, SyncFailure, Scope.Scope>,
      withLock: (effect, options) => around(take, release, effect, options),
      unsafeTryTake: () => now(() => this.object.tryTake(side)),
      unsafeRelease: () => now(giveBack) as void,
    };
  }
}

register("readwritelock", (data) => {
  const descriptor = data as Descriptor;
  return byMessages(descriptor) ? new ReadWriteLockMessages(descriptor) : new ReadWriteLockClient(descriptor);
});

/** Makes a lock for readers and writers. */
export const make = (options: CarrierOptions = {}): Effect.Effect<MemoryReadWriteLock, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("readwritelock", options, carrierOption);
  return wrong !== undefined ? Effect.fail(wrong) : Effect.map(
    allocateObject(readWriteLockKind, undefined, options.carrier),
    ({ own, sent }) => new ReadWriteLockClient(own, sent),
  );
};
