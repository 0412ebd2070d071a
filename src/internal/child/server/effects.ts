/**
 * The part of a child's server that needs Effect: it runs requests as fibers, with the layers of their tasks. Loaded by `serve.ts`
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
import * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import * as Tracer from "effect/Tracer";
import type { Backend } from "../../../Backend.ts";
import { type Body, handles, load } from "../../objects/handles.ts";
import { SmallSet } from "../../os/small.ts";
import { handleHooks } from "../../objects/stream_hook.ts";
import type { Link } from "../../rpc/link.ts";
import type { Provided } from "../../../Task.ts";
import { pretty } from "../../codec/cause.ts";
import * as Codec from "../../codec/codec.ts";
import { hooks as effectHooks } from "../../codec/effect.ts";
import type { ExitData } from "../../codec/exits.ts";
import { Tag, TypeId } from "../backend.ts";
import * as Capabilities from "../capabilities.ts";
import * as Portable from "../portable.ts";
import { fork } from "./fork.ts";
import * as Reporter from "./reporter.ts";
import { asTask } from "../starting.ts";
import { exitData, HandlerCalls, type RequestWork, type Schemas } from "./handler_calls.ts";
import { Refused } from "../refusals.ts";
import { own } from "../modules.ts";
import { type Nested, nested, self } from "../../rpc/identity.ts";

/** The Effect side of a running child. */
export interface Effects {
  readonly hooks: ReadonlyArray<Codec.Hook<Link>>;
  /** Loads the modules for the handles in a message; `undefined` if all are loaded. */
  readonly load: (message: Body) => Promise<void> | undefined;
  /** Runs a request and calls back with its exit, once. */
  readonly run: (work: RequestWork, done: (exit: ExitData) => void) => void;
  /** Interrupts the running tasks, waits for their ends, and releases the layers. */
  readonly release: () => Promise<void>;
}

const loadSchemas = (): Promise<Schemas> => import(own("../schemas.ts", import.meta));

/**
 * The backend for handlers that start processes; its module is loaded with the first start. It is of the same kind as the backend of
 * the parent, and has the options that the parent passes on.
 */
