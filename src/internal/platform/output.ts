/**
 * One output of a command: as a Stream, buffered until there is a reader, or drained.
 *
 * @module
 */
import type { PlatformError } from "@effect/platform/Error";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";

/** The source of an output, and its failures. */
export interface Source {
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes that are buffered without a reader. */
  readonly limit: number;
  readonly failed: (cause: unknown) => PlatformError;
  /** The failure if more than `limit` bytes have no reader. */
  readonly overflow: () => PlatformError;
}

/** One output of a command. */
export class Output {
  readonly #source: Source;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #chunks: Array<Uint8Array> = [];
  #bytes = 0;
  /** A pending read survives the interruption of its fiber: the next read gets the chunk. */
  #pending: Promise<void> | undefined;
  #ended = false;
  #taken = false;

  constructor(source: Source) {
    this.#source = source;
    this.#reader = source.readable.getReader();
  }

  /** The bytes of the output; fails if `other` does. The end of the Stream closes the output. */
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

  /** Buffers the output until its end or until it has a reader. Fails beyond the limit. */
  readonly ahead: Effect.Effect<void, PlatformError> = Effect.suspend(() => {
    if (this.#taken || this.#ended) return Effect.void;
    if (this.#bytes > this.#source.limit) return Effect.fail(this.#source.overflow());
    return Effect.zipRight(this.#fetch, this.ahead);
  });

  /** Reads the output to its end, and drops it. */
  readonly drain: Effect.Effect<void, PlatformError> = Effect.suspend(() => {
    this.#taken = true;
    this.#chunks = [];
    this.#bytes = 0;
    return this.#ended ? Effect.void : Effect.zipRight(this.#fetch, this.drain);
  });

  /** Closes the output: the command cannot write to it any more. */
  close(): void {
    this.#ended = true;
    this.#chunks = [];
    // Fails only if the stream is errored already.
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
