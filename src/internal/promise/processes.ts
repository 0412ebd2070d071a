/**
 * Processes and pools of the module `Promise`.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type { ExitStatus, Signal } from "../../Backend.ts";
import type * as Pools from "../../Pool.ts";
import type * as Processes from "../../Process.ts";
import type * as Model from "../../Promise.ts";
import type { StreamTask, Task } from "../../Task.ts";
import * as Arguments from "../os/arguments.ts";
import { type Acquired, demand, iterate, settle, type Waiting } from "./settle.ts";

export class Process<A> implements Model.Process<A> {
  readonly #process: Processes.Process<A, unknown>;
  readonly #close: () => Promise<void>;

  constructor({ close, value }: Acquired<Processes.Process<A, unknown>>) {
    this.#process = value;
    this.#close = close;
  }

  get name(): string {
    return this.#process.name;
  }

  get daemon(): boolean {
    return this.#process.daemon;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get stdout(): ReadableStream<Uint8Array> {
    return Stream.toReadableStream(this.#process.stdout);
  }

  get stderr(): ReadableStream<Uint8Array> {
    return Stream.toReadableStream(this.#process.stderr);
  }

  join(options?: Waiting): Promise<A> {
    return settle(this.#process.join, options);
  }

  status(options?: Waiting): Promise<ExitStatus> {
    return settle(this.#process.status, options);
  }

  exitCode(options?: Waiting): Promise<number> {
    return settle(this.#process.exitCode, options);
  }

  isAlive(): Promise<boolean> {
    return settle(this.#process.isAlive);
  }

  terminate(): Promise<void> {
    return settle(this.#process.terminate);
  }

  kill(): Promise<void> {
    return settle(this.#process.kill);
  }

  signal(signal: Signal): Promise<boolean> {
    return settle(this.#process.signal(signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

const isSource = Arguments.must(
  (value) => Arguments.iterable(value) === undefined || Symbol.asyncIterator in Object(value),
  "iterable, such as an array, or asynchronously iterable",
);

export class Pool implements Model.Pool {
  readonly #pool: Pools.Pool;
  readonly #close: () => Promise<void>;

  constructor({ close, value }: Acquired<Pools.Pool>) {
    this.#pool = value;
    this.#close = close;
  }

  get size(): number {
    return this.#pool.size;
  }

  async apply<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task<Args, A, E>,
    args: Args,
    options?: Waiting,
  ): Promise<A> {
    demand("pool.apply", { args }, { args: Arguments.list });
    return await settle(this.#pool.apply(task, ...args), options);
  }

  map<I, A, E>(task: Task<[I], A, E>, items: Iterable<I>, options: Model.MapOptions = {}): Promise<Array<A>> {
    return settle(this.#pool.map(task, items, options), options);
  }

  starmap<Args extends ReadonlyArray<unknown>, A, E>(
    task: Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options: Model.MapOptions = {},
  ): Promise<Array<A>> {
    return settle(this.#pool.starmap(task, items, options), options);
  }

  mapStream<I, A, E>(
    task: Task<[I], A, E>,
    items: Iterable<I> | AsyncIterable<I>,
    options: Model.MapStreamOptions = {},
  ): AsyncGenerator<A, void> {
    demand("pool.mapStream", { items }, { items: isSource });
    const source: Stream.Stream<I, unknown> = Symbol.asyncIterator in Object(items)
      ? Stream.fromAsyncIterable(items as AsyncIterable<I>, (error) => error)
      : Stream.fromIterable(items as Iterable<I>);
    return iterate(this.#pool.mapStream(task, options)(source), options);
  }

  stream<Args extends ReadonlyArray<unknown>, A, E>(
    task: StreamTask<Args, A, E>,
    args: Args,
    options?: Waiting,
  ): AsyncGenerator<A, void> {
    demand("pool.stream", { args }, { args: Arguments.list });
    return iterate(this.#pool.stream(task, ...args), options);
  }

  close(): Promise<void> {
    return settle(this.#pool.close);
  }

  join(options?: Waiting): Promise<void> {
    return settle(this.#pool.join, options);
  }

  terminate(): Promise<void> {
    return settle(this.#pool.terminate);
  }

  statistics(): Promise<Pools.Statistics> {
    return settle(this.#pool.statistics);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing the scope would stop calls that are still pending.
    await settle(Effect.zipRight(this.#pool.close, this.#pool.join));
    await this.#close();
  }
}
