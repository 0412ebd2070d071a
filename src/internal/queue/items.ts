/**
 * Items of a queue to packets, and back.
 *
 * @module
 */
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { QueueError } from "../objects/errors.ts";
import { foreign, hooks, looking, type ObjectHook } from "../objects/handles.ts";
import { type Packet, sizeOf } from "../objects/packets.ts";
import type { Link } from "../rpc/link.ts";
import { linkOf, type Target } from "../rpc/router.ts";
import { LIST } from "./protocol.ts";

/** The data of a queue's handle: the location of the queue, and the options that its users have to know. */
export interface QueueHandle extends Target {
  /** Name of the process that hosts it. */
  readonly host: string;
  readonly capacity: number;
  readonly maxBytes: number;
  /** Whether it orders its items, and therefore looks into them. */
  readonly ordered: boolean;
  /** Whether it lends items ahead to streams. */
  readonly ahead: boolean;
  /** Whether items that were not reported done go to other consumers when their consumer has ended. */
  readonly redeliver: boolean;
  /** Whether a put returns when the queue has the item, instead of when the item will outlive this process. */
  readonly confirm: boolean;
  /** Whether the queue is in another program: then its items cannot contain handles. */
  readonly stranger?: true;
}

/** An item to be put. */
export interface EncodedItem extends Packet {
  /** To be called with the link over which the item leaves; see `handles.ts`. */
  readonly onSend: ReadonlyArray<(link: Link | undefined) => void>;
}

/** Lists of items that are sent together, and the error of the item that cannot be put, if there is one, after those before it. */
export type EncodedLists = Iterator<ReadonlyArray<EncodedItem>, EncodeError | QueueError | undefined>;

/** Decoded items. */
export interface OpenedItems<A> {
  /** The number of decoded packets, counted from the first. */
  readonly count: number;
  /** Whether handles move with them. */
  readonly moves: boolean;
  /** The items. Call it once, when they are taken: it takes over the handles that move. Throws a `DecodeError`. */
  readonly take: () => ReadonlyArray<A>;
}

/** The number of bytes after which no more items are sent together. */
export const BATCH_BYTES = 192 * 1024;

const none: ReadonlyArray<never> = [];

const tooLarge = (size: number, limit: number): QueueError =>
  new QueueError(
    "TooLarge",
    `Cannot put an item of ${size} bytes: the queue holds ${limit} bytes; raise its maxBytes or send the item in pieces`,
  );

/** Decodes without taking over the handles that move. */
const look = ({ attachments, bytes }: Packet): unknown =>
  Codec.decode(bytes, { attachments, hooks: looking, link: undefined });

/** Runs the actions for the moment at which these packets leave: handles that move with them no longer belong to this process. */
export const leave = (handle: Target, packets: ReadonlyArray<EncodedItem>, at: number, count: number): void => {
  for (let i = at; i < at + count; i++) for (const action of packets[i].onSend) action(linkOf(handle));
};

/** What belongs to an encoded item besides its bytes. */
type Extras = Codec.Extras<Link | undefined> | undefined;

/** An item that was written into a buffer. */
type EncodedEnd = readonly [end: number, extras: Extras];

/** The packets of a list. The buffer of a writer may move while it grows, so packets are cut when the list is complete. */
const cut = (
  { buffer }: Codec.Writer,
  list: ReadonlyArray<EncodedEnd>,
): ReadonlyArray<EncodedItem> => {
  let from = 0;
  return list.map(([end, extras]) => {
    const bytes = buffer.subarray(from, end);
    from = end;
    return {
      bytes,
      attachments: extras?.attachments ?? none,
      onSend: extras?.onSend ?? none,
      moves: extras !== undefined && extras.onSend.length > 0,
    };
  });
};

/** Encodes and decodes the items of one queue. */
export class ItemCodec<A> {
  readonly #hooks: ReadonlyArray<ObjectHook>;
  readonly #maxBytes: number;
  readonly #canMove: boolean;

  constructor({ maxBytes, stranger }: Pick<QueueHandle, "maxBytes" | "stranger">) {
    this.#hooks = stranger === true ? foreign : hooks;
    this.#canMove = stranger !== true;
    this.#maxBytes = maxBytes;
  }

