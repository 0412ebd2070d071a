/**
 * A timeline as files that other programs show.
 *
 * @module
 */
import type { Entry } from "../../Timeline.ts";

const workersOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> =>
  [...new Set(entries.map(({ worker }) => worker))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

/** The JSON of the format "Trace Event", with one thread for each worker. Its times are in microseconds. */
export const chromeTrace = (entries: ReadonlyArray<Entry>): string => {
  const workers = workersOf(entries);
  const numbers = new Map(workers.map((worker, i) => [worker, i + 1]));
  const names = workers.map((name, i) => ({ name: "thread_name", ph: "M", pid: 1, tid: i + 1, args: { name } }));
  const events = entries.map(({ end, failed, start, task, worker }) => ({
    name: task,
    cat: failed ? "failed" : "done",
    ph: "X",
    ts: Math.round(start * 1000),
    dur: Math.round((end - start) * 1000),
    pid: 1,
    tid: numbers.get(worker),
  }));
  return JSON.stringify({ displayTimeUnit: "ms", traceEvents: [...names, ...events] });
};

const ROW = 22;
const LEFT = 140;
const WIDTH = 1200;
const TOP = 30;

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]!)
    // Characters that XML cannot contain.
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/gu, "\ufffd");

const FAILED = "#d33";

/** Number of tasks that the legend names at most. */
const NAMED = 8;

/** A colour for each task. Red means a failure. */
const colour = ({ failed, task }: Pick<Entry, "failed" | "task">): string => {
  if (failed) return FAILED;
  let hash = 7;
  for (let i = 0; i < task.length; i++) hash = Math.imul(hash, 31) + task.charCodeAt(i) | 0;
  return `hsl(${60 + (hash >>> 0) % 250} 55% 50%)`;
};

/** A step of the time axis: 1, 2 or 5 times a power of ten, so that there are about ten steps. */
const stepOf = (span: number): number => {
  const power = 10 ** Math.floor(Math.log10(span / 10));
  return power * ([1, 2, 5].find((factor) => span / (power * factor) <= 12) ?? 10);
};

const label = (millis: number): string =>
  millis >= 1000 ? `${+(millis / 1000).toFixed(3)} s` : `${+millis.toFixed(3)} ms`;

/** The names of the most frequent tasks with their colours, in a row. */
const legend = (entries: ReadonlyArray<Entry>, y: number): ReadonlyArray<string> => {
  const counts = new Map<string, number>();
  for (const { task } of entries) counts.set(task, (counts.get(task) ?? 0) + 1);
  const tasks = [...counts].sort(([, a], [, b]) => b - a).slice(0, NAMED).map(([task]) => task);
  const items = tasks.map((task): readonly [string, string] => [task, colour({ failed: false, task })]);
  if (entries.some(({ failed }) => failed)) items.push(["failed", FAILED]);
  const step = (WIDTH - LEFT) / (NAMED + 1);
  return items.map(([text, fill], i) => {
    const x = LEFT + i * step;
    return `<rect x="${x}" y="${y}" width="12" height="12" fill="${fill}"/>` +
      `<text x="${x + 18}" y="${y + 10}">${escaped(text.length > 15 ? `${text.slice(0, 14)}…` : text)}</text>`;
  });
};

/** A picture with a row for each worker and a bar for each task. Its name and times are shown under the pointer. */
export const svg = (entries: ReadonlyArray<Entry>): string => {
  const workers = workersOf(entries);
  const rows = new Map(workers.map((worker, i) => [worker, TOP + i * ROW]));
  const first = entries.reduce((least, { start }) => Math.min(least, start), Infinity);
  const last = entries.reduce((most, { end }) => Math.max(most, end), -Infinity);
  const span = entries.length === 0 ? 1 : Math.max(last - first, 0.001);
  const x = (time: number): string => (LEFT + (time - first) / span * (WIDTH - LEFT - 20)).toFixed(2);
  const bottom = TOP + Math.max(1, workers.length) * ROW;
  const height = bottom + 30;
  const parts: Array<string> = [];
  const step = stepOf(span);
  for (let time = 0; entries.length > 0 && time <= span; time += step) {
    const at = x(first + time);
    parts.push(`<line x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${bottom}" stroke="#ddd"/>`);
    parts.push(`<text x="${at}" y="${TOP - 10}" text-anchor="middle">${label(time)}</text>`);
  }
  for (const worker of workers) {
    parts.push(`<text x="${LEFT - 8}" y="${rows.get(worker)! + 14}" text-anchor="end">${escaped(worker)}</text>`);
  }
  for (const entry of entries) {
    const { end, failed, start, task, worker } = entry;
    const width = Math.max(0.5, (end - start) / span * (WIDTH - LEFT - 20)).toFixed(2);
    const title = `${task}: ${label(end - start)}${failed ? ", failed" : ""}`;
    parts.push(
      `<rect x="${x(start)}" y="${rows.get(worker)! + 2}" width="${width}" height="${ROW - 4}" fill="${
        colour(entry)
      }" stroke="#fff" stroke-width="0.5">` +
        `<title>${escaped(title)}</title></rect>`,
    );
  }
  parts.push(...legend(entries, bottom + 8));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n${
      parts.join("\n")
    }\n</svg>\n`;
};
