/**
 * A lock as its users have it, with and without memory of which fiber has it.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { register } from "../hosted/handles.ts";
import type { Held, Lock, Statistics } from "../Lock.ts";
import { after } from "../os/timer.ts";
import type { Family } from "../region/family.ts";
import { Lock as Protocol, type Outcome } from "../region/lock.ts";
import type { Words } from "../region/words.ts";
import type { RLock } from "../RLock.ts";
import { SyncError } from "./errors.ts";
import { type Described, type Failure, type Owner, Shared } from "./object.ts";
import { currentFiber, held, LATER, step } from "./waiting.ts";

export const TypeId = "~multiprocessing/Lock";
export const RTypeId = "~multiprocessing/RLock";

const CLEAN: Held = { abandoned: false };
const LOST: Held = { abandoned: true };

const notOwner = (what: string): SyncError =>
  new SyncError(
    "NotOwner",
    `Cannot release the ${what}: it is not held by ${what === "lock" ? "this process" : "this fiber"}`,
  );

/** What a condition needs of its lock. */
export interface Guard {
  /** Whether this fiber may wait with it. Throws a {@link Failure}. */
  readonly mine: () => boolean;
  /** Gives it up, however often it was taken. */
  readonly giveUp: () => unknown;
  /** Takes it again as it was. */
  readonly takeBack: (saved: unknown) => Effect.Effect<void, Failure>;
}

/** Marks locks that a condition can have. */
export const GuardId = "~multiprocessing/Guard";

/** Holds something while an effect runs. */
export const around = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  release: Effect.Effect<void, unknown>,
  effect: Effect.Effect<A, E, R>,
  onAbandoned: Effect.Effect<unknown, E3, R3> | undefined,
): Effect.Effect<A, E | E2 | E3, R | R3> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(take), ({ abandoned }) => {
      const body: Effect.Effect<A, E | E3, R | R3> = abandoned && onAbandoned !== undefined
        ? Effect.zipRight(onAbandoned, effect)
        : effect;
      // Whoever has released it himself, or whose object is gone, has nothing to hear of that.
      return Effect.ensuring(restore(body), Effect.ignore(release));
    })
  );

/** Holds something as long as the scope is open. */
export const scoped = <A, E>(
  take: Effect.Effect<A, E>,
  release: () => Effect.Effect<void, unknown>,
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(take), () => Effect.addFinalizer(() => Effect.ignore(release())))
  );

const receive = (outcome: Outcome): Held => outcome === "abandoned" ? LOST : CLEAN;

/** The implementation of {@link Lock}. */
export class LockClient extends Shared<Protocol> implements Lock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(described: Described) {
    super("lock", described);
  }

  protected override make(words: Words, at: number, family: Family): Protocol {
    return new Protocol(words, at, family);
  }

  readonly take: Effect.Effect<Held, Failure> = step(
    () => {
      const lock = this.object;
      return lock.tryTake() ? lock.abandoned ? LOST : CLEAN : LATER;
    },
    held((done) => {
      const lock = this.object;
      const leave = lock.wait((outcome) =>
        done(outcome === "gone" ? Effect.fail(this.gone()) : Effect.succeed(receive(outcome)))
      );
      return () => leave() || void this.there?.release();
    }),
  );

  readonly tryTake: Effect.Effect<boolean, Failure> = step(() => this.object.tryTake());

  readonly release: Effect.Effect<void, Failure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope> = scoped(this.take, () => this.release);

  readonly withLock: Lock["withLock"] = (effect, options) =>
    around(this.take, this.release, effect, options?.onAbandoned);

  readonly isLocked: Effect.Effect<boolean, Failure> = step(() => this.object.owner !== 0);

  readonly isMine: Effect.Effect<boolean, Failure> = step(() => this.object.mine);

  readonly owner: Effect.Effect<Option.Option<Owner>, Failure> = step(() =>
    Option.fromNullable(this.ownerOf(this.object.owner))
  );

  readonly statistics: Effect.Effect<Statistics, Failure> = step(() =>
    statistics(this.object, this.ownerOf(this.object.owner))
  );

  unsafeTryTake(): boolean {
    return this.object.tryTake();
  }

  unsafeRelease(): void {
    if (!this.object.release()) throw notOwner("lock");
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.object.mine,
      giveUp: () => this.unsafeRelease(),
      takeBack: () => Effect.asVoid(this.take),
    };
  }
}

const statistics = (lock: Protocol, owner: Owner | undefined): Statistics => ({
  owner: Option.fromNullable(owner),
  abandoned: lock.abandoned,
  waiting: lock.waiting,
  waitingProcesses: lock.marks,
});

/** The lock, and which fiber of this process has it how often. */
interface Nested {
  readonly lock: Protocol;
  owner: number;
  depth: number;
}

const NOBODY = -1;

