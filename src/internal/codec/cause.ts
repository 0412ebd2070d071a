/**
 * Between Effect's Cause and the plain data in which it travels (see `exits.ts`).
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import type { CauseData } from "./exits.ts";
import * as Foreign from "./foreign.ts";

/** Where Effect keeps the span in which an error arose; `Cause.pretty` prints it. */
const spanSymbol = Symbol.for("effect/SpanAnnotation");

/** Where Effect keeps an error that it has wrapped so as to add a span. */
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

/** Takes a Cause apart. */
export const fromCause = (cause: Cause.Cause<unknown>): CauseData =>
  Cause.match<CauseData, unknown>(cause, {
    onEmpty: { _tag: "Empty" },
    onFail: (error) => ({ _tag: "Fail", error: original(error), trace: traceOf(error) }),
    onDie: (defect) => ({ _tag: "Die", defect: original(defect), trace: traceOf(defect) }),
    onInterrupt: () => ({ _tag: "Interrupt" }),
    onSequential: (left, right) => both("Sequential", left, right),
    onParallel: (left, right) => both("Parallel", left, right),
  });

/** Joins two causes, without those that say nothing: an empty one, the same interruption again. */
const both = (_tag: "Sequential" | "Parallel", left: CauseData, right: CauseData): CauseData => {
  if (left._tag === "Empty" || (left._tag === "Interrupt" && right._tag === "Interrupt")) return right;
  return right._tag === "Empty" ? left : { _tag, left, right };
};

/** `Cause.pretty`, also of failures that throw when they are printed. */
export const pretty = (cause: Cause.Cause<unknown>): string => {
  try {
    return Cause.pretty(cause, { renderErrorCause: true });
  } catch {
    return Foreign.summary(Cause.squash(cause));
  }
};

/**
 * Puts a Cause together. `where` names the task and process in which it happened: `Cause.pretty` shows it below the
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

/** Marks an object as Effect itself does when it fails inside a span: seen through, but for that one symbol. */
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
  // The decoded value is ours alone, and `instanceof` and printing work best on the real one.
  if (!isPlain(error) && Object.isExtensible(error)) {
    Object.defineProperty(error, spanSymbol, { value: span, configurable: true });
    return error;
  }
  return new Proxy(error, {
    has: (target, key) => key === spanSymbol || key in target,
    get: (target, key, receiver) => key === spanSymbol ? span : Reflect.get(target, key, receiver),
  });
};

/** Data of its own fields alone: seen through a Proxy it is the same. What has a class may have a state that a Proxy hides. */
const isPlain = (value: object): boolean => {
  const prototype: object | null = Object.getPrototypeOf(value);
  return prototype === null || !Object.hasOwn(prototype, "constructor") || prototype === Object.prototype ||
    prototype === Array.prototype;
};
