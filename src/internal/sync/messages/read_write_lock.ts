/**
 * `ReadWriteLock` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Held } from "../../../Lock.ts";
import type { ReadWriteLock, Side, Statistics } from "../../../ReadWriteLock.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { SyncError, type SyncFailure } from "../errors.ts";
import { around, heldAs, scoped } from "../guard.ts";
import type { Descriptor, Kind, Owner } from "../object.ts";
import { isWaitFailure } from "../protocol/participants.ts";
import { ReadWriteLock as Protocol, type Side as SideName, sizeFor } from "../protocol/read_write_lock.ts";
import { MessageClient } from "./client.ts";
import { type MessageOperations, settled } from "./gateway.ts";

export const TypeId = "~multiprocessing/ReadWriteLock";

const TAKE = 1;
const TRY_TAKE = 2;
const RELEASE = 3;
const STATISTICS = 4;

/** The failure of a release by a process that does not hold the side. */
export const notHeld = (side: SideName): SyncError =>
  new SyncError("NotOwner", `Cannot release the lock: this process does not ${side}`);

/** The state of a lock in memory, apart from its writer. */
export const statistics = ({ abandoned, asking: [readers, writers], readers: reading, waiting }: Protocol) => ({
  readers: reading,
  abandoned,
  waiting,
  waitingReaders: readers,
  waitingProcesses: writers,
});

/** The state of a lock, as its host tells it. */
interface Told extends Omit<Statistics, "writer"> {
  readonly writer: Owner | undefined;
}

const sideOf = (side: unknown): SideName => {
  if (side !== "read" && side !== "write") throw new ProtocolError("Cannot read from the peer: no side of a lock");
  return side;
};

const operations: MessageOperations<Protocol> = {
  [TAKE]: (lock, args, reply) => {
    const side = sideOf(args[0]);
    const giveBack = (): void => void settled(() => lock.release(side), () => {});
    return lock.wait(
      side,
      (outcome) => isWaitFailure(outcome) ? reply.failed(outcome) : reply.result(lock.abandoned, giveBack),
    );
  },
  [TRY_TAKE]: (lock, args, reply) => {
    const side = sideOf(args[0]);
    const giveBack = (): void => void settled(() => lock.release(side), () => {});
    return settled(() => lock.tryTake(side), (taken) => reply.result(taken, taken ? giveBack : undefined));
  },
  [RELEASE]: (lock, args, reply) => {
    const side = sideOf(args[0]);
    settled(() => lock.release(side), (released) => reply.result(released));
  },
  [STATISTICS]: (lock, _, reply, who) => {
    const told: Told = { ...statistics(lock), writer: who(lock.writer) };
    reply.result(told);
  },
};

/** Locks for readers and writers, in memory and by messages. */
export const readWriteLockKind: Kind<Protocol, undefined> = {
  name: "readwritelock",
  size: sizeFor(),
  make: (words, at, participants) => new Protocol(words, at, participants),
  operations,
};

/** The implementation of {@link ReadWriteLock}. */
export class ReadWriteLockMessages extends MessageClient implements ReadWriteLock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("readwritelock", descriptor);
  }

  readonly read: Side = this.#side("read");
  readonly write: Side = this.#side("write");

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = this.ask(STATISTICS, [], (told) => {
    const { writer, ...rest } = told as Told;
    return { ...rest, writer: Option.fromNullable(writer) };
  });

  #side(side: SideName): Side {
    const take: Effect.Effect<Held, SyncFailure> = this.grant(
      TAKE,
      [side],
      (abandoned) => heldAs(abandoned as boolean),
      (_, session) => session.tell(RELEASE, side),
    );
    const end = Effect.suspend(() => {
      this.session.tell(RELEASE, side);
      return this.confirmedSoon;
    });
    return {
      take,
      tryTake: this.grant(
        TRY_TAKE,
        [side],
        (taken) => taken as boolean,
        (taken, session) => taken && session.tell(RELEASE, side),
      ),
      release: Effect.flatMap(
        this.askToRelease(RELEASE, [side]),
        (released) => released ? Effect.void : Effect.fail(notHeld(side)),
      ),
      acquire: scoped(take, () => end),
      withLock: (effect, options) => around(take, end, effect, options),
    };
  }
}
