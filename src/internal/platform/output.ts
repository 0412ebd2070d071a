/**
 * One output of a command: read by a Stream, or ahead of it, or to be forgotten.
 *
 * @module
 */
import type { PlatformError } from "@effect/platform/Error";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";

/** Where an output comes from, and what its failures are. */
export interface Source {
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes that are kept for a reader that has not come yet. */
  readonly limit: number;
  readonly failed: (cause: unknown) => PlatformError;
  /** More than `limit` bytes were written, and nobody reads them. */
  readonly overflow: () => PlatformError;
}

/** What a command writes to one of its outputs. */
export class Output {
  readonly #source: Source;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #chunks: Array<Uint8Array> = [];
  #bytes = 0;
  /** A read that is under way outlives the fiber that has begun it: its chunk belongs to the next. */
  #pending: Promise<void> | undefined;
  #ended = false;
  #taken = false;

  constructor(source: Source) {
    this.#source = source;
    this.#reader = source.readable.getReader();
  }

  /** What is written. `other` fails when the command cannot go on. The end of the Stream closes the output. */
  stream(other: Effect.Effect<never, PlatformError>): Stream.Stream<Uint8Array, PlatformError> {
    const next = Effect.suspend((): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<PlatformError>> => {
      if (this.#chunks.length === 0 && !this.#ended) {
        return Effect.zipRight(Effect.mapError(Effect.raceFirst(this.#fetch, other), Option.some), next);
      }
      const chunk = Chunk.unsafeFromArray(this.#chunks);
      this.#chunks = [];
      this.#bytes = 0;
      return Chunk.isEmpty(chunk) ? Effect.fail(Option.none()) : Effect.succeed(chunk);
    });
    const taken = Effect.acquireRelease(
      Effect.sync(() => void (this.#taken = true)),
      () => Effect.sync(() => this.close()),
    );
    return Stream.unwrapScoped(Effect.as(taken, Stream.repeatEffectChunkOption(next)));
  }

  /** Reads ahead, until the end or until there is a reader. Fails if there is too much to keep. */
  readonly ahead: Effect.Effect<void, PlatformError> = Effect.suspend(() => {
    if (this.#taken || this.#ended) return Effect.void;
    if (this.#bytes > this.#source.limit) return Effect.fail(this.#source.overflow());
    return Effect.zipRight(this.#fetch, this.ahead);
  });

  /** Reads to the end and keeps nothing. */
  readonly drain: Effect.Effect<void, PlatformError> = Effect.suspend(() => {
    this.#taken = true;
    this.#chunks = [];
    this.#bytes = 0;
    return this.#ended ? Effect.void : Effect.zipRight(this.#fetch, this.drain);
  });

  /** Closes it: the command cannot write to it any more. */
  close(): void {
    this.#ended = true;
    this.#chunks = [];
    // A reader that the end of the stream or an error has closed needs nothing.
    this.#reader.cancel().catch(() => {});
  }

  readonly #fetch: Effect.Effect<void, PlatformError> = Effect.suspend(() =>
    Effect.tryPromise({ try: () => this.#pending ??= this.#read(), catch: (cause) => this.#source.failed(cause) })
  );

  async #read(): Promise<void> {
    try {
      const { done, value } = await this.#reader.read();
      if (done) this.#ended = true;
      if (done || this.#ended) return;
      this.#chunks.push(value);
      this.#bytes += value.length;
    } finally {
      this.#pending = undefined;
    }
  }
}
