/**
 * Features that objects of this library share with those of Effect: they can be piped, and are printed by their kind and by the
 * properties that identify them. Their operations, which are Effects, would fill pages.
 *
 * @module
 */
import { pipeArguments } from "effect/Pipeable";

const INSPECT = Symbol.for("nodejs.util.inspect.custom");
const MARK = "~multiprocessing/";

/** The kind of an object, by its mark, and its properties that are plain data. */
function describe(this: object): object {
  const entries = Object.entries(this);
  const mark = entries.find(([key]) => key.startsWith(MARK))?.[0];
  const data = entries.filter(([key, value]) => key !== mark && ["string", "number", "boolean"].includes(typeof value));
  return { _id: mark?.slice(MARK.length) ?? this.constructor.name, ...Object.fromEntries(data) };
}

function asText(this: object): string {
  return JSON.stringify(this);
}

function inspect(this: { readonly toJSON: () => unknown }): unknown {
  return this.toJSON();
}

function pipe(this: object, ..._functions: ReadonlyArray<unknown>): unknown {
  return pipeArguments(this, arguments);
}

/**
 * Makes the objects of a class printable by `console.log`, `JSON.stringify` and `String`, and gives them `pipe`. A class that has
 * `toJSON` or `toString` keeps it.
 */
export const inspectable = ({ prototype }: abstract new (...args: never) => object): void => {
  Object.defineProperties(prototype, {
    [INSPECT]: { value: inspect },
    pipe: { value: pipe },
    ...(Object.hasOwn(prototype, "toJSON") ? {} : { toJSON: { value: describe } }),
    ...(Object.hasOwn(prototype, "toString") ? {} : { toString: { value: asText } }),
  });
};
