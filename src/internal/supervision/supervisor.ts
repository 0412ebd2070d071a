/**
 * Implementation of the module `Supervisor`: one fiber starts, ends and restarts all children, so their order is certain.
 *
 * - A child is a fiber. Each start of it has a number; the news of an older start is ignored.
 * - Children are started in their order and ended in the reverse order, each end awaited.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Clock from "effect/Clock";
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Queue from "effect/Queue";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import type * as Supervisor from "../../Supervisor.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { SupervisorError } from "./errors.ts";

const INTENSITY: Supervisor.Intensity = { restarts: 3, within: "5 seconds" };

const { count, effect, func, name, oneOf, optional, options: isOptions } = Arguments;

const isIntensity = isOptions({ restarts: count, within: positiveDuration });

const optionChecks: Arguments.Checks = {
  strategy: optional(oneOf("oneForOne", "oneForAll", "restForOne")),
  intensity: optional(isIntensity),
  backoff: optional(Arguments.schedule),
  onEvent: optional(func),
};

const childChecks: Arguments.Checks = {
  name,
  run: effect,
  restart: optional(oneOf("permanent", "transient", "temporary")),
};

const wrongOptions = (children: unknown, options: unknown): SupervisorError | undefined => {
  const list = Array.isArray(children) ? children as ReadonlyArray<{ readonly name: string }> : [];
  const names = list.map((child) => child?.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  const wrong = Arguments.wrongOptions(options, optionChecks) ??
    Arguments.wrong({ children }, { children: Arguments.list }) ??
    list.map((child) => {
      const wrong = isOptions(childChecks)(child);
      return wrong === undefined ? undefined : `a child ${wrong}`;
    }).find((wrong) => wrong !== undefined) ??
    (twice === undefined
      ? undefined
      : `children must have different names, received two with ${Arguments.show(twice)}`);
  return wrong === undefined ? undefined : new SupervisorError({
    reason: "InvalidOption",
    message: Arguments.invalidOption("supervisor", wrong),
  });
};

type Restart = NonNullable<Supervisor.Child<never>["restart"]>;

/** A child with its state. */
interface Entry<R> {
  readonly name: string;
  readonly run: Effect.Effect<unknown, unknown, R>;
  readonly restart: Restart;
  /** Number of its starts. */
  starts: number;
  startedAt: number;
  fiber: Fiber.RuntimeFiber<void> | undefined;
  /** The wait before its next start. */
  pending: Fiber.RuntimeFiber<void> | undefined;
  state: Supervisor.ChildState["state"];
  readonly next: (failure: unknown) => Effect.Effect<unknown, unknown>;
  readonly reset: Effect.Effect<void>;
}

