/**
 * A queue that programs share by a server.
 *
 * - `queue_streams.ts` has its streams and its state; the server decides alone whether it is full, and whether it is open.
 * - `queue_puts.ts` puts items.
 * - `queue_intake.ts` gets items from the server; `queue_taker.ts` takes them, each by a mark (`queue_claims.ts`).
 * - `queue_reports.ts` reports items done.
 *
 * @module
 */
import * as Channel from "effect/Channel";
import * as Chunk from "effect/Chunk";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type * as Public from "../../../NatsShared.ts";
import type { Queue, QueueFailure, Statistics, StreamOptions } from "../../../Queue.ts";
import { type DecodeError, EncodeError } from "../../codec/errors.ts";
import { MessageTooLarge } from "../../codec/message.ts";
import { QueueClosed, QueueError } from "../../objects/errors.ts";
import { HandleId } from "../../objects/handles.ts";
import { WaitId } from "../../objects/waitable.ts";
import * as Arguments from "../../os/arguments.ts";
import { positiveDuration } from "../../os/durations.ts";
import { inspectable } from "../../os/inspect.ts";
import { after } from "../../os/timer.ts";
import { type EncodedItem, type EncodedLists, ItemCodec } from "../../queue/items.ts";
import { currentFiber } from "../../queue/taker.ts";
import { Closed } from "../jetstream.ts";
import { decodeRecord, randomName } from "../protocol.ts";
import { type Connection, unsendable } from "./connection.ts";
import { Answers, Claims } from "./queue_claims.ts";
import { Intake } from "./queue_intake.ts";
import { type ItemMessage, Puts } from "./queue_puts.ts";
import { type Held, Holds, Reports } from "./queue_reports.ts";
import { closedAs, QueueStreams, type Snapshot, type State } from "./queue_streams.ts";
import { GRACE, packItem, SharedTaker, within } from "./queue_taker.ts";

const TypeId = "~multiprocessing/Queue";

/** Interval of looking for a condition of which no news has come, in milliseconds. */
const LOOK = 1000;

/** The shortest and the longest pause before a closed queue is looked at again, in milliseconds. */
const AGAIN = 20;
const LONGEST = 500;

/** What the head of a message takes up, in bytes. */
const OVERHEAD = 256;

/** Interval of removing what is not needed any more, in milliseconds. */
const TIDY = 60_000;

const { boolean, invalidArgument, invalidOption, iterable, optional, positive, positiveOrInfinite, wrongOptions } =
  Arguments;

export const queueChecks: Arguments.Checks = {
  capacity: optional(positiveOrInfinite),
  maxBytes: optional(positiveOrInfinite),
  redeliver: optional(boolean),
  ackWait: optional(positiveDuration),
};

const streamChecks = { chunkSize: optional(positive) };

const refuse = (reason: QueueError["reason"], message: string): Effect.Effect<never, QueueError> =>
  Effect.fail(new QueueError(reason, message));

type Output<A> = Channel.Channel<Chunk.Chunk<A>, unknown, DecodeError | QueueFailure, unknown, unknown, unknown>;

/** Puts messages. */
type Put<B> = (messages: ReadonlyArray<ItemMessage>, signal: AbortSignal) => Promise<B>;

/** What an item that is too large fails with. */
type TooLarge = QueueError | MessageTooLarge;

