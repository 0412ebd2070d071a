/**
 * Constructors of the objects in shared memory: resources with checked options.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Of as ArrayOf, Options as ArrayOptions } from "../../Array.ts";
import type { Element, Options as ListOptions, ShareableList } from "../../ShareableList.ts";
import type {
  CreateOptions,
  Options as MemoryOptions,
  Owned as OwnedMemory,
  SharedMemory,
} from "../../SharedMemory.ts";
import type { Bytes, Fields, Of as ValueOf, Options, RecordOf, Struct } from "../../Value.ts";
import { carrierOption } from "../sync/object.ts";
import { boolean, type Checks, name as isName, optional, positive } from "../os/arguments.ts";
import { make as makeArray } from "./array.ts";
import { attemptMemory, owned, ownedMemory } from "./attempt.ts";
import { make as makeBytes } from "./bytes.ts";
import { demandOptions, type MemoryError, type MemoryFailure } from "./errors.ts";
import { attach as attachToList, make as makeList } from "./list.ts";
import { lockOption } from "./locks.ts";
import { attachNamed, create, make as makeMemory, makeExperimentally, type Memory } from "./memory.ts";
import { sweep } from "./names.ts";
import { make as makeStruct } from "./struct.ts";
import type { Type, Values } from "./types.ts";
import { make as makeValue } from "./value.ts";

const carried: Checks = { ...lockOption, ...carrierOption };

/** Makes an object with locks of its own, which are freed with it. */
const locked = <A>(
  subject: string,
  options: unknown,
  make: () => readonly [A, free: () => void],
): Effect.Effect<A, MemoryFailure, Scope.Scope> =>
  Effect.map(
    owned(() => {
      demandOptions(subject, options, carried);
      return make();
    }, ([_, free]) => free()),
    ([made]) => made,
  );

/** Makes a value. */
export const value = <T extends Type>(
  type: T,
  initial: Values[T] | undefined,
  options: Options,
): Effect.Effect<ValueOf<T>, MemoryFailure, Scope.Scope> =>
  locked(
    "value",
    options,
    () => makeValue(type, initial, options.lock, undefined, options.carrier),
  ) as Effect.Effect<
    unknown,
    MemoryFailure,
    Scope.Scope
  > as Effect.Effect<ValueOf<T>, MemoryFailure, Scope.Scope>;

/** Makes a struct. */
export const struct = <const F extends Fields>(
  fields: F,
  initial: Partial<RecordOf<F>> | undefined,
  options: Options,
): Effect.Effect<Struct<F>, MemoryFailure, Scope.Scope> =>
  locked("value", options, () => makeStruct(fields, initial, options.lock, undefined, options.carrier));

/** Makes bytes. */
export const bytes = (
  capacity: number,
  initial: Uint8Array | undefined,
  options: Options,
): Effect.Effect<Bytes, MemoryFailure, Scope.Scope> =>
  locked("value", options, () => makeBytes(capacity, initial, options.lock, undefined, options.carrier));

/** Makes an array. */
export const array = <T extends Type>(
  type: T,
  initial: number | Iterable<Values[T]>,
  options: ArrayOptions,
): Effect.Effect<ArrayOf<T>, MemoryFailure, Scope.Scope> =>
  locked(
    "array",
    options,
    () => makeArray(type, initial, options.lock, undefined, options.carrier),
  ) as Effect.Effect<
    unknown,
    MemoryFailure,
    Scope.Scope
  > as Effect.Effect<ArrayOf<T>, MemoryFailure, Scope.Scope>;

/** Makes a list. */
export const list = <A>(
  values: Iterable<A & Element>,
  options: ListOptions,
): Effect.Effect<ShareableList<A>, MemoryFailure, Scope.Scope> =>
  owned(() => makeList<A>(values, options), (list) => list.release());

/** Attaches a named list. */
export const attachList = <A>(name: string): Effect.Effect<ShareableList<A>, MemoryError, Scope.Scope> =>
  ownedMemory(() => attachToList<A>(name), (list) => list.memory.release());

const scoped = <A extends Memory>(acquire: () => A): Effect.Effect<A, MemoryError, Scope.Scope> =>
  ownedMemory(acquire, (memory) => memory.release());

/** Makes a block without a name. */
export const memory = (options: MemoryOptions): Effect.Effect<SharedMemory, MemoryError, Scope.Scope> =>
  scoped(() => {
    demandOptions("shared memory", options, { experimental: optional(boolean), size: positive });
    return options.experimental === true ? makeExperimentally(options.size) : makeMemory(options.size);
  });

/** Makes a named block. */
export const namedMemory = (options: CreateOptions): Effect.Effect<OwnedMemory, MemoryError, Scope.Scope> =>
  scoped(() => {
    demandOptions("shared memory", options, { size: positive, name: optional(isName) });
    const { name = `mp_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`, size } = options;
    return create(name, size);
  });

/** Attaches a named block. */
export const attachMemory = (name: string): Effect.Effect<SharedMemory, MemoryError, Scope.Scope> =>
  scoped(() => attachNamed(name));

/** Removes the blocks of dead owners. */
export const sweepMemory: Effect.Effect<ReadonlyArray<string>, MemoryError> = attemptMemory(sweep);
