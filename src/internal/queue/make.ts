/**
 * How a queue is made: its host in this process, with its options checked, and the handle to it.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Options, PriorityOptions, Queue } from "../../Queue.ts";
import * as Codec from "../codec/codec.ts";
import { QueueError } from "../objects/errors.ts";
import { looking } from "../objects/handles.ts";
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
import { keep } from "../pipe/in_transit.ts";
import { self } from "../rpc/identity.ts";
import { address, host, retire } from "../rpc/router.ts";
import { QueueClient } from "./client.ts";
import { QueueHost } from "./host.ts";
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

const make_ = <A>(
  options: Options,
  store: () => Store,
  keyOf?: (packet: Packet) => unknown,
): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  Effect.suspend(() => {
    const wrong = wrongOptions(options, checks);
    if (wrong !== undefined) return Effect.fail(new QueueError("InvalidOption", invalidOption("queue", wrong)));
    const { capacity = Infinity, maxBytes = MAX_BYTES, redeliver = false, confirm = true } = options;
    const kept = store();
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const queue = new QueueHost({ capacity, maxBytes, redeliver, store: kept, keyOf, keep });
          return { queue, object: host(queue) };
        }),
        ({ object, queue }) =>
          Effect.sync(() => {
            retire(object);
            queue.release();
          }),
      ),
      ({ object }) =>
        new QueueClient<A>({
          address: address(),
          object,
          host: self().name,
          capacity,
          maxBytes,
          ordered: keyOf !== undefined,
          ahead: kept instanceof FifoStore,
          redeliver,
          confirm,
        }),
    );
  });

/** Makes a queue whose oldest item comes out first. */
export const make = <A>(options: Options): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  make_(options, () => new FifoStore());

/** Makes a queue whose newest item comes out first. */
export const lifo = <A>(options: Options): Effect.Effect<Queue<A>, QueueError, Scope.Scope> =>
  make_(options, () => new LifoStore());

/** Makes a queue whose smallest item comes out first. */
export const priority = <A, K = A>(
  options: PriorityOptions<A, K>,
): Effect.Effect<Queue<A>, QueueError, Scope.Scope> => {
  // What is no object is refused when the queue is made.
  const { key, order } = options ?? {};
  const compare = (order ?? natural) as (a: unknown, b: unknown) => number;
  const keyOf = ({ attachments, bytes }: Packet): unknown => {
    const item = Codec.decode(bytes, { attachments, hooks: looking, link: undefined }) as A;
    const value = key === undefined ? item : key(item);
    // Compared with itself: what is no key of this order is found before it is let in.
    if (compare(value, value) !== 0) throw new TypeError("it is not equal to itself");
    return value;
  };
  return make_(options, () => new PriorityStore(compare), keyOf);
};

/** The order of what has one by nature. Throws if it has none. */
const natural = (a: unknown, b: unknown): number => {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if ((typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint")) {
    if (a !== a || b !== b) throw new TypeError("NaN is neither smaller nor larger than anything");
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (a instanceof Date && b instanceof Date) return natural(a.getTime(), b.getTime());
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = natural(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  throw new TypeError(`${describe(a)} cannot be compared with ${describe(b)}; give the queue a key or an order`);
};

const describe = (value: unknown): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a Date";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
};

/** Makes a queue of the items of a Stream. */
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
