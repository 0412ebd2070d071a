/**
 * Converts between Effect's `Cause` and the plain data in which it is sent (see `exits.ts`).
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import type { CauseData } from "./exits.ts";
import * as Foreign from "./foreign.ts";

/** Key under which Effect stores the span of an error; `Cause.pretty` prints the span. */
const spanSymbol = Symbol.for("effect/SpanAnnotation");

/** Key under which Effect stores the original of an error that it has wrapped to add a span. */
const originalSymbol = Symbol.for("effect/OriginalAnnotation");

const MAX_SPANS = 10;

interface Span {
  readonly _tag: string;
  readonly name?: string;
  readonly parent?: Option.Option<Span>;
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function";

const traceOf = (error: unknown): ReadonlyArray<string> => {
  if (!isObject(error)) return [];
  const trace: Array<string> = [];
  let span = Foreign.read(error, spanSymbol) as Span | undefined;
  while (span?._tag === "Span" && trace.length < MAX_SPANS) {
    trace.push(String(span.name));
    span = span.parent && Option.getOrUndefined(span.parent);
  }
  return trace;
};

const original = (error: unknown): unknown =>
  isObject(error) && Foreign.has(error, originalSymbol) ? Foreign.read(error, originalSymbol) : error;

/** Converts a Cause to data. */
export const fromCause = (cause: Cause.Cause<unknown>): CauseData =>
  Cause.match<CauseData, unknown>(cause, {
    onEmpty: { _tag: "Empty" },
    onFail: (error) => ({ _tag: "Fail", error: original(error), trace: traceOf(error) }),
    onDie: (defect) => ({ _tag: "Die", defect: original(defect), trace: traceOf(defect) }),
    onInterrupt: () => ({ _tag: "Interrupt" }),
    onSequential: (left, right) => both("Sequential", left, right),
    onParallel: (left, right) => both("Parallel", left, right),
  });

/** Combines two causes. Omits an empty cause, and the first of two interruptions. */
const both = (_tag: "Sequential" | "Parallel", left: CauseData, right: CauseData): CauseData => {
  if (left._tag === "Empty" || (left._tag === "Interrupt" && right._tag === "Interrupt")) return right;
  return right._tag === "Empty" ? left : { _tag, left, right };
};

/** Like `Cause.pretty`, but also prints failures whose rendering throws. */
export const pretty = (cause: Cause.Cause<unknown>): string => {
  try {
    return Cause.pretty(cause, { renderErrorCause: true });
  } catch {
    return Foreign.summary(Cause.squash(cause));
  }
};

/**
 * Converts data to a Cause. `where` names the task and the process of the failure; `Cause.pretty` prints it below the
 * remote stack, after the spans that were open there.
 */
export const toCause = (
  data: CauseData,
  where: string,
): Cause.Cause<unknown> => {
  switch (data._tag) {
    case "Empty":
      return Cause.empty;
    case "Fail":
      return Cause.fail(locate(data.error, [...data.trace, where]));
    case "Die":
      return Cause.die(locate(data.defect, [...data.trace, where]));
    case "Interrupt":
      return Cause.interrupt(FiberId.none);
    case "Sequential":
      return Cause.sequential(
        toCause(data.left, where),
        toCause(data.right, where),
      );
    case "Parallel":
      return Cause.parallel(
        toCause(data.left, where),
        toCause(data.right, where),
      );
  }
};

/** Attaches spans to an error, as Effect does for a failure inside a span. A plain object gets a transparent Proxy. */
const locate = (error: unknown, names: ReadonlyArray<string>): unknown => {
  if (!isObject(error)) return error;
  const span = names.reduceRight<Span | undefined>(
    (parent, name) => ({
      _tag: "Span",
      name,
      parent: parent === undefined ? Option.none() : Option.some(parent),
    }),
    undefined,
  );
  // The decoded value has no other owner, and `instanceof` and printing work best without a Proxy.
  if (!isPlain(error) && Object.isExtensible(error)) {
    Object.defineProperty(error, spanSymbol, { value: span, configurable: true });
    return error;
  }
  return new Proxy(error, {
    has: (target, key) => key === spanSymbol || key in target,
    get: (target, key, receiver) => key === spanSymbol ? span : Reflect.get(target, key, receiver),
  });
};

/**
 * Whether an object has no state besides its fields, so that a Proxy of it behaves alike. An instance of a class may have
 * state that a Proxy hides.
 */
const isPlain = (value: object): boolean => {
  const prototype: object | null = Object.getPrototypeOf(value);
  return prototype === null || !Object.hasOwn(prototype, "constructor") || prototype === Object.prototype ||
    prototype === Array.prototype;
};
