/**
 * `Semaphore` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Semaphore, Statistics } from "../../../Semaphore.ts";
import { positive } from "../../os/arguments.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { SyncError, type SyncFailure, wrongArgument } from "../errors.ts";
import { scoped, withPermits } from "../guard.ts";
import type { Descriptor, Kind } from "../object.ts";
import { isWaitFailure } from "../protocol/participants.ts";
import { MAX, Semaphore as Protocol, type SemaphoreShape, sizeFor } from "../protocol/semaphore.ts";
import { MessageClient } from "./client.ts";
import { type MessageOperations, settled } from "./gateway.ts";
import type { Content } from "./protocol.ts";

export const TypeId = "~multiprocessing/Semaphore";

const TAKE = 1;
const TRY_TAKE = 2;
const RELEASE = 3;
const STATISTICS = 4;

/** The data of a handle. */
export interface SemaphoreDescriptor extends Descriptor, SemaphoreShape {}

/** Checks the number of permits of an operation. */
export const refused = (permits: number, what: string, { bound }: SemaphoreShape): SyncError | undefined => {
  const wrong = wrongArgument(`semaphore.${what}`, { permits }, { permits: positive });
  if (wrong !== undefined) return wrong;
  if (permits <= bound) return undefined;
  return what === "release" ? tooMany(permits, bound) : new SyncError(
    "InvalidArgument",
    `Invalid argument of semaphore.${what}: permits must be at most ${bound}, received ${permits}`,
  );
};

/** The failure of a release that would exceed the bound. */
export const tooMany = (permits: number, bound: number): SyncError =>
  new SyncError("OverRelease", `Cannot release ${permits} permits: the semaphore would have more than ${bound}`);

/** The state of a semaphore in memory. */
export const statistics = ({ asking, free, held, waiting }: Protocol): Statistics => ({
  available: free,
  held,
  waiting,
  waitingProcesses: asking,
});

const permitsOf = (args: Content): number => {
  const permits = args[0];
  if (positive(permits) !== undefined || (permits as number) > MAX) {
    throw new ProtocolError("Cannot read from the peer: a number of permits is not valid");
  }
  return permits as number;
};

const operations: MessageOperations<Protocol> = {
  [TAKE]: (semaphore, args, reply) => {
    const permits = permitsOf(args);
    const giveBack = (): void => void settled(() => semaphore.release(permits), () => {});
    return semaphore.wait(
      permits,
      (outcome) => isWaitFailure(outcome) ? reply.failed(outcome) : reply.result(undefined, giveBack),
    );
  },
  [TRY_TAKE]: (semaphore, args, reply) => {
    const permits = permitsOf(args);
    const giveBack = (): void => void settled(() => semaphore.release(permits), () => {});
    return settled(
      () => semaphore.tryTake(permits),
      (taken) => reply.result(taken, taken ? giveBack : undefined),
    );
  },
  [RELEASE]: (semaphore, args, reply) => {
    const permits = permitsOf(args);
    settled(() => semaphore.release(permits), (released) => reply.result(released));
  },
  [STATISTICS]: (semaphore, _, reply) => reply.result(statistics(semaphore)),
};

/** Semaphores, in memory and by messages. */
export const semaphoreKind: Kind<Protocol, SemaphoreShape> = {
  name: "semaphore",
  size: sizeFor(),
  make: (words, at, participants, shape) => new Protocol(words, at, participants, shape),
  operations,
};

/** The implementation of {@link Semaphore}. */
export class SemaphoreMessages extends MessageClient<SemaphoreDescriptor> implements Semaphore {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: SemaphoreDescriptor) {
    super("semaphore", descriptor);
  }

  get bound(): number | undefined {
    const { bound } = this.descriptor;
    return bound === MAX ? undefined : bound;
  }

  readonly take = (permits: number = 1): Effect.Effect<void, SyncFailure> => {
    const wrong = refused(permits, "take", this.descriptor);
    return wrong !== undefined ? Effect.fail(wrong) : this.grant<void>(
      TAKE,
      [permits],
      () => undefined,
      (_, session) => session.tell(RELEASE, permits),
    );
  };

  readonly tryTake = (permits: number = 1): Effect.Effect<boolean, SyncFailure> => {
    const wrong = refused(permits, "take", this.descriptor);
    return wrong !== undefined ? Effect.fail(wrong) : this.grant<boolean>(
      TRY_TAKE,
      [permits],
      (taken) => taken as boolean,
      (taken, session) => taken && session.tell(RELEASE, permits),
    );
  };

  readonly release = (permits: number = 1): Effect.Effect<void, SyncFailure> => {
    const { bound } = this.descriptor;
    const wrong = refused(permits, "release", this.descriptor);
    return wrong !== undefined ? Effect.fail(wrong) : Effect.flatMap(
      this.askToRelease(RELEASE, [permits]),
      (released) => released ? Effect.void : Effect.fail(tooMany(permits, bound)),
    );
  };

  readonly acquire = (permits: number = 1): Effect.Effect<void, SyncFailure, Scope.Scope> =>
    scoped(this.take(permits), () => this.#end(permits));

  readonly withPermits: Semaphore["withPermits"] = (effect, permits = 1) =>
    withPermits(effect, permits, this.take, (permits) => this.#end(permits));

  readonly available: Effect.Effect<number, SyncFailure> = Effect.map(this.statistics, ({ available }) => available);

  get statistics(): Effect.Effect<Statistics, SyncFailure> {
    return this.ask(STATISTICS);
  }

  /** Releases permits in a finalizer. */
  #end(permits: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.session.tell(RELEASE, permits);
      return this.confirmedSoon;
    });
  }
}