  /** Encodes one item. Returns the error if the item cannot be put. */
  encode(item: A): EncodedItem | EncodeError | QueueError {
    let encoded: EncodedItem;
    try {
      encoded = Codec.encode(item, { hooks: this.#hooks, root: "item" });
    } catch (error) {
      if (error instanceof EncodeError) return error;
      throw error;
    }
    const size = sizeOf(encoded);
    if (size > this.#maxBytes) return tooLarge(size, this.#maxBytes);
    return encoded.onSend.length === 0 ? encoded : { ...encoded, moves: true };
  }

  /** Encodes several items. Returns the error if one of them cannot be put. */
  encodeAll(items: Iterable<A>): ReadonlyArray<EncodedItem> | EncodeError | QueueError {
    const packets: Array<EncodedItem> = [];
    const lists = this.encodeLists(items);
    for (let list = lists.next();; list = lists.next()) {
      if (list.done === true) return list.value ?? packets;
      for (const packet of list.value) packets.push(packet);
    }
  }

  /**
   * Encodes items in lists that are sent together; those of a list share one buffer. Ends with the error if an item cannot be put, after
   * the items before it.
   */
  *encodeLists(items: Iterable<A>): Generator<ReadonlyArray<EncodedItem>, EncodeError | QueueError | undefined> {
    let writer = new Codec.Writer();
    let list: Array<EncodedEnd> = [];
    let count = 0;
    let error: EncodeError | QueueError | undefined;
    for (const item of items) {
      const start = writer.position;
      const extras = this.#encodeInto(writer, item, count++);
      error = extras instanceof EncodeError ? extras : this.#tooLarge(writer.position - start, extras);
      if (error !== undefined) break;
      list.push([writer.position, extras as Extras]);
      if (writer.position < BATCH_BYTES && list.length < LIST) continue;
      yield cut(writer, list);
      // The next list is probably as long: a buffer that grows is copied several times.
      writer = new Codec.Writer(writer.position + (writer.position >>> 4));
      list = [];
    }
    if (list.length > 0) yield cut(writer, list);
    return error;
  }

  /**
   * Decodes packets that arrived together, up to the first that cannot be decoded, which comes alone the next time. A packet that
   * is alone is decoded when it is taken, whether that succeeds or not.
   */
  open(packets: ReadonlyArray<Packet>): OpenedItems<A> {
    const moves = this.#canMove && packets.some(({ moves }) => moves);
    if (packets.length === 1) return { count: 1, moves, take: () => [this.#decode(packets[0])] };
    const items: Array<A> = [];
    let failure: unknown;
    for (const packet of packets) {
      try {
        items.push(moves ? look(packet) as A : this.#decode(packet));
      } catch (error) {
        failure = error;
        break;
      }
    }
    if (items.length === 0) {
      return {
        count: 1,
        moves,
        take: () => {
          throw failure;
        },
      };
    }
    return {
      count: items.length,
      moves,
      take: moves ? () => packets.slice(0, items.length).map((packet) => this.#decode(packet)) : () => items,
    };
  }

  #decode({ attachments, bytes }: Packet): A {
    return Codec.decode(bytes, { attachments, hooks: this.#hooks, link: undefined }) as A;
  }

  #tooLarge(bytes: number, extras: Extras): QueueError | undefined {
    let size = bytes;
    for (const part of extras?.attachments ?? none) size += part.byteLength;
    return size > this.#maxBytes ? tooLarge(size, this.#maxBytes) : undefined;
  }

  #encodeInto(writer: Codec.Writer, item: A, index: number): Extras | EncodeError {
    try {
      return Codec.encodeInto(writer, item, { hooks: this.#hooks, root: "item" }) as Extras;
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      const path = error.path.replace(/^item/, `items[${index}]`);
      return new EncodeError(error.reason, { path, cause: error.cause });
    }
  }
}

/** Takes decoded items; gives the error if one cannot be decoded. */
export const takeOpened = <A>(opened: OpenedItems<A>): ReadonlyArray<A> | DecodeError => {
  try {
    return opened.take();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
};
