/**
 * The objects of the module `Promise`. Each wraps an object of another module, and its handle contains the handle of
 * that object.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Arrays from "../../Array.ts";
import type * as Barriers from "../../Barrier.ts";
import type * as Events from "../../Event.ts";
import type * as Locks from "../../Lock.ts";
import type * as Pipes from "../../Pipe.ts";
import type * as Queues from "../../Queue.ts";
import type * as Semaphores from "../../Semaphore.ts";
import type * as Memories from "../../SharedMemory.ts";
import type * as Values from "../../Value.ts";
import { guardOf } from "../sync/guard.ts";
import type * as Model from "../../Promise.ts";
import { type Handle, HandleId, register } from "../objects/handles.ts";
import * as Arguments from "../os/arguments.ts";
import { demand, iterate, settle, type Waiting } from "./settle.ts";

/** The handle kind of the wrappers. Such a handle contains the handle of the wrapped object. */
const KIND = "promise";

/** An object that can be sent to other processes. */
abstract class Front<Inner extends object> implements AsyncDisposable {
  readonly #release: () => Promise<void>;
  protected readonly inner: Inner;

  constructor(inner: Inner, release: () => Promise<void> = () => Promise.resolve()) {
    this.inner = inner;
    this.#release = release;
  }

  get [HandleId](): Handle[typeof HandleId] {
    return { kind: KIND, encode: () => this.inner };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#release();
  }
}

export class Queue<A> extends Front<Queues.Queue<A>> implements Model.Queue<A> {
  get capacity(): number {
    return this.inner.capacity;
  }

  put(item: A, options?: Waiting): Promise<void> {
    return settle(this.inner.put(item), options);
  }

  putAll(items: Iterable<A>, options?: Waiting): Promise<void> {
    return settle(this.inner.putAll(items), options);
  }

  tryPut(item: A): Promise<boolean> {
    return settle(this.inner.tryPut(item));
  }

  get(options?: Waiting): Promise<A> {
    return settle(this.inner.get, options);
  }

  tryGet(): Promise<{ readonly item: A } | undefined> {
    return settle(Effect.map(this.inner.tryGet, (item) => Option.isSome(item) ? { item: item.value } : undefined));
  }

  takeUpTo(count: number, options?: Waiting): Promise<ReadonlyArray<A>> {
    return settle(this.inner.takeUpTo(count), options);
  }

  taskDone(count?: number): Promise<void> {
    return settle(this.inner.taskDone(count));
  }

  join(options?: Waiting): Promise<void> {
    return settle(this.inner.join, options);
  }

  size(): Promise<number> {
    return settle(this.inner.size);
  }

  close(): Promise<void> {
    return settle(this.inner.close);
  }

  shutdown(): Promise<void> {
    return settle(this.inner.shutdown);
  }

  [Symbol.asyncIterator](): AsyncGenerator<A, void> {
    return iterate(this.inner.toStream);
  }
}

export class Connection<A, B> extends Front<Pipes.Connection<A, B>> implements Model.Connection<A, B> {
  send(value: B, options?: Waiting): Promise<void> {
    return settle(this.inner.send(value), options);
  }

  recv(options?: Waiting): Promise<A> {
    return settle(this.inner.recv, options);
  }

  sendBytes(bytes: ArrayBufferLike | ArrayBufferView, options?: Waiting): Promise<void> {
    return settle(this.inner.sendBytes(bytes), options);
  }

  recvBytes(options?: Waiting): Promise<Uint8Array<ArrayBuffer>> {
    return settle(this.inner.recvBytes(), options);
  }

  poll(): Promise<boolean> {
    return settle(this.inner.poll(Duration.zero));
  }

  close(): Promise<void> {
    return settle(this.inner.close);
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return settle(this.inner.close).then(() => super[Symbol.asyncDispose]());
  }

  [Symbol.asyncIterator](): AsyncGenerator<A, void> {
    return iterate(this.inner.toStream);
  }
}

class Held implements Model.Held {
  readonly abandoned: boolean;
  #lock: Locks.Lock | undefined;

  constructor(abandoned: boolean, lock: Locks.Lock) {
    this.abandoned = abandoned;
    this.#lock = lock;
  }

  release(): void {
    const lock = this.#given();
    if (lock !== undefined) guardOf(lock).giveUp();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lock = this.#given();
    if (lock !== undefined) await settle(lock.release);
  }

  /** The lock, once. */
  #given(): Locks.Lock | undefined {
    const lock = this.#lock;
    this.#lock = undefined;
    return lock;
  }
}

export class Lock extends Front<Locks.Lock> implements Model.Lock {
  async take(options?: Waiting): Promise<Model.Held> {
    const { abandoned } = await settle(this.inner.take, options);
    return new Held(abandoned, this.inner);
  }

  async tryTake(): Promise<Model.Held | undefined> {
    if (!await settle(this.inner.tryTake)) return undefined;
    const { abandoned } = await settle(this.inner.statistics);
    return new Held(abandoned, this.inner);
  }

  async withLock<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A> {
    demand("lock.withLock", { run }, { run: Arguments.func });
    await using _held = await this.take(options);
    return await run();
  }

  isLocked(): Promise<boolean> {
    return settle(this.inner.isLocked);
  }
}

