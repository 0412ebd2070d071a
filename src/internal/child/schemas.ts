/**
 * A task's Schemas at work, on both sides. Loaded when the first task that has some is called or run: Schema takes longer
 * to load than all the rest of Effect that a child needs.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";
import type * as Task from "../../Task.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import type { CauseData } from "../codec/exits.ts";

/** A Schema whose types were forgotten. */
export type AnySchema = Schema.Schema<unknown, unknown>;
type List = ReadonlyArray<unknown>;

const tuple = (schemas: List): AnySchema =>
  Schema.Tuple(...schemas as ReadonlyArray<AnySchema>) as unknown as AnySchema;

/** Turns arguments into data, where a task is called. */
export const encodeArguments = (task: Task.Any, schemas: List, args: List): Effect.Effect<List, EncodeError> =>
  Effect.mapError(
    Schema.encode(tuple(schemas))(args) as Effect.Effect<List, Error>,
    (issue) =>
      new EncodeError(`the payload Schema of task "${task.name}" refuses it: ${issue.message}`, { path: "args" }),
  );

/** Turns data into arguments, where a task runs. */
export const decodeArguments = (schemas: List, args: List): Effect.Effect<List, Error> =>
  Schema.decodeUnknown(tuple(schemas))(args) as Effect.Effect<List, Error>;

/** Turns a result into data, where a task has run. */
export const encodeSuccess = (schema: AnySchema, value: unknown): Effect.Effect<unknown, EncodeError> =>
  Effect.mapError(
    Schema.encode(schema)(value),
    (issue) => new EncodeError(`the success Schema refuses it: ${issue.message}`, { path: "result" }),
  );

/** Turns data into a result, or a list of them, where a task was called. */
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

/** Whether something that was thrown is a typed failure. */
export const isFailure = (schema: AnySchema, value: unknown): boolean => Schema.is(Schema.typeSchema(schema))(value);

/** Turns typed failures into data, where a task has run. */
export const encodeFailures = (schema: AnySchema, cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.flatMap(cause, (failure) => {
    const encoded = Schema.encodeEither(schema)(failure);
    if (encoded._tag === "Right") return Cause.fail(encoded.right);
    return Cause.die(new EncodeError(`the error Schema refuses it: ${encoded.left.message}`, { path: "failure" }));
  });

/** Turns data into typed failures, where a task was called. */
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
