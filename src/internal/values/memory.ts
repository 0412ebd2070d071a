/**
 * `SharedMemory` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import { type BlockToken, preferred, type RegionKind } from "../os/mapping.ts";
import type { Owned, ViewConstructor } from "../../SharedMemory.ts";
import { invalidArgument, must, show } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { MemoryError, OutOfRange } from "./errors.ts";
import * as Names from "./names.ts";
import { attach, keep, keyOf, make as makeStorage, makeNamed, type Storage } from "./storage.ts";

export const TypeId = "~multiprocessing/SharedMemory";

/** The data of a handle. */
interface HandleData {
  readonly token: BlockToken;
  readonly size: number;
  readonly name: string | undefined;
}

const isView = must(
  (value) =>
    typeof value === "function" && Number.isSafeInteger((value as Partial<ViewConstructor<unknown>>).BYTES_PER_ELEMENT),
  "the class of a typed array, such as Int32Array",
);

/** The implementation of {@link SharedMemory}, and of {@link Owned} for its maker. */
export class Memory implements Owned {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #from: HandleData;
  readonly #unlink: () => void;
  /** The memory, or why it could not be attached; `undefined` for a handle that this process only passes on. */
  #storage: Storage | MemoryError | undefined;

  constructor(from: HandleData, storage: Storage | MemoryError | undefined, unlink: () => void = () => {}) {
    this.#from = from;
    this.#storage = storage;
    this.#unlink = unlink;
  }

  get [HandleId]() {
    return { kind: "memory", encode: () => ({ ...this.#from }) };
  }

  /** Identifies the block. */
  get key(): string {
    return keyOf(this.#from.token);
  }

  get size(): number {
    return this.#from.size;
  }

  get name(): string | undefined {
    return this.#from.name;
  }

  get closed(): boolean {
    const storage = this.#storage;
    return storage === undefined || (!(storage instanceof MemoryError) && storage.closed);
  }

  get attached(): Effect.Effect<Uint8Array<ArrayBufferLike>, MemoryError> {
    return Effect.suspend(() => {
      const storage = this.#storage;
      if (storage instanceof MemoryError) return Effect.fail(storage);
      return this.closed
        ? Effect.fail(new MemoryError("Gone", "Cannot use the shared memory: it was closed here"))
        : Effect.succeed(this.bytes);
    });
  }

  get bytes(): Uint8Array<ArrayBufferLike> {
    return new Uint8Array(this.#buffer, 0, this.#length);
  }

  get view(): DataView<ArrayBufferLike> {
    return new DataView(this.#buffer, 0, this.#length);
  }

  readonly array = <A>(View: ViewConstructor<A>, offset: number = 0, length?: number): A => {
    const wrong = isView(View);
    if (wrong !== undefined) throw new OutOfRange("Type", invalidArgument("memory.array", `View ${wrong}`));
    const unit = View.BYTES_PER_ELEMENT;
    const count = length === undefined ? Math.floor((this.size - offset) / unit) : length;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset % unit !== 0) {
      throw new OutOfRange(
        "Index",
        `Cannot view shared memory from byte ${
          show(offset)
        } on: the offset must be a multiple of ${unit}, the size of an element`,
      );
    }
    if (!Number.isSafeInteger(count) || count < 0 || offset + count * unit > this.size) {
      throw new OutOfRange(
        "Index",
        `Cannot view ${
          show(count)
        } elements of ${unit} bytes from byte ${offset} on: the memory has ${this.size} bytes`,
      );
    }
    const buffer = this.#buffer;
    return this.closed ? new View(buffer, 0, 0) : new View(buffer, offset, count);
  };

  get shared(): SharedArrayBuffer {
    const storage = this.#used;
    return storage.buffer instanceof SharedArrayBuffer ? storage.buffer : storage.wasm.buffer as SharedArrayBuffer;
  }

  get wasm(): WebAssembly.Memory {
    return this.#used.wasm;
  }

  toString(): string {
    const { name, size } = this;
    return `SharedMemory(${name === undefined ? "" : `${JSON.stringify(name)}, `}${size} bytes)`;
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.release());
  }

  get unlink(): Effect.Effect<void> {
    return Effect.sync(this.#unlink);
  }

  /** Closes the block in this process. In the process that made it, removes its name as well. */
  release(): void {
    this.#unlink();
    if (this.#storage instanceof MemoryError) return;
    this.#storage?.close();
  }

  /** The memory for another user in this process, which closes it on its own. Throws a `MemoryError`. */
  again(): Storage {
    return this.#used.again();
  }

  get #used(): Storage {
    const storage = this.#storage;
    if (storage instanceof MemoryError) throw storage;
    if (storage === undefined || storage.closed) {
      throw new MemoryError("Gone", "Cannot use the shared memory: it was closed here");
    }
    return storage;
  }

  get #buffer(): ArrayBufferLike {
    const storage = this.#storage;
    if (storage instanceof MemoryError) throw storage;
    return storage?.buffer ?? new ArrayBuffer(0);
  }

  get #length(): number {
    return this.closed ? 0 : this.size;
  }
}
inspectable(Memory);

/** Creates a block. Throws a `MemoryError`. */
export const make = (size: number, kind?: RegionKind): Memory => wrap(makeStorage(size, kind), size);

/**
 * Like {@link make}, where no other process could attach the block: tries memory with a random name first. Throws a `MemoryError`.
 */
export const makeExperimentally = (size: number, kind: RegionKind = preferred()): Memory =>
  kind === "buffer" ? wrap(makeNamed(size) ?? makeStorage(size, kind), size) : make(size, kind);

const wrap = (storage: Storage, size: number): Memory => {
  return new Memory({ token: storage.token, size, name: undefined }, storage);
};

/** Creates a named block, which `prepare` fills before it gets its name. Throws a `MemoryError`. */
export const create = (name: string, size: number, prepare?: (buffer: ArrayBuffer) => void): Memory => {
  const { region, unlink } = Names.create(name, size, prepare);
  return new Memory({ token: region.token, size, name }, keep(region), unlink);
};

/** Attaches a block by its name. Throws a `MemoryError`. */
export const attachNamed = (name: string): Memory => {
  const region = Names.attach(name);
  return new Memory({ token: region.token, size: region.size, name }, keep(region));
};

/** Decodes a handle. A block that cannot be attached throws when it is used. */
const receive = (from: HandleData): Memory => {
  try {
    return new Memory(from, attach(from.token));
  } catch (error) {
    if (error instanceof MemoryError) return new Memory(from, error);
    throw error;
  }
};

register("memory", (from, use) => use ? receive(from as HandleData) : new Memory(from as HandleData, undefined));
