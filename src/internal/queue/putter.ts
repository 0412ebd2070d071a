/**
 * Puts encoded items into a queue, from any process.
 *
 * ```text
 *   in the process of the queue: put at once as far as there is room
 *   otherwise:  places ahead? --no--> WANT --GRANT--> ITEMS --RESULT, or handed over--> done
 *                    |                  |                ^
 *                    |                  +--interrupted: WITHDRAW, or RETURN; nothing was put
 *                    +--yes-------------------------------+
 * ```
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { EncodeError } from "../codec/errors.ts";
import { QueueError } from "../objects/errors.ts";
import { waitThenCommit } from "../objects/interruption.ts";
import { sizeOf } from "../objects/packets.ts";
import { far, local } from "../rpc/router.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { endingOf, type QueueEnding } from "./endings.ts";
import type { QueueHost } from "./host.ts";
import { BATCH_BYTES, type EncodedItem, type EncodedLists, leave, type QueueHandle } from "./items.ts";
import { OpenLists } from "./open_lists.ts";
import { type GrantedPlaces, Producer, type PutFailure } from "./producer.ts";
import * as P from "./protocol.ts";

/** The queue itself, if it is in this process. */
export const localHost = (handle: QueueHandle): QueueHost | undefined =>
  // The address of a queue of another program means nothing here.
  handle.stranger === true ? undefined : local(handle) as QueueHost | undefined;

/** Puts items into one queue. */
export class Putter {
  readonly #handle: QueueHandle;
  readonly #producer: Producer;

  constructor(handle: QueueHandle) {
    this.#handle = handle;
    const isConfirmed = handle.confirm || handle.stranger === true || far(handle);
    this.#producer = new Producer(handle, handle.ordered, isConfirmed);
  }

  /** Puts a packet. *Interruption:* nothing was put. */
  put(packet: EncodedItem): Effect.Effect<void, QueueError | QueueEnding> {
    return this.#putFrom([packet], 0, undefined);
  }

  /** Puts a packet if there is room for it now. Returns whether it was put. */
  tryPut(packet: EncodedItem): Effect.Effect<boolean, QueueError | QueueEnding> {
    return this.#putSome([packet], 0, false, undefined, (count) => Effect.succeed(count > 0));
  }

  /**
   * Puts the lists of an iterator, which makes each of them while those before it are on their way, and which may end with an error.
   * Completes when all are put. *Interruption:* a first part of the items may have been put.
   */
  putLists(lists: EncodedLists): Effect.Effect<void, EncodeError | QueueError | QueueEnding> {
    // In this process, items are put at once where there is room, and would overtake a list that is on its way. An ordered queue may
    // refuse an item of a list, and must not get those after it.
    const open = new OpenLists(this.#handle.ordered || localHost(this.#handle) !== undefined ? 1 : P.WINDOW);
    const putNext: Effect.Effect<void, EncodeError | QueueError | QueueEnding> = Effect.suspend(() => {
      const { done, value } = lists.next();
      if (done === true) return value === undefined ? Effect.void : Effect.fail(value);
      return Effect.zipRight(this.#putFrom(value, 0, open), putNext);
    });
    const settled = Effect.async<void>((resume) => open.whenSettled(() => resume(Effect.void)));
    return Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(restore(putNext), {
        onFailure: (cause) => Effect.zipRight(settled, Effect.failCause(cause)),
        onSuccess: () =>
          Effect.flatMap(settled, () => open.failure === undefined ? Effect.void : this.#failed(open.failure)),
      })
    );
  }

  /** Puts all packets from `packets[at]` on. With `open`, does not wait for the confirmation of each list. */
  #putFrom(
    packets: ReadonlyArray<EncodedItem>,
    at: number,
    open: OpenLists | undefined,
  ): Effect.Effect<void, QueueError | QueueEnding> {
    if (at === packets.length) return Effect.void;
    return this.#putSome(packets, at, true, open, (count) => this.#putFrom(packets, at + count, open));
  }

  /** Gets room for some of the packets, interruptibly, and puts these uninterruptibly. */
  #putSome<B>(
    packets: ReadonlyArray<EncodedItem>,
    at: number,
    waits: boolean,
    open: OpenLists | undefined,
    then: (count: number) => Effect.Effect<B, QueueError | QueueEnding>,
  ): Effect.Effect<B, QueueError | QueueEnding> {
    const now = localHost(this.#handle)?.putNow(packets, at) ?? 0;
    if (now > 0) {
      leave(this.#handle, packets, at, now);
      return then(now);
    }
    const sent = Effect.uninterruptibleMask((restore) => {
      let bytes = 0;
      let isSmall = true;
      let count = 0;
      while (at + count < packets.length && count < P.LIST && bytes < BATCH_BYTES) {
        const size = sizeOf(packets[at + count++]);
        bytes += size;
        isSmall &&= size <= P.SMALL;
      }
      const ahead = isSmall ? this.#producer.takeAhead(count) : undefined;
      if (ahead !== undefined && ahead.count > 0) return this.#send(ahead, packets, at, open);
      return restore(waitThenCommit<GrantedPlaces, QueueEnding, number | undefined, QueueError | QueueEnding>(
        (answer) => this.#request(count, bytes, waits, answer),
        (places) => this.#send(places, packets, at, open),
      ));
    });
    // Void places: the call by which they were granted has ended meanwhile.
    return Effect.flatMap(
      sent,
      (count) => count === undefined ? this.#putSome(packets, at, waits, open, then) : then(count),
    );
  }

  #request(
    count: number,
    bytes: number,
    waits: boolean,
    answer: (result: Effect.Effect<GrantedPlaces, QueueEnding>) => void,
  ): () => void {
    let granted: GrantedPlaces | undefined;
    const withdraw = this.#producer.request(count, bytes, waits, (grant) => {
      if (!("count" in grant)) return answer(Effect.fail(endingOf(grant, this.#handle.host)));
      granted = grant;
      answer(Effect.succeed(grant));
    });
    return () => granted === undefined ? withdraw() : this.#producer.release(granted);
  }

  /**
   * Returns the number of packets that were put, or with `open` are on their way; `undefined` if the places were void.
   */
  #send(
    places: GrantedPlaces,
    packets: ReadonlyArray<EncodedItem>,
    at: number,
    open: OpenLists | undefined,
  ): Effect.Effect<number | undefined, QueueError | QueueEnding> {
    if (places.count === 0) return Effect.succeed(0);
    return Effect.async((resume) => {
      const batch = packets.length === places.count ? packets : packets.slice(at, at + places.count);
      const done = (failure?: PutFailure): void =>
        resume(failure === undefined ? Effect.succeed(places.count) : this.#failed(failure));
      try {
        const isSent = this.#producer.send(places, batch, open === undefined ? done : open.add());
        if (!isSent) {
          open?.withdraw();
          return resume(Effect.succeed(undefined));
        }
      } catch (error) {
        open?.withdraw();
        this.#producer.release(places);
        return resume(error instanceof MessageTooLarge ? Effect.fail(error) : Effect.die(error));
      }
      leave(this.#handle, batch, 0, batch.length);
      open?.whenReady(() => done(open.failure));
    });
  }

  #failed(failure: PutFailure): Effect.Effect<never, QueueError | QueueEnding> {
    return Effect.fail(typeof failure === "string" ? notOrderable(failure) : endingOf(failure, this.#handle.host));
  }
}

const notOrderable = (reason: string): QueueError =>
  new QueueError("NotOrderable", `Cannot put the item: it has no place in the order: ${reason}`);
