/**
 * `ShareableList` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Raw, ShareableList } from "../../../ShareableList.ts";
import { indexIn } from "../elements.ts";
import { demandChange, MemoryError, type MemoryFailure, pair } from "../errors.ts";
import { count, indexOf, ListElements, textOf } from "../list_elements.ts";
import type { Memory } from "../memory.ts";
import { encode, type Records } from "../records.ts";
import { type Contents, exclusiveKind, ExclusiveMessages } from "./exclusive.ts";
import { answering, type ObjectDescriptor } from "./object.ts";

export const TypeId = "~multiprocessing/ShareableList";

const GET = 10;
const PART = 11;
const CAPACITY = 12;

/** Bytes of elements from which one message holds no more of them. */
const CHUNK = 2 ** 20;

/** The data of a handle. The address is that of the lock for changes of elements, which ends with the list. */
export interface ListDescriptor extends ObjectDescriptor {
  readonly memory: Memory;
  readonly length: number;
}

/** The elements of a list at its host. */
interface ListContents extends Contents {
  /** Throws a `MemoryError` if the list has ended. */
  readonly records: () => Records;
}

/** Elements from one on, as many as fit into a message, and at least one. */
const partOf = (records: Records, from: number): ReadonlyArray<unknown> => {
  const part: Array<unknown> = [];
  for (let at = from, size = 0; at < records.length; at++) {
    size += records.capacity(at);
    if (size > CHUNK && part.length > 0) break;
    part.push(records.read(at));
  }
  return part;
};

/** The lock for changes of a list, and the operations on the list. They check their arguments. */
export const listKind = exclusiveKind<ListContents>({
  [GET]: answering(({ contents }, [at]) => contents.read(at as number)),
  [PART]: answering(({ contents }, [from]) => partOf(contents.records(), indexIn(from as number, Infinity))),
  [CAPACITY]: answering(({ contents }, [at]) => {
    const records = contents.records();
    return records.capacity(indexIn(at as number, records.length));
  }),
});

/** The elements of a list as its host serves them. */
export const listContents = (records: () => Records): ListContents => ({
  records,
  read: (at) => {
    const all = records();
    return all.read(indexIn(at, all.length));
  },
  write: (at, value) => {
    const all = records();
    all.write(indexIn(at, all.length), encode(value));
  },
});

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link ShareableList}. */
export class ListMessages<A> extends ExclusiveMessages<ListDescriptor> implements ShareableList<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly length: number;
  readonly memory: Memory;
  readonly raw: Raw<A>;
  #closed = false;

  constructor(descriptor: ListDescriptor) {
    super("list", descriptor);
    this.length = descriptor.length;
    this.memory = descriptor.memory;
    this.raw = new ListElements(this.length, () => {
      this.#open();
      return this.inMemory();
    });
  }

  get name(): string | undefined {
    return this.memory.name;
  }

  readonly get = (at: number): Attempt<A> => this.read(GET, () => [this.#index(at)]);

  readonly set = (at: number, value: A): Attempt<void> =>
    this.replace(() => {
      const index = this.#index(at);
      encode(value);
      return [index, value];
    });

  readonly update = (at: number, change: (value: A) => A): Attempt<A> =>
    this.modify(at, (value) => {
      demandChange(change);
      const next = change(value);
      return [next, next];
    });

  readonly modify = <B>(at: number, change: (value: A) => readonly [B, A]): Attempt<B> =>
    this.modified<A, B>(() => this.#index(at), (value) => {
      demandChange(change);
      const [answer, next] = pair(change(value));
      encode(next);
      return [answer, next];
    });

  readonly capacity = (at: number): Attempt<number> => this.read(CAPACITY, () => [this.#index(at)]);

  get toArray(): Effect.Effect<Array<A>, MemoryError> {
    const rest = (known: ReadonlyArray<A>): Attempt<Array<A>> =>
      Effect.flatMap(
        this.read<ReadonlyArray<A>>(PART, () => {
          this.#open();
          return [known.length];
        }),
        (part) => {
          const all = [...known, ...part];
          return all.length < this.length ? rest(all) : Effect.succeed(all);
        },
      );
    return rest([]) as Effect.Effect<Array<A>, MemoryError>;
  }

  readonly includes = (value: A): Effect.Effect<boolean, MemoryError> => Effect.map(this.indexOf(value), Option.isSome);

  readonly count = (value: A): Effect.Effect<number, MemoryError> => count(this, value);

  readonly indexOf = (value: A): Effect.Effect<Option.Option<number>, MemoryError> => indexOf(this, value);

  override toString(): string {
    return textOf(this);
  }

  get close(): Effect.Effect<void> {
    return Effect.zipRight(Effect.sync(() => this.#closed = true), this.memory.close);
  }

  #index(at: number): number {
    this.#open();
    return indexIn(at, this.length);
  }

  #open(): void {
    if (this.#closed) throw new MemoryError("Gone", "Cannot use the list: it was closed here");
  }
}
