/**
 * A queue as its users have it, in whichever process they are.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import { call, CANCELLED, DONE, GONE, local, readTooLarge, type Target, TOO_LARGE, written } from "../link/router.ts";
import type { Info as QueueInfo, Queue, Statistics } from "../Queue.ts";
import * as Codec from "../wire/codec.ts";
import { DecodeError, EncodeError } from "../wire/errors.ts";
import { type Incoming, MessageTooLarge } from "../wire/frames.ts";
import { QueueClosed, QueueError, Unreachable } from "./errors.ts";
import { HandleId, hooks, register } from "./handles.ts";
import { type Packet, sizeOf, unpack } from "./packets.ts";
import type { QueueHost, Taking } from "./queue_host.ts";
import { type Grant, type Places, Producer } from "./queue_producer.ts";
import * as P from "./queue_protocol.ts";
import { WaitId } from "./waitable.ts";

/** What a handle of a queue says. */
export interface Place extends Target {
  /** Name of the process that hosts it. */
  readonly host: string;
  readonly capacity: number;
  readonly maxBytes: number;
  /** Whether it looks into its items, to order them. */
  readonly ordered: boolean;
}

export const TypeId = "~multiprocessing/Queue";

/** Items and bytes that are sent together. */
const BATCH = 1024;
const BATCH_BYTES = 256 * 1024;

type Ending = QueueClosed | Unreachable | MessageTooLarge;

interface Sent extends Packet {
  readonly onSend: ReadonlyArray<(link: never) => void>;
}

/** What goes with the packets goes now. */
const sending = (packets: ReadonlyArray<Sent>, at: number, count: number): void => {
  for (let i = at; i < at + count; i++) for (const action of packets[i].onSend) action(undefined as never);
};