/** A queue of the server. */
export class SharedQueue<A> implements Queue<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly name: string;
  readonly #connection: Connection;
  readonly #streams: QueueStreams;
  readonly #codec: ItemCodec<A>;
  readonly #claims: Claims;
  readonly #answers: Answers;
  readonly #puts: Puts;
  readonly #intake: Intake;
  readonly #reports: Reports;
  readonly #holds: Holds | undefined;
  readonly #taker: SharedTaker<A>;
  #capacity: number;
  #maxBytes: number;
  readonly #prefix = randomName();
  readonly #work = new Set<Promise<void>>();
  readonly #stops: ReadonlyArray<() => void>;
  #count = 0;
  #state: State;
  #isWatchingEnd = false;
  #isOpen = true;

  constructor(connection: Connection, name: string, streams: QueueStreams, lease: number, snapshot: Snapshot) {
    const { caller, inbox, js } = connection;
    this.name = name;
    this.#connection = connection;
    this.#streams = streams;
    this.#capacity = snapshot.capacity;
    this.#maxBytes = snapshot.maxBytes;
    this.#state = snapshot.state;
    this.#codec = new ItemCodec({ maxBytes: Infinity, stranger: true });
    this.#claims = new Claims(streams, caller);
    this.#answers = new Answers(js, this.#claims);
    this.#puts = new Puts(streams, this.#answers, () => this.#claims.mend());
    this.#reports = new Reports(streams, () => this.#fresh());
    this.#intake = new Intake({
      server: js.server,
      inbox: `${inbox}.${this.#prefix}`,
      stream: streams.names.items,
      lease,
      ahead: !snapshot.redeliver,
      answers: this.#answers,
      idle: () => void this.#watchEnd(),
    });
    this.#holds = snapshot.redeliver
      ? new Holds(
        lease,
        this.#claims,
        this.#answers,
        (delivery) => this.#intake.giveBack(delivery),
      )
      : undefined;
    this.#taker = new SharedTaker({
      codec: this.#codec,
      intake: this.#intake,
      claims: this.#claims,
      answers: this.#answers,
      reports: this.#reports,
      holds: this.#holds,
      mayHave: () => this.#mayHave(),
      begun: () => {
        if (this.#state !== "open") void this.#watchEnd();
      },
      failure: (error) => error instanceof QueueClosed ? error : connection.failure("queue", error),
      inBackground: (work) => this.#inBackground(work),
    });
    const tidying = setInterval(() => {
      if (js.server.connected) this.#mend(() => this.#claims.tidy());
    }, TIDY);
    this.#stops = [
      () => clearInterval(tidying),
      js.server.onReconnected(() => {
        this.#claims.reconnected();
        this.#reports.reconnected();
        this.#intake.reconnected();
        this.#mend();
        void this.#watchEnd();
      }),
      js.server.subscribe(streams.names.news, (_subject, data) => {
        this.#state = decodeRecord<{ readonly state: State }>(data).state;
        void this.#watchEnd();
      }),
    ];
  }

  get [HandleId]() {
    return unsendable("queue");
  }

  get [WaitId]() {
    return {
      look: (answer: (ready: boolean) => void): void => {
        // A queue that is gone is ready: using it fails at once.
        this.#isReady().then(answer, () => answer(true));
      },
      watch: (ready: () => void): () => void => {
        const aborting = new AbortController();
        this.#waitUntil(() => this.#isReady(), [this.#streams.names.item], aborting.signal).then(ready, () => {
          if (!aborting.signal.aborted) ready();
        });
        return () => aborting.abort();
      },
    };
  }

  get capacity(): number {
    return this.#capacity;
  }

  get host(): string {
    return this.#connection.host;
  }

  readonly put = (item: A): Effect.Effect<void, EncodeError | QueueError | QueueFailure> =>
    Effect.asVoid(this.#encoded([item], this.#put));

  readonly putAll = (items: Iterable<A>): Effect.Effect<void, EncodeError | QueueError | QueueFailure> => {
    const wrong = iterable(items);
    if (wrong !== undefined) return refuse("InvalidArgument", invalidArgument("queue.putAll", `items ${wrong}`));
    return Effect.asVoid(
      this.#encoded(items, this.#put, true),
    );
  };

  readonly tryPut = (item: A): Effect.Effect<boolean, EncodeError | QueueError | QueueFailure> =>
    this.#encoded([item], (messages, signal) => this.#puts.put(messages, false, signal));

  get get(): Effect.Effect<A, DecodeError | QueueFailure> {
    return this.#taker.take(1, true, (items) => items![0]);
  }

  get tryGet(): Effect.Effect<Option.Option<A>, DecodeError | QueueFailure> {
    return this.#taker.take(1, false, (items) => items === undefined ? Option.none() : Option.some(items[0]));
  }

  readonly takeUpTo = (count: number): Effect.Effect<ReadonlyArray<A>, DecodeError | QueueError | QueueFailure> => {
    const wrong = positive(count);
    if (wrong !== undefined) return refuse("InvalidOption", invalidArgument("queue.takeUpTo", `count ${wrong}`));
    return this.#taker.take(count, true, (items) => items!);
  };

  get statistics(): Effect.Effect<Statistics, QueueFailure> {
    return this.#asking(async () => {
      const unfinished = await this.#unfinished();
      const { bytes, capacity, size, state } = await this.#look();
      return { size, capacity, bytes, takers: this.#intake.waiting, putters: this.#puts.waiting, unfinished, state };
    });
  }

  get size(): Effect.Effect<number, QueueFailure> {
    return this.#asking(async () => (await this.#look()).size);
  }

  get isEmpty(): Effect.Effect<boolean, QueueFailure> {
    return Effect.map(this.size, (size) => size === 0);
  }

  get isFull(): Effect.Effect<boolean, QueueFailure> {
    return this.#asking(async () => {
      const { bytes, capacity, maxBytes, size } = await this.#look();
      return size >= capacity || bytes >= maxBytes;
    });
  }

  readonly taskDone = (count: number = 1): Effect.Effect<void, QueueError | QueueFailure> => {
    const wrong = positive(count);
    if (wrong !== undefined) return refuse("InvalidOption", invalidArgument("queue.taskDone", `count ${wrong}`));
    return Effect.suspend(() => {
      const fiber = currentFiber();
      return Effect.uninterruptible(
        this.#asking<void, QueueError>(() => this.#holds?.report(fiber, count) ?? this.#reports.report(count)),
      );
    });
  };

  get join(): Effect.Effect<void, QueueFailure> {
    const { report, takenOf } = this.#streams.names;
    return this.#until(async () => {
      if ((await this.#streams.look()).state === "shut down") throw closedAs("shut down");
      return await this.#unfinished() === 0;
    }, [report, takenOf("*")]);
  }

  get ready(): Effect.Effect<void, QueueFailure> {
    return this.#until(() => this.#isReady(), [this.#streams.names.item]);
  }

  get close(): Effect.Effect<void, QueueFailure> {
    return this.#asking(() => this.#streams.end("closed"));
  }

  get shutdown(): Effect.Effect<void, QueueFailure> {
    return this.#asking(() => this.#streams.end("shut down"));
  }

  get toStream(): Stream.Stream<A, DecodeError | QueueFailure> {
    return this.#stream(1);
  }

  readonly toStreamWith = (options: StreamOptions): Stream.Stream<A, DecodeError | QueueError | QueueFailure> => {
    const wrong = wrongOptions(options, streamChecks);
    if (wrong !== undefined) return Stream.fromEffect(refuse("InvalidOption", invalidOption("queue stream", wrong)));
    return this.#stream(options.chunkSize ?? 1);
  };

  get toSink(): Sink.Sink<void, A, never, EncodeError | QueueError | QueueFailure> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<A>) => this.#putLists(this.#codec.encodeLists(chunk)));
  }

  toString(): string {
    return `Queue(${this.host}, ${this.name})`;
  }

  /** The options of the queue are others now. */
  changed({ capacity, maxBytes }: Snapshot): void {
    this.#capacity = capacity;
    this.#maxBytes = maxBytes;
  }

  /** Gives back what this program has not taken, and waits for a while until the server knows what it has taken. */
  async leave(): Promise<void> {
    this.#isOpen = false;
    for (const stop of this.#stops) stop();
    this.#intake.close();
    this.#holds?.close();
    this.#intake.fail(new Closed("the queue was closed"));
    const known = Promise.all([...this.#work, this.#answers.settled()]);
    await Promise.race([known, this.#connection.js.pause(GRACE)]);
  }

  #fresh(): string {
    return `${this.#prefix}-${(++this.#count).toString(36)}`;
  }

  #asking<B, E = never>(ask: () => Promise<B>): Effect.Effect<B, QueueFailure | E> {
    return Effect.async((resume) => {
      ask().then((answer) => resume(Effect.succeed(answer)), (error) => resume(this.#failing(error)));
    });
  }

  #failing<E>(error: unknown): Effect.Effect<never, QueueFailure | E> {
    return Effect.suspend(() =>
      Effect.fail(
        error instanceof QueueClosed || error instanceof QueueError || error instanceof MessageTooLarge
          ? error as QueueFailure | E
          : this.#connection.failure("queue", error),
      )
    );
  }

  /** The next time makes up for a failure; the end of the connection is one. */
  #mend(then: () => Promise<void> = () => Promise.resolve()): void {
    this.#streams.rewind().then(() => this.#claims.mend()).then(then).catch(() => {});
  }

  #inBackground(work: Promise<void>): void {
    const done = work.catch(() => {}).finally(() => this.#work.delete(done));
    this.#work.add(done);
  }

  /** Encodes items in the caller's fiber, and puts them, unless one of them cannot be put. */
  #encoded<B>(
    items: Iterable<A>,
    put: Put<B>,
    isMany: boolean = false,
  ): Effect.Effect<B, EncodeError | QueueError | QueueFailure> {
    return Effect.suspend((): Effect.Effect<B, EncodeError | QueueError | QueueFailure> => {
      const packets = isMany ? this.#codec.encodeAll(items) : this.#codec.encode([...items][0]);
      if (packets instanceof EncodeError || packets instanceof QueueError) return Effect.fail(packets);
      const { failure, messages } = this.#messagesOf(packets instanceof Array ? packets : [packets as EncodedItem]);
      return failure === undefined ? this.#send(messages, put) : Effect.fail(failure);
    });
  }

  /** Puts lists one after the other, up to the first item that cannot be put. */
  #putLists(lists: EncodedLists): Effect.Effect<void, EncodeError | QueueError | QueueFailure> {
    return Effect.suspend((): Effect.Effect<void, EncodeError | QueueError | QueueFailure> => {
      const { done, value } = lists.next();
      if (done === true) return value === undefined ? Effect.void : Effect.fail(value);
      const { failure, messages } = this.#messagesOf(value);
      const put = messages.length === 0 ? Effect.void : this.#send(messages, this.#put);
      return Effect.zipRight(put, failure === undefined ? this.#putLists(lists) : Effect.fail(failure));
    });
  }

  /** The messages of the items before the first one that is too large, and the failure of that one. */
  #messagesOf(
    packets: ReadonlyArray<EncodedItem>,
  ): { readonly messages: ReadonlyArray<ItemMessage>; readonly failure?: TooLarge } {
    const messages: Array<ItemMessage> = [];
    for (const packet of packets) {
      const data = packItem(packet);
      const failure = this.#tooLarge(data.length, this.#puts.sizeOf(data));
      if (failure !== undefined) return { messages, failure };
      messages.push({ id: this.#fresh(), data });
    }
    return { messages };
  }

  #tooLarge(bytes: number, size: number): TooLarge | undefined {
    const { maxPayload } = this.#connection.js.server;
    if (size > this.#maxBytes) {
      return new QueueError(
        "TooLarge",
        `Cannot put an item of ${bytes} bytes: the queue holds ${this.#maxBytes} bytes, of which this item needs ` +
          `${size}; raise its maxBytes or send the item in pieces`,
      );
    }
    return bytes + OVERHEAD > maxPayload
      ? new MessageTooLarge(bytes, maxPayload - OVERHEAD, "the server (max_payload in its configuration)")
      : undefined;
  }

  /** Puts messages as there is room for them. */
  readonly #put: Put<boolean> = (messages, signal) => this.#puts.put(messages, true, signal);

  #send<B>(messages: ReadonlyArray<ItemMessage>, put: Put<B>): Effect.Effect<B, QueueFailure | QueueError> {
    return Effect.async<B, QueueFailure | QueueError>((resume) => {
      const aborting = new AbortController();
      const done = put(messages, aborting.signal);
      done.then((result) => resume(Effect.succeed(result)), (error) => {
        if (!aborting.signal.aborted) resume(this.#failing(error));
      });
      // What is on its way arrives, or is refused.
      return Effect.suspend(() => {
        aborting.abort();
        return within(done);
      });
    });
  }

  /** A snapshot in which what this program has taken is gone, or has reported in a queue that redelivers. */
  async #look(): Promise<Snapshot> {
    await this.#answers.settled();
    return await this.#streams.look();
  }

  async #unfinished(): Promise<number> {
    if (this.#holds === undefined) return await this.#reports.unfinished();
    return (await this.#look()).size;
  }

  /** How the queue has ended for this program; `undefined` if an item may come. */
  async #ended(): Promise<State | undefined> {
    const { size, state } = await this.#look();
    this.#state = state;
    if (state === "open") return undefined;
    return state === "shut down" || size <= (this.#holds?.size ?? 0) ? state : undefined;
  }

  async #mayHave(): Promise<boolean> {
    const ended = await this.#ended();
    if (ended !== undefined) throw closedAs(ended);
    return (await this.#streams.consumer()).num_pending > 0;
  }

  async #isReady(): Promise<boolean> {
    if (await this.#ended() !== undefined) return true;
    if (this.#holds === undefined) return (await this.#look()).size > 0;
    // The server does not tell how many of the items are in hand.
    return await new Promise((resolve, reject) => {
      this.#intake.add({
        most: 1,
        waits: false,
        given: (deliveries) => {
          this.#intake.hold()(deliveries);
          resolve(true);
        },
        none: () => resolve(false),
        failed: reject,
      });
    });
  }

  /** Ends the calls that wait when the queue has ended. */
  async #watchEnd(): Promise<void> {
    if (this.#isWatchingEnd) return;
    this.#isWatchingEnd = true;
    try {
      for (let pause = AGAIN; this.#intake.waiting > 0; pause = Math.min(LONGEST, 2 * pause)) {
        const ended = await this.#ended();
        if (ended !== undefined) this.#intake.fail(closedAs(ended));
        else if (this.#state === "open") return;
        else await this.#connection.js.pause(pause);
      }
    } catch (error) {
      this.#intake.fail(error);
    } finally {
      this.#isWatchingEnd = false;
    }
  }

  /** Waits until a condition holds. Looks at each message of the subjects, at each news, and from time to time. */
  async #waitUntil(
    holds: () => Promise<boolean>,
    subjects: ReadonlyArray<string>,
    signal: AbortSignal,
  ): Promise<void> {
    if (!this.#isOpen) throw new Closed("the queue was closed");
    const { server } = this.#connection.js;
    let heard = true;
    let wake = (): void => {};
    const hear = (): void => {
      heard = true;
      wake();
    };
    const stops = [...subjects, this.#streams.names.news].map((subject) => server.subscribe(subject, hear));
    signal.addEventListener("abort", hear);
    try {
      while (!signal.aborted) {
        if (!heard) {
          await new Promise<void>((resolve) => {
            const stop = after(LOOK, resolve);
            wake = () => {
              stop();
              resolve();
            };
          });
        }
        heard = false;
        if (signal.aborted || await holds()) return;
      }
    } finally {
      signal.removeEventListener("abort", hear);
      for (const stop of stops) stop();
    }
  }

  #until(
    holds: () => Promise<boolean>,
    subjects: ReadonlyArray<string>,
  ): Effect.Effect<void, QueueFailure> {
    return Effect.async((resume) => {
      const aborting = new AbortController();
      this.#waitUntil(holds, subjects, aborting.signal).then(
        () => resume(Effect.void),
        (error) => resume(this.#failing(error)),
      );
      return Effect.sync(() => aborting.abort());
    });
  }

  #stream(chunkSize: number): Stream.Stream<A, DecodeError | QueueFailure> {
    return Stream.fromChannel(Channel.suspend((): Output<A> => {
      const batch = new Set<Held>();
      const take = this.#taker.take(chunkSize, true, (items) => items!, batch);
      const next: Output<A> = Channel.foldChannel(Channel.fromEffect(take), {
        onFailure: (error): Output<A> =>
          error instanceof QueueClosed && error.reason === "Closed" ? Channel.void : Channel.fail(error),
        onSuccess: (items) => Channel.flatMap(Channel.write(Chunk.unsafeFromArray(items)), () => next),
      });
      if (this.#holds === undefined) return next;
      return Channel.ensuringWith(next, (exit) =>
        // A consumer that has failed will not report its items.
        Exit.isFailure(exit)
          ? within(Promise.all([...batch].map((held) => this.#holds!.giveBack(held))))
          : Effect.void);
    }));
  }
}
inspectable(SharedQueue);

/** Makes a queue, or joins the one of this name, and enters it into `queues`. If this program has it already, that one learns of changes. */
export const openQueue = async (
  connection: Connection,
  name: string,
  { ackWait, capacity, maxBytes, redeliver }: Public.QueueOptions,
  queues: Map<string, SharedQueue<unknown>>,
  isOpen: () => boolean,
): Promise<SharedQueue<unknown>> => {
  const streams = new QueueStreams(connection, name);
  const lease = await streams.establish({
    capacity,
    maxBytes,
    redeliver,
    ackWait: ackWait === undefined ? undefined : Duration.toMillis(ackWait),
  });
  const snapshot = await streams.look();
  if (!isOpen()) throw new Closed("the queue was closed");
  const known = queues.get(name);
  known?.changed(snapshot);
  const queue = known ?? new SharedQueue(connection, name, streams, lease, snapshot);
  queues.set(name, queue);
  return queue;
};
