/**
 * The histogram of durations of a pool.
 *
 * @module
 */
import { Histogram } from "../../src/internal/pool/histogram.ts";
import { assert, assertEquals } from "../support/assert.ts";

Deno.test("a histogram of nothing has nothing", () => {
  assertEquals(new Histogram().summary(), { count: 0, mean: 0, median: 0, p90: 0, p99: 0, max: 0 });
});

Deno.test("quantiles are exact to a tenth, whatever the durations; the mean and the maximum are exact", () => {
  for (const unit of [0.01, 1, 5000]) {
    const histogram = new Histogram();
    for (let i = 1000; i > 0; i--) histogram.record(i * unit);
    const { count, max, mean, median, p90, p99 } = histogram.summary();
    assertEquals([count, max], [1000, 1000 * unit]);
    for (const [actual, expected] of [[mean, 500.5], [median, 500], [p90, 900], [p99, 990]]) {
      assert(Math.abs(actual / (expected * unit) - 1) < 0.1, `${actual} is about ${expected * unit}`);
    }
  }
});

Deno.test("no time at all, and a year, are counted", () => {
  const histogram = new Histogram();
  histogram.record(0);
  histogram.record(3e10);
  const { count, max, median } = histogram.summary();
  assertEquals([count, max], [2, 3e10]);
  assert(median <= 0.001);
});
