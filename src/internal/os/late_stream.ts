/**
 * Makes Streams without loading `effect/Stream`, which would cost a program that uses no streams a fifth of its start-up time.
 *
 * In Effect 3, a Stream is any object with the mark of a Stream and a `channel`. The channel below equals the result of
 * `Channel.flatMap` for an Effect, and has the fields that the channel interpreter of Effect 3 reads.
 * `tests/api/starting_test.ts` runs such a Stream with the real interpreter.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import { pipeArguments } from "effect/Pipeable";
import type * as Stream from "effect/Stream";
import { lazily, type Lazy } from "./lazy.ts";

/** `effect/Stream`, for code that runs or makes Streams. */
export const streaming: Lazy<typeof Stream> = lazily(() => import("effect/Stream"));

const StreamTypeId = Symbol.for("effect/Stream");
const ChannelTypeId = Symbol.for("effect/Channel");

const pipeable = {
  pipe(): unknown {
    return pipeArguments(this, arguments);
  },
};

const variance = { _R: (_: never) => _, _E: (_: never) => _, _A: (_: never) => _ };

/** The continuation of the Effect: the channel of its Stream, or its failure. */
const following = {
  _tag: "ContinuationK",
  onSuccess: (stream: { readonly channel: unknown }): unknown => stream.channel,
  onHalt: (cause: Cause.Cause<unknown>): unknown => Effect.failCause(cause),
  onExit(exit: Exit.Exit<{ readonly channel: unknown }, unknown>): unknown {
    return Exit.isFailure(exit) ? this.onHalt(exit.cause) : this.onSuccess(exit.value);
  },
};

/**
 * Like `Stream.unwrap`, but needs `effect/Stream` only when the Stream runs; the Effect loads it. Assembles the Stream from its parts,
 * which have no public types.
 */
export const late = <A, E, R, E2, R2>(
  made: Effect.Effect<Stream.Stream<A, E, R>, E2, R2>,
): Stream.Stream<A, E | E2, R | R2> => ({
  ...pipeable,
  [StreamTypeId]: variance,
  channel: { ...pipeable, [ChannelTypeId]: variance, _tag: "Fold", channel: made, k: following },
} as unknown as Stream.Stream<A, E | E2, R | R2>);

/** A Stream that `make` creates with `effect/Stream` when the Stream runs. */
export const lateStream = <A, E, R>(
  make: (module: typeof Stream) => Stream.Stream<A, E, R>,
): Stream.Stream<A, E, R> => late(streaming((module) => Effect.sync(() => make(module))));
