/** Tasks of processes that use what others host who are neither their parents nor their children. */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { ways } from "../../src/internal/rpc/router.ts";

/** Ends for whatever. */
// deno-lint-ignore no-explicit-any
export type Any = Pipe.Connection<any>;

/** Whose item it is, which of his, and something that makes it long. */
export type Numbered = readonly [producer: number, n: number, long?: Uint8Array];

/** How many links this process has to those that are no neighbours, by their kind. */
export const direct = Task.make(import.meta, "direct", ways);

/** Puts the numbers, one by one: what is to be put where, and what says so afterwards. */
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

/** Takes what is there for each number that it is told of, without waiting. */
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

/** Sends the numbers, and says so of each. */
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

/** Makes a queue, gives it away, and takes what comes as it comes: whether each of the producers' numbers came in its order. */
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

/** Puts numbered items, sometimes several at once and sometimes long ones beside them. */
export const produces = Task.make(
  import.meta,
  "produces",
  (queue: Queue.Queue<Numbered>, producer: number, count: number) =>
    Effect.gen(function* () {
      for (let n = 0; n < count;) {
        const size = n % 7 === 3 && n + 5 <= count ? 5 : 1;
        const items = Array.from(
          { length: size },
          (_, i) => n % 50 === 0 ? [producer, n + i, new Uint8Array(300_000)] as const : [producer, n + i] as const,
        );
        yield* size === 1 ? queue.put(items[0]) : queue.putAll(items);
        n += size;
      }
      return ways();
    }),
);

/** Echoes until the end of file. */
export const echoes = Task.make(
  import.meta,
  "echoes",
  (end: Any) => Effect.catchTag(Effect.forever(Effect.flatMap(end.recv, end.send)), "EndOfFile", () => Effect.void),
);

/** Makes a pipe, gives away one end, and has so many conversations with whoever has it. */
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

/** Does it in a child of its own, whose result it has. */
export const conversesBelow = Task.make(
  import.meta,
  "conversesBelow",
  (made: Queue.Queue<Any>, turns: number) => Process.run(converses, made, turns),
);

/** Uses a queue until that fails, and says how. */
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

/** Takes an item and ends with it at once, without a word. */
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

/** Takes the end out of a queue, receives so many messages, and passes it on. */
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

/** Puts so many bytes. */
export const putsBytes = Task.make(
  import.meta,
  "putsBytes",
  (queue: Queue.Queue<unknown>, size: number) => queue.put(new Uint8Array(size)),
);
