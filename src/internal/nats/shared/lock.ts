/**
 * The lock that programs share by a server.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Lock from "../../../Lock.ts";
import type * as Public from "../../../NatsShared.ts";
import { HandleId } from "../../objects/handles.ts";
import { inspectable } from "../../os/inspect.ts";
import type { SyncFailure } from "../../sync/errors.ts";
import { notOwner, wrongBody } from "../../sync/guard.ts";
import { TypeId } from "../../sync/messages/lock.ts";
import type { Connection } from "./connection.ts";
import { unsendable } from "./connection.ts";
import { ask, during, lost, scoped, take } from "./guard.ts";
import type { Grant, Seat } from "./lease.ts";
import type { Room } from "./room.ts";

const heldBy = ({ abandoned, fence }: Grant): Public.Held => ({ abandoned, fence });

/** The implementation of {@link Public.Lock}. */
export class SharedLock implements Public.Lock {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly name: string;
  readonly carrier = "messages";
  readonly #connection: Connection;
  readonly #seat: Seat;

  constructor(connection: Connection, name: string, seat: Seat) {
    this.#connection = connection;
    this.name = name;
    this.#seat = seat;
  }

  get [HandleId]() {
    return unsendable("lock");
  }

  get host(): string {
    return this.#connection.host;
  }

  get take(): Effect.Effect<Public.Held, SyncFailure> {
    return Effect.map(take(this.#seat, 1), heldBy);
  }

  get tryTake(): Effect.Effect<boolean, SyncFailure> {
    return Effect.map(ask(this.#seat, 1, false), (grant) => grant !== undefined);
  }

  get release(): Effect.Effect<void, SyncFailure> {
    return this.#seat.release(1);
  }

  get acquire(): Effect.Effect<Public.Held, SyncFailure, Scope.Scope> {
    return Effect.map(scoped(this.#seat, 1), heldBy);
  }

  readonly withLock: Lock.Lock["withLock"] = <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options: Lock.WithOptions<E2, R2> = {},
  ) => {
    const wrong = wrongBody(effect, options);
    if (wrong !== undefined) return Effect.fail(wrong);
    const { onAbandoned } = options;
    return during<A, E | E2, R | R2>(
      this.#seat,
      1,
      ({ abandoned }) => abandoned && onAbandoned !== undefined ? Effect.zipRight(onAbandoned, effect) : effect,
    );
  };

  get lost(): Effect.Effect<never, SyncFailure> {
    return Effect.suspend(() => {
      const { grant } = this.#seat;
      return grant === undefined ? Effect.fail(notOwner("lock")) : lost(grant);
    });
  }

  get isLocked(): Effect.Effect<boolean, SyncFailure> {
    return this.#look(({ holders }) => holders.length > 0);
  }

  get isMine(): Effect.Effect<boolean, SyncFailure> {
    return Effect.sync(() => this.#seat.held > 0);
  }

  get owner(): Effect.Effect<Option.Option<Lock.Owner>, SyncFailure> {
    return this.#look((room) => this.#ownerOf(room));
  }

  get statistics(): Effect.Effect<Lock.Statistics, SyncFailure> {
    return this.#look((room) => {
      const owner = this.#ownerOf(room);
      return {
        owner,
        abandoned: Option.isSome(owner) && room.abandoned,
        waiting: this.#seat.waiting,
        waitingProcesses: room.line.length,
      };
    });
  }

  #look<A>(see: (room: Room) => A): Effect.Effect<A, SyncFailure> {
    return this.#connection.asking("lock", async () => see(await this.#seat.look()));
  }

  #ownerOf({ holders }: Room): Option.Option<Lock.Owner> {
    return Option.map(
      Option.fromNullable(holders[0]),
      ({ pid, program }) => ({ pid, here: program === this.#connection.caller }),
    );
  }
}
inspectable(SharedLock);
