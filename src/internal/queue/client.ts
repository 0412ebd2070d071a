/**
 * A queue as its users have it, in whichever process they are.
 *
 * @module
 */
import * as Channel from "effect/Channel";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import {
  call,
  CANCELLED,
  DONE,
  far,
  GONE,
  type Line,
  linkOf,
  local,
  readTooLarge,
  type Target,
  TOO_LARGE,
  written,
} from "../rpc/router.ts";
import type { Link } from "../rpc/link.ts";
import type { Info as QueueInfo, Queue, Statistics, StreamOptions } from "../../Queue.ts";
import { invalidArgument, invalidOption, iterable, optional, positive, wrongOptions } from "../os/arguments.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { QueueClosed, QueueError, Unreachable } from "../objects/errors.ts";
import { waitThenCommit } from "../objects/interruption.ts";
import { foreign, HandleId, hooks, load, loaded, looking, register } from "../objects/handles.ts";
import type { Item } from "./store.ts";
import { type Packet, sizeOf, unpack } from "../objects/packets.ts";
import type { QueueHost, Taking } from "./host.ts";
import { type Entry, type Ledger, ledgerOf } from "./unacknowledged.ts";
import { type Grant, type Places, Producer } from "./producer.ts";
import { attached } from "../objects/attaching.ts";
import * as P from "./protocol.ts";
import { Reader } from "./reader.ts";
import { WaitId } from "../objects/waitable.ts";

/** What a handle of a queue says. */
export interface Place extends Target {
  /** Name of the process that hosts it. */
  readonly host: string;
  readonly capacity: number;
  readonly maxBytes: number;
  /** Whether it looks into its items, to order them. */
  readonly ordered: boolean;
  /** Whether it lends items ahead to streams. */
  readonly ahead: boolean;
  /** Whether items that were not reported done go to others when their consumer has ended. */
  readonly redeliver: boolean;
  /** Whether a put returns when the queue has the item, instead of when the system has it. */
  readonly confirm: boolean;
  /** Whether it lives in another program: then its items are data only. */
  readonly stranger?: true;
}

export const TypeId = "~multiprocessing/Queue";

/** Items and bytes that are sent together. */
const BATCH = 1024;
const BATCH_BYTES = 192 * 1024;

/** What was lent, or its beginning. */
interface Opened<A> {
  /** How many of it are wanted. */
  readonly count: number;
  /** Whether something moves with it. */
  readonly moves: boolean;
  /** Throws a `DecodeError` if it is one that cannot be decoded. */
  readonly items: () => ReadonlyArray<A>;
}

const given = <A, B>(opened: Opened<A>, give: (items: ReadonlyArray<A>) => B): Effect.Effect<B, DecodeError> => {
  try {
    return Effect.succeed(give(opened.items()));
  } catch (error) {
    return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
  }
};

const raise = (error: unknown): never => {
  throw error;
};

const none: ReadonlyArray<never> = [];

const looked = ({ attachments, bytes }: Packet): unknown =>
  Codec.decode(bytes, { attachments, hooks: looking, link: undefined });

const tooLarge = (size: number, limit: number): QueueError =>
  new QueueError(
    "TooLarge",
    `Cannot put an item of ${size} bytes: the queue holds ${limit} bytes; raise its maxBytes or send the item in pieces`,
  );

/** The fiber that runs. */
const currentFiber = (): number =>
  Option.match(Fiber.getCurrentFiber(), { onNone: () => 0, onSome: (fiber) => fiber.id().id });

/** What a stream is made of. */
type Outward<A> = Channel.Channel<Chunk.Chunk<A>, unknown, DecodeError | Ending, unknown, unknown, unknown>;

const streamChecks = { chunkSize: optional(positive) };

/** What was taken in one step, of a queue that redelivers. */
interface Taken {
  readonly giveBack: () => void;
}

const handOn = <A>(items: ReadonlyArray<A>, then: Outward<A>): Outward<A> =>
  Channel.flatMap(Channel.write(items.length === 1 ? Chunk.of(items[0]) : Chunk.unsafeFromArray(items)), () => then);

const ended = (error: DecodeError | Ending): Outward<never> =>
  error instanceof QueueClosed && error.reason === "Closed" ? Channel.void : Channel.fail(error);

/** There is nothing now. */
const later = new Error();

