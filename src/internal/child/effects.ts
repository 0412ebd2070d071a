/**
 * The part of a child's server that needs Effect: handlers that return Effects and Streams, Schemas, layers. Loaded by `serve.ts`
 * with the first task that needs it.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import * as Tracer from "effect/Tracer";
import type { Backend } from "../../Backend.ts";
import { type Body, handles, load } from "../objects/handles.ts";
import { lateStream } from "../os/late_stream.ts";
import { handleHooks } from "../objects/stream_hook.ts";
import type { Link } from "../rpc/link.ts";
import { Credit, produce } from "../rpc/streams.ts";
import type { Provided } from "../../Task.ts";
import type { Definition } from "./tasks.ts";
import { fromCause, pretty } from "../codec/cause.ts";
import * as Codec from "../codec/codec.ts";
import { hooks as effectHooks } from "../codec/effect.ts";
import { EncodeError } from "../codec/errors.ts";
import type { ExitData } from "../codec/exits.ts";
import { isInstance } from "../codec/foreign.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { isEffect, isPromise, isStream } from "../codec/programs.ts";
import { Tag, TypeId } from "./backend.ts";
import * as Capabilities from "./capabilities.ts";
import * as Request from "./request.ts";
import type { AnySchema } from "./schemas.ts";
import { fork } from "./fork.ts";
import * as Reporter from "./reporter.ts";
import { asTask } from "./starting.ts";
import { Refused } from "./refusals.ts";
import type { OpenRequest, Progress } from "./open_request.ts";
import { type Nested, nested, self } from "../rpc/identity.ts";

/** A request to run. */
export interface Work {
  readonly open: OpenRequest;
  /** Name of the task. */
  readonly name: string;
  readonly definition: Definition;
  readonly args: ReadonlyArray<unknown>;
  /** The progress that was made without Effect. */
  readonly progress: Progress | undefined;
}

/** The Effect side of a running child. */
export interface Effects {
  readonly hooks: ReadonlyArray<Codec.Hook<Link>>;
  /** Loads the modules for the handles in a message; `undefined` if all are loaded. */
  readonly load: (message: Body) => Promise<void> | undefined;
  /** Runs a request and calls back with its exit, once. */
  readonly run: (work: Work, done: (exit: ExitData) => void) => void;
  /** Interrupts the running tasks, waits for their ends, and releases the layers. */
  readonly release: () => Promise<void>;
}

const loadSchemas = (): Promise<typeof import("./schemas.ts")> => import(import.meta.resolve("./schemas.ts"));

/**
 * The backend for handlers that start processes; its module is loaded with the first start. It is of the same kind as the backend of
 * the parent, and has the options that the parent passes on.
 */
const lazyBackend = (scope: Scope.Scope): Backend => {
  const worker = self().backend === "worker";
  const load = (): Promise<{ readonly make: (options: Nested) => Effect.Effect<Backend, never, Scope.Scope> }> =>
    import(worker ? import.meta.resolve("./worker_backend.ts") : import.meta.resolve("./subprocess_backend.ts"));
  const loading = Effect.cached(Effect.flatMap(
    Effect.promise(load),
    (module) => Scope.extend(module.make(nested()), scope),
  ));
  const loaded = Effect.runSync(loading);
  return {
    [TypeId]: TypeId,
    name: worker ? "worker" : "subprocess",
    capabilities: worker ? Capabilities.worker : Capabilities.subprocess,
    spawn: (command) => Effect.flatMap(loaded, (backend) => backend.spawn(command)),
  };
};

