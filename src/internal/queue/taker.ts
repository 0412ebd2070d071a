/**
 * Takes items from a queue, in any process.
 *
 * ```text
 *   in the process of the queue:
 *     an item is there --> taken in one step of the fiber, which gives it to the caller
 *     none is there    --> lent when one comes --> taken
 *   in another process, an item was sent ahead (see `subscription.ts`) --> taken in one step of the fiber
 *   otherwise:
 *     GET --> packets (lent) --> handles are loaded, packets decoded --> credit(n), handed over --> last credit: taken
 *                  |                     |                                   |
 *                  +---------------------+-----------------------------------+--interrupted: cancel, all go back
 * ```
 *
 * From the first credit on, the items are lost with this process. The caller must not have them before, because other processes
 * could see its use of them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import { DecodeError } from "../codec/errors.ts";
import { loadAll } from "../objects/handles.ts";
import { oneStep, Otherwise, waitThenCommit } from "../objects/interruption.ts";
import { unpack } from "../objects/packets.ts";
import { varints } from "../codec/varint.ts";
import { whenAttached } from "../objects/attaching.ts";
import { call, type Line, written } from "../rpc/router.ts";
import { endingOf, type QueueEnding } from "./endings.ts";
import type { LocalGet, QueueHost } from "./host.ts";
import { type ItemCodec, type OpenedItems, type QueueHandle, takeOpened } from "./items.ts";
import * as P from "./protocol.ts";
import { localHost } from "./putter.ts";
import type { Item } from "./store.ts";
import type { Reader } from "./reader.ts";
import { Subscription } from "./subscription.ts";
import { type UnreportedItem, unreportedOf } from "./unreported.ts";

/** Items that were taken together, from a queue that redelivers. */
export interface TakenBatch {
  /** Gives the items that were not reported to other consumers. */
  readonly giveBack: () => void;
}

/**
 * An attempt to take items at once: the items; `"none"`; the error if the next item cannot be decoded, which was taken then; or the
 * promise of the modules of the handles in the items, which are still in the queue.
 */
export type LocalTake<A> = ReadonlyArray<A> | "none" | DecodeError | Promise<unknown>;

/** Id of the fiber that runs. */
export const currentFiber = (): number =>
  Option.match(Fiber.getCurrentFiber(), { onNone: () => 0, onSome: (fiber) => fiber.id().id });

/** Items that a queue sends ahead to gets. */
const AHEAD = 1024;

/** Takes items from one queue. */
export class ItemTaker<A> {
  readonly #handle: QueueHandle;
  readonly #codec: ItemCodec<A>;
  readonly #subscription: Subscription;

  constructor(handle: QueueHandle, codec: ItemCodec<A>) {
    this.#handle = handle;
    this.#codec = codec;
    this.#subscription = new Subscription(handle);
  }

