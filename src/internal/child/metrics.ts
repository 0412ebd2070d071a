/**
 * Sums of the metrics of processes. This module does not import Effect.
 *
 * @module
 */
import * as Arguments from "../os/arguments.ts";
import type { Metric, ProcessMetrics, State } from "../../Telemetry.ts";

/** Adds up metrics with the same name, type and tags. */
export const sum = (processes: ReadonlyArray<ProcessMetrics>): ReadonlyArray<Metric> => {
  const wrong = Arguments.wrong({ processes }, { processes: Arguments.list });
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Telemetry.sum", wrong));
  const sums = new Map<string, Metric>();
  for (const { metrics } of processes) {
    for (const metric of metrics) {
      const key = JSON.stringify([metric.name, metric.state._tag, metric.tags]);
      const before = sums.get(key);
      const state = before === undefined ? withoutQuantiles(metric.state) : add(before.state, metric.state);
      sums.set(key, { ...metric, state });
    }
  }
  return [...sums.values()];
};

const withoutQuantiles = (state: State): State => state._tag === "Summary" ? { ...state, quantiles: [] } : state;

const addNumbers = (a: number | bigint, b: number | bigint): number | bigint =>
  typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);

const extremes = <
  S extends { readonly count: number; readonly min: number; readonly max: number; readonly sum: number },
>(
  a: S,
  b: S,
): Pick<S, "count" | "min" | "max" | "sum"> => ({
  count: a.count + b.count,
  // A metric without values has extremes of 0.
  min: a.count === 0 ? b.min : b.count === 0 ? a.min : Math.min(a.min, b.min),
  max: a.count === 0 ? b.max : b.count === 0 ? a.max : Math.max(a.max, b.max),
  sum: a.sum + b.sum,
});

const add = (a: State, b: State): State => {
  if (a._tag === "Counter" && b._tag === "Counter") return { ...a, count: addNumbers(a.count, b.count) };
  if (a._tag === "Gauge" && b._tag === "Gauge") return { ...a, value: addNumbers(a.value, b.value) };
  if (a._tag === "Frequency" && b._tag === "Frequency") {
    const occurrences = new Map(a.occurrences);
    for (const [word, count] of b.occurrences) occurrences.set(word, (occurrences.get(word) ?? 0) + count);
    return { ...a, occurrences };
  }
  if (a._tag === "Histogram" && b._tag === "Histogram") {
    const counts = new Map(b.buckets);
    const buckets = a.buckets.map(([boundary, count]) => [boundary, count + (counts.get(boundary) ?? 0)] as const);
    return { ...a, ...extremes(a, b), buckets };
  }
  if (a._tag === "Summary" && b._tag === "Summary") return { ...a, ...extremes(a, b) };
  return a;
};
