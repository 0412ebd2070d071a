/**
 * The constructors of queues. Loaded with the first queue.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Options, PriorityOptions, Queue } from "../../Queue.ts";
import { QueueError } from "../objects/errors.ts";
import type { Packet } from "../objects/packets.ts";
import {
  boolean,
  type Checks,
  func,
  invalidArgument,
  invalidOption,
  optional,
  positiveOrInfinite,
  stream as streamCheck,
  wrong as wrongArgument,
  wrongOptions,
} from "../os/arguments.ts";
import { retainEnds } from "../pipe/in_transit.ts";
import { self } from "../rpc/identity.ts";
import { address, host, retire } from "../rpc/router.ts";
import { QueueClient } from "./client.ts";
import { QueueHost } from "./host.ts";
import { compareBy, keyFrom } from "./order.ts";
import { FifoStore, LifoStore, PriorityStore, type Store } from "./store.ts";

const MAX_BYTES = 256 * 1024 * 1024;

const checks: Checks = {
  capacity: optional(positiveOrInfinite),
  maxBytes: optional(positiveOrInfinite),
  redeliver: optional(boolean),
  confirm: optional(boolean),
  key: optional(func),
  order: optional(func),
};

/** Makes a queue with its own store, which orders items by `keyOf` if that is given. */
const makeQueue = <A>(
  options: Options,
  makeStore: () => Store,
  keyOf?: (packet: Packet) => unknown,
): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  Effect.suspend(() => {
    const wrong = wrongOptions(options, checks);
    if (wrong !== undefined) return Effect.fail(new QueueError("InvalidOption", invalidOption("queue", wrong)));
    const { capacity = Infinity, maxBytes = MAX_BYTES, redeliver = false, confirm = true } = options;
    const store = makeStore();
    const acquire = Effect.sync(() => {
      const queue = new QueueHost({ capacity, maxBytes, redeliver, store, keyOf, retain: retainEnds });
      return { queue, object: host(queue) };
    });
    const client = (object: number): Queue<A> =>
      new QueueClient<A>({
        address: address(),
        object,
        host: self().name,
        capacity,
        maxBytes,
        ordered: keyOf !== undefined,
        ahead: store instanceof FifoStore,
        redeliver,
        confirm,
      });
    return Effect.map(
      Effect.acquireRelease(acquire, ({ object, queue }) =>
        Effect.sync(() => {
          retire(object);
          queue.release();
        })),
      ({ object }) => client(object),
    );
  });

/** Makes a queue that gives the oldest item first. */
export const make = <A>(options: Options): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  makeQueue(options, () => new FifoStore());

/** Makes a queue that gives the newest item first. */
export const lifo = <A>(options: Options): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  makeQueue(options, () => new LifoStore());

/** Makes a queue that gives the smallest item first. */
export const priority = <A, K = A>(
  options: PriorityOptions<A, K>,
): Effect.Effect<Queue<A>, QueueError, Scope.Scope> => {
  // Options that are not an object are refused when the queue is made.
  const { key, order } = options ?? {};
  const compare = compareBy(order);
  return makeQueue(options, () => new PriorityStore(compare), keyFrom(key, compare));
};

/** Makes a queue that is filled from a Stream. */
export const fromStream = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  options: Options,
): Effect.Effect<Queue<A>, QueueError, R | Scope.Scope> => {
  const wrong = wrongArgument({ stream }, { stream: streamCheck });
  if (wrong !== undefined) {
    return Effect.fail(new QueueError("InvalidArgument", invalidArgument("Queue.fromStream", wrong)));
  }
  return Effect.tap(make<A>(options), (queue) =>
    Effect.forkScoped(
      Effect.onExit(
        Stream.run(stream, queue.toSink),
        (exit) => Effect.ignore(exit._tag === "Success" ? queue.close : queue.shutdown),
      ),
    ));
};
