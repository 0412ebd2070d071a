/**
 * Waiting for several submissions: for the first, for all, or for each as it settles.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";
import type { Submission, Waited, WaitOptions } from "../../Pool.ts";
import * as Checks from "./checks.ts";
import type { PoolError } from "./errors.ts";
import type { Submitted } from "./submissions.ts";

type Any = Submission<unknown, unknown>;

/** Watches submissions that have not settled. Returns a function that stops watching. */
const watch = (submissions: Iterable<Any>, settled: (submission: Any) => void): () => void => {
  const stops: Array<() => void> = [];
  for (const submission of submissions) {
    stops.push((submission as Submitted<unknown, unknown>).onSettled(() => settled(submission)));
  }
  return () => {
    for (const stop of stops) stop();
  };
};

const exitOf = (submission: Any): Exit.Exit<unknown, unknown> | undefined =>
  (submission as Submitted<unknown, unknown>).exit;

/** See `Pool.wait`. */
export const wait = <S extends Any>(
  submissions: Iterable<S>,
  options: WaitOptions,
): Effect.Effect<Waited<S>, PoolError> =>
  Effect.suspend(() => {
    const wrong = Checks.wrongSubmissions("wait", submissions, options);
    if (wrong !== undefined) return Effect.fail(wrong);
    const { returnWhen = "allCompleted", timeout } = options;
    const all = [...new Set(submissions)];
    const isPending = (submission: S): boolean => exitOf(submission) === undefined;
    let pending = all.filter(isPending).length;
    const ends = (submission: Any): boolean => {
      const exit = exitOf(submission);
      return exit !== undefined &&
        (returnWhen === "firstCompleted" || returnWhen === "firstFailure" && Exit.isFailure(exit));
    };
    const found = Effect.sync((): Waited<S> => ({
      done: all.filter((submission) => !isPending(submission)),
      pending: all.filter(isPending),
    }));
    if (pending === 0 || all.some(ends)) return found;
    const over = Effect.async<void>((resume) => {
      const stop = watch(all.filter(isPending), (submission) => {
        pending--;
        if (pending === 0 || ends(submission)) resume(Effect.void);
      });
      return Effect.sync(stop);
    });
    const limited = timeout === undefined || !Duration.isFinite(Duration.decode(timeout))
      ? over
      : Effect.timeoutOption(over, timeout);
    return Effect.zipRight(limited, found);
  });

/** See `Pool.asCompleted`. */
export const asCompleted = <S extends Any>(submissions: Iterable<S>): Stream.Stream<S, PoolError> =>
  Stream.unwrapScoped(Effect.suspend(() => {
    const wrong = Checks.wrongSubmissions("asCompleted", submissions, {});
    if (wrong !== undefined) return Effect.fail(wrong);
    const all = [...new Set(submissions)];
    const pending = new Set(all.filter((submission) => exitOf(submission) === undefined));
    let ready = all.filter((submission) => !pending.has(submission));
    let wake = (): void => {};
    const take: Effect.Effect<Chunk.Chunk<S>, Option.Option<never>> = Effect.suspend(() => {
      if (ready.length > 0) {
        const chunk = Chunk.unsafeFromArray(ready);
        ready = [];
        return Effect.succeed(chunk);
      }
      if (pending.size === 0) return Effect.fail(Option.none());
      return Effect.zipRight(Effect.async<void>((resume) => void (wake = () => resume(Effect.void))), take);
    });
    const watching = Effect.acquireRelease(
      Effect.sync(() =>
        watch([...pending], (submission) => {
          pending.delete(submission as S);
          ready.push(submission as S);
          wake();
        })
      ),
      (stop) => Effect.sync(stop),
    );
    return Effect.as(watching, Stream.repeatEffectChunkOption(take));
  }));
