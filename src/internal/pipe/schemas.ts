/**
 * Encoding and decoding with Schemas. Loaded by `schema.ts` with the first value.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import { DecodeError, EncodeError } from "../codec/errors.ts";

/** Encodes a value before it is sent. */
export const encode = <B, J>(schema: Schema.Schema<B, J>, value: B): Effect.Effect<J, EncodeError> =>
  Effect.mapError(
    Schema.encode(schema)(value),
    (issue) => new EncodeError(`the Schema of the connection refuses it: ${issue.message}`, { path: "value" }),
  );

/** Decodes a value after it was received. */
export const decode = <A, I>(schema: Schema.Schema<A, I>, value: unknown): Effect.Effect<A, DecodeError> =>
  Effect.mapError(
    Schema.decodeUnknown(schema)(value),
    (issue) => new DecodeError(`the Schema of the connection refuses it: ${issue.message}`, 0),
  );
