/**
 * The library's own types: how each is made, and which methods it exposes. The implementation of a type loads with its first object.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import type { Backend } from "../../../Backend.ts";
import { Tag } from "../../child/backend.ts";
import type { Options as PoolOptions } from "../../../Pool.ts";
import type { Options as QueueOptions, Queue } from "../../../Queue.ts";
import { lazily } from "../../os/lazy.ts";
import { pretty } from "../../codec/cause.ts";
import { isInstance } from "../../codec/foreign.ts";
import { count, positive, show } from "../../os/arguments.ts";
import type { Element } from "../../../ShareableList.ts";
import { barrierKind, barrierWithAction } from "../../sync/messages/barrier.ts";
import { conditionKind } from "../../sync/messages/condition.ts";
import { eventKind } from "../../sync/messages/event.ts";
import { lockKind } from "../../sync/messages/lock.ts";
import { semaphoreKind } from "../../sync/messages/semaphore.ts";
import { allocateHosted, type Kind as SyncKind } from "../../sync/object.ts";
import { MAX } from "../../sync/protocol/semaphore.ts";
import { ManagerError } from "../errors.ts";
import type { ProxyShape } from "../proxies/make.ts";
import { isProxy, TypeId } from "../proxies/remote.ts";
import { DictHost } from "./dict.ts";
import { ListHost } from "./list.ts";
import { PoolHost } from "./pool.ts";
import type { ObjectTable } from "./object_table.ts";
import { Thrown, toEffect } from "./results.ts";
import type { Tasks } from "./tasks.ts";
import { ArrayHost, ValueHost } from "./value.ts";

/** A new object; see `ManagedObject`. */
export interface NewObject {
  readonly target: object;
  readonly shape: ProxyShape | undefined;
  /** The handle, if it is not a proxy. */
  readonly handle: unknown;
  readonly close: Effect.Effect<unknown> | undefined;
}

/** The parts of a server that its objects use. */
export interface KindContext {
  readonly tasks: Tasks;
  readonly objects: ObjectTable;
  /** Runs an Effect with the services of the server. */
  readonly provide: <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>) => Effect.Effect<A, E>;
}

/** A type. */
export interface ServerType {
  readonly exposed: ReadonlySet<string>;
  /** Whether objects of the type cannot be made for other programs. */
  readonly familyOnly?: boolean;
  /** Returns a {@link NewObject}, or an Effect of one. The arguments come from another process. */
  readonly make: (context: KindContext, number: number, args: ReadonlyArray<unknown>) => unknown;
}

const newObject = (target: object, rest: Partial<NewObject> = {}): NewObject => ({
  target,
  shape: undefined,
  handle: undefined,
  close: undefined,
  ...rest,
});

/** The methods of a class, except those that only the server calls. */
const methodsOf = (Class: { readonly prototype: object }): ReadonlySet<string> =>
  new Set(Object.getOwnPropertyNames(Class.prototype).filter((name) => name !== "constructor" && name !== "lend"));

const simple = <Host extends object>(
  Class: { readonly prototype: object },
  make: (context: KindContext, args: ReadonlyArray<unknown>) => Host,
): ServerType => ({ exposed: methodsOf(Class), make: (context, _, args) => newObject(make(context, args)) });

/** An object that processes use by messages. `begin` sets its first state. */
const host = <P, S>(kind: SyncKind<P, S>, shape: S, rest: Partial<NewObject> = {}, begin?: (object: P) => void) => {
  const { free, gateway, own } = allocateHosted(kind, shape);
  begin?.(own());
  const { close = Effect.void } = rest;
  return newObject(gateway, { ...rest, close: Effect.zipRight(Effect.sync(free), close) });
};

const lock: ServerType = { exposed: new Set(), make: () => host(lockKind, undefined) };

