/** Tasks of processes that use objects of hosts that are neither their parents nor their children. */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { ways } from "../../src/internal/rpc/router.ts";

/** A connection of any type. */
// deno-lint-ignore no-explicit-any
export type Any = Pipe.Connection<any>;

/** The producer of an item, the number of the item, and bytes that make it long. */
export type Numbered = readonly [producer: number, n: number, long?: Uint8Array];

/** The number of links of this process to processes that are no neighbours, by kind. */
export const direct = Task.make(import.meta, "direct", ways);

/** Puts the numbers one by one, and reports each number through another queue. */
export const tells = Task.make(
  import.meta,
  "tells",
  (count: number, queue: Queue.Queue<number>, told: Queue.Queue<number>) =>
    Effect.gen(function* () {
      for (let n = 0; n < count; n++) {
        yield* queue.put(n);
        yield* told.put(n);
      }
      return ways();
    }),
);

/** For each reported number, takes an item without waiting. */
export const asks = Task.make(
  import.meta,
  "asks",
  (count: number, queue: Queue.Queue<number>, told: Queue.Queue<number>) =>
    Effect.gen(function* () {
      for (let n = 0; n < count; n++) {
        const said = yield* told.get;
        const found = Option.getOrUndefined(yield* queue.tryGet);
        if (found !== said) return { said, found, n };
      }
      return { ways: ways() };
    }),
);

/** Sends the numbers, and reports each. */
export const tellsOfSent = Task.make(
  import.meta,
  "tellsOfSent",
  (count: number, end: Any, told: Queue.Queue<number>) =>
    Effect.gen(function* () {
      for (let n = 0; n < count; n++) {
        yield* end.send(n);
        yield* told.put(n);
      }
      return ways();
    }),
);

/**
 * Makes a queue, sends it away, and takes items as they arrive. Checks that the numbers of each producer are in order.
 */
export const hostsAndTakes = Task.make(
  import.meta,
  "hostsAndTakes",
  (made: Queue.Queue<Queue.Queue<Numbered>>, producers: number, count: number) =>
    Effect.scoped(Effect.gen(function* () {
      const queue = yield* Queue.make<Numbered>({ capacity: 100 });
      yield* made.put(queue);
      const next = new Array<number>(producers).fill(0);
      for (let left = producers * count; left > 0; left--) {
        const [producer, n] = yield* queue.get;
        if (next[producer]++ !== n) return yield* Effect.die(new Error(`${producer}: ${n} out of order`));
      }
      return ways();
    })),
);

/** Puts numbered items, sometimes several at once, sometimes with long ones between them. */
export const produces = Task.make(
  import.meta,
  "produces",
  (queue: Queue.Queue<Numbered>, producer: number, count: number) =>
    Effect.gen(function* () {
      let used = ways();
      for (let n = 0; n < count;) {
        const size = n % 7 === 3 && n + 5 <= count ? 5 : 1;
        const items = Array.from(
          { length: size },
          (_, i) => n % 50 === 0 ? [producer, n + i, new Uint8Array(300_000)] as const : [producer, n + i] as const,
        );
        yield* size === 1 ? queue.put(items[0]) : queue.putAll(items);
        n += size;
        // The host may end as soon as it has the last item, and the connection to it ends with it.
        if (n < count) used = ways();
      }
      return used;
    }),
);

/** Echoes until the end of file. */
export const echoes = Task.make(
  import.meta,
  "echoes",
  (end: Any) => Effect.catchTag(Effect.forever(Effect.flatMap(end.recv, end.send)), "EndOfFile", () => Effect.void),
);

/** Makes a pipe, sends one end away, and has the given number of conversations with the owner of that end. */
export const converses = Task.make(
  import.meta,
  "converses",
  (made: Queue.Queue<Any>, turns: number) =>
    Effect.scoped(Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* made.put(theirs);
      for (let n = 0; n < turns; n++) {
        const message = n % 40 === 7 ? { n, bytes: new Uint8Array(400_000).fill(n) } : { n };
        yield* mine.send(message);
        const answer = (yield* mine.recv) as typeof message;
        if (answer.n !== n || answer.bytes?.[399_999] !== message.bytes?.[399_999]) {
          return yield* Effect.die(new Error(`${n} came back as ${answer.n}`));
        }
      }
      return ways();
    })),
);

/** Runs {@link converses} in a child, and returns its result. */
export const conversesBelow = Task.make(
  import.meta,
  "conversesBelow",
  (made: Queue.Queue<Any>, turns: number) => Process.run(converses, made, turns),
);

/** Uses a queue until an operation fails, and reports the failure. */
export const usesUntil = Task.make(
  import.meta,
  "usesUntil",
  (queue: Queue.Queue<number>, used: Queue.Queue<number>) =>
    Effect.gen(function* () {
      let n = 0;
      const error = yield* Effect.flip(Effect.forever(Effect.gen(function* () {
        yield* queue.put(n);
        yield* queue.get;
        yield* used.put(++n);
      })));
      return { tag: (error as { readonly _tag: string })._tag, host: (error as { readonly host?: string }).host };
    }),
);

/** Takes items, and ends at once. */
export const takesAndEnds = Task.make(
  import.meta,
  "takesAndEnds",
  (queue: Queue.Queue<number>, count: number) =>
    Effect.gen(function* () {
      let last = -1;
      for (let i = 0; i < count; i++) last = yield* queue.get;
      return last;
    }),
);

/** Takes the end out of a queue, receives the given number of messages, and returns the end. */
export const receivesSome = Task.make(
  import.meta,
  "receivesSome",
  (from: Queue.Queue<Any>, count: number) =>
    Effect.gen(function* () {
      const end = yield* from.get;
      const got: Array<number> = [];
      for (let i = 0; i < count; i++) got.push(yield* end.recv);
      return { end, got };
    }),
);

/** Puts the given number of bytes. */
export const putsBytes = Task.make(
  import.meta,
  "putsBytes",
  (queue: Queue.Queue<unknown>, size: number) => queue.put(new Uint8Array(size)),
);
