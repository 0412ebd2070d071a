/**
 * A Stream as a plain value, made before `effect/Stream` is loaded, which costs a program that uses no streams a fifth of its start.
 *
 * A Stream of Effect 3 is any object with its mark and a `channel`. The channel below is what `Channel.flatMap` of an Effect makes;
 * its fields are those that the interpreter of channels in Effect 3 reads. `tests/api/starting_test.ts` runs one by its real interpreter.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import { pipeArguments } from "effect/Pipeable";
import type * as Stream from "effect/Stream";
import { lazily, type Lazy } from "./lazy.ts";

/** `effect/Stream`, for those who run or make Streams. */
export const streaming: Lazy<typeof Stream> = lazily(() => import("effect/Stream"));

const StreamTypeId = Symbol.for("effect/Stream");
const ChannelTypeId = Symbol.for("effect/Channel");

const pipeable = {
  pipe(): unknown {
    return pipeArguments(this, arguments);
  },
};

const variance = { _R: (_: never) => _, _E: (_: never) => _, _A: (_: never) => _ };

/** What follows on the end of an Effect: the channel of the Stream that it gives. */
const following = {
  _tag: "ContinuationK",
  onSuccess: (stream: { readonly channel: unknown }): unknown => stream.channel,
  onHalt: (cause: Cause.Cause<unknown>): unknown => Effect.failCause(cause),
  onExit(exit: Exit.Exit<{ readonly channel: unknown }, unknown>): unknown {
    return Exit.isFailure(exit) ? this.onHalt(exit.cause) : this.onSuccess(exit.value);
  },
};

/** `Stream.unwrap`, which needs `effect/Stream` only when it runs: the Effect loads it. */
export const late = <A, E, R, E2, R2>(
  made: Effect.Effect<Stream.Stream<A, E, R>, E2, R2>,
): Stream.Stream<A, E | E2, R | R2> => ({
  ...pipeable,
  [StreamTypeId]: variance,
  channel: { ...pipeable, [ChannelTypeId]: variance, _tag: "Fold", channel: made, k: following },
} as unknown as Stream.Stream<A, E | E2, R | R2>);

/** A Stream that is made with `effect/Stream` when it runs. */
export const lateStream = <A, E, R>(
  make: (module: typeof Stream) => Stream.Stream<A, E, R>,
): Stream.Stream<A, E, R> => late(streaming((module) => Effect.sync(() => make(module))));
