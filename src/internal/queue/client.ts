/**
 * The queue that a user has, in any process.
 *
 * - `items.ts` encodes items in the caller's fiber, before anything is sent.
 * - `putter.ts` gets room and sends them; `producer.ts` is its call to the queue.
 * - `taker.ts` takes items; `stream.ts` takes them as a Stream. `reader.ts` reads ahead for a Stream, and for gets that follow each
 *   other closely (`subscription.ts`).
 * - `unreported.ts` remembers the items of queues that redeliver until they are reported done.
 *
 * The state diagram of each of them, and of the queue itself in `host.ts`, is at the top of its file.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type { Queue, Statistics, StreamOptions } from "../../Queue.ts";
import type { DecodeError } from "../codec/errors.ts";
import { EncodeError } from "../codec/errors.ts";
import { QueueError } from "../objects/errors.ts";
import { HandleId, register } from "../objects/handles.ts";
import { request } from "../objects/request.ts";
import { varints } from "../codec/varint.ts";
import { WaitId } from "../objects/waitable.ts";
import { invalidArgument, invalidOption, iterable, optional, positive, wrongOptions } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import type { Fill } from "../rpc/link.ts";
import { DONE } from "../rpc/router.ts";
import type { Incoming } from "../codec/message.ts";
import { endingOf, type QueueEnding } from "./endings.ts";
import { type EncodedItem, ItemCodec, type QueueHandle } from "./items.ts";
import * as P from "./protocol.ts";
import { localHost, Putter } from "./putter.ts";
import { streamOf } from "./stream.ts";
import { currentFiber, ItemTaker } from "./taker.ts";
import { unreportedOf } from "./unreported.ts";

export const TypeId = "~multiprocessing/Queue";

const streamChecks = { chunkSize: optional(positive) };

/** The implementation of {@link Queue}. */
export class QueueClient<A> implements Queue<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #handle: QueueHandle;
  readonly #codec: ItemCodec<A>;
  readonly #putter: Putter;
  readonly #taker: ItemTaker<A>;

  constructor(handle: QueueHandle) {
    this.#handle = handle;
    this.#codec = new ItemCodec(handle);
    this.#putter = new Putter(handle);
    this.#taker = new ItemTaker(handle, this.#codec);
  }

  get [HandleId]() {
    return { kind: "queue", encode: () => ({ ...this.#handle }) };
  }

  get [WaitId]() {
    return {
      look: (answer: (ready: boolean) => void): void => {
        const host = localHost(this.#handle);
        if (host !== undefined) return answer(host.ready);
        request(this.#handle, P.INFO, undefined, (message) => {
          // A queue that is gone is ready: using it fails at once.
          const { ended, size } = message.bytes[0] === DONE ? readInfo(message) : { ended: 1, size: 0 };
          answer(size > 0 || ended === 1);
        });
      },
      watch: (onReady: () => void): () => void =>
        localHost(this.#handle)?.watch(onReady) ?? request(this.#handle, P.READY, undefined, onReady),
    };
  }

  get capacity(): number {
    return this.#handle.capacity;
  }

  get host(): string {
    return this.#handle.host;
  }

  readonly put = (item: A): Effect.Effect<void, EncodeError | QueueError | QueueEnding> =>
    this.#encoded(item, (packet) => this.#putter.put(packet));

  readonly putAll = (items: Iterable<A>): Effect.Effect<void, EncodeError | QueueError | QueueEnding> =>
    Effect.suspend((): Effect.Effect<void, EncodeError | QueueError | QueueEnding> => {
      const wrong = iterable(items);
      if (wrong !== undefined) return refuse("InvalidArgument", invalidArgument("queue.putAll", `items ${wrong}`));
      const packets = this.#codec.encodeAll(items);
      if (packets instanceof EncodeError || packets instanceof QueueError) return Effect.fail(packets);
      return this.#putter.putLists([packets].values());
    });

  readonly tryPut = (item: A): Effect.Effect<boolean, EncodeError | QueueError | QueueEnding> =>
    this.#encoded(item, (packet) => this.#putter.tryPut(packet));

  get get(): Effect.Effect<A, DecodeError | QueueEnding> {
    return this.#taker.take(1, true, (items) => items![0]);
  }

  get tryGet(): Effect.Effect<Option.Option<A>, DecodeError | QueueEnding> {
    return this.#taker.take(1, false, (items) => items === undefined ? Option.none() : Option.some(items[0]));
  }

  readonly takeUpTo = (count: number): Effect.Effect<ReadonlyArray<A>, DecodeError | QueueError | QueueEnding> => {
    const wrong = positive(count);
    if (wrong !== undefined) return refuse("InvalidOption", invalidArgument("queue.takeUpTo", `count ${wrong}`));
    return this.#taker.take(count, true, (items) => items!);
  };

  get statistics(): Effect.Effect<Statistics, QueueEnding> {
    return Effect.map(this.#info, ({ ended: _, full: __, state, ...numbers }): Statistics => ({
      ...numbers,
      capacity: this.capacity,
      state: state === 0 ? "open" : state === 1 ? "closed" : "shut down",
    }));
  }

  get size(): Effect.Effect<number, QueueEnding> {
    return Effect.map(this.#info, ({ size }) => size);
  }

  get isEmpty(): Effect.Effect<boolean, QueueEnding> {
    return Effect.map(this.#info, ({ size }) => size === 0);
  }

  get isFull(): Effect.Effect<boolean, QueueEnding> {
    return Effect.map(this.#info, ({ full }) => full === 1);
  }

  readonly taskDone = (count: number = 1): Effect.Effect<void, QueueError | QueueEnding> => {
    const wrong = positive(count);
    if (wrong !== undefined) return refuse("InvalidOption", invalidArgument("queue.taskDone", `count ${wrong}`));
    return this.#handle.redeliver ? this.#report(count) : this.#countDone(count);
  };

  get join(): Effect.Effect<void, QueueEnding> {
    return Effect.asVoid(this.#ask(P.JOIN));
  }

  get ready(): Effect.Effect<void, QueueEnding> {
    return Effect.asVoid(this.#ask(P.READY));
  }

  get close(): Effect.Effect<void, QueueEnding> {
    return Effect.asVoid(this.#ask(P.CLOSE));
  }

  get shutdown(): Effect.Effect<void, QueueEnding> {
    return Effect.asVoid(this.#ask(P.SHUTDOWN));
  }

  get toStream(): Stream.Stream<A, DecodeError | QueueEnding> {
    return streamOf(this.#handle, this.#codec, this.#taker, 1);
  }

  readonly toStreamWith = (options: StreamOptions): Stream.Stream<A, DecodeError | QueueError | QueueEnding> => {
    const wrong = wrongOptions(options, streamChecks);
    if (wrong !== undefined) return Stream.fromEffect(refuse("InvalidOption", invalidOption("queue stream", wrong)));
    return streamOf(this.#handle, this.#codec, this.#taker, options.chunkSize ?? 1);
  };

  get toSink(): Sink.Sink<void, A, never, EncodeError | QueueError | QueueEnding> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<A>) => this.#putter.putLists(this.#codec.encodeLists(chunk)));
  }

  toString(): string {
    return `Queue(${this.#handle.host})`;
  }

  /** Encodes an item in the caller's fiber, and puts it. */
  #encoded<B>(
    item: A,
    put: (packet: EncodedItem) => Effect.Effect<B, QueueError | QueueEnding>,
  ): Effect.Effect<B, EncodeError | QueueError | QueueEnding> {
    return Effect.suspend((): Effect.Effect<B, EncodeError | QueueError | QueueEnding> => {
      const packet = this.#codec.encode(item);
      return packet instanceof EncodeError || packet instanceof QueueError ? Effect.fail(packet) : put(packet);
    });
  }

  /**
   * Reports items that this process has taken from a queue that redelivers. Completes when the reports will outlive this process.
   */
  #report(count: number): Effect.Effect<void, QueueError> {
    return Effect.async((resume) => {
      const items = unreportedOf(this.#handle).pick(currentFiber(), count);
      if (items === undefined) {
        return resume(refuse(
          "TooManyDone",
          "Cannot report tasks done: this process has taken fewer that are unreported; in a queue that redelivers, " +
            "the process that took an item reports it, before it loses the queue",
        ));
      }
      let open = items.length;
      for (const { report } of items) {
        report(() => {
          if (--open === 0) resume(Effect.void);
        });
      }
    });
  }

  #countDone(count: number): Effect.Effect<void, QueueError | QueueEnding> {
    return this.#call(P.TASK_DONE, varints(count), (message): Effect.Effect<void, QueueError | QueueEnding> => {
      if (message.bytes[0] === DONE) return Effect.void;
      return message.bytes[0] === P.TOO_OFTEN
        ? refuse("TooManyDone", "Cannot report tasks done: fewer are unfinished")
        : Effect.fail(endingOf(message, this.#handle.host));
    });
  }

  get #info(): Effect.Effect<P.QueueInfo, QueueEnding> {
    return Effect.map(this.#ask(P.INFO), readInfo);
  }

  #ask(operation: number): Effect.Effect<Incoming, QueueEnding> {
    return this.#call(
      operation,
      undefined,
      (message) =>
        message.bytes[0] === DONE ? Effect.succeed(message) : Effect.fail(endingOf(message, this.#handle.host)),
    );
  }

  #call<B, E>(operation: number, fill: Fill | undefined, read: (message: Incoming) => Effect.Effect<B, E>) {
    return Effect.async<B, E>((resume) => {
      const cancel = request(this.#handle, operation, fill, (message) => resume(read(message)));
      return Effect.sync(cancel);
    });
  }
}
inspectable(QueueClient);

const refuse = (reason: QueueError["reason"], message: string): Effect.Effect<never, QueueError> =>
  Effect.fail(new QueueError(reason, message));

const readInfo = ({ bytes }: Incoming): P.QueueInfo => {
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
};

register("queue", (data) => new QueueClient(data as QueueHandle));
