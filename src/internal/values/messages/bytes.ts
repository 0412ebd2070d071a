/**
 * `Bytes` for their users by messages, and what the host does for them.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import { show } from "../../os/arguments.ts";
import type { ObjectAddress } from "../../sync/protocol/arena.ts";
import type { Bytes } from "../../../Value.ts";
import { demandChange, type MemoryError, type MemoryFailure, OutOfRange, pair } from "../errors.ts";
import { type Exclusive, exclusiveKind, ExclusiveMessages } from "./exclusive.ts";
import { answering, type ObjectDescriptor } from "./object.ts";

export const TypeId = "~multiprocessing/Bytes";

const GET = 10;

/** The data of a handle. The address is that of the lock for operations that replace the bytes. */
export interface BytesDescriptor extends ObjectDescriptor {
  /** The bytes in memory. */
  readonly object: ObjectAddress;
  readonly capacity: number;
}

/** The lock of bytes, and the operations on them. */
export const bytesKind = exclusiveKind({ [GET]: answering<Exclusive>(({ contents }) => contents.read(0)) });

/** Checks that bytes fit. Throws an `OutOfRange`. */
export function checkBytes(bytes: unknown, capacity: number): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array)) {
    throw new OutOfRange("Type", `Cannot keep ${show(bytes)} as bytes: it takes Uint8Arrays`);
  }
  if (bytes.length > capacity) {
    throw new OutOfRange("TooLong", `Cannot keep ${bytes.length} bytes: there is room for ${capacity}`);
  }
}

/** The text of bytes. */
export const textOf = (capacity: number): string => `Bytes(capacity ${capacity})`;

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Bytes}. */
export class BytesMessages extends ExclusiveMessages<BytesDescriptor> implements Bytes {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly capacity: number;

  constructor(descriptor: BytesDescriptor) {
    super("bytes", descriptor);
    this.capacity = descriptor.capacity;
  }

  override toString(): string {
    return textOf(this.capacity);
  }

  get get(): Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError> {
    return this.read(GET, () => []) as Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError>;
  }

  readonly set = (bytes: Uint8Array): Attempt<void> => this.replace(() => [0, this.#checked(bytes)]);

  readonly update = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Attempt<Uint8Array<ArrayBuffer>> =>
    this.modify((bytes) => {
      demandChange(change);
      const next = this.#checked(change(bytes));
      return [new Uint8Array(next), next];
    });

  readonly modify = <B>(change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array]): Attempt<B> =>
    this.modified(() => 0, (bytes: Uint8Array<ArrayBuffer>) => {
      demandChange(change);
      const [answer, next] = pair(change(bytes));
      return [answer, this.#checked(next)];
    });

  #checked(bytes: unknown): Uint8Array {
    checkBytes(bytes, this.capacity);
    return bytes;
  }
}
