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
import { QueueError } from "../objects/errors.ts";
import { waitThenCommit } from "../objects/interruption.ts";
import { sizeOf } from "../objects/packets.ts";
import { far, local } from "../rpc/router.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { endingOf, type QueueEnding } from "./endings.ts";
import type { QueueHost } from "./host.ts";
import { BATCH_BYTES, type EncodedItem, leave, type QueueHandle } from "./items.ts";
import { type GrantedPlaces, Producer } from "./producer.ts";
import * as P from "./protocol.ts";

/** The largest number of items that are sent together. */
const BATCH = 1024;

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

  /** Puts all packets from `packets[at]` on. *Interruption:* a first part of them may have been put. */
  putAll(packets: ReadonlyArray<EncodedItem>, at: number): Effect.Effect<void, QueueError | QueueEnding> {
    if (at === packets.length) return Effect.void;
    return this.#putSome(packets, at, true, (count) => this.putAll(packets, at + count));
  }

  /** Puts a packet if there is room for it now. Returns whether it was put. */
  tryPut(packet: EncodedItem): Effect.Effect<boolean, QueueError | QueueEnding> {
    return this.#putSome([packet], 0, false, (count) => Effect.succeed(count > 0));
  }

  /** Gets room for some of the packets, interruptibly, and puts these uninterruptibly. */
  #putSome<B>(
    packets: ReadonlyArray<EncodedItem>,
    at: number,
    waits: boolean,
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
      while (at + count < packets.length && count < BATCH && bytes < BATCH_BYTES) {
        const size = sizeOf(packets[at + count++]);
        bytes += size;
        isSmall &&= size <= P.SMALL;
      }
      const ahead = isSmall ? this.#producer.takeAhead(count) : undefined;
      if (ahead !== undefined && ahead.count > 0) return this.#send(ahead, packets, at);
      return restore(waitThenCommit<GrantedPlaces, QueueEnding, number | undefined, QueueError | QueueEnding>(
        (answer) => this.#request(count, bytes, waits, answer),
        (places) => this.#send(places, packets, at),
      ));
    });
    // Void places: the call by which they were granted has ended meanwhile.
    return Effect.flatMap(sent, (count) => count === undefined ? this.#putSome(packets, at, waits, then) : then(count));
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

  /** Returns the number of packets that were put; `undefined` if the places were void. */
  #send(
    places: GrantedPlaces,
    packets: ReadonlyArray<EncodedItem>,
    at: number,
  ): Effect.Effect<number | undefined, QueueError | QueueEnding> {
    if (places.count === 0) return Effect.succeed(0);
    return Effect.async((resume) => {
      const batch = packets.length === places.count ? packets : packets.slice(at, at + places.count);
      try {
        const isSent = this.#producer.send(places, batch, (failure) => {
          if (failure === undefined) resume(Effect.succeed(places.count));
          else if (typeof failure === "string") resume(Effect.fail(notOrderable(failure)));
          else resume(Effect.fail(endingOf(failure, this.#handle.host)));
        });
        if (!isSent) return resume(Effect.succeed(undefined));
      } catch (error) {
        this.#producer.release(places);
        return resume(error instanceof MessageTooLarge ? Effect.fail(error) : Effect.die(error));
      }
      leave(this.#handle, batch, 0, batch.length);
    });
  }
}

const notOrderable = (reason: string): QueueError =>
  new QueueError("NotOrderable", `Cannot put the item: it has no place in the order: ${reason}`);
