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
import type { Element } from "../../../ShareableList.ts";
import type { Line } from "../../rpc/router.ts";
import { ManagerError } from "../errors.ts";
import type { ProxyShape } from "../proxies.ts";
import { isProxy, TypeId } from "../remote.ts";
import { DictHost } from "./dict.ts";
import { BarrierHost, EventHost } from "./event.ts";
import { ListHost } from "./list.ts";
import { ConditionHost, LockHost } from "./lock.ts";
import { PoolHost } from "./pool.ts";
import type { ObjectTable } from "./object_table.ts";
import { toEffect } from "./results.ts";
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
  /** Ends a call with a failure. */
  readonly fail: (line: Line, exit: Exit.Exit<unknown, unknown>) => void;
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

const lock = (make: (args: ReadonlyArray<unknown>) => LockHost, ...methods: ReadonlyArray<string>): ServerType => ({
  exposed: new Set(["value", "isLocked", "statistics", ...methods]),
  make: (_, __, args) => {
    const host = make(args);
    return newObject(host, { close: Effect.sync(() => host.close()) });
  },
});

const exclusive = lock(() => new LockHost(1, 1));

const condition: ServerType = {
  exposed: new Set(["waiting", "isLocked", "statistics"]),
  make: ({ objects }, number, [given]) => {
    if (given === undefined) {
      const own = new LockHost(1, 1);
      const host = new ConditionHost(own, number);
      return newObject(host, { shape: { lock: number, recursive: true }, close: Effect.sync(() => own.close()) });
    }
    const lock = isProxy(given) ? objects.hold(given[TypeId]) : undefined;
    if (!(lock?.target instanceof LockHost) || !["Lock", "RLock"].includes(lock.type)) {
      if (lock !== undefined) objects.release(lock);
      throw new ManagerError(
        "InvalidArguments",
        "Cannot make a Condition: its lock must be a Lock or RLock of this manager",
      );
    }
    const host = new ConditionHost(lock.target, number);
    return newObject(host, {
      shape: { lock: lock.number, recursive: lock.type === "RLock" },
      close: Effect.sync(() => {
        host.close();
        objects.release(lock);
      }),
    });
  },
};

const barrier: ServerType = {
  exposed: new Set(["value", "abort", "reset"]),
  make: ({ fail, provide, tasks }, _, [parties, action]) => {
    const run = action === undefined ? undefined : () => provide(toEffect(() => tasks.run(action)));
    const host = new BarrierHost(parties as number, run, fail);
    return newObject(host, { close: Effect.sync(() => host.close()) });
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
  Lock: exclusive,
  RLock: exclusive,
  Semaphore: lock(([permits]) => new LockHost((permits ?? 1) as number, Infinity), "release"),
  BoundedSemaphore: lock(([permits]) => new LockHost((permits ?? 1) as number, (permits ?? 1) as number)),
  Condition: condition,
  Event: simple(EventHost, () => new EventHost()),
  Barrier: barrier,
  Queue: queue("make"),
  LifoQueue: queue("lifo"),
  PriorityQueue: queue("priority"),
  SharedMemory: memory(([size]) => values(({ memory }) => memory({ size: size as number }))),
  ShareableList: memory(([elements]) => values(({ list }) => list(elements as ReadonlyArray<Element>, {}))),
  Pool: pool,
};