const lazyBackend = (scope: Scope.Scope): Backend => {
  const worker = self().backend === "worker";
  const load = (): Promise<{ readonly make: (options: Nested) => Effect.Effect<Backend, never, Scope.Scope> }> =>
    import(
      worker ? own("../backends/worker_backend.ts", import.meta) : own("../backends/subprocess_backend.ts", import.meta)
    );
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

/** Where Effects run, if not in a child process with its own runtime. */
export interface EffectHost {
  /** The backend for handlers that start processes. */
  readonly backend: Backend;
  /** Gives an Effect the surroundings of the place, such as a clock. */
  readonly within: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>;
}

/** Prepares this process for running Effects. */
export const make = (link: Link, place?: EffectHost): Effects => new EffectRunner(link, place);

type Running = Fiber.RuntimeFiber<unknown, unknown>;

/** Runs requests as fibers of this process. */
class EffectRunner implements Effects {
  readonly hooks: ReadonlyArray<Codec.Hook<Link>> = [...handleHooks("child"), handles, ...effectHooks];
  readonly load: Effects["load"] = load;
  readonly #link: Link;
  /** The scope of layers and of the backend. */
  readonly #scope: Scope.CloseableScope = Effect.runSync(Scope.make());
  readonly #memo: Layer.MemoMap = Effect.runSync(Layer.makeMemoMap);
  readonly #backend: Backend;
  readonly #within: EffectHost["within"];
  readonly #layers = new Map<unknown, Fiber.Fiber<Runtime.Runtime<never>, unknown>>();
  readonly #reporter: ReturnType<typeof Reporter.make> | undefined;
  readonly #fibers = new SmallSet<Running>();

  constructor(link: Link, place: EffectHost | undefined) {
    this.#link = link;
    this.#backend = place?.backend ?? lazyBackend(this.#scope);
    this.#within = place?.within ?? ((effect) => effect);
    const { observe } = nested();
    this.#reporter = observe && Reporter.make(link, observe);
  }

  run(work: RequestWork, done: (exit: ExitData) => void): void {
    const { open } = work;
    const program = this.#program(work);
    const observed = this.#reporter === undefined ? program : this.#reporter.observed(program);
    open.channel.begun();
    let isDone = false;
    const finish = (exit: ExitData): void => {
      if (isDone) return;
      isDone = true;
      this.#report(exit, done);
    };
    const running: { fiber: Running | undefined } = { fiber: undefined };
    const fiber = running.fiber = fork(this.#within(observed), (error) => {
      // The fiber never ends, so it must not be awaited.
      if (running.fiber !== undefined) this.#fibers.delete(running.fiber);
      finish({ _tag: "Failure", cause: { _tag: "Die", defect: error, trace: [] } });
    });
    if (fiber === undefined) return;
    this.#fibers.add(fiber);
    open.onCancel = () => fiber.unsafeInterruptAsFork(FiberId.none);
    fiber.addObserver((exit) => {
      this.#fibers.delete(fiber);
      finish(exitData(exit));
    });
    if (open.cancelled) open.onCancel();
  }

  release(): Promise<void> {
    return Effect.runPromise(
      Effect.zipRight(
        Fiber.interruptAll([...this.#fibers, ...this.#layers.values()]),
        Scope.close(this.#scope, Exit.void),
      ),
    );
  }

  /** The Effect of a request with all services of its task. */
  #program(work: RequestWork): Effect.Effect<unknown, unknown> {
    const { open, name, definition: { options } } = work;
    const { carried, trace } = open.request;
    const needsSchemas = options.payload !== undefined || options.success !== undefined || options.error !== undefined;
    const calls = needsSchemas
      ? Effect.flatMap(Effect.promise(loadSchemas), (schemas) => new HandlerCalls(work, this.hooks, schemas).run())
      : Effect.suspend(() => new HandlerCalls(work, this.hooks, undefined).run());
    const carrying = carried === undefined
      ? calls
      : Effect.suspend(() =>
        Portable.provide(Codec.decode(carried, { link: this.#link }) as Portable.Carried, name, calls)
      );
    const traced = trace === undefined ? carrying : Effect.withParentSpan(carrying, Tracer.externalSpan(trace));
    const services = Effect.catchAllCause(
      this.#build(options.layer),
      (cause) =>
        Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(
          new Refused(
            "LayerFailed",
            `Cannot run task "${name}": its layer failed: ${pretty(cause)}`,
            Cause.squash(cause),
          ),
        ),
    );
    return Effect.flatMap(services, (services) =>
      Effect.annotateLogs("process", self().name)(
        Effect.provide(Effect.scoped(Effect.provideService(traced, Tag, this.#backend)), services),
      ));
  }

  /** Builds a layer with a fiber of its own, so that the interruption of one task does not break it for others. */
  #build(layer: Layer.Layer<never, unknown, Provided> | undefined): Effect.Effect<Runtime.Runtime<never>, unknown> {
    // Not the runtime of a `runSync`, which has a scheduler of its own.
    if (layer === undefined) return Effect.succeed(Runtime.defaultRuntime);
    let fiber = this.#layers.get(layer);
    if (fiber === undefined) {
      const building = Scope.extend(Layer.toRuntimeWithMemoMap(layer, this.#memo), this.#scope);
      const services = Context.add(Context.make(Scope.Scope, this.#scope), Tag, this.#backend);
      fiber = Effect.runFork(asTask(this.#within(Effect.provide(building, services))));
      this.#layers.set(layer, fiber);
    }
    return Effect.flatten(Fiber.await(fiber));
  }

  /** Reports the exit once the telemetry has left: the exit would overtake a long report. */
  #report(exit: ExitData, done: (exit: ExitData) => void): void {
    if (this.#reporter === undefined) return done(exit);
    this.#reporter.flush();
    this.#link.flushed(() => done(exit));
  }
}