/** A message to the supervising fiber. */
type Message =
  | {
    readonly _tag: "Ended";
    readonly index: number;
    readonly start: number;
    readonly exit: Exit.Exit<unknown, unknown>;
  }
  | { readonly _tag: "Due"; readonly index: number; readonly start: number }
  | { readonly _tag: "Exhausted"; readonly index: number; readonly start: number; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Restart"; readonly index: number; readonly done: Deferred.Deferred<void> };

/** Makes a supervisor; see `Supervisor.make`. */
export const make = <R>(
  children: ReadonlyArray<Supervisor.Child<R>>,
  options: Supervisor.Options,
): Effect.Effect<Supervisor.Supervisor, SupervisorError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions(children, options);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { backoff = Schedule.forever, intensity = INTENSITY, strategy = "oneForOne" } = options;
    const messages = yield* Queue.unbounded<Message>();
    const result = yield* Deferred.make<void, SupervisorError>();
    const restarts: Array<number> = [];
    let total = 0;

    const entries: Array<Entry<R>> = [];
    for (const { name, restart = "permanent", run } of children) {
      const driver = yield* Schedule.driver(backoff);
      entries.push({
        name,
        run,
        restart,
        starts: 0,
        startedAt: 0,
        fiber: undefined,
        pending: undefined,
        state: "Waiting",
        next: (failure) => driver.next(failure),
        reset: driver.reset,
      });
    }

    const tell = (event: Supervisor.Event): Effect.Effect<void> => {
      const { onEvent } = options;
      if (onEvent === undefined) return Effect.void;
      return Effect.catchAllCause(
        Effect.asVoid(Effect.suspend(() => onEvent(event))),
        (cause) => Effect.logError("The onEvent of a supervisor failed", cause),
      );
    };

    const start = (index: number): Effect.Effect<void, never, R> =>
      Effect.gen(function* () {
        const entry = entries[index];
        const start = ++entry.starts;
        entry.startedAt = yield* Clock.currentTimeMillis;
        entry.state = "Running";
        yield* tell({ _tag: "Started", name: entry.name, starts: start });
        const ran = Effect.flatMap(
          Effect.exit(Effect.interruptible(entry.run)),
          (exit) => Effect.asVoid(Queue.offer(messages, { _tag: "Ended", index, start, exit })),
        );
        entry.fiber = yield* Effect.forkDaemon(Effect.uninterruptible(ran));
      });

    /** Ends a child, or its wait for the next start. */
    const stop = (index: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const entry = entries[index];
        const { fiber, pending } = entry;
        entry.fiber = entry.pending = undefined;
        // Its end is no news.
        if (entry.state === "Running" || entry.state === "Waiting") entry.state = "Stopped";
        const all = [fiber, pending].filter((fiber) => fiber !== undefined);
        return Fiber.interruptAll(all);
      });

    const inReverse = (indices: ReadonlyArray<number>): Effect.Effect<void> =>
      Effect.forEach(indices.toReversed(), stop, { discard: true });

    /** The children that are restarted with one of them. Those that are over for good are left alone. */
    const together = (index: number): ReadonlyArray<number> => {
      const all = entries.map((_, i) => i);
      const affected = strategy === "oneForOne"
        ? [index]
        : strategy === "oneForAll"
        ? all
        : all.filter((i) => i >= index);
      return affected.filter((i) => i === index || entries[i].state !== "Ended");
    };

    const giveUp = (
      reason: "TooManyRestarts" | "NoMoreRestarts",
      name: string,
      why: string,
      cause: Cause.Cause<unknown>,
    ): Effect.Effect<void> =>
      Effect.zipRight(
        inReverse(entries.map((_, i) => i)),
        Deferred.fail(
          result,
          new SupervisorError({ reason, message: `Cannot restart child "${name}": ${why}`, cause }),
        ),
      );

    const ended = (index: number, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
      Effect.gen(function* () {
        const entry = entries[index];
        entry.fiber = undefined;
        const failed = Exit.isFailure(exit);
        const cause: Cause.Cause<unknown> = failed ? exit.cause : Cause.empty;
        yield* tell({ _tag: "Ended", name: entry.name, exit });
        const again = entry.restart === "permanent" || entry.restart === "transient" && failed;
        if (!again) {
          entry.state = "Ended";
          if (entries.every(({ state }) => state === "Ended")) yield* Deferred.succeed(result, undefined);
          return;
        }
        const within = Duration.toMillis(intensity.within);
        const now = yield* Clock.currentTimeMillis;
        restarts.push(now);
        while (restarts[0] < now - within) restarts.shift();
        if (restarts.length > intensity.restarts) {
          const why = `children had to be restarted more than ${intensity.restarts} times within ${
            Duration.format(intensity.within)
          }`;
          return yield* giveUp("TooManyRestarts", entry.name, why, cause);
        }
        if (now - entry.startedAt > within) yield* entry.reset;
        yield* inReverse(together(index).filter((i) => i !== index));
        entry.state = "Waiting";
        const failure = failed ? Cause.squash(cause) : undefined;
        const due = Effect.matchEffect(entry.next(failure), {
          onFailure: () => Queue.offer(messages, { _tag: "Exhausted" as const, index, start: entry.starts, cause }),
          onSuccess: () => Queue.offer(messages, { _tag: "Due" as const, index, start: entry.starts }),
        });
        entry.pending = yield* Effect.forkDaemon(Effect.interruptible(Effect.asVoid(due)));
      });

    const restart = (index: number): Effect.Effect<void, never, R> =>
      Effect.gen(function* () {
        entries[index].pending = undefined;
        total++;
        const indices = together(index);
        yield* inReverse(indices);
        yield* Effect.forEach(indices, start, { discard: true });
      });

    const handle = (message: Message): Effect.Effect<void, never, R> => {
      const entry = entries[message.index];
      if (message._tag === "Restart") {
        return Effect.zipRight(restart(message.index), Deferred.succeed(message.done, undefined));
      }
      if (message.start !== entry.starts) return Effect.void;
      switch (message._tag) {
        case "Ended":
          return entry.fiber === undefined ? Effect.void : ended(message.index, message.exit);
        case "Due":
          return entry.pending === undefined ? Effect.void : restart(message.index);
        case "Exhausted":
          return entry.pending === undefined
            ? Effect.void
            : giveUp("NoMoreRestarts", entry.name, "its back-off has ended", message.cause);
      }
    };

    const over = new SupervisorError({ reason: "Stopped", message: "Cannot go on: the supervisor was stopped" });
    const supervise = Effect.gen(function* () {
      yield* Effect.forEach(entries, (_, index) => start(index), { discard: true });
      if (entries.length === 0) yield* Deferred.succeed(result, undefined);
      while (!(yield* Deferred.isDone(result))) {
        yield* handle(yield* Effect.interruptible(Queue.take(messages)));
      }
    });
    const stopped = Effect.zipRight(inReverse(entries.map((_, i) => i)), Deferred.fail(result, over));
    const fiber = yield* Effect.acquireRelease(
      Effect.forkDaemon(Effect.uninterruptible(Effect.ensuring(supervise, stopped))),
      (fiber) => Fiber.interrupt(fiber),
    );

    return {
      await: Deferred.await(result),
      stop: Effect.asVoid(Fiber.interrupt(fiber)),
      restart: (name) =>
        Effect.suspend(() => {
          const index = entries.findIndex((entry) => entry.name === name);
          if (index < 0) {
            const message = `Cannot restart a child: the name must be that of a child, received ${
              Arguments.show(name)
            }`;
            return Effect.fail(new SupervisorError({ reason: "UnknownChild", message }));
          }
          return Effect.flatMap(Deferred.make<void>(), (done) =>
            Effect.zipRight(
              Queue.offer(messages, { _tag: "Restart", index, done }),
              Effect.raceFirst(
                Deferred.await(done),
                Effect.zipRight(Effect.exit(Deferred.await(result)), Effect.fail(over)),
              ),
            ));
        }),
      statistics: Effect.sync(() => ({
        restarts: total,
        children: entries.map(({ name, starts, state }) => ({ name, starts, state })),
      })),
    };
  });
