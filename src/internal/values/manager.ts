/**
 * `SharedMemoryManager` for its users: a client of a service that owns blocks and lists.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import { Unreachable } from "../objects/errors.ts";
import { HandleId, register } from "../objects/handles.ts";
import { ask, service, type ServiceError, type ServiceHandle } from "../objects/service.ts";
import { address, host, retire } from "../rpc/router.ts";
import { self } from "../rpc/identity.ts";
import type { Element, Options as ListOptions, ShareableList } from "../../ShareableList.ts";
import type { CreateOptions, SharedMemory } from "../../SharedMemory.ts";
import type { Segment, SharedMemoryManager, SharedMemoryManagerFailure } from "../../SharedMemoryManager.ts";
import { attempt } from "./attempt.ts";
import { must, name as isName, optional, positive } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { demand, demandOptions, type MemoryFailure } from "./errors.ts";
import { demandList, type List, make as makeList } from "./list.ts";
import { create, make as makeMemory, Memory } from "./memory.ts";

export const TypeId = "~multiprocessing/SharedMemoryManager";

const MEMORY = 1;
const LIST = 2;
const SEGMENTS = 3;
const RELEASE = 4;
const SHUTDOWN = 5;

type Owned = Memory | List<Element>;

/** Identifies the block of an object that a manager may own. */
const keyOf = (object: unknown): string | undefined => {
  const memory = object instanceof Memory ? object : (object as Partial<ShareableList> | null)?.memory;
  return memory instanceof Memory ? memory.key : undefined;
};

const isSegment = must((value) => keyOf(value) !== undefined, "shared memory or a ShareableList");

/** The manager in the process that hosts it. */
class Host {
  readonly #owned = new Map<string, Owned>();
  #open = true;

  get open(): boolean {
    return this.#open;
  }

  readonly memory = ({ name, size }: CreateOptions): Effect.Effect<Memory, MemoryFailure | Unreachable> =>
    this.#keep(() => name === undefined ? makeMemory(size) : create(name, size));

  readonly list = (
    values: Iterable<unknown>,
    options: ListOptions,
  ): Effect.Effect<List<Element>, MemoryFailure | Unreachable> => this.#keep(() => makeList(values, options));

  get segments(): Effect.Effect<ReadonlyArray<Segment>, Unreachable> {
    return this.#whileOpen(
      Effect.sync(() =>
        Array.from(
          this.#owned.values(),
          (object): Segment =>
            object instanceof Memory
              ? { kind: "memory", name: object.name, size: object.size }
              : { kind: "list", name: object.name, size: object.memory.size },
        )
      ),
    );
  }

  readonly release = (key: string | undefined): Effect.Effect<boolean, Unreachable> =>
    this.#whileOpen(Effect.sync(() => {
      const object = key === undefined ? undefined : this.#owned.get(key);
      if (object === undefined) return false;
      this.#owned.delete(key!);
      object.release();
      return true;
    }));

  readonly shutdown: Effect.Effect<void> = Effect.sync(() => {
    this.#open = false;
    for (const object of this.#owned.values()) object.release();
    this.#owned.clear();
  });

  #keep<A extends Owned>(make: () => A): Effect.Effect<A, MemoryFailure | Unreachable> {
    return this.#whileOpen(attempt(() => {
      const object = make();
      this.#owned.set(keyOf(object)!, object);
      return object;
    }));
  }

  #whileOpen<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Unreachable> {
    return Effect.suspend((): Effect.Effect<A, E | Unreachable> =>
      this.#open ? effect : Effect.fail(new Unreachable("shared memory manager", self().name))
    );
  }
}

/** The implementation of {@link SharedMemoryManager}. */
class Manager implements SharedMemoryManager {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #place: ServiceHandle;
  /** The manager itself, in the process that hosts it. */
  readonly #local: Host | undefined;

  constructor(place: ServiceHandle, local: Host | undefined) {
    this.#place = place;
    this.#local = local;
  }

  get [HandleId]() {
    return { kind: "memory manager", encode: () => ({ ...this.#place }) };
  }

  get host(): string {
    return this.#place.host;
  }

  readonly memory = (options: CreateOptions): Effect.Effect<SharedMemory, SharedMemoryManagerFailure> =>
    Effect.zipRight(
      attempt(() => demandOptions("shared memory", options, { size: positive, name: optional(isName) })),
      Effect.suspend(() =>
        this.#local?.memory(options) ?? this.#ask<SharedMemory, SharedMemoryManagerFailure>(MEMORY, options)
      ),
    );

  readonly list = <A>(
    values: Iterable<A & Element>,
    options: ListOptions = {},
  ): Effect.Effect<ShareableList<A>, SharedMemoryManagerFailure> => {
    const made = Effect.zipRight(
      attempt(() => demandList(values, options)),
      Effect.suspend((): Effect.Effect<unknown, SharedMemoryManagerFailure> =>
        this.#local?.list(values, options) ?? this.#ask(LIST, [[...values], options])
      ),
    );
    return made as Effect.Effect<unknown, SharedMemoryManagerFailure> as Effect.Effect<
      ShareableList<A>,
      SharedMemoryManagerFailure
    >;
  };

  get segments(): Effect.Effect<ReadonlyArray<Segment>, ServiceError> {
    return this.#local?.segments ?? this.#ask(SEGMENTS);
  }

  readonly release = (
    object: SharedMemory | Pick<ShareableList, "memory">,
  ): Effect.Effect<boolean, SharedMemoryManagerFailure> =>
    Effect.zipRight(
      attempt(() => demand("manager.release", { object }, { object: isSegment })),
      Effect.suspend((): Effect.Effect<boolean, SharedMemoryManagerFailure> =>
        this.#local?.release(keyOf(object)) ?? this.#ask(RELEASE, keyOf(object))
      ),
    );

  get shutdown(): Effect.Effect<void, ServiceError> {
    return this.#local?.shutdown ??
      Effect.catchTag(this.#ask<void, ServiceError>(SHUTDOWN), "Unreachable", () => Effect.void);
  }

  /** Calls an operation, whose types are those of the same operation of the host. */
  #ask<A, E>(operation: number, argument?: unknown): Effect.Effect<A, E> {
    return ask(this.#place, "shared memory manager", operation, argument) as Effect.Effect<A, E>;
  }
}
inspectable(Manager);

/** Creates a manager in this process. */
export const make: Effect.Effect<SharedMemoryManager, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const local = new Host();
      const object = host(service({
        [MEMORY]: (options) => local.memory(options as CreateOptions),
        [LIST]: (argument) => {
          const [values, options] = argument as [ReadonlyArray<unknown>, ListOptions];
          return local.list(values, options);
        },
        [SEGMENTS]: () => local.segments,
        [RELEASE]: (key) => local.release(key as string | undefined),
        [SHUTDOWN]: () => local.shutdown,
      }));
      return { local, object };
    }),
    ({ local, object }) =>
      Effect.suspend(() => {
        retire(object);
        return local.shutdown;
      }),
  ),
  ({ local, object }) => new Manager({ address: address(), object, host: self().name }, local),
);

register("memory manager", (from) => new Manager(from as ServiceHandle, undefined));
