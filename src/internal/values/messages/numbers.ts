/**
 * Numbers in shared memory for their users by messages, and what the host does for them.
 *
 * The host runs each operation in one step on the same memory that other processes use by atomics, so every operation is atomic,
 * whichever way it comes. A function cannot be sent: `update` and `modify` run it here, and exchange the value if it has not changed.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { MessageOperations } from "../../sync/messages/gateway.ts";
import type { Content } from "../../sync/messages/protocol.ts";
import { attempt } from "../attempt.ts";
import type { MemoryFailure } from "../errors.ts";
import { Numbers } from "../numbers.ts";
import { type Description, type Type, typeOf } from "../types.ts";
import { answering, type ObjectDescriptor, ObjectMessages } from "./object.ts";

/** The operations on one number. Their numbers are the operations of the messages. */
export const operations = {
  get: 1,
  set: 2,
  exchange: 3,
  compareExchange: 4,
  add: 5,
  sub: 6,
  and: 7,
  or: 8,
  xor: 9,
} as const;

/** The data of a handle. */
export interface NumbersDescriptor extends ObjectDescriptor {
  readonly type: Type;
}

/** The operations at the host on one number, or on a number of several. They check their arguments. */
export const numberOperations = <P extends Readonly<Record<keyof typeof operations, unknown>>>(): MessageOperations<
  P
> =>
  Object.fromEntries(
    Object.entries(operations).map(([name, number]) => [
      number,
      answering<P>((object, args) =>
        (object as Readonly<Record<string, (...args: Content) => unknown>>)[name](...args)
      ),
    ]),
  );

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** See above. */
export abstract class NumbersMessages<A, D extends NumbersDescriptor> extends ObjectMessages<D> {
  readonly type: Type;

  constructor(kind: string, descriptor: D) {
    super(kind, descriptor);
    this.type = descriptor.type;
  }

  protected get description(): Description {
    return typeOf(this.type);
  }

  /** The numbers of this process, of which there are none: their use throws the `MemoryError` `Unsupported`. */
  protected get numbers(): Numbers {
    return new Numbers(this.description, () => this.inMemory());
  }

  /** Changes a number by a function, which runs again if another process was faster. */
  protected updated<B>(
    value: Attempt<A>,
    change: (value: A) => readonly [B, A],
    exchange: (expected: A, value: A) => Attempt<A>,
  ): Attempt<B> {
    const replace = (seen: A): Attempt<B> =>
      Effect.flatMap(attempt(() => change(seen)), ([answer, next]) =>
        Effect.flatMap(
          exchange(seen, next),
          (found) => Object.is(found, seen) ? Effect.succeed(answer) : replace(found),
        ));
    return Effect.flatMap(value, replace);
  }

  /** A value as the type keeps it. Throws an `OutOfRange`. */
  protected kept(value: unknown): A {
    const { give, keep } = this.description;
    return give(keep(value)) as A;
  }
}
