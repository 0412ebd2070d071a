/**
 * Runs the members of a group until there is enough, and ends those that are left.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";

/** Options of {@link run}. */
export interface Options<A, E> {
  /** Number of members that run at a time. */
  readonly concurrency: number;
  /** When the rest is interrupted in any case. */
  readonly deadline: Duration.DurationInput | undefined;
  /** Receives the Exit of each member, and returns whether there is enough. */
  readonly enough: (exit: Exit.Exit<A, E>, index: number) => boolean;
}

/**
 * Runs members in fibers of their own until all have ended, `enough` says so, or the deadline has passed. When it returns, all fibers
 * have ended. *Interruption:* interrupts the members, and waits for their ends.
 */
export const run = <A, E, R>(
  members: ReadonlyArray<Effect.Effect<A, E, R>>,
  { concurrency, deadline, enough }: Options<A, E>,
): Effect.Effect<void, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (members.length === 0) return;
      const done = yield* Deferred.make<void>();
      let next = 0;
      let open = members.length;
      let stopped = false;
      const one = Effect.suspend(() => {
        const index = next++;
        // Not `restore`: a group may run in an uninterruptible region, and must be able to end its members nevertheless.
        return Effect.flatMap(Effect.exit(Effect.interruptible(members[index])), (exit) => {
          open--;
          if (!stopped && (enough(exit, index) || open === 0)) stopped = true;
          return stopped ? Deferred.succeed(done, undefined) : Effect.void;
        });
      });
      const lane = Effect.whileLoop({
        while: () => !stopped && next < members.length,
        body: () => one,
        step: () => {},
      });
      const lanes: Array<Fiber.RuntimeFiber<void>> = [];
      for (let i = 0; i < Math.min(concurrency, members.length); i++) lanes.push(yield* Effect.forkDaemon(lane));
      const end = Effect.suspend(() => {
        stopped = true;
        return Fiber.interruptAll(lanes);
      });
      const wait = deadline === undefined
        ? Deferred.await(done)
        : Effect.asVoid(Effect.timeoutOption(Deferred.await(done), deadline));
      yield* Effect.ensuring(restore(wait), end);
    })
  );
