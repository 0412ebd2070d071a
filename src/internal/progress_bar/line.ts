/**
 * The line of a progress bar.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Option from "effect/Option";
import type { ProgressSnapshot } from "../../Pool.ts";

const rounded = (rate: number): string => rate >= 100 ? rate.toFixed(0) : rate.toPrecision(2);

/** Whole seconds, minutes and hours, such as `1:05` or `2:00:09`. */
const clock = (duration: Duration.Duration): string => {
  const seconds = Math.ceil(Duration.toSeconds(duration));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, i) => i === 0 ? String(part) : String(part).padStart(2, "0")).join(":");
};

/** Formats a line: the label, the bar if the end is known, and the numbers. */
export const line = (label: string, bar: string, snapshot: ProgressSnapshot): string => {
  const { done, elapsed, failed, rate, timeLeft, total } = snapshot;
  const settled = done + failed;
  return [
    label,
    Option.isSome(total) ? bar : "",
    Option.isSome(total) ? `${settled}/${total.value}` : `${settled}`,
    failed > 0 ? `${failed} failed` : "",
    rate > 0 ? `${rounded(rate)}/s` : "",
    Option.isSome(timeLeft) ? `${clock(timeLeft.value)} left` : `${clock(elapsed)}`,
  ].filter((part) => part !== "").join("  ");
};
