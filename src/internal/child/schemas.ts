/**
 * Applies the Schemas of tasks, on both sides. Loaded with the first task that has some: Schema takes longer to load than all
 * other modules of Effect that a child needs.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import type * as Task from "../../Task.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import type { CauseData } from "../codec/exits.ts";

/** A Schema without its types. */
export type AnySchema = Schema.Schema<unknown, unknown>;
type List = ReadonlyArray<unknown>;

const tuple = (schemas: List): AnySchema => Schema.Tuple(...schemas as ReadonlyArray<AnySchema>) as AnySchema;

/** Encodes arguments, in the caller. */
export const encodeArguments = (task: Task.Any, schemas: List, args: List): Effect.Effect<List, EncodeError> =>
  Effect.mapError(
    Schema.encode(tuple(schemas))(args) as Effect.Effect<List, Error>,
    (issue) =>
      new EncodeError(`the payload Schema of task "${task.name}" refuses it: ${issue.message}`, { path: "args" }),
  );

/** Decodes arguments, in the child. */
export const decodeArguments = (schemas: List, args: List): Effect.Effect<List, Error> =>
  Schema.decodeUnknown(tuple(schemas))(args) as Effect.Effect<List, Error>;

/** Encodes the value of a portable FiberRef, in the caller. */
export const encodePortable = (key: string, schema: AnySchema, value: unknown): Effect.Effect<unknown, EncodeError> =>
  Effect.mapError(
    Schema.encode(schema)(value),
    (issue) => new EncodeError(`the Schema of the portable FiberRef refuses it: ${issue.message}`, { path: key }),
  );

/** Decodes the value of a portable FiberRef, in the child. */
export const decodePortable = (schema: AnySchema, value: unknown): Effect.Effect<unknown, Error> =>
  Schema.decodeUnknown(schema)(value);

/** Encodes a result, in the child. */
export const encodeSuccess = (schema: AnySchema, value: unknown): Effect.Effect<unknown, EncodeError> =>
  Effect.mapError(
    Schema.encode(schema)(value),
    (issue) => new EncodeError(`the success Schema refuses it: ${issue.message}`, { path: "result" }),
  );

/** Decodes a result, or a list of results, in the caller. */
export const decodeSuccess = (
  task: Task.Any,
  schema: AnySchema,
  value: unknown,
  many: boolean,
): Effect.Effect<unknown, DecodeError> =>
  Effect.mapError(
    Schema.decodeUnknown((many ? Schema.Array(schema) : schema) as AnySchema)(value),
    (issue) => new DecodeError(`the success Schema of task "${task.name}" refuses the result: ${issue.message}`, 0),
  );

/** Whether a thrown value is a typed failure. */
export const isFailure = (schema: AnySchema, value: unknown): boolean => Schema.is(Schema.typeSchema(schema))(value);

/** Encodes typed failures, in the child. */
export const encodeFailures = (schema: AnySchema, cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.flatMap(cause, (failure) => {
    const encoded = Schema.encodeEither(schema)(failure);
    if (encoded._tag === "Right") return Cause.fail(encoded.right);
    return Cause.die(new EncodeError(`the error Schema refuses it: ${encoded.left.message}`, { path: "failure" }));
  });

/** Decodes typed failures, in the caller. */
export const decodeFailures = (task: Task.Any, schema: AnySchema, data: CauseData): CauseData => {
  switch (data._tag) {
    case "Fail": {
      const decoded = Schema.decodeUnknownEither(schema)(data.error);
      if (decoded._tag === "Right") return { _tag: "Fail", error: decoded.right, trace: data.trace };
      const reason = `the error Schema of task "${task.name}" refuses the failure: ${decoded.left.message}`;
      return { _tag: "Die", defect: new DecodeError(reason, 0, { cause: data.error }), trace: data.trace };
    }
    case "Sequential":
    case "Parallel":
      return {
        _tag: data._tag,
        left: decodeFailures(task, schema, data.left),
        right: decodeFailures(task, schema, data.right),
      };
    default:
      return data;
  }
};
