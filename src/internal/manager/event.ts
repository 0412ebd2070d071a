/**
 * The clients of managed events and barriers.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { waitThenCommit } from "../objects/interruption.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { call } from "../rpc/router.ts";
import { BrokenBarrier } from "../sync/errors.ts";
import { ask, type ManagerFailure, readReply, serverOf } from "./calls.ts";
import * as P from "./protocol.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A flag at the server that processes can wait for. Python's `Event` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends Proxy {
  /** Sets the flag, and wakes all current waiters, even if it is cleared at once. */
  readonly set: Effect.Effect<void, ManagerFailure>;
  /** Clears the flag. */
  readonly clear: Effect.Effect<void, ManagerFailure>;
  /** Whether the flag is set. */
  readonly isSet: Effect.Effect<boolean, ManagerFailure>;
  /** Waits until the flag is set. *Interruption:* stops waiting. */
  readonly wait: Effect.Effect<void, ManagerFailure>;
  /** The number of waiters. */
  readonly waiting: Effect.Effect<number, ManagerFailure>;
}

/** The proxy of an event. */
export class EventProxy extends Remote implements Event {
  get set() {
    return ask<void>(this[TypeId], "set");
  }
  get clear() {
    return ask<void>(this[TypeId], "clear");
  }
  get isSet() {
    return ask<boolean>(this[TypeId], "isSet");
  }
  get wait() {
    return ask<void>(this[TypeId], "wait");
  }
  get waiting() {
    return ask<number>(this[TypeId], "waiting");
  }
}

/** The state of a barrier. @since 0.1.0 @category models */
export interface BarrierStatistics {
  /** The number of parties that pass together. */
  readonly parties: number;
  /** The number of parties that wait. Python's `n_waiting`. */
  readonly waiting: number;
  /** Whether the barrier is broken. */
  readonly broken: boolean;
}

/**
 * A barrier at the server: a fixed number of parties wait for each other, any number of times. Python's `Barrier` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier extends Proxy {
  /**
   * Waits until all parties have arrived. Returns a different index to each party, in order of arrival, from 0 on. Fails with
   * `BrokenBarrier` if a party gives up or dies meanwhile. *Interruption:* breaks the barrier.
   */
  readonly wait: Effect.Effect<number, BrokenBarrier | ManagerFailure>;
  /** Breaks the barrier: current waiters and later arrivals fail. */
  readonly abort: Effect.Effect<void, ManagerFailure>;
  /** Resets the barrier. Current waiters fail; later arrivals start a new round. */
  readonly reset: Effect.Effect<void, ManagerFailure>;
  /** The state of the barrier. */
  readonly statistics: Effect.Effect<BarrierStatistics, ManagerFailure>;
}

/** The proxy of a barrier. */
export class BarrierProxy extends Remote implements Barrier {
  get wait(): Effect.Effect<number, BrokenBarrier | ManagerFailure> {
    const ref = this[TypeId];
    return waitThenCommit<unknown, unknown, number, never>((answer) => {
      const line = call(serverOf(ref), P.ATTACH, varints(ref.number), {
        exit: (reply) => {
          switch (reply.bytes[0]) {
            case P.VALUE:
              return answer(Effect.succeed(new VarintReader(reply.bytes, 1).next()));
            case P.BROKEN:
              return answer(Effect.fail(new BrokenBarrier(P.REASONS[reply.bytes[1]])));
            default:
              return answer(readReply(ref, reply));
          }
        },
      });
      return () => line.cancel();
    }, (index) => Effect.succeed(index as number)) as Effect.Effect<number, BrokenBarrier | ManagerFailure>;
  }

  get abort() {
    return ask<void>(this[TypeId], "abort");
  }
  get reset() {
    return ask<void>(this[TypeId], "reset");
  }
  get statistics() {
    return ask<BarrierStatistics>(this[TypeId], "value");
  }
}