/** The implementation of {@link Queue}. */
export class QueueClient<A> implements Queue<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #place: Place;
  readonly #producer: Producer;

  constructor(place: Place) {
    this.#place = place;
    this.#producer = new Producer(place, place.ordered);
  }

  get [HandleId]() {
    return { kind: "queue", encode: () => ({ ...this.#place }) };
  }

  get [WaitId]() {
    return {
      now: Effect.matchCause(this.#info, {
        onFailure: () => true,
        onSuccess: ({ ended, size }) => size > 0 || ended === 1,
      }),
      until: Effect.ignore(this.ready),
    };
  }

  get capacity(): number {
    return this.#place.capacity;
  }

  get host(): string {
    return this.#place.host;
  }

  readonly put = (item: A): Effect.Effect<void, EncodeError | QueueError | Ending> =>
    Effect.flatMap(this.#encode(item, "item"), (packet) => this.#putAll([packet], 0));

  readonly putAll = (items: Iterable<A>): Effect.Effect<void, EncodeError | QueueError | Ending> =>
    Effect.suspend((): Effect.Effect<void, EncodeError | QueueError | Ending> => {
      const packets: Array<Sent> = [];
      for (const item of items) {
        const packet = this.#encodeNow(item, `items[${packets.length}]`);
        if (!("onSend" in packet)) return Effect.fail(packet);
        packets.push(packet);
      }
      return this.#putAll(packets, 0);
    });

  readonly tryPut = (item: A): Effect.Effect<boolean, EncodeError | QueueError | Ending> =>
    Effect.flatMap(
      this.#encode(item, "item"),
      (packet) => this.#step([packet], 0, false, (sent) => Effect.succeed(sent > 0)),
    );

  get get(): Effect.Effect<A, DecodeError | Ending> {
    return Effect.flatMap(this.#take(1, true), (packets) => this.#decode(packets![0]));
  }

  get tryGet(): Effect.Effect<Option.Option<A>, DecodeError | Ending> {
    return Effect.flatMap(
      this.#take(1, false),
      (packets) => packets === undefined ? Effect.succeedNone : Effect.map(this.#decode(packets[0]), Option.some),
    );
  }

  readonly takeUpTo = (count: number): Effect.Effect<ReadonlyArray<A>, DecodeError | QueueError | Ending> => {
    if (!Number.isSafeInteger(count) || count < 1) {
      return Effect.fail(
        new QueueError("InvalidOption", `Cannot take items: the count must be a positive integer, received ${count}`),
      );
    }
    return Effect.flatMap(this.#take(count, true), (packets) => this.#decodeAll(packets!));
  };

  get statistics(): Effect.Effect<Statistics, Ending> {
    return Effect.map(this.#info, ({ ended: _, full: __, state, ...numbers }): Statistics => ({
      ...numbers,
      capacity: this.capacity,
      state: state === 0 ? "open" : state === 1 ? "closed" : "shut down",
    }));
  }

  get size(): Effect.Effect<number, Ending> {
    return Effect.map(this.#info, ({ size }) => size);
  }

  get isEmpty(): Effect.Effect<boolean, Ending> {
    return Effect.map(this.#info, ({ size }) => size === 0);
  }

  get isFull(): Effect.Effect<boolean, Ending> {
    return Effect.map(this.#info, ({ full }) => full === 1);
  }

  readonly taskDone = (count: number = 1): Effect.Effect<void, QueueError | Ending> =>
    Number.isSafeInteger(count) && count > 0
      ? Effect.asVoid(this.#ask(P.TASK_DONE, (writer) => void writer.varint(count)))
      : Effect.fail(
        new QueueError(
          "InvalidOption",
          `Cannot report tasks done: the count must be a positive integer, received ${count}`,
        ),
      );

  get join(): Effect.Effect<void, Ending> {
    return this.#simply(P.JOIN);
  }

  get ready(): Effect.Effect<void, Ending> {
    return this.#simply(P.READY);
  }

  get close(): Effect.Effect<void, Ending> {
    return this.#simply(P.CLOSE);
  }

  get shutdown(): Effect.Effect<void, Ending> {
    return this.#simply(P.SHUTDOWN);
  }

  get toStream(): Stream.Stream<A, DecodeError | Unreachable | MessageTooLarge | QueueClosed> {
    const items = Effect.flatMap(this.#take(BATCH, true), (packets) => this.#decodeAll(packets!));
    return Stream.repeatEffectChunkOption(Effect.mapBoth(items, {
      onFailure: (error) =>
        error instanceof QueueClosed && error.reason === "Closed" ? Option.none() : Option.some(error),
      onSuccess: Chunk.unsafeFromArray,
    }));
  }

  get toSink(): Sink.Sink<void, A, never, EncodeError | QueueError | Ending> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<A>) => this.putAll(chunk));
  }

  toString(): string {
    return `Queue(${this.#place.host})`;
  }

  #encodeNow(item: A, root: string): Sent | EncodeError | QueueError {
    let encoded: Sent;
    try {
      encoded = Codec.encode(item, { hooks, root });
    } catch (error) {
      if (error instanceof EncodeError) return error;
      throw error;
    }
    const { maxBytes } = this.#place;
    const size = sizeOf(encoded);
    return size <= maxBytes ? encoded : new QueueError(
      "TooLarge",
      `Cannot put an item of ${size} bytes: the queue holds ${maxBytes} bytes; raise its maxBytes or send the item in pieces`,
    );
  }

  #encode(item: A, root: string): Effect.Effect<Sent, EncodeError | QueueError> {
    return Effect.suspend(() => {
      const packet = this.#encodeNow(item, root);
      return "onSend" in packet ? Effect.succeed(packet) : Effect.fail(packet);
    });
  }

  #decode(packet: Packet): Effect.Effect<A, DecodeError> {
    return Effect.map(this.#decodeAll([packet]), ([item]) => item);
  }

  #decodeAll(packets: ReadonlyArray<Packet>): Effect.Effect<ReadonlyArray<A>, DecodeError> {
    return Effect.suspend(() => {
      try {
        const decode = ({ attachments, bytes }: Packet): A =>
          Codec.decode(bytes, { attachments, hooks, link: undefined as never }) as A;
        return Effect.succeed(packets.map(decode));
      } catch (error) {
        return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
      }
    });
  }

  /** The queue itself, where it lives. */
  get #local(): QueueHost | undefined {
    return local(this.#place) as QueueHost | undefined;
  }

  #putAll(packets: ReadonlyArray<Sent>, at: number): Effect.Effect<void, QueueError | Ending> {
    if (at === packets.length) return Effect.void;
    return this.#step(packets, at, true, (sent) => this.#putAll(packets, at + sent));
  }

  /** Gets room for some of the packets, and puts them: to be interrupted while it waits, and not from then on. */
  #step<B>(
    packets: ReadonlyArray<Sent>,
    at: number,
    waits: boolean,
    then: (sent: number) => Effect.Effect<B, QueueError | Ending>,
  ): Effect.Effect<B, QueueError | Ending> {
    const now = this.#local?.putNow(packets, at) ?? 0;
    if (now > 0) {
      sending(packets, at, now);
      return then(now);
    }
    const sent = Effect.uninterruptibleMask((restore) => {
      let bytes = 0;
      let small = true;
      let count = 0;
      while (at + count < packets.length && count < BATCH && bytes < BATCH_BYTES) {
        const size = sizeOf(packets[at + count++]);
        bytes += size;
        small &&= size <= P.SMALL;
      }
      const places = small ? this.#producer.take(count) : undefined;
      return places !== undefined && places.count > 0
        ? this.#send(places, packets, at)
        : Effect.flatMap(restore(this.#acquire(count, bytes, waits)), (places) => this.#send(places, packets, at));
    });
    return Effect.flatMap(sent, (sent) => sent === undefined ? this.#step(packets, at, waits, then) : then(sent));
  }

  #acquire(count: number, bytes: number, waits: boolean): Effect.Effect<Places, Ending> {
    return Effect.async((resume) => {
      let granted: Places | undefined;
      const withdraw = this.#producer.acquire(count, bytes, waits, (grant: Grant) => {
        if ("count" in grant) {
          granted = grant;
          resume(Effect.succeed(grant));
        } else resume(Effect.fail(this.#ending(grant)));
      });
      return Effect.sync(() => granted === undefined ? withdraw() : this.#producer.release(granted));
    });
  }

  /** Answers how many it has sent, or `undefined` if the places were void. */
  #send(
    places: Places,
    packets: ReadonlyArray<Sent>,
    at: number,
  ): Effect.Effect<number | undefined, QueueError | Ending> {
    if (places.count === 0) return Effect.succeed(0);
    return Effect.async((resume) => {
      const batch = packets.length === places.count ? packets : packets.slice(at, at + places.count);
      try {
        const sent = this.#producer.send(places, batch, (failure) => {
          if (failure === undefined) resume(Effect.succeed(places.count));
          else if (typeof failure === "string") {
            resume(
              Effect.fail(
                new QueueError("NotOrderable", `Cannot put the item: it has no place in the order: ${failure}`),
              ),
            );
          } else resume(Effect.fail(this.#ending(failure)));
        });
        if (!sent) return resume(Effect.succeed(undefined));
      } catch (error) {
        this.#producer.release(places);
        return resume(error instanceof MessageTooLarge ? Effect.fail(error) : Effect.die(error));
      }
      sending(batch, 0, batch.length);
    });
  }

  /** Takes packets: at least one; `undefined` if it does not wait and there is none. */
  #take(count: number, waits: boolean): Effect.Effect<ReadonlyArray<Packet> | undefined, Ending> {
    return Effect.uninterruptibleMask((restore) => {
      const here = this.#local;
      const now = here?.takeNow(count);
      if (now !== undefined) return Effect.succeed(now);
      if (here !== undefined && waits) return this.#takeHere(here, count, restore);
      let acknowledge = (_done: () => void): void => {};
      let taken = (): void => {};
      let lent = false;
      let gone = false;
      const arrived = Effect.async<ReadonlyArray<Packet> | undefined, Ending>((resume) => {
        const line = call(this.#place, P.GET, (writer) => {
          writer.varint(count);
          writer.byte(waits ? 1 : 0);
          return undefined;
        }, {
          data: (message) => {
            lent = true;
            resume(Effect.succeed(unpack(message, 0)));
          },
          exit: (message) => {
            gone = true;
            taken();
            if (!lent) {
              resume(message.bytes[0] === P.EMPTY ? Effect.succeed(undefined) : Effect.fail(this.#ending(message)));
            }
          },
        });
        acknowledge = (done) => {
          line.finish(done);
          line.flush();
        };
        return Effect.sync(() => line.cancel());
      });
      // From here on it is taken, whatever becomes of this process.
      return Effect.tap(
        restore(arrived),
        (packets) =>
          packets === undefined || gone ? Effect.void : Effect.async<void>((resume) => {
            taken = () => resume(Effect.void);
            acknowledge(taken);
          }),
      );
    });
  }

  /** {@link #take} where the queue lives. */
  #takeHere(
    queue: QueueHost,
    count: number,
    restore: <B, E>(effect: Effect.Effect<B, E>) => Effect.Effect<B, E>,
  ): Effect.Effect<ReadonlyArray<Packet>, Ending> {
    return Effect.suspend(() => {
      let taking: Taking | undefined;
      const arrived = Effect.async<ReadonlyArray<Packet>, Ending>((resume) => {
        taking = queue.take(
          count,
          (packets) => resume(Effect.succeed(packets)),
          (exit) => resume(Effect.fail(this.#ending(written(exit)))),
        );
        return Effect.sync(taking.leave);
      });
      return Effect.tap(restore(arrived), () => taking?.taken());
    });
  }

  #ask(operation: number, fill?: (writer: Codec.Writer) => void): Effect.Effect<Incoming, QueueError | Ending> {
    return Effect.async((resume) => {
      const line = call(
        this.#place,
        operation,
        fill && ((writer) => {
          fill(writer);
          return undefined;
        }),
        {
          exit: (message) => {
            const status = message.bytes[0];
            if (status === DONE) resume(Effect.succeed(message));
            else if (status === P.TOO_OFTEN) {
              resume(Effect.fail(
                new QueueError("TooManyDone", "Cannot report tasks done: more than were put and not yet reported"),
              ));
            } else resume(Effect.fail(this.#ending(message)));
          },
        },
      );
      return Effect.sync(() => line.cancel());
    });
  }

  #simply(operation: number): Effect.Effect<void, Ending> {
    return Effect.catchTag(Effect.asVoid(this.#ask(operation)), "QueueError", Effect.die);
  }

  get #info(): Effect.Effect<QueueInfo, Ending> {
    return Effect.map(Effect.catchTag(this.#ask(P.INFO), "QueueError", Effect.die), ({ bytes }) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const at = (index: number): number => view.getFloat64(1 + 8 * index, true);
      return {
        size: at(0),
        bytes: at(1),
        takers: at(2),
        putters: at(3),
        unfinished: at(4),
        full: at(5),
        state: at(6),
        ended: at(7),
      };
    });
  }

  #ending(message: Incoming): Ending {
    switch (message.bytes[0]) {
      case P.CLOSED:
        return new QueueClosed("Closed");
      case P.SHUT_DOWN:
        return new QueueClosed("ShutDown");
      case TOO_LARGE:
        return readTooLarge(message);
      case GONE:
      case CANCELLED:
      default:
        return new Unreachable("queue", this.#place.host);
    }
  }
}

register("queue", (data) => new QueueClient(data as Place));
