/**
 * Prints objects of this library by their kind and by the properties that identify them. Their operations, which are Effects, would
 * fill pages.
 *
 * @module
 */

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

/** Makes the objects of a class printable, as those of Effect are: by `console.log`, `JSON.stringify` and `String`. */
export const inspectable = ({ prototype }: abstract new (...args: never) => object): void => {
  Object.defineProperties(prototype, {
    [INSPECT]: { value: describe },
    toJSON: { value: describe },
    toString: { value: asText },
  });
};
