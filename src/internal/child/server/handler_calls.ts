/**
 * Calls the handler of a task, checks its arguments and results by Schemas, and turns its result, of any kind, into an Effect.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type * as Stream from "effect/Stream";
import { fromCause } from "../../codec/cause.ts";
import * as Codec from "../../codec/codec.ts";
import { EncodeError } from "../../codec/errors.ts";
import type { ExitData } from "../../codec/exits.ts";
import { isInstance } from "../../codec/foreign.ts";
import { MessageTooLarge } from "../../codec/message.ts";
import { isEffect, isPromise, isStream } from "../../codec/programs.ts";
import { lateStream } from "../../os/late_stream.ts";
import type { Link } from "../../rpc/link.ts";
import { Credit, produce } from "../../rpc/streams.ts";
import type { BatchProgress, OpenRequest } from "./open_requests.ts";
import { Refused } from "../refusals.ts";
import * as Request from "../request.ts";
import type { AnySchema } from "../schemas.ts";
import type { Definition } from "../tasks.ts";

/** The module that applies Schemas. */
export type Schemas = typeof import("../schemas.ts");

/** A request to run. */
export interface RequestWork {
  readonly open: OpenRequest;
  /** How the arguments are used, if not as the request says. */
  readonly mode?: number | undefined;
  /** Name of the task. */
  readonly name: string;
  readonly definition: Definition;
  readonly args: ReadonlyArray<unknown>;
  /** The progress that was made without Effect. */
  readonly progress: BatchProgress | undefined;
}

/** The data of an exit. */
export const exitData = (exit: Exit.Exit<unknown, unknown>): ExitData => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value };
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause));
  if (isInstance(failure, Refused)) {
    return { _tag: "Refused", reason: failure.reason, message: failure.message, cause: failure.cause };
  }
  if (isInstance(failure, MessageTooLarge)) return { _tag: "TooLarge", size: failure.size, limit: failure.limit };
  if (isInstance(failure, EncodeError)) return { _tag: "Unencodable", path: failure.path, reason: failure.reason };
  return { _tag: "Failure", cause: fromCause(exit.cause) };
};

/** The calls of one request. */
export class HandlerCalls {
  readonly #work: RequestWork;
  readonly #hooks: ReadonlyArray<Codec.Hook<Link>>;
  readonly #schemas: Schemas | undefined;
  readonly #handler: (...args: ReadonlyArray<unknown>) => unknown;
  readonly #success: AnySchema | undefined;
  readonly #error: AnySchema | undefined;

  /** `schemas` is needed if the task has Schemas. */
  constructor(work: RequestWork, hooks: ReadonlyArray<Codec.Hook<Link>>, schemas: Schemas | undefined) {
    const { handler, options } = work.definition;
    this.#work = work;
    this.#hooks = hooks;
    this.#schemas = schemas;
    this.#handler = handler as (...args: ReadonlyArray<unknown>) => unknown;
    this.#success = options.success as AnySchema | undefined;
    this.#error = options.error as AnySchema | undefined;
  }

