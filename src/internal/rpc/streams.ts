/**
 * Streams over a channel, against credit. One end runs the stream and sends its elements; the other end is a Stream.
 *
 * - One unit of credit allows one message, which holds several elements of about {@link MESSAGE} bytes together, or one larger
 *   element.
 * - The consumer allows {@link WINDOW} messages at first, and one more for each message that it has taken. The number of messages
 *   in flight is therefore bounded, however slow the consumer is.
 * - Stopping the consumer interrupts the producer, and waits until the producer has stopped.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Stream from "effect/Stream";
import * as Codec from "../codec/codec.ts";
import { lateStream, streaming } from "../os/late_stream.ts";
import { type Incoming, MessageTooLarge, sizeOf } from "../codec/message.ts";
import type { Fill, Link, Receiver } from "./link.ts";

/** The number of messages that may be in flight on one stream. */
export const WINDOW = 8;

/** The target size of a message with several elements, in bytes. */
export const MESSAGE: number = 64 * 1024;

/** The destination of a producer: a channel, or a line of the router. */
export interface Outward {
  readonly data: (fill: Fill) => void;
}

/** The signals of a consumer to its producer. */
export interface Inward {
  readonly credit: (count: number) => void;
  readonly cancel: () => void;
}

/** The number of messages that a producer may still send. */
export class Credit {
  #available = 0;
  #waiter: (() => void) | undefined;

  add(count: number): void {
    this.#available += count;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }

  /** Waits for one unit and takes it. Only one fiber may wait at a time. */
  readonly take: Effect.Effect<void> = Effect.async<void>((resume) => {
    const attempt = (): void => {
      if (this.#available === 0) {
        this.#waiter = attempt;
        return;
      }
      this.#available--;
      resume(Effect.void);
    };
    attempt();
    return Effect.sync(() => this.#waiter = undefined);
  });
}

/** Runs the stream and sends its elements over the channel. The caller sends the exit. */
export const produce = <A, E, R, E2>(
  stream: Stream.Stream<A, E, R>,
  channel: Outward,
  credit: Credit,
  encode: (elements: ReadonlyArray<A>) => Effect.Effect<Codec.Encoded<Link>, E2>,
): Effect.Effect<void, E | E2 | MessageTooLarge, R> => {
  let count = 1;
  const send = (chunk: Chunk.Chunk<A>): Effect.Effect<void, E2 | MessageTooLarge> => {
    const elements = Chunk.toReadonlyArray(chunk);
    let at = 0;
    return Effect.whileLoop({
      while: () => at < elements.length,
      body: () =>
        Effect.zipRight(
          credit.take,
          Effect.flatMap(encode(elements.slice(at, at + count)), (untaken) => {
            const [encoded] = Codec.take([untaken]);
            const size = sizeOf(encoded);
            try {
              channel.data((writer) => Codec.append(writer, encoded, true));
            } catch (error) {
              return error instanceof MessageTooLarge ? Effect.fail(error) : Effect.die(error);
            }
            at += count;
            if (size < MESSAGE / 2) count *= 2;
            else if (size > MESSAGE) count = Math.max(1, count >> 1);
            return Effect.void;
          }),
        ),
      step: () => {},
    });
  };
  return streaming(({ runForEachChunk }) => runForEachChunk(stream, send));
};

/** The functions by which the consumer of a stream interprets its messages. */
export interface Consumer<A, E> {
  readonly data: (message: Incoming) => Effect.Effect<ReadonlyArray<A>, E>;
  readonly exit: (message: Incoming) => Effect.Effect<unknown, E>;
  readonly closed: Effect.Effect<never, E>;
}

/** The messages that have arrived on a channel and were not taken yet. */
export class Mailbox<A, E> implements Receiver {
  readonly arrived: Array<Incoming> = [];
  end: Effect.Effect<unknown, E> | undefined;
  #cut: Effect.Effect<never, E> | undefined;
  #waiter: (() => void) | undefined;
  readonly #consumer: Consumer<A, E>;

  constructor(consumer: Consumer<A, E>) {
    this.#consumer = consumer;
  }

  readonly data = (message: Incoming): void => {
    this.arrived.push(message);
    this.#wake();
  };

  readonly exit = (message: Incoming): void => this.#finish(this.#consumer.exit(message));

  readonly closed = (): void => this.#finish(this.#consumer.closed);

  /** Waits until a message is there, or the end of the stream. */
  readonly changed: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.arrived.length > 0 || this.end !== undefined) return resume(Effect.void);
    this.#waiter = () => resume(Effect.void);
    return Effect.sync(() => this.#waiter = undefined);
  });

  /** Fails the stream for its reader, before messages that have arrived but were not taken. The producer is then stopped. */
  cut(failure: Effect.Effect<never, E>): void {
    this.#cut ??= failure;
    this.#wake();
  }

  /** Takes the next elements. Fails with `None` at the end of the stream. */
  pull(channel: Inward): Effect.Effect<Chunk.Chunk<A>, Option.Option<E>> {
    return Effect.suspend(() => {
      if (this.#cut !== undefined) return Effect.mapError(this.#cut, Option.some);
      const message = this.arrived.shift();
      if (message !== undefined) {
        if (this.end === undefined) channel.credit(1);
        return Effect.mapBoth(this.#consumer.data(message), {
          onFailure: Option.some,
          onSuccess: Chunk.unsafeFromArray,
        });
      }
      if (this.end !== undefined) {
        return Effect.zipRight(Effect.mapError(this.end, Option.some), Effect.fail(Option.none()));
      }
      return Effect.zipRight(this.changed, this.pull(channel));
    });
  }

  /** Stops the producer, unless it has ended, and waits for its end. */
  stop(channel: Inward): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.end !== undefined) return Effect.void;
      channel.cancel();
      const discarded = Effect.map(this.changed, () => void (this.arrived.length = 0));
      return Effect.repeat(discarded, { until: () => this.end !== undefined });
    });
  }

  #finish(end: Effect.Effect<unknown, E>): void {
    this.end ??= end;
    this.#wake();
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }
}

/**
 * Makes a Stream of the messages in a mailbox. `begin` is called when the Stream is run. `stopping` is called when the reader
 * stops early, before the end of the producer is awaited.
 */
export const consume = <A, E>(
  mailbox: Mailbox<A, E>,
  begin: () => Inward,
  stopping: () => void = () => {},
): Stream.Stream<A, E> =>
  lateStream(({ repeatEffectChunkOption, unwrapScoped }) =>
    unwrapScoped(Effect.map(
      Effect.acquireRelease(Effect.sync(begin), (channel) => {
        if (mailbox.end === undefined) stopping();
        return mailbox.stop(channel);
      }),
      (channel) => {
        if (mailbox.end === undefined) channel.credit(WINDOW);
        return repeatEffectChunkOption(mailbox.pull(channel));
      },
    ))
  );
