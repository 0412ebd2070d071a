/**
 * A list that is encoded part by part before it is known which parts are sent together.
 *
 * @module
 */
import { Writer } from "./bytes.ts";
import type { Encoded } from "./codec.ts";
import { Encoder, writeNames } from "./encode.ts";
import type { Hook } from "./hook.ts";
import { take } from "./moves.ts";
import * as Tag from "./tags.ts";

/** The encoded parts of a list. */
export class EncodedList<Link = unknown> {
  readonly #hooks: ReadonlyArray<Hook<Link>>;
  /** `undefined` for a part that was joined. */
  #parts: Array<Encoded<Link> | undefined> = [];
  readonly #writer = new Writer();
  /** Number of bytes of the parts before each one, and of all. */
  readonly #sizes: Array<number> = [0];
  #last: Encoder<Link> | undefined;

  constructor(hooks: ReadonlyArray<Hook<Link>>) {
    this.#hooks = hooks;
  }

  /** Encodes the next part. Throws only an `EncodeError`, whose path starts with `root`. */
  add(items: ReadonlyArray<unknown>, root: string): void {
    const writer = this.#writer;
    writer.position = 0;
    const encoder = new Encoder<Link>(writer, this.#hooks);
    encoder.listPart(items, root, this.#last);
    this.#last = encoder;
    const size = encoder.attachments?.reduce((sum, { length }) => sum + length, writer.position) ?? writer.position;
    this.#sizes.push(this.#sizes[this.#sizes.length - 1] + size);
    this.#parts.push({
      bytes: writer.buffer.slice(0, writer.position),
      attachments: encoder.attachments ?? [],
      onSend: encoder.actions ?? [],
      moving: encoder.moving,
    });
  }

  /** Number of bytes of the parts from `first` to `end`. */
  size(first: number, end: number): number {
    return this.#sizes[end] - this.#sizes[first];
  }

  /** Takes the memory of the buffers that are to move. All parts must have been added, and none joined. */
  take(): void {
    this.#parts = [...take(this.#parts as ReadonlyArray<Encoded<Link>>)];
  }

  /** Makes a message of the items of the parts from `first` to `end`, in their order. Each part can be joined once. */
  join(first: number, end: number): Encoded<Link> {
    const parts = this.#parts.slice(first, end) as ReadonlyArray<Encoded<Link>>;
    this.#parts.fill(undefined, first, end);
    const writer = new Writer(parts.reduce((size, { bytes }) => size + bytes.length, 32));
    writer.byte(Tag.PLAIN);
    if (parts.length > 1) {
      writer.byte(Tag.PARTS);
      writer.varint(parts.length);
    }
    for (const { bytes } of parts) writer.bytes(bytes);
    const names = this.#last?.hookNames;
    if (names !== undefined) writeNames(writer, 0, names);
    return {
      bytes: writer.buffer.subarray(0, writer.position),
      attachments: parts.flatMap(({ attachments }) => attachments),
      onSend: parts.flatMap(({ onSend }) => onSend),
      owned: parts.some(({ owned }) => owned !== undefined)
        ? new Set(parts.flatMap(({ owned }) => [...owned ?? []]))
        : undefined,
    };
  }
}
