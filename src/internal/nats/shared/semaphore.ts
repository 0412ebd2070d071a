/**
 * The semaphore that programs share by a server.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Public from "../../../NatsShared.ts";
import type * as Semaphore from "../../../Semaphore.ts";
import { HandleId } from "../../objects/handles.ts";
import * as Arguments from "../../os/arguments.ts";
import { inspectable } from "../../os/inspect.ts";
import { type SyncFailure, wrongArgument } from "../../sync/errors.ts";
import { TypeId } from "../../sync/messages/semaphore.ts";
import { type Connection, unsendable } from "./connection.ts";
import { ask, during, scoped, take } from "./guard.ts";
import type { Grant, Seat } from "./lease.ts";
import { freeOf, type Room } from "./room.ts";

/** The implementation of {@link Public.Semaphore}. */
export class SharedSemaphore implements Public.Semaphore {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly name: string;
  readonly carrier = "messages";
  readonly bound: number;
  readonly #connection: Connection;
  readonly #seat: Seat;

  constructor(connection: Connection, name: string, seat: Seat, bound: number) {
    this.#connection = connection;
    this.name = name;
    this.#seat = seat;
    this.bound = bound;
  }

  get [HandleId]() {
    return unsendable("semaphore");
  }

  get host(): string {
    return this.#connection.host;
  }

  readonly take = (permits: number = 1): Effect.Effect<void, SyncFailure> =>
    this.#checked("take", permits, () => Effect.asVoid(take(this.#seat, permits)));

  readonly tryTake = (permits: number = 1): Effect.Effect<boolean, SyncFailure> =>
    this.#checked(
      "tryTake",
      permits,
      () => Effect.map(ask(this.#seat, permits, false), (grant: Grant | undefined) => grant !== undefined),
    );

  readonly release = (permits: number = 1): Effect.Effect<void, SyncFailure> =>
    this.#checked("release", permits, () => this.#seat.release(permits));

  readonly acquire = (permits: number = 1): Effect.Effect<void, SyncFailure, Scope.Scope> =>
    this.#checked("acquire", permits, () => Effect.asVoid(scoped(this.#seat, permits)));

  readonly withPermits = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    permits: number = 1,
  ): Effect.Effect<A, E | SyncFailure, R> => {
    const wrong = wrongArgument("semaphore.withPermits", { effect }, { effect: Arguments.effect });
    return wrong !== undefined
      ? Effect.fail(wrong)
      : this.#checked("withPermits", permits, () => during(this.#seat, permits, () => effect));
  };

  get available(): Effect.Effect<number, SyncFailure> {
    return this.#look((room) => Math.max(0, freeOf(room)));
  }

  get statistics(): Effect.Effect<Semaphore.Statistics, SyncFailure> {
    return this.#look((room) => ({
      available: Math.max(0, freeOf(room)),
      held: this.#seat.held,
      waiting: this.#seat.waiting,
      waitingProcesses: room.line.length,
    }));
  }

  #checked<A, E, R>(
    method: string,
    permits: number,
    use: () => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | SyncFailure, R> {
    const wrong = wrongArgument(`semaphore.${method}`, { permits }, { permits: Arguments.positive });
    return wrong === undefined ? Effect.suspend(use) : Effect.fail(wrong);
  }

  #look<A>(see: (room: Room) => A): Effect.Effect<A, SyncFailure> {
    return this.#connection.asking("semaphore", async () => see(await this.#seat.look()));
  }
}
inspectable(SharedSemaphore);