const semaphore = (bounded: boolean): ServerType => ({
  exposed: new Set(),
  make: (_, __, [given]) => {
    const permits = given === undefined ? 1 : given;
    if (count(permits) !== undefined || (permits as number) > MAX) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a semaphore: its permits must be 0 or more, received ${show(permits)}`,
      );
    }
    const shape = { bound: bounded ? permits as number : MAX, reclaim: true };
    return host(semaphoreKind, shape, { shape }, (semaphore) => semaphore.begin(permits as number));
  },
});

const condition: ServerType = {
  exposed: new Set(),
  make: ({ objects }, _, [given]) => {
    const lock = isProxy(given) ? objects.hold(given[TypeId]) : undefined;
    if (lock === undefined || !["Lock", "RLock"].includes(lock.type)) {
      if (lock !== undefined) objects.release(lock);
      throw new ManagerError(
        "InvalidArguments",
        "Cannot make a Condition: its lock must be a Lock or RLock of this manager",
      );
    }
    return host(conditionKind, undefined, {
      shape: { lock: lock.number, recursive: lock.type === "RLock" },
      close: Effect.sync(() => objects.release(lock)),
    });
  },
};

const barrier: ServerType = {
  exposed: new Set(),
  make: ({ provide, tasks }, _, [parties, action]) => {
    if (positive(parties) !== undefined) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a barrier: its parties must be 1 or more, received ${show(parties)}`,
      );
    }
    const shape = { parties: parties as number };
    if (action === undefined) return host(barrierKind, shape.parties, { shape });
    const run = Effect.mapError(
      provide(toEffect(() => tasks.run(action))),
      (error) => isInstance(error, Thrown) ? error.error : error,
    );
    const reported = Effect.tapErrorCause(
      run,
      (cause) => Effect.logError(`The action of a barrier has failed: ${pretty(cause)}`),
    );
    const kind = barrierWithAction((done) =>
      void Effect.runCallback(reported, { onExit: (exit) => done(Exit.isSuccess(exit)) })
    );
    return host(kind, shape.parties, { shape });
  },
};

/** Makes an object in a scope that stays open for as long as the object lives. */
const scoped = <A>(
  make: Effect.Effect<A, unknown, unknown>,
  describe: (value: A) => Partial<NewObject> & { readonly target: object },
): Effect.Effect<NewObject, unknown, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.map(
        Effect.onError(
          restore(Effect.provideService(make, Scope.Scope, scope)),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        ),
        (value) => {
          const { target, ...rest } = describe(value);
          return newObject(target, { close: Scope.close(scope, Exit.void), ...rest });
        },
      ))
  );

const queues = lazily(() => import("../../queue/make.ts"));
const pools = lazily(() => import("../../pool/pool.ts"));
const values = lazily(() => import("../../values/constructors.ts"));

const queue = (constructor: "make" | "lifo" | "priority"): ServerType => ({
  exposed: new Set(),
  make: (_, __, [options]) =>
    scoped(
      queues((module) => {
        const make: (options: QueueOptions) => Effect.Effect<Queue<unknown>, unknown, Scope.Scope> =
          module[constructor];
        return make((options ?? {}) as QueueOptions);
      }),
      (queue) => ({ target: queue, handle: queue }),
    ),
});

/** Memory of the server's process. A process that receives its handle attaches it, and does not call the server. */
const memory = (
  make: (args: ReadonlyArray<unknown>) => Effect.Effect<object, unknown, Scope.Scope>,
): ServerType => ({
  exposed: new Set(),
  familyOnly: true,
  make: (_, __, args) => scoped(make(args), (target) => ({ target, handle: target })),
});

const pool: ServerType = {
  familyOnly: true,
  exposed: methodsOf(PoolHost),
  make: ({ tasks }, _, [options]) =>
    scoped(
      Effect.zipRight(
        tasks.loadAll,
        Effect.withSpan(
          Effect.flatMap(Tag, (backend) => pools(({ make }) => make(backend, (options ?? {}) as PoolOptions))),
          "Pool.make",
        ),
      ),
      (pool) => ({ target: new PoolHost(pool, tasks) }),
    ),
};

/** The types by Python's names. */
export const kinds: Readonly<Record<string, ServerType>> = {
  dict: simple(DictHost, ({ tasks }, [entries]) => new DictHost(tasks, entries as Iterable<[unknown, unknown]>)),
  list: simple(ListHost, ({ tasks }, [items]) => new ListHost(tasks, items as Iterable<unknown>)),
  Namespace: simple(DictHost, ({ tasks }, [attributes]) => new DictHost(tasks, Object.entries(attributes ?? {}))),
  Value: simple(ValueHost, ({ tasks }, [value]) => new ValueHost(tasks, value)),
  Array: simple(ArrayHost, ({ tasks }, [numbers]) => new ArrayHost(tasks, numbers)),
  Lock: lock,
  RLock: lock,
  Semaphore: semaphore(false),
  BoundedSemaphore: semaphore(true),
  Condition: condition,
  Event: { exposed: new Set(), make: () => host(eventKind, undefined) },
  Barrier: barrier,
  Queue: queue("make"),
  LifoQueue: queue("lifo"),
  PriorityQueue: queue("priority"),
  SharedMemory: memory(([size]) => values(({ memory }) => memory({ size: size as number }))),
  ShareableList: memory(([elements]) => values(({ list }) => list(elements as ReadonlyArray<Element>, {}))),
  Pool: pool,
};
