/**
 * A queue as a Stream. A chunk is taken in the step that hands it on. A consumer that fails, is interrupted or dies has therefore
 * taken only the chunks that it was handed.
 *
 * @module
 */
import * as Channel from "effect/Channel";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Stream from "effect/Stream";
import { DecodeError } from "../codec/errors.ts";
import { QueueClosed } from "../objects/errors.ts";
import { endingOf, type QueueEnding } from "./endings.ts";
import type { QueueHost } from "./host.ts";
import { type ItemCodec, type QueueHandle, takeOpened } from "./items.ts";
import { localHost } from "./putter.ts";
import { Reader } from "./reader.ts";
import { currentFiber, type ItemTaker, type TakenBatch } from "./taker.ts";
import { unreportedOf } from "./unreported.ts";

/** Items that a stream of another process borrows at a time, unless its chunks are larger. */
const AHEAD = 1024;

type Output<A> = Channel.Channel<Chunk.Chunk<A>, unknown, DecodeError | QueueEnding, unknown, unknown, unknown>;

/** The items of a queue, in chunks of at most `chunkSize`. */
export const streamOf = <A>(
  handle: QueueHandle,
  codec: ItemCodec<A>,
  taker: ItemTaker<A>,
  chunkSize: number,
): Stream.Stream<A, DecodeError | QueueEnding> =>
  Stream.fromChannel(Channel.suspend((): Output<A> => {
    const batches = new Set<TakenBatch>();
    const source = new Source(handle, codec, taker, chunkSize, batches);
    if (!handle.redeliver) return source.output;
    return Channel.ensuringWith(source.output, (exit) =>
      Effect.sync(() => {
        // A consumer that has failed will not report its items.
        if (Exit.isFailure(exit)) { for (const { giveBack } of batches) giveBack(); }
      }));
  }));

/** One run of a stream. */
class Source<A> {
  readonly #handle: QueueHandle;
  readonly #codec: ItemCodec<A>;
  readonly #taker: ItemTaker<A>;
  readonly #chunkSize: number;
  readonly #batches: Set<TakenBatch>;

  constructor(
    handle: QueueHandle,
    codec: ItemCodec<A>,
    taker: ItemTaker<A>,
    chunkSize: number,
    batches: Set<TakenBatch>,
  ) {
    this.#handle = handle;
    this.#codec = codec;
    this.#taker = taker;
    this.#chunkSize = chunkSize;
    this.#batches = batches;
  }

  get output(): Output<A> {
    const host = localHost(this.#handle);
    if (host !== undefined) return this.#local(host);
    return this.#handle.ahead && this.#handle.stranger !== true ? this.#readAhead() : this.#byGet();
  }

  /** In the process of the queue. */
  #local(host: QueueHost): Output<A> {
    const next: Output<A> = Channel.suspend((): Output<A> => {
      const taken = this.#taker.takeNow(host, this.#chunkSize, this.#batches);
      if (Array.isArray(taken)) return handOn(taken as ReadonlyArray<A>, next);
      if (taken === "none") return this.#get(this.#chunkSize, next);
      if (taken instanceof DecodeError) return Channel.fail(taken);
      return after(Effect.promise(() => taken as Promise<unknown>), next);
    });
    return next;
  }

  /** One request for each chunk. */
  #byGet(): Output<A> {
    const next: Output<A> = Channel.suspend(() => this.#get(this.#chunkSize, next));
    return next;
  }

  /** In another process that shares memory with that of the queue. */
  #readAhead(): Output<A> {
    const { redeliver } = this.#handle;
    const reader = new Reader(this.#handle, redeliver ? unreportedOf(this.#handle) : undefined);
    const most = Math.max(AHEAD, this.#chunkSize);
    const next: Output<A> = Channel.suspend((): Output<A> => {
      const packets = reader.peek(this.#chunkSize);
      if (packets.length > 0) {
        const opened = this.#codec.open(packets);
        const claimed = reader.claim(opened.count, redeliver ? currentFiber() : 0);
        if (claimed === 0) return next;
        const items = takeOpened(opened);
        if (items instanceof DecodeError) return Channel.fail(items);
        return handOn(claimed === items.length ? items : items.slice(0, claimed), next);
      }
      if (reader.mode === "never") return this.#byGet();
      if (reader.mode === "next") {
        reader.mode = "ahead";
        return this.#get(1, next);
      }
      if (reader.ended !== undefined) return end(endingOf(reader.ended, this.#handle.host));
      return after(Effect.async<void>((resume) => reader.pull(most, this.#chunkSize, () => resume(Effect.void))), next);
    });
    return Channel.ensuringWith(next, (exit) => Effect.sync(() => reader.close(Exit.isSuccess(exit))));
  }

  /** Takes a chunk, waiting if there is none, hands it on, and continues with `then`. */
  #get(count: number, then: Output<A>): Output<A> {
    return Channel.foldChannel(Channel.fromEffect(this.#taker.take(count, true, (items) => items!, this.#batches)), {
      onFailure: end,
      onSuccess: (items) => handOn(items, then),
    });
  }
}

const handOn = <A>(items: ReadonlyArray<A>, then: Output<A>): Output<A> =>
  Channel.flatMap(Channel.write(items.length === 1 ? Chunk.of(items[0]) : Chunk.unsafeFromArray(items)), () => then);

const after = <A>(effect: Effect.Effect<unknown>, then: Output<A>): Output<A> =>
  Channel.flatMap(Channel.fromEffect(effect), () => then);

/** A closed queue ends its streams, any other end is a failure. */
const end = (error: DecodeError | QueueEnding): Output<never> =>
  error instanceof QueueClosed && error.reason === "Closed" ? Channel.void : Channel.fail(error);
