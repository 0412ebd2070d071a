/**
 * Groups of Effects that run at the same time, such as calls of a pool or processes: all, any, the first few, until one will do, or as
 * many as are done at a deadline.
 *
 * - A group is one Effect. When it returns, fails or is interrupted, all its members have ended: those that are not needed any more are
 *   interrupted, and their ends awaited. A call of a pool that is interrupted frees its worker.
 * - Members begin in their order, at most `concurrency` at a time.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Exit, Option } from "effect";
 *
 * const search = Mp.Task.make(import.meta, "search", (shelf: number) =>
 *   shelf === 3 ? Effect.succeed("found on shelf 3") : Effect.fail("nothing here"));
 *
 * const wait = Mp.Task.make(import.meta, "wait", (millis: number) => Effect.as(Effect.sleep(millis), millis));
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2, concurrency: 4 });
 *
 *   const shelves = [1, 2, 3, 4].map((shelf) => pool.apply(search, shelf));
 *   console.log(yield* Mp.Group.any(shelves));
 *
 *   const waits = [60_000, 1, 2].map((millis) => pool.apply(wait, millis));
 *   console.log((yield* Mp.Group.first(waits, 2)).toSorted());
 *   console.log(yield* Mp.Group.until(waits, (millis) => millis > 1));
 *
 *   const exits = yield* Mp.Group.partial(waits, { deadline: "2 seconds" });
 *   console.log(exits.map(Option.match({ onNone: () => "late", onSome: Exit.isSuccess })));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * found on shelf 3
 * [ 1, 2 ]
 * 2
 * [ "late", true, true ]
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `concurrent.futures.wait(fs, return_when=ALL_COMPLETED)` | `Group.partial(members, { deadline: Infinity })`, or `pool.mapSettled`; `Pool.wait` stops nothing |
 * | `wait(fs, timeout)` | `Group.partial(members, { deadline })`; what is not done is interrupted, not left running |
 * | `wait(fs, return_when=FIRST_EXCEPTION)` | `Group.all(members)` |
 * | `wait(fs, return_when=FIRST_COMPLETED)` | `Group.any(members)` |
 * | `as_completed(fs)` | `pool.mapUnordered`, or `pool.mapStreamSettled(task, { unordered: true })` |
 * | `asyncio.TaskGroup` | `Group.all(members)` |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Exit from "effect/Exit";
import type * as Option from "effect/Option";
import type { GroupError } from "./internal/groups/errors.ts";
import { lazily } from "./internal/os/lazy.ts";

const implementation = lazily(() => import("./internal/groups/group.ts"));

export { GroupError } from "./internal/groups/errors.ts";

/** Options of a group. @since 0.1.0 @category models */
export interface Options {
  /** Maximal number of members that run at a time. @default unlimited */
  readonly concurrency?: number | undefined;
}

/** Options of {@link partial}. @since 0.1.0 @category models */
export interface PartialOptions extends Options {
  /** How long the group may take, from its begin. May be infinite. */
  readonly deadline: Duration.DurationInput;
}

/**
 * Runs all members, and returns their values in their order. The first failure ends the group with it.
 *
 * *Interruption:* interrupts the members, and waits until they have ended.
 *
 * @since 0.1.0
 * @category groups
 */
export const all = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: Options = {},
): Effect.Effect<Array<A>, E | GroupError, R> => implementation((module) => module.all(members, options));

/**
 * Returns the value of the first member that succeeds. Fails with the {@link GroupError} `TooFew` if none does, which has the causes of
 * all.
 *
 * *Interruption:* interrupts the members, and waits until they have ended.
 *
 * @since 0.1.0
 * @category groups
 */
export const any = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: Options = {},
): Effect.Effect<A, GroupError, R> => implementation((module) => module.any(members, options));

/**
 * Returns the values of the first `n` members that succeed, in the order in which they did. Fails with the {@link GroupError} `TooFew` if
 * fewer do.
 *
 * *Interruption:* interrupts the members, and waits until they have ended.
 *
 * @since 0.1.0
 * @category groups
 */
export const first = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  n: number,
  options: Options = {},
): Effect.Effect<Array<A>, GroupError, R> => implementation((module) => module.first(members, n, options));

/**
 * Returns the first value that the predicate accepts. Fails with the {@link GroupError} `TooFew` if there is none.
 *
 * *Interruption:* interrupts the members, and waits until they have ended.
 *
 * @since 0.1.0
 * @category groups
 */
export const until = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  predicate: (value: A) => boolean,
  options: Options = {},
): Effect.Effect<A, GroupError, R> => implementation((module) => module.until(members, predicate, options));

/**
 * Returns what there is at the deadline, or as soon as all members have ended: the Exit of each member in its place, and nothing for a
 * member that was not done, which has been interrupted.
 *
 * *Interruption:* interrupts the members, and waits until they have ended.
 *
 * @since 0.1.0
 * @category groups
 */
export const partial = <A, E, R>(
  members: Iterable<Effect.Effect<A, E, R>>,
  options: PartialOptions,
): Effect.Effect<Array<Option.Option<Exit.Exit<A, E>>>, GroupError, R> =>
  implementation((module) => module.partial(members, options));