  /** All calls of the request, with their encoded results. */
  run(): Effect.Effect<unknown, unknown> {
    const { args, open: { request }, progress } = this.#work;
    const { settled } = request;
    const mode = this.#work.mode ?? request.mode;
    const item = (effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
      settled ? Effect.map(Effect.exit(effect), exitData) : effect;
    const resumed = progress && item(this.#perform(() => progress.next));
    if (mode === Request.CALL) return resumed ?? this.#invoke(args);
    const reduce = mode === Request.REDUCE;
    const results = progress?.results ?? (reduce ? [args[0]] : []);
    const rest = Effect.whileLoop({
      while: () => results.length < args.length,
      body: () => {
        const next = args[results.length];
        if (reduce) return this.#invoke([results[results.length - 1], next]);
        return item(this.#invoke(mode === Request.STARMAP ? next as ReadonlyArray<unknown> : [next]));
      },
      step: (value) => {
        // Of the results so far only the last one is needed.
        if (reduce) results[results.length - 1] = undefined;
        results.push(value);
      },
    });
    const first = resumed === undefined ? Effect.void : Effect.map(resumed, (value) => void results.push(value));
    const all = Effect.zipRight(first, rest);
    if (mode === Request.MAP_UNTIL) {
      return Effect.matchCause(all, {
        onFailure: (cause): Request.Part => ({ results, exit: exitData(Exit.failCause(cause)) }),
        onSuccess: () => results,
      });
    }
    return reduce ? Effect.map(all, () => results[results.length - 1]) : Effect.as(all, results);
  }

  /** One call. */
  #invoke(args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown> {
    const { definition: { options }, name } = this.#work;
    if (this.#schemas === undefined || options.payload === undefined) {
      return this.#perform(() => this.#handler(...args));
    }
    const decoded = Effect.mapError(
      this.#schemas.decodeArguments(options.payload, args),
      ({ message }) =>
        new Refused(
          "InvalidPayload",
          `Cannot run task "${name}": its payload Schema refuses the arguments: ${message}`,
        ),
    );
    return Effect.flatMap(decoded, (args) => this.#perform(() => this.#handler(...args)));
  }

  /** Runs the value, Promise, Effect or Stream that `evaluate` returns. */
  #perform(evaluate: () => unknown): Effect.Effect<unknown, unknown> {
    let value: unknown;
    try {
      value = evaluate();
    } catch (error) {
      return this.#thrown(error);
    }
    if (typeof value !== "object" || value === null) return this.#encoded(value);
    if (isStream(value)) return this.#emit(value);
    if (isEffect(value)) {
      return Effect.flatMap(
        Effect.catchAllCause(value, (cause) => Effect.failCause(this.#failures(cause))),
        (result) => this.#encoded(result),
      );
    }
    if (!isPromise(value)) return this.#encoded(value);
    const promise = value;
    return Effect.matchEffect(Effect.tryPromise({ try: () => promise, catch: (error) => error }), {
      onFailure: (error) => this.#thrown(error),
      onSuccess: (result) => this.#encoded(result),
    });
  }

  /** Sends the elements of a Stream, as far as the caller has given credit. */
  #emit(stream: Stream.Stream<unknown, unknown>): Effect.Effect<void, unknown> {
    const { open } = this.#work;
    const hooks = this.#hooks;
    const credit = new Credit();
    open.onCredit = (count) => credit.add(count);
    credit.add(open.credit);
    const failing = lateStream(({ catchAllCause, failCause }) =>
      catchAllCause(stream, (cause) => failCause(this.#failures(cause)))
    );
    return produce(failing, open.channel, credit, (elements) =>
      Effect.flatMap(
        this.#success === undefined
          ? Effect.succeed(elements)
          : Effect.forEach(elements, (element) => this.#encoded(element)),
        (elements) =>
          Effect.try({ try: () => Codec.encode(elements, { hooks, root: "result" }), catch: (error) => error }),
      ));
  }

  /** A result, encoded by the Schema if there is one. */
  #encoded(value: unknown): Effect.Effect<unknown, unknown> {
    return this.#schemas === undefined || this.#success === undefined
      ? Effect.succeed(value)
      : this.#schemas.encodeSuccess(this.#success, value);
  }

  /** Typed failures, encoded by the Schema if there is one. */
  #failures(cause: Cause.Cause<unknown>): Cause.Cause<unknown> {
    return this.#schemas === undefined || this.#error === undefined
      ? cause
      : this.#schemas.encodeFailures(this.#error, cause);
  }

  /** A thrown value is a typed failure if the Schema for errors accepts it. */
  #thrown(value: unknown): Effect.Effect<never, unknown> {
    return this.#schemas !== undefined && this.#error !== undefined && this.#schemas.isFailure(this.#error, value)
      ? Effect.failCause(this.#failures(Cause.fail(value)))
      : Effect.die(value);
  }
}