  /**
   * Takes up to `count` items, at least one, and returns the result of `use`, which is called in the step that takes them. If the
   * operation does not wait and there is none, `use` is given `undefined`. For a stream, which has its own reader, a batch of a
   * queue that redelivers is added to `batches` until all its items are reported.
   */
  take<B>(
    count: number,
    waits: boolean,
    use: (items: ReadonlyArray<A> | undefined) => B,
    batches?: Set<TakenBatch>,
  ): Effect.Effect<B, DecodeError | QueueEnding> {
    return Effect.suspend(() => {
      const host = localHost(this.#handle);
      if (host === undefined) {
        const reader = batches === undefined ? this.#subscription.use() : undefined;
        if (reader?.hasItems === true) return this.#takeAhead(reader, count, waits, use);
        return reader === undefined || !waits
          ? this.#takeRemote(count, waits, use, batches)
          : this.#waitAhead(reader, count, use);
      }
      if (!host.canTakeNow) return waits ? this.#waitLocal(host, count, use, batches) : this.#none(host, use);
      return oneStep<B, DecodeError | QueueEnding>(() => {
        const taken = this.takeNow(host, count, batches);
        if (Array.isArray(taken)) return use(taken);
        if (taken instanceof DecodeError) return new Otherwise(Effect.fail(taken));
        const again = this.take(count, waits, use, batches);
        // "none": another fiber has taken the items between the two steps of this one.
        return new Otherwise(
          taken === "none" ? again : Effect.zipRight(Effect.promise(() => taken as Promise<unknown>), again),
        );
      });
    });
  }

  /** Takes up to `count` stored items, in the process of the queue. */
  takeNow(host: QueueHost, count: number, batches: Set<TakenBatch> | undefined): LocalTake<A> {
    const packets = host.takeNow(count);
    if (packets === undefined) return "none";
    const loading = loadAll(packets);
    if (loading !== undefined) {
      host.giveBack(packets);
      return loading;
    }
    const opened = this.#codec.open(packets);
    const isWhole = opened.count === packets.length;
    if (!isWhole) host.giveBack(packets.slice(opened.count));
    const own = isWhole ? packets : packets.slice(0, opened.count);
    if (this.#handle.redeliver) this.#holdLocal(host, own, batches);
    try {
      return takeOpened(opened);
    } finally {
      // Not before handles that move are taken over.
      for (const { release } of own) release?.();
    }
  }

  #none<B>(host: QueueHost, use: (items: undefined) => B): Effect.Effect<B, QueueEnding> {
    if (!host.isFinishedFor(P.consumer)) return Effect.succeed(use(undefined));
    return Effect.fail(endingOf(written(varints(host.endStatus)), this.#handle.host));
  }

  #waitLocal<B>(
    host: QueueHost,
    count: number,
    use: (items: ReadonlyArray<A>) => B,
    batches: Set<TakenBatch> | undefined,
  ): Effect.Effect<B, DecodeError | QueueEnding> {
    let get: LocalGet;
    return waitThenCommit<ReadonlyArray<Item>, QueueEnding, B, DecodeError>(
      (answer) => {
        get = host.take(
          count,
          (packets) => answer(withKinds(packets)),
          (exit) => answer(Effect.fail(endingOf(written(exit), this.#handle.host))),
        );
        return () => get.cancel();
      },
      (packets) => {
        const opened = this.#codec.open(packets);
        const result = outcome(opened, use);
        if (this.#handle.redeliver) this.#holdLocal(host, packets.slice(0, opened.count), batches);
        get.taken(opened.count);
        return result;
      },
    );
  }

  /** Takes items that were sent ahead, in one step. */
  #takeAhead<B>(
    reader: Reader,
    count: number,
    waits: boolean,
    use: (items: ReadonlyArray<A> | undefined) => B,
  ): Effect.Effect<B, DecodeError | QueueEnding> {
    return oneStep<B, DecodeError | QueueEnding>(() => {
      const items = this.#claim(reader, count);
      if (items === undefined) return new Otherwise(this.take(count, waits, use));
      return items instanceof DecodeError ? new Otherwise(Effect.fail(items)) : use(items);
    });
  }

  /** Waits for items with the reader. */
  #waitAhead<B>(
    reader: Reader,
    count: number,
    use: (items: ReadonlyArray<A> | undefined) => B,
  ): Effect.Effect<B, DecodeError | QueueEnding> {
    const subscription = this.#subscription;
    // `undefined`: the items were recalled, or the next one cannot be sent ahead.
    const taken = waitThenCommit<void, never, { readonly result: B } | undefined, DecodeError | QueueEnding>(
      (answer) => {
        subscription.wait(reader, Math.max(AHEAD, count), count, () => answer(Effect.void));
        return () => {
          reader.rest();
          subscription.waited();
        };
      },
      () => {
        const items = this.#claim(reader, count);
        subscription.waited();
        if (items instanceof DecodeError) return Effect.fail(items);
        if (items !== undefined) return Effect.succeed({ result: use(items) });
        if (reader.ended === undefined) return Effect.succeed(undefined);
        return Effect.fail(endingOf(reader.ended, this.#handle.host));
      },
    );
    return Effect.flatMap(
      taken,
      (done) => done === undefined ? this.take(count, true, use) : Effect.succeed(done.result),
    );
  }

  /** Takes up to `count` of the items that were sent ahead. `undefined` if the queue has recalled them. */
  #claim(reader: Reader, count: number): ReadonlyArray<A> | DecodeError | undefined {
    const packets = reader.peek(count);
    if (packets.length === 0) return undefined;
    const opened = this.#codec.open(packets);
    const claimed = reader.claim(opened.count, 0, AHEAD);
    if (claimed === 0) return undefined;
    const items = takeOpened(opened);
    return items instanceof DecodeError || claimed === items.length ? items : items.slice(0, claimed);
  }

  #takeRemote<B>(
    count: number,
    waits: boolean,
    use: (items: ReadonlyArray<A> | undefined) => B,
    batches: Set<TakenBatch> | undefined,
  ): Effect.Effect<B, DecodeError | QueueEnding> {
    let line: Line;
    let forget = (): void => {};
    return waitThenCommit<OpenedItems<A> | undefined, QueueEnding, B, DecodeError>(
      (answer) => {
        let opened: OpenedItems<A> | undefined;
        let isOver = false;
        line = call(this.#handle, P.GET, varints(count, waits ? 1 : 0, P.consumer), {
          data: (message) => {
            const packets = unpack(message, 0, "message");
            const onLoaded = (): void => {
              if (isOver) return;
              const ready = opened = this.#codec.open(packets);
              line.credit(ready.count, () => answer(Effect.succeed(ready)));
              line.flush();
            };
            const loading = loadAll(packets);
            if (loading === undefined) onLoaded();
            else loading.then(onLoaded);
          },
          exit: (message) => {
            isOver = true;
            forget();
            // A queue that ends after the credit gives these items to no other consumer.
            if (opened !== undefined || message.bytes[0] === P.EMPTY) answer(Effect.succeed(opened));
            else answer(Effect.fail(endingOf(message, this.#handle.host)));
          },
        });
        return () => {
          if (!isOver) line.cancel();
          isOver = true;
        };
      },
      (opened) => {
        if (opened === undefined) return Effect.succeed(use(undefined));
        // Handles that move are taken over before the queue releases them.
        const result = outcome(opened, use);
        if (this.#handle.redeliver) forget = this.#holdRemote(line, opened.count, batches);
        else if (opened.moves) whenAttached(() => line.finish());
        else line.finish();
        return result;
      },
    );
  }

  #holdLocal(host: QueueHost, items: ReadonlyArray<Item>, batches: Set<TakenBatch> | undefined): void {
    const held = host.holdUnreported(items);
    this.#hold(items.length, batches, {
      report: (number, onSent) => {
        held.report(number);
        onSent();
      },
      giveBack: held.giveBack,
      allReported: () => {},
    });
  }

  #holdRemote(line: Line, count: number, batches: Set<TakenBatch> | undefined): () => void {
    return this.#hold(count, batches, {
      report: (number, onSent) => {
        line.data(varints(P.REPORT, number), onSent);
        line.flush();
      },
      giveBack: () => line.cancel(),
      allReported: () => line.finish(),
    });
  }

  /** Holds items until they are reported. Returns a function that forgets them, when the queue has taken them back. */
  #hold(count: number, batches: Set<TakenBatch> | undefined, { allReported, giveBack, report }: Held): () => void {
    const unreported = unreportedOf(this.#handle);
    const fiber = currentFiber();
    const items = new Set<UnreportedItem>();
    const forget = (): void => {
      batches?.delete(batch);
      for (const item of items) unreported.remove(item);
      items.clear();
    };
    const batch: TakenBatch = {
      giveBack: () => {
        forget();
        giveBack();
      },
    };
    for (let number = 0; number < count; number++) {
      const item: UnreportedItem = {
        fiber,
        report: (onSent) => {
          items.delete(item);
          report(number, onSent);
          if (items.size > 0) return;
          batches?.delete(batch);
          allReported();
        },
      };
      items.add(item);
      unreported.add(item);
    }
    batches?.add(batch);
    return forget;
  }
}

/** The reports to the queue about items that were taken. */
interface Held {
  readonly report: (number: number, onSent: () => void) => void;
  readonly giveBack: () => void;
  readonly allReported: () => void;
}

/** The packets, once the modules of their handles are loaded. */
const withKinds = (packets: ReadonlyArray<Item>): Effect.Effect<ReadonlyArray<Item>> => {
  const loading = loadAll(packets);
  return loading === undefined ? Effect.succeed(packets) : Effect.as(Effect.promise(() => loading), packets);
};

const outcome = <A, B>(opened: OpenedItems<A>, use: (items: ReadonlyArray<A>) => B): Effect.Effect<B, DecodeError> => {
  const items = takeOpened(opened);
  return items instanceof DecodeError ? Effect.fail(items) : Effect.succeed(use(items));
};