const readInfo = ({ bytes }: Incoming): QueueInfo => {
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

/** A queue that is gone gives its users that news at once. */
const NO_MORE: Pick<QueueInfo, "ended" | "size"> = { ended: 1, size: 0 };

/** The kinds of what is there are being loaded. */
class Loading {
  constructor(readonly done: Promise<unknown>) {}
}

type Ending = QueueClosed | Unreachable | MessageTooLarge;

interface Sent extends Packet {
  readonly onSend: ReadonlyArray<(link: Link | undefined) => void>;
}

/** What goes with the packets goes now, to where the queue is. */
const sending = (place: Place, packets: ReadonlyArray<Sent>, at: number, count: number): void => {
  for (let i = at; i < at + count; i++) for (const action of packets[i].onSend) action(linkOf(place));
};

/** The implementation of {@link Queue}. */
export class QueueClient<A> implements Queue<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #place: Place;
  readonly #producer: Producer;
  readonly #hooks: typeof hooks;

  constructor(place: Place) {
    this.#place = place;
    this.#hooks = place.stranger === true ? foreign : hooks;
    this.#producer = new Producer(place, place.ordered, place.confirm || place.stranger === true || far(place));
  }

  get [HandleId]() {
    return { kind: "queue", encode: () => ({ ...this.#place }) };
  }

  get [WaitId]() {
    return {
      look: (answer: (ready: boolean) => void): void => {
        const host = this.#local;
        if (host !== undefined) return answer(host.ready);
        this.#call(P.INFO, undefined, (message) => {
          const { ended, size } = message.bytes[0] === DONE ? readInfo(message) : NO_MORE;
          answer(size > 0 || ended === 1);
        });
      },
      watch: (ready: () => void): () => void => this.#local?.watch(ready) ?? this.#call(P.READY, undefined, ready),
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
      const wrong = iterable(items);
      if (wrong !== undefined) {
        return Effect.fail(new QueueError("InvalidArgument", invalidArgument("queue.putAll", `items ${wrong}`)));
      }
      const packets = this.#encodeAll(items);
      if (!Array.isArray(packets)) return Effect.fail(packets);
      return this.#putAll(packets, 0);
    });

  readonly tryPut = (item: A): Effect.Effect<boolean, EncodeError | QueueError | Ending> =>
    Effect.flatMap(
      this.#encode(item, "item"),
      (packet) => this.#step([packet], 0, false, (sent) => Effect.succeed(sent > 0)),
    );

  get get(): Effect.Effect<A, DecodeError | Ending> {
    return this.#take(1, true, (items) => items![0]);
  }

  get tryGet(): Effect.Effect<Option.Option<A>, DecodeError | Ending> {
    return this.#take(1, false, (items) => items === undefined ? Option.none() : Option.some(items[0]));
  }

  readonly takeUpTo = (count: number): Effect.Effect<ReadonlyArray<A>, DecodeError | QueueError | Ending> => {
    const wrong = positive(count);
    if (wrong !== undefined) {
      return Effect.fail(new QueueError("InvalidOption", invalidArgument("queue.takeUpTo", `count ${wrong}`)));
    }
    return this.#take(count, true, (items) => items!);
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

  readonly taskDone = (count: number = 1): Effect.Effect<void, QueueError | Ending> => {
    const wrong = positive(count);
    if (wrong !== undefined) {
      return Effect.fail(new QueueError("InvalidOption", invalidArgument("queue.taskDone", `count ${wrong}`)));
    }
    if (!this.#place.redeliver) return Effect.asVoid(this.#ask(P.TASK_DONE, (writer) => void writer.varint(count)));
    return Effect.async((resume) => {
      const entries = ledgerOf(this.#place).pick(currentFiber(), count);
      if (entries === undefined) {
        return resume(Effect.fail(
          new QueueError(
            "TooManyDone",
            "Cannot report tasks done: more than this process has taken and not yet reported; of a queue that " +
              "redelivers, the process that took an item reports it, before it loses the queue",
          ),
        ));
      }
      let open = entries.length;
      const handed = (): void => {
        if (--open === 0) resume(Effect.void);
      };
      for (const { report } of entries) report(handed);
    });
  };

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

  get toStream(): Stream.Stream<A, DecodeError | Ending> {
    return this.#stream(1);
  }

  readonly toStreamWith = (options: StreamOptions): Stream.Stream<A, DecodeError | QueueError | Ending> => {
    const wrong = wrongOptions(options, streamChecks);
    if (wrong === undefined) return this.#stream(options.chunkSize ?? 1);
    return Stream.fail(new QueueError("InvalidOption", invalidOption("queue stream", wrong)));
  };

  get toSink(): Sink.Sink<void, A, never, EncodeError | QueueError | Ending> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<A>) => this.putAll(chunk));
  }

  toString(): string {
    return `Queue(${this.#place.host})`;
  }

  #encodeNow(item: A, root: string): Sent | EncodeError | QueueError {
    let encoded: Sent;
    try {
      encoded = Codec.encode(item, { hooks: this.#hooks, root });
    } catch (error) {
      if (error instanceof EncodeError) return error;
      throw error;
    }
    const { maxBytes } = this.#place;
    const size = sizeOf(encoded);
    if (size > maxBytes) return tooLarge(size, maxBytes);
    return encoded.onSend.length === 0 ? encoded : { ...encoded, moves: true };
  }

  /** Encodes one after the other into the same memory, or as little of it as there are pieces that are sent together. */
  #encodeAll(items: Iterable<A>): Array<Sent> | EncodeError | QueueError {
    const packets: Array<Sent> = [];
    let writer = new Codec.Writer();
    let ends: Array<readonly [end: number, extras: Codec.Extras<Link | undefined> | undefined]> = [];
    const cut = (): void => {
      let start = 0;
      for (const [end, extras] of ends) {
        packets.push({
          bytes: writer.buffer.subarray(start, end),
          attachments: extras?.attachments ?? none,
          onSend: extras?.onSend ?? none,
          moves: extras !== undefined && extras.onSend.length > 0,
        });
        start = end;
      }
      ends = [];
      writer = new Codec.Writer();
    };
    const { maxBytes } = this.#place;
    let count = 0;
    for (const item of items) {
      const start = writer.position;
      let extras: Codec.Extras<Link | undefined> | undefined;
      try {
        extras = Codec.encodeInto(writer, item, { hooks: this.#hooks, root: "item" }) as
          | Codec.Extras<Link | undefined>
          | undefined;
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error;
        const path = error.path.replace(/^item/, `items[${count}]`);
        return new EncodeError(error.reason, { path, cause: error.cause });
      }
      const size = sizeOf({
        bytes: writer.buffer.subarray(start, writer.position),
        attachments: extras?.attachments ?? none,
      });
      if (size > maxBytes) return tooLarge(size, maxBytes);
      ends.push([writer.position, extras]);
      count++;
      if (writer.position >= BATCH_BYTES) cut();
    }
    cut();
    return packets;
  }

  #encode(item: A, root: string): Effect.Effect<Sent, EncodeError | QueueError> {
    return Effect.suspend(() => {
      const packet = this.#encodeNow(item, root);
      return "onSend" in packet ? Effect.succeed(packet) : Effect.fail(packet);
    });
  }

  /**
   * Decodes what came together, up to what cannot be decoded: that comes alone the next time. What came alone is decoded when
   * it was taken, whatever comes of that.
   */
  #open(packets: ReadonlyArray<Packet>): Opened<A> {
    const decoded = ({ attachments, bytes }: Packet): A =>
      Codec.decode(bytes, { attachments, hooks: this.#hooks, link: undefined }) as A;
    const moves = this.#place.stranger !== true && packets.some(({ moves }) => moves);
    if (packets.length === 1) return { count: 1, moves, items: () => [decoded(packets[0])] };
    // What moves with items is taken over when they are: until then it is only looked at.
    const items: Array<A> = [];
    let failure: unknown;
    for (const packet of packets) {
      try {
        items.push(moves ? looked(packet) as A : decoded(packet));
      } catch (error) {
        failure = error;
        break;
      }
    }
    if (items.length === 0) return { count: 1, moves, items: () => raise(failure) };
    return {
      count: items.length,
      moves,
      items: moves ? () => packets.slice(0, items.length).map(decoded) : () => items,
    };
  }

  /** The queue itself, where it lives. */
  get #local(): QueueHost | undefined {
    // That of another program is only reached from here.
    return this.#place.stranger === true ? undefined : local(this.#place) as QueueHost | undefined;
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
      sending(this.#place, packets, at, now);
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
      if (places !== undefined && places.count > 0) return this.#send(places, packets, at);
      return restore(waitThenCommit<Places, Ending, number | undefined, QueueError | Ending>(
        (done) => this.#acquire(count, bytes, waits, done),
        (places) => this.#send(places, packets, at),
      ));
    });
    return Effect.flatMap(sent, (sent) => sent === undefined ? this.#step(packets, at, waits, then) : then(sent));
  }

  #acquire(
    count: number,
    bytes: number,
    waits: boolean,
    done: (result: Effect.Effect<Places, Ending>) => void,
  ): () => void {
    let granted: Places | undefined;
    const withdraw = this.#producer.acquire(count, bytes, waits, (grant: Grant) => {
      if ("count" in grant) {
        granted = grant;
        done(Effect.succeed(grant));
      } else done(Effect.fail(this.#ending(grant)));
    });
    return () => granted === undefined ? withdraw() : this.#producer.release(granted);
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
      sending(this.#place, batch, 0, batch.length);
    });
  }

  /** Hands on so many items at most in one chunk: each is taken in the very step that hands it on. */
  #stream(chunkSize: number): Stream.Stream<A, DecodeError | Ending> {
    return Stream.fromChannel(Channel.suspend((): Outward<A> => {
      const here = this.#local;
      const taken = new Set<Taken>();
      const loop: Outward<A> = here !== undefined
        ? this.#streamHere(here, chunkSize, taken)
        : this.#place.ahead && this.#place.stranger !== true
        ? this.#streamAhead(chunkSize, taken)
        : this.#streamApart(chunkSize, taken);
      if (!this.#place.redeliver) return loop;
      return Channel.ensuringWith(loop, (exit) =>
        Effect.sync(() => {
          // A consumer that has failed reports nothing any more.
          if (Exit.isFailure(exit)) { for (const { giveBack } of taken) giveBack(); }
        }));
    }));
  }

  /** Where the queue lives. */
  #streamHere(here: QueueHost, chunkSize: number, taken: Set<Taken>): Outward<A> {
    const next: Outward<A> = Channel.suspend((): Outward<A> => {
      let items: ReadonlyArray<A> | undefined;
      try {
        items = this.#takeNow(here, chunkSize, taken);
      } catch (error) {
        if (error instanceof DecodeError) return Channel.fail(error);
        if (error instanceof Loading) {
          return Channel.flatMap(Channel.fromEffect(Effect.promise(() => error.done)), () => next);
        }
        throw error;
      }
      if (items !== undefined) return handOn(items, next);
      return this.#handOnNext(chunkSize, taken, next);
    });
    return next;
  }

  /** One request for each chunk. */
  #streamApart(chunkSize: number, taken: Set<Taken>): Outward<A> {
    const next: Outward<A> = Channel.suspend(() => this.#handOnNext(chunkSize, taken, next));
    return next;
  }

  /** From another process, reading ahead. */
  #streamAhead(chunkSize: number, taken: Set<Taken>): Outward<A> {
    const { redeliver } = this.#place;
    const reader = new Reader(this.#place, redeliver ? ledgerOf(this.#place) : undefined);
    const most = Math.max(BATCH, chunkSize);
    const next: Outward<A> = Channel.suspend((): Outward<A> => {
      const packets = reader.peek(chunkSize);
      if (packets.length > 0) {
        const { count, items } = this.#open(packets);
        const claimed = reader.claim(count, redeliver ? currentFiber() : 0);
        if (claimed === 0) return next;
        try {
          const all = items();
          return handOn(claimed === all.length ? all : all.slice(0, claimed), next);
        } catch (error) {
          if (error instanceof DecodeError) return Channel.fail(error);
          throw error;
        }
      }
      if (reader.apart === "always") return this.#streamApart(chunkSize, taken);
      if (reader.apart === "once") {
        reader.apart = "no";
        return this.#handOnNext(1, taken, next);
      }
      if (reader.ended !== undefined) return ended(this.#ending(reader.ended));
      return Channel.flatMap(
        Channel.fromEffect(Effect.async<void>((resume) => reader.pull(most, () => resume(Effect.void)))),
        () => next,
      );
    });
    return Channel.ensuringWith(next, (exit) => Effect.sync(() => reader.close(Exit.isSuccess(exit))));
  }

  /** Takes, and waits if need be; then goes on. */
  #handOnNext(chunkSize: number, taken: Set<Taken>, then: Outward<A>): Outward<A> {
    return Channel.foldChannel(Channel.fromEffect(this.#take(chunkSize, true, (items) => items!, taken)), {
      onFailure: ended,
      onSuccess: (items) => handOn(items, then),
    });
  }

  /**
   * Takes items: at least one; `undefined` if it does not wait and there is none.
   *
   * They are taken in the very step that gives them to the caller: an interruption comes before, and then they are still there, or
   * after it.
   */
  #take<B>(
    count: number,
    waits: boolean,
    give: (items: ReadonlyArray<A> | undefined) => B,
    taken?: Set<Taken>,
  ): Effect.Effect<B, DecodeError | Ending> {
    return Effect.suspend(() => {
      const here = this.#local;
      if (here === undefined) return this.#takeThere(count, waits, give, taken);
      const now = Effect.sync(() => {
        const items = this.#takeNow(here, count, taken);
        if (items === undefined) throw later;
        return give(items);
      });
      return Effect.catchAllCause(now, (cause): Effect.Effect<B, DecodeError | Ending> => {
        if (cause._tag !== "Die") return Effect.failCause(cause);
        if (cause.defect === later) {
          return waits ? this.#takeHere(here, count, give, taken) : this.#takeThere(count, waits, give, taken);
        }
        if (cause.defect instanceof Loading) {
          const { done } = cause.defect;
          return Effect.zipRight(Effect.promise(() => done), this.#take(count, waits, give, taken));
        }
        return cause.defect instanceof DecodeError ? Effect.fail(cause.defect) : Effect.failCause(cause);
      });
    });
  }

  /** Takes what is there at once where the queue lives. Throws a `DecodeError`, or `Loading`, and has then taken nothing. */
  #takeNow(here: QueueHost, count: number, taken: Set<Taken> | undefined): ReadonlyArray<A> | undefined {
    const packets = here.takeNow(count);
    if (packets === undefined) return undefined;
    const loading = packets.flatMap((packet) => load(packet) ?? []);
    if (loading.length > 0) {
      here.giveBack(packets);
      throw new Loading(Promise.all(loading));
    }
    const opened = this.#open(packets);
    if (opened.count < packets.length) here.giveBack(packets.slice(opened.count));
    const own = opened.count < packets.length ? packets.slice(0, opened.count) : packets;
    if (this.#place.redeliver) this.#enterHere(here, own, taken);
    try {
      return opened.items();
    } finally {
      for (let i = 0; i < opened.count; i++) packets[i].kept?.();
    }
  }

  /** Notes what was taken where the queue lives. */
  #enterHere(here: QueueHost, items: ReadonlyArray<Item>, taken: Set<Taken> | undefined): void {
    const held = here.holdHere(items);
    this.#enter(items.length, taken, (number, handed) => {
      held.report(number);
      handed();
    }, held.giveBack);
  }

  /** Notes what was taken, until it is reported; answers what says that it has been lost. */
  #enter(
    count: number,
    taken: Set<Taken> | undefined,
    report: (number: number, handed: () => void) => void,
    giveBack: () => void,
    reported: () => void = () => {},
  ): () => void {
    const ledger: Ledger = ledgerOf(this.#place);
    const fiber = currentFiber();
    const entries = new Set<Entry>();
    const lost = (): void => {
      taken?.delete(own);
      for (const entry of entries) ledger.strike(entry);
      entries.clear();
    };
    const own: Taken = {
      giveBack: () => {
        lost();
        giveBack();
      },
    };
    for (let number = 0; number < count; number++) {
      const entry: Entry = {
        fiber,
        report: (handed) => {
          entries.delete(entry);
          report(number, handed);
          if (entries.size > 0) return;
          taken?.delete(own);
          reported();
        },
      };
      entries.add(entry);
      ledger.enter(entry);
    }
    taken?.add(own);
    return lost;
  }

  /** Waits where the queue lives. */
  #takeHere<B>(
    queue: QueueHost,
    count: number,
    give: (items: ReadonlyArray<A>) => B,
    taken: Set<Taken> | undefined,
  ): Effect.Effect<B, DecodeError | Ending> {
    let taking: Taking;
    return waitThenCommit<ReadonlyArray<Item>, Ending, B, DecodeError>(
      (done) => {
        taking = queue.take(
          count,
          (packets) => done(Effect.succeed(packets)),
          (exit) => done(Effect.fail(this.#ending(written(exit)))),
        );
        return taking.leave;
      },
      (packets) =>
        loaded(packets, () => {
          const opened = this.#open(packets);
          const result = given(opened, give);
          if (this.#place.redeliver) this.#enterHere(queue, packets.slice(0, opened.count), taken);
          taking.taken(opened.count);
          return result;
        }),
    );
  }

  /** Takes from another process. What is lent stays lent until it is sure that it outlives this process to have it. */
  #takeThere<B>(
    count: number,
    waits: boolean,
    give: (items: ReadonlyArray<A> | undefined) => B,
    taken: Set<Taken> | undefined,
  ): Effect.Effect<B, DecodeError | Ending> {
    let line: Line;
    let lost = (): void => {};
    return waitThenCommit<Opened<A> | undefined, Ending, B, DecodeError>(
      (done) => {
        let opened: Opened<A> | undefined;
        let ended = false;
        let left = false;
        line = call(this.#place, P.GET, (writer) => {
          writer.varint(count);
          writer.byte(waits ? 1 : 0);
          writer.varint(P.consumer);
          return undefined;
        }, {
          data: (message) => {
            const packets = unpack(message, 0, "message");
            const lent = (): void => {
              if (ended || left) return;
              opened = this.#open(packets);
              line.credit(opened.count, () => done(Effect.succeed(opened)));
              line.flush();
            };
            const loading = packets.flatMap((packet) => load(packet) ?? []);
            if (loading.length === 0) lent();
            else Promise.all(loading).then(lent);
          },
          exit: (message) => {
            ended = true;
            lost();
            // A queue that is gone gives what it has lent to nobody else.
            if (opened !== undefined || message.bytes[0] === P.EMPTY) done(Effect.succeed(opened));
            else done(Effect.fail(this.#ending(message)));
          },
        });
        return () => {
          left = true;
          if (!ended) line.cancel();
        };
      },
      (opened) => {
        if (opened === undefined) return Effect.succeed(give(undefined));
        // What moves with them is taken over before they are no longer kept.
        const result = given(opened, give);
        if (this.#place.redeliver) {
          lost = this.#enter(
            opened.count,
            taken,
            (number, handed) => {
              line.data((writer) => {
                writer.byte(P.REPORT);
                writer.varint(number);
                return undefined;
              }, handed);
              line.flush();
            },
            () => line.cancel(),
            () => line.finish(),
          );
        } else if (opened.moves) attached(() => line.finish());
        else line.finish();
        return result;
      },
    );
  }

  #ask(operation: number, fill?: (writer: Codec.Writer) => void): Effect.Effect<Incoming, QueueError | Ending> {
    return Effect.async((resume) => {
      const cancel = this.#call(operation, fill, (message) => {
        const status = message.bytes[0];
        if (status === DONE) resume(Effect.succeed(message));
        else if (status === P.TOO_OFTEN) {
          resume(Effect.fail(
            new QueueError("TooManyDone", "Cannot report tasks done: more than were put and not yet reported"),
          ));
        } else resume(Effect.fail(this.#ending(message)));
      });
      return Effect.sync(cancel);
    });
  }

  /** Asks the queue, and calls back with its answer. Returns a function that takes the question back. */
  #call(
    operation: number,
    fill: ((writer: Codec.Writer) => void) | undefined,
    answer: (message: Incoming) => void,
  ): () => void {
    let over = false;
    const line = call(
      this.#place,
      operation,
      fill && ((writer) => {
        fill(writer);
        return undefined;
      }),
      {
        exit: (message) => {
          if (over) return;
          over = true;
          answer(message);
        },
      },
    );
    return () => {
      if (over) return;
      over = true;
      line.cancel();
    };
  }

  #simply(operation: number): Effect.Effect<void, Ending> {
    return Effect.catchTag(Effect.asVoid(this.#ask(operation)), "QueueError", Effect.die);
  }

  get #info(): Effect.Effect<QueueInfo, Ending> {
    return Effect.map(Effect.catchTag(this.#ask(P.INFO), "QueueError", Effect.die), readInfo);
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
