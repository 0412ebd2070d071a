/**
 * Takes items from a queue. An item is taken when its mark is stored (see `queue_claims.ts`), or in a queue that redelivers, when it is
 * here. A call that is interrupted gives back what it has taken meanwhile.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Incoming } from "../../codec/message.ts";
import { VarintReader } from "../../codec/varint.ts";
import { DecodeError } from "../../codec/errors.ts";
import type { QueueClosed, Unreachable } from "../../objects/errors.ts";
import { waitThenCommit } from "../../objects/interruption.ts";
import { type ItemCodec, takeOpened } from "../../queue/items.ts";
import { currentFiber } from "../../queue/taker.ts";
import { after } from "../../os/timer.ts";
import type { Delivery } from "../jetstream.ts";
import type { Answers, Claims, Mark } from "./queue_claims.ts";
import type { Intake } from "./queue_intake.ts";
import type { Held, Holds, Reports } from "./queue_reports.ts";

/** How long an interruption waits until what was taken is given back, in milliseconds. It is given back in any case. */
export const GRACE = 5000;

/** How a queue ends a call. */
export type Ending = QueueClosed | Unreachable;

/** Writes an item: the number of its attachments, their lengths, its bytes, its attachments. */
export const packItem = ({ attachments, bytes }: Incoming): Uint8Array => {
  if (attachments.length === 0) {
    const packed = new Uint8Array(1 + bytes.length);
    packed.set(bytes, 1);
    return packed;
  }
  const head: Array<number> = [];
  const write = (value: number): void => {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) head.push(128 + rest % 128);
    head.push(rest);
  };
  write(attachments.length);
  for (const { length } of attachments) write(length);
  const blocks = [Uint8Array.from(head), bytes, ...attachments];
  const packed = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    packed.set(block, at);
    at += block.length;
  }
  return packed;
};

/** Reads an item. What is no item cannot be decoded either. */
const unpackItem = (packed: Uint8Array): Incoming => {
  const reader = new VarintReader(packed, 0);
  const count = reader.next();
  if (count === 0) return { bytes: packed.subarray(1), attachments: [] };
  if (!(count <= packed.length)) return { bytes: packed, attachments: [] };
  const lengths = Array.from({ length: count }, () => reader.next());
  let end = packed.length;
  const attachments = lengths.reverse().map((length) => {
    // An attachment becomes the buffer of a value.
    const attachment = packed.slice(Math.max(reader.at, end - length), end);
    end -= length;
    return attachment;
  }).reverse();
  return { bytes: packed.subarray(reader.at, Math.max(reader.at, end)), attachments };
};

/** Waits for a promise, but no longer than {@link GRACE}. It must not be rejected. */
export const within = (promise: Promise<unknown>): Effect.Effect<void> =>
  Effect.async((resume) => {
    const end = (): void => {
      stop();
      resume(Effect.void);
    };
    const stop = after(GRACE, end);
    promise.then(end, end);
  });

/** Items that a call may have. */
interface Ready<A> {
  readonly items: ReadonlyArray<A> | DecodeError;
  readonly deliveries: ReadonlyArray<Delivery>;
}

/** An item that was claimed. */
interface Claimed {
  readonly delivery: Delivery;
  readonly mark: Mark;
}

/** In a queue that redelivers, an item has no mark before it is reported. */
const unmarked: Mark = { entry: "", number: 0 };

/** What a taker uses. */
export interface Parts<A> {
  readonly codec: ItemCodec<A>;
  readonly intake: Intake;
  readonly claims: Claims;
  readonly answers: Answers;
  readonly reports: Reports;
  /** For a queue that redelivers. */
  readonly holds: Holds | undefined;
  /** Whether there may be an item although the server had none a moment ago; fails if none will come. */
  readonly mayHave: () => Promise<boolean>;
  /** A call waits, or asks. */
  readonly begun: () => void;
  readonly failure: (error: unknown) => Ending;
  /** Remembers what is done for calls that have ended. */
  readonly inBackground: (work: Promise<void>) => void;
}

/** Takes items from one queue. */
export class SharedTaker<A> {
  readonly #parts: Parts<A>;

  constructor(parts: Parts<A>) {
    this.#parts = parts;
  }