/** Prepares this process for running Effects. */
export const make = (link: Link): Effects => {
  const hooks = [...handleHooks("child"), handles, ...effectHooks];
  const scope = Effect.runSync(Scope.make());
  const memo = Effect.runSync(Layer.makeMemoMap);
  const backend = lazyBackend(scope);
  const layers = new Map<unknown, Fiber.Fiber<Runtime.Runtime<never>, unknown>>();
  const { observe } = nested();
  const reporter = observe && Reporter.make(link, observe);
  const fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>();

  // Not the runtime of a `runSync`, which has a scheduler of its own.
  const base = Runtime.defaultRuntime;

  /** A layer is built by a fiber of its own, so that the interruption of one task does not break it for others. */
  const build = (
    layer: Layer.Layer<never, unknown, Provided> | undefined,
  ): Effect.Effect<Runtime.Runtime<never>, unknown> => {
    if (layer === undefined) return Effect.succeed(base);
    let fiber = layers.get(layer);
    if (fiber === undefined) {
      const building = Scope.extend(Layer.toRuntimeWithMemoMap(layer, memo), scope);
      const services = Context.add(Context.make(Scope.Scope, scope), Tag, backend);
      fiber = Effect.runFork(asTask(Effect.provide(building, services)));
      layers.set(layer, fiber);
    }
    return Effect.flatten(Fiber.await(fiber));
  };

  /** The Effect of a request; `schemas` is needed if its task has Schemas. */
  const calls = (
    { open, name, definition, args, progress }: Work,
    schemas: typeof import("./schemas.ts") | undefined,
  ): Effect.Effect<unknown, unknown> => {
    const { options } = definition;
    const handler = definition.handler as (...args: ReadonlyArray<unknown>) => unknown;
    const success = options.success as AnySchema | undefined;
    const error = options.error as AnySchema | undefined;

    const failures = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
      schemas === undefined || error === undefined ? cause : schemas.encodeFailures(error, cause);

    const thrown = (value: unknown): Effect.Effect<never, unknown> =>
      schemas !== undefined && error !== undefined && schemas.isFailure(error, value)
        ? Effect.failCause(failures(Cause.fail(value)))
        : Effect.die(value);

    const invoke = (args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown> => {
      if (schemas === undefined || options.payload === undefined) return perform(() => handler(...args));
      const decoded = Effect.mapError(
        schemas.decodeArguments(options.payload, args),
        ({ message }) =>
          new Refused(
            "InvalidPayload",
            `Cannot run task "${name}": its payload Schema refuses the arguments: ${message}`,
          ),
      );
      return Effect.flatMap(decoded, (args) => perform(() => handler(...args)));
    };

    const perform = (evaluate: () => unknown): Effect.Effect<unknown, unknown> => {
      let value: unknown;
      try {
        value = evaluate();
      } catch (error) {
        return thrown(error);
      }
      if (typeof value !== "object" || value === null) return finish(value);
      if (isStream(value)) return emit(value as unknown as Stream.Stream<unknown, unknown>);
      if (isEffect(value)) {
        const effect = value as unknown as Effect.Effect<unknown, unknown>;
        return Effect.flatMap(Effect.catchAllCause(effect, (cause) => Effect.failCause(failures(cause))), finish);
      }
      if (!isPromise(value)) return finish(value);
      const promise = value;
      return Effect.matchEffect(Effect.tryPromise({ try: () => promise, catch: (error) => error }), {
        onFailure: thrown,
        onSuccess: finish,
      });
    };

    const finish = (value: unknown): Effect.Effect<unknown, unknown> =>
      schemas === undefined || success === undefined ? Effect.succeed(value) : schemas.encodeSuccess(success, value);

    const emit = (stream: Stream.Stream<unknown, unknown>): Effect.Effect<void, unknown> => {
      const credit = new Credit();
      open.onCredit = (count) => credit.add(count);
      credit.add(open.credit);
      const failing = lateStream(({ catchAllCause, failCause }) =>
        catchAllCause(stream, (cause) => failCause(failures(cause)))
      );
      return produce(failing, open.channel, credit, (elements) =>
        Effect.flatMap(
          success === undefined ? Effect.succeed(elements) : Effect.forEach(elements, finish),
          (elements) =>
            Effect.try({ try: () => Codec.encode(elements, { hooks, root: "result" }), catch: (error) => error }),
        ));
    };

    const { mode } = open.request;
    const resumed = progress && perform(() => progress.next);
    if (mode === Request.CALL) return resumed ?? invoke(args);
    const results = progress?.results ?? [];
    const rest = Effect.whileLoop({
      while: () => results.length < args.length,
      body: () => {
        const item = args[results.length];
        return invoke(mode === Request.MAP ? [item] : item as ReadonlyArray<unknown>);
      },
      step: (value) => void results.push(value),
    });
    const first = resumed === undefined ? Effect.void : Effect.map(resumed, (value) => void results.push(value));
    return Effect.as(Effect.zipRight(first, rest), results);
  };

  const run: Effects["run"] = (work, done) => {
    const { open, name, definition: { options } } = work;
    const { trace } = open.request;
    const needsSchemas = options.payload !== undefined || options.success !== undefined || options.error !== undefined;
    const called = needsSchemas
      ? Effect.flatMap(Effect.promise(loadSchemas), (schemas) => calls(work, schemas))
      : Effect.suspend(() => calls(work, undefined));
    const traced = trace === undefined ? called : Effect.withParentSpan(called, Tracer.externalSpan(trace));
    const program = Effect.flatMap(
      Effect.catchAllCause(
        build(options.layer),
        (cause) =>
          Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(
            new Refused(
              "LayerFailed",
              `Cannot run task "${name}": its layer failed: ${pretty(cause)}`,
              Cause.squash(cause),
            ),
          ),
      ),
      (services) =>
        Effect.annotateLogs("process", self().name)(
          Effect.provide(Effect.scoped(Effect.provideService(traced, Tag, backend)), services),
        ),
    );
    const observed = reporter === undefined ? program : reporter.observed(program);
    open.channel.begun();
    let isDone = false;
    const finish = (exit: ExitData): void => {
      if (isDone) return;
      isDone = true;
      if (reporter === undefined) return done(exit);
      reporter.flush();
      // The result would overtake a long report. A parent that has the result has the telemetry as well.
      link.flushed(() => done(exit));
    };
    const running = { fiber: undefined as Fiber.RuntimeFiber<unknown, unknown> | undefined };
    const fiber = running.fiber = fork(observed, (error) => {
      // The fiber never ends, so it must not be awaited.
      if (running.fiber !== undefined) fibers.delete(running.fiber);
      finish({ _tag: "Failure", cause: { _tag: "Die", defect: error, trace: [] } });
    });
    if (fiber === undefined) return;
    fibers.add(fiber);
    open.onCancel = () => fiber.unsafeInterruptAsFork(FiberId.none);
    fiber.addObserver((exit) => {
      fibers.delete(fiber);
      finish(exitData(exit));
    });
    if (open.cancelled) open.onCancel();
  };

  const release = (): Promise<void> =>
    Effect.runPromise(
      Effect.zipRight(Fiber.interruptAll([...fibers, ...layers.values()]), Scope.close(scope, Exit.void)),
    );

  return { hooks, load, run, release };
};

const exitData = (exit: Exit.Exit<unknown, unknown>): ExitData => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value };
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause));
  if (isInstance(failure, Refused)) {
    return { _tag: "Refused", reason: failure.reason, message: failure.message, cause: failure.cause };
  }
  if (isInstance(failure, MessageTooLarge)) return { _tag: "TooLarge", size: failure.size, limit: failure.limit };
  if (isInstance(failure, EncodeError)) return { _tag: "Unencodable", path: failure.path, reason: failure.reason };
  return { _tag: "Failure", cause: fromCause(exit.cause) };
};