const fiberId = (): number => currentFiber()?.id().id ?? NOBODY;

const notIn = (): SyncError =>
  new SyncError("NotOwner", "Cannot take the lock: an RLock belongs to a fiber, and no fiber runs here");

/** The implementation of {@link RLock}. */
export class RLockClient extends Shared<Nested> implements RLock {
  readonly [RTypeId]: typeof RTypeId = RTypeId;

  constructor(described: Described) {
    super("rlock", described);
  }

  protected override make(words: Words, at: number, family: Family): Nested {
    return { lock: new Protocol(words, at, family), owner: NOBODY, depth: 0 };
  }

  readonly take: Effect.Effect<Held, Failure> = step(
    () => this.#tryTake(1) ?? LATER,
    this.#wait(1, undefined, (taken) => taken!),
  );

  readonly takeWithin = (duration: Duration.DurationInput): Effect.Effect<boolean, Failure> =>
    step(
      () => this.#tryTake(1) !== undefined || LATER,
      this.#wait(1, Duration.toMillis(duration), (taken) => taken !== undefined),
    );

  readonly tryTake: Effect.Effect<boolean, Failure> = step(() => this.unsafeTryTake());

  readonly release: Effect.Effect<void, Failure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope> = Effect.suspend(() => {
    // The scope may be closed by another fiber.
    const owner = fiberId();
    return scoped(this.take, () => step(() => this.#release(owner)));
  });

  readonly withLock: RLock["withLock"] = (effect, options) =>
    around(this.take, this.release, effect, options?.onAbandoned);

  readonly isLocked: Effect.Effect<boolean, Failure> = step(() => this.object.lock.owner !== 0);

  readonly isMine: Effect.Effect<boolean, Failure> = step(() => this.#mine());

  readonly depth: Effect.Effect<number, Failure> = step(() => this.#mine() ? this.object.depth : 0);

  readonly owner: Effect.Effect<Option.Option<Owner>, Failure> = step(() =>
    Option.fromNullable(this.ownerOf(this.object.lock.owner))
  );

  readonly statistics: Effect.Effect<Statistics, Failure> = step(() => {
    const { lock } = this.object;
    return statistics(lock, this.ownerOf(lock.owner));
  });

  unsafeTryTake(): boolean {
    return this.#tryTake(1) !== undefined;
  }

  unsafeRelease(): void {
    this.#release(fiberId());
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.#mine(),
      giveUp: () => {
        const nested = this.object;
        const { depth } = nested;
        nested.depth = 1;
        this.#release(nested.owner);
        return depth;
      },
      takeBack: (depth) =>
        Effect.asVoid(step(
          () => this.#tryTake(depth as number) ?? LATER,
          this.#wait(depth as number, undefined, (taken) => taken!),
        )),
    };
  }

  #mine(): boolean {
    const { lock, owner } = this.object;
    return owner === fiberId() && owner !== NOBODY && lock.mine;
  }

  #tryTake(depth: number): Held | undefined {
    const nested = this.object;
    const me = fiberId();
    if (me === NOBODY) throw notIn();
    if (nested.owner === me) nested.depth += depth;
    else if (nested.owner === NOBODY && nested.lock.tryTake()) {
      nested.owner = me;
      nested.depth = depth;
      this.keep(true);
    } else return undefined;
    return nested.lock.abandoned ? LOST : CLEAN;
  }

  #release(owner: number): void {
    const nested = this.object;
    if (nested.owner === NOBODY || nested.owner !== owner) throw notOwner("rlock");
    if (--nested.depth > 0) return;
    nested.owner = NOBODY;
    this.keep(false);
    nested.lock.release();
  }

  /** Waits in the line of this process; gives `undefined` if the time is over first. */
  #wait<A>(depth: number, millis: number | undefined, give: (taken: Held | undefined) => A): Effect.Effect<A, Failure> {
    return Effect.suspend(() => {
      const me = fiberId();
      return held<A, Failure>((done) => {
        const nested = this.object;
        // It may be there by now, and is given before `wait` returns.
        let given = false;
        let stopTimer = (): void => {};
        const leave = nested.lock.wait((outcome) => {
          given = true;
          stopTimer();
          if (outcome === "gone") return done(Effect.fail(this.gone()));
          nested.owner = me;
          nested.depth = depth;
          this.keep(true);
          done(Effect.succeed(give(receive(outcome))));
        });
        let late = false;
        if (millis !== undefined && !given) {
          stopTimer = after(millis, () => {
            late = leave();
            if (late) done(Effect.succeed(give(undefined)));
          });
        }
        return () => {
          stopTimer();
          if (late || leave()) return;
          nested.owner = NOBODY;
          this.keep(false);
          this.there?.lock.release();
        };
      });
    });
  }
}

register("lock", (data) => new LockClient(data as Described));
register("rlock", (data) => new RLockClient(data as Described));