  /**
   * Takes up to `most` items, at least one, and returns the result of `use`. If the call does not wait and there is none, `use` is given
   * `undefined`. Items of a queue that redelivers are added to `batch`.
   */
  take<B>(
    most: number,
    waits: boolean,
    use: (items: ReadonlyArray<A> | undefined) => B,
    batch?: Set<Held>,
  ): Effect.Effect<B, DecodeError | Ending> {
    const { answers, holds, reports } = this.#parts;
    return waitThenCommit<Ready<A> | undefined, Ending, B, DecodeError | Ending>(
      (answer) => {
        const { cancel } = new Call(this.#parts, most, waits, answer);
        this.#parts.begun();
        return cancel;
      },
      (ready) => {
        if (ready === undefined) return Effect.succeed(use(undefined));
        const { deliveries, items } = ready;
        this.#parts.intake.settled();
        if (holds === undefined) {
          reports.taken(deliveries);
          for (const delivery of deliveries) void answers.ack(delivery);
        } else {
          const fiber = currentFiber();
          for (const delivery of deliveries) {
            const held = holds.hold(fiber, delivery);
            batch?.add(held);
          }
        }
        return items instanceof DecodeError ? Effect.fail(items) : Effect.succeed(use(items));
      },
    );
  }
}

/** One call that takes items. */
class Call<A> {
  readonly #parts: Parts<A>;
  readonly #most: number;
  readonly #waits: boolean;
  readonly #answer: (result: Effect.Effect<Ready<A> | undefined, Ending>) => void;
  #leave = (): void => {};
  #isOver = false;
  /** It claims items. */
  #claiming: Promise<void> | undefined;
  /** What it holds and has not handed over. */
  #claimed: ReadonlyArray<Claimed> = [];
  /** Items that cannot be taken together with those before them. */
  #back: ReadonlyArray<Delivery> = [];
  #rounds = 0;

  constructor(
    parts: Parts<A>,
    most: number,
    waits: boolean,
    answer: (result: Effect.Effect<Ready<A> | undefined, Ending>) => void,
  ) {
    this.#parts = parts;
    this.#most = most;
    this.#waits = waits;
    this.#answer = answer;
    this.#enter(false);
  }

  /** Takes nothing. */
  readonly cancel = (): void | Effect.Effect<unknown> => {
    this.#isOver = true;
    this.#leave();
    if (this.#claiming === undefined) return;
    const restore = this.#parts.intake.hold();
    const undone = this.#claiming.then(() => this.#undo()).then(restore, (error) => {
      restore([]);
      throw error;
    });
    this.#parts.inBackground(undone);
    return within(undone);
  };

  #enter(isFirst: boolean): void {
    this.#leave = this.#parts.intake.add({
      most: this.#most,
      waits: this.#waits,
      given: (deliveries) => {
        this.#claiming = this.#claim(deliveries).catch((error) => this.#fail(error));
      },
      none: () => void this.#none().catch((error) => this.#fail(error)),
      failed: (error) => this.#fail(error),
    }, isFirst);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#answer(Effect.suspend(() => Effect.fail(this.#parts.failure(error))));
  }

  async #none(): Promise<void> {
    const mayHave = ++this.#rounds <= 3 && await this.#parts.mayHave();
    if (this.#isOver) return;
    if (mayHave) this.#enter(true);
    else this.#answer(Effect.succeed(undefined));
  }

  async #claim(deliveries: ReadonlyArray<Delivery>): Promise<void> {
    const { answers, claims, codec, holds, intake, reports } = this.#parts;
    const opened = codec.open(deliveries.map(({ data }) => unpackItem(data)));
    const mine = deliveries.slice(0, opened.count);
    this.#back = deliveries.slice(opened.count);
    // One that redelivers marks an item when it is reported, so that only an item that comes again may have a mark.
    const take = async (delivery: Delivery): Promise<Mark | "taken" | "repeated"> => {
      if (holds === undefined) return await claims.take(delivery);
      return delivery.count > 1 && await claims.isTaken(delivery.id) ? "taken" : unmarked;
    };
    const results = await Promise.allSettled(mine.map(take));
    const marks = results.map((result) => result.status === "fulfilled" ? result.value : undefined);
    const isMine = marks.map((mark) => typeof mark === "object");
    this.#claimed = mine.flatMap((delivery, i) => typeof marks[i] === "object" ? [{ delivery, mark: marks[i] }] : []);
    // What another program has taken is gone, whether or not the server knows that.
    mine.forEach((delivery, i) => {
      if (marks[i] === "repeated") this.#parts.inBackground(reports.repeated().then(() => answers.ack(delivery)));
      if (marks[i] === "taken") void answers.ack(delivery);
    });
    const failed = results.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    if (this.#isOver) return;
    intake.keep(this.#back);
    this.#back = [];
    if (this.#claimed.length === 0) {
      this.#claiming = undefined;
      intake.settled();
      return this.#enter(true);
    }
    const taken = takeOpened(opened);
    const items = taken instanceof DecodeError ? taken : taken.filter((_, i) => isMine[i]);
    this.#answer(Effect.succeed({ items, deliveries: this.#claimed.map(({ delivery }) => delivery) }));
  }

  /** Gives up what was claimed, and returns it. */
  async #undo(): Promise<ReadonlyArray<Delivery>> {
    const { claims, holds } = this.#parts;
    if (holds === undefined) {
      await Promise.all(this.#claimed.map(({ delivery, mark }) => claims.release(delivery.id, mark)));
    }
    return [...this.#claimed.map(({ delivery }) => delivery), ...this.#back];
  }
}