export class Semaphore extends Front<Semaphores.Semaphore> implements Model.Semaphore {
  take(permits?: number, options?: Waiting): Promise<void> {
    return settle(this.inner.take(permits), options);
  }

  tryTake(permits?: number): Promise<boolean> {
    return settle(this.inner.tryTake(permits));
  }

  release(permits?: number): Promise<void> {
    return settle(this.inner.release(permits));
  }

  async withPermit<A>(run: () => A | PromiseLike<A>, options?: Waiting): Promise<A> {
    demand("semaphore.withPermit", { run }, { run: Arguments.func });
    await this.take(1, options);
    try {
      return await run();
    } finally {
      await this.release();
    }
  }

  available(): Promise<number> {
    return settle(this.inner.available);
  }
}

export class Event extends Front<Events.Event> implements Model.Event {
  set(): Promise<void> {
    return settle(this.inner.set);
  }

  clear(): Promise<void> {
    return settle(this.inner.clear);
  }

  isSet(): Promise<boolean> {
    return settle(this.inner.isSet);
  }

  wait(options?: Waiting): Promise<void> {
    return settle(this.inner.wait, options);
  }
}

export class Barrier extends Front<Barriers.Barrier> implements Model.Barrier {
  get parties(): number {
    return this.inner.parties;
  }

  wait(options?: Waiting): Promise<number> {
    return settle(this.inner.wait, options);
  }

  abort(): Promise<void> {
    return settle(this.inner.abort);
  }

  reset(): Promise<void> {
    return settle(this.inner.reset);
  }
}

export class SharedMemory extends Front<Memories.SharedMemory> implements Model.SharedMemory {
  get size(): number {
    return this.inner.size;
  }

  get bytes(): Uint8Array<ArrayBufferLike> {
    return this.inner.bytes;
  }

  array<A>(View: Memories.ViewConstructor<A>, offset?: number, length?: number): A {
    return this.inner.array(View, offset, length);
  }
}

/** Fails if an object holds booleans. */
const demandNumbers = (method: string, object: object): void => {
  if (!("add" in object)) throw new TypeError(`Cannot run ${method}: it is for numbers, and this holds booleans`);
};

export class Value<T extends Values.Type> extends Front<Values.Of<T>> implements Model.Value<T> {
  get(): Promise<Values.Values[T]> {
    return settle(this.#all.get);
  }

  set(value: Values.Values[T]): Promise<void> {
    return settle(this.#all.set(value));
  }

  async add(value: Values.Values[T] & (number | bigint)): Promise<Values.Values[T]> {
    demandNumbers("value.add", this.inner);
    return await settle(this.#all.add(value));
  }

  update(change: (value: Values.Values[T]) => Values.Values[T]): Promise<Values.Values[T]> {
    return settle(this.#all.update(change));
  }

  /** The type of a value that may be of any type allows no call. */
  get #all(): Values.Numeric<Values.Values[T]> {
    return this.inner as unknown as Values.Numeric<Values.Values[T]>;
  }

  get raw(): Values.Of<T>["raw"] {
    return this.inner.raw;
  }
}

export class SharedArray<T extends Arrays.Type> extends Front<Arrays.Of<T>> implements Model.SharedArray<T> {
  get length(): number {
    return this.inner.length;
  }

  get(at: number): Promise<Arrays.Values[T]> {
    return settle(this.#all.get(at));
  }

  set(at: number, value: Arrays.Values[T]): Promise<void> {
    return settle(this.#all.set(at, value));
  }

  async add(at: number, value: Arrays.Values[T] & (number | bigint)): Promise<Arrays.Values[T]> {
    demandNumbers("array.add", this.inner);
    return await settle(this.#all.add(at, value));
  }

  slice(start?: number, end?: number): Promise<ReadonlyArray<Arrays.Values[T]>> {
    return settle(this.#all.slice(start, end));
  }

  /** As that of a value. */
  get #all(): Arrays.Numeric<Arrays.Values[T]> {
    return this.inner as unknown as Arrays.Numeric<Arrays.Values[T]>;
  }

  get raw(): Arrays.Of<T>["raw"] {
    return this.inner.raw;
  }
}

/** The wrapper of each kind of object, by the mark of the object. */
const fronts: ReadonlyArray<readonly [mark: string, front: (inner: never) => object]> = [
  ["~multiprocessing/Queue", (inner) => new Queue(inner)],
  ["~multiprocessing/Connection", (inner) => new Connection(inner)],
  ["~multiprocessing/Lock", (inner) => new Lock(inner)],
  ["~multiprocessing/Semaphore", (inner) => new Semaphore(inner)],
  ["~multiprocessing/Event", (inner) => new Event(inner)],
  ["~multiprocessing/Barrier", (inner) => new Barrier(inner)],
  ["~multiprocessing/SharedMemory", (inner) => new SharedMemory(inner)],
  ["~multiprocessing/Value", (inner) => new Value(inner)],
  ["~multiprocessing/Array", (inner) => new SharedArray(inner)],
];

register("promise", (inner, use) => {
  // A process that only inspects a message does not need the object, and may not know its kind.
  if (!use) return {};
  const front = fronts.find(([mark]) => mark in (inner as object));
  if (front === undefined) throw new TypeError("a handle of the module Promise contains no object that the module has");
  // The mark of the object has chosen the wrapper, which TypeScript cannot follow.
  return front[1](inner as never);
});
