/**
 * The library's own types: how each is made, and what can be called on it.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import type { Options as PoolOptions } from "../../../Pool.ts";
import type * as Queue from "../../../Queue.ts";
import { load } from "../../objects/on_demand.ts";
import type { Element } from "../../../ShareableList.ts";
import { ManagerError } from "../errors.ts";
import type { Shape } from "../proxies.ts";
import { isProxy, TypeId } from "../remote.ts";
import type { Server } from "./server.ts";
import { DictHost } from "./dict.ts";
import { BarrierHost, EventHost } from "./event.ts";
import { ListHost } from "./list.ts";
import { ConditionHost, LockHost } from "./lock.ts";
import { PoolHost } from "./pool.ts";
import { lifted } from "./tasks.ts";
import { ArrayHost, ValueHost } from "./value.ts";

/** What was made. */
export interface Made {
  readonly target: object;
  readonly shape: Shape | undefined;
  /** What whoever made it is given; a proxy if there is nothing. */
  readonly handle: unknown;
  readonly close: Effect.Effect<unknown> | undefined;
}

/** A type. */
export interface Kind {
  readonly exposed: ReadonlySet<string>;
  /** Whether it is for the family only. */
  readonly family?: boolean;
  /** Gives a {@link Made}, or an Effect of one. The arguments came from another process. */
  readonly make: (server: Server, number: number, args: ReadonlyArray<unknown>) => unknown;
}

const made = (target: object, rest: Partial<Made> = {}): Made => ({
  target,
  shape: undefined,
  handle: undefined,
  close: undefined,
  ...rest,
});

/** What a class of this folder offers to others. */
const methodsOf = (Class: { readonly prototype: object }): ReadonlySet<string> =>
  new Set(Object.getOwnPropertyNames(Class.prototype).filter((name) => name !== "constructor" && name !== "lend"));

const simple = <Host extends object>(
  Class: { readonly prototype: object },
  make: (server: Server, args: ReadonlyArray<unknown>) => Host,
): Kind => ({ exposed: methodsOf(Class), make: (server, _, args) => made(make(server, args)) });

const lock = (permits: (args: ReadonlyArray<unknown>) => LockHost, ...besides: ReadonlyArray<string>): Kind => ({
  exposed: new Set(["value", "isLocked", "statistics", ...besides]),
  make: (_, __, args) => {
    const host = permits(args);
    return made(host, { close: Effect.sync(() => host.close()) });
  },
});

const exclusive = lock(() => new LockHost(1, 1));

const condition: Kind = {
  exposed: new Set(["waiting", "isLocked", "statistics"]),
  make: (server, number, [given]) => {
    if (given === undefined) {
      const own = new LockHost(1, 1);
      const host = new ConditionHost(own, number);
      return made(host, { shape: { lock: number, recursive: true }, close: Effect.sync(() => own.close()) });
    }
    const entry = isProxy(given) ? server.hold(given[TypeId]) : undefined;
    if (!(entry?.target instanceof LockHost) || !["Lock", "RLock"].includes(entry.type)) {
      if (entry !== undefined) server.unhold(entry);
      throw new ManagerError(
        "InvalidArguments",
        "Cannot make a Condition: its lock must be a Lock or RLock of this manager",
      );
    }
    const host = new ConditionHost(entry.target, number);
    return made(host, {
      shape: { lock: entry.number, recursive: entry.type === "RLock" },
      close: Effect.sync(() => {
        host.close();
        server.unhold(entry);
      }),
    });
  },
};

const barrier: Kind = {
  exposed: new Set(["value", "abort", "reset"]),
  make: (server, _, [parties, action]) => {
    const run = action === undefined ? undefined : () => server.provided(lifted(() => server.tasks.run(action)));
    const host = new BarrierHost(parties as number, run, server.answer);
    return made(host, { close: Effect.sync(() => host.close()) });
  },
};

/** What needs a scope for as long as it lives. */
const scoped = <A>(
  make: Effect.Effect<A, unknown, unknown>,
  give: (value: A) => Partial<Made> & { readonly target: object },
): Effect.Effect<Made, unknown, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.map(
        Effect.onError(
          restore(Effect.provideService(make, Scope.Scope, scope)),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        ),
        (value) => {
          const { target, ...rest } = give(value);
          return made(target, { close: Scope.close(scope, Exit.void), ...rest });
        },
      ))
  );

const queue = (constructor: "make" | "lifo" | "priority"): Kind => ({
  exposed: new Set(),
  make: (_, __, [options]) =>
    scoped(
      Effect.flatMap(
        Effect.promise(() => load<typeof import("../../../Queue.ts")>("Queue")),
        (Queue) => {
          const make: (options: Queue.Options) => Effect.Effect<Queue.Queue<unknown>, unknown, Scope.Scope> =
            Queue[constructor];
          return make((options ?? {}) as Queue.Options);
        },
      ),
      (queue) => ({ target: queue, handle: queue }),
    ),
});

/** Memory of the server's process. Who is given it attaches it: there is nothing to ask the server for. */
const memory = (
  make: (args: ReadonlyArray<unknown>) => Effect.Effect<object, unknown, Scope.Scope>,
): Kind => ({
  exposed: new Set(),
  family: true,
  make: (_, __, args) => scoped(make(args), (target) => ({ target, handle: target })),
});

const pool: Kind = {
  family: true,
  exposed: methodsOf(PoolHost),
  make: (server, _, [options]) =>
    scoped(
      Effect.flatMap(
        Effect.zipRight(server.tasks.loadAll, Effect.promise(() => load<typeof import("../../../Pool.ts")>("Pool"))),
        (Pool) => Pool.make((options ?? {}) as PoolOptions),
      ),
      (pool) => ({ target: new PoolHost(pool, server.tasks) }),
    ),
};

/** By Python's names. */
export const kinds: Readonly<Record<string, Kind>> = {
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
  SharedMemory: memory(([size]) =>
    Effect.flatMap(
      Effect.promise(() => load<typeof import("../../../SharedMemory.ts")>("SharedMemory")),
      (SharedMemory) => SharedMemory.make({ size: size as number }),
    )
  ),
  ShareableList: memory(([values]) =>
    Effect.flatMap(
      Effect.promise(() => load<typeof import("../../../ShareableList.ts")>("ShareableList")),
      (ShareableList) => ShareableList.make(values as ReadonlyArray<Element>),
    )
  ),
  Pool: pool,
};
