/**
 * Makes the page of results of the lines that a run has printed.
 *
 *     deno task bench --busy --json > rows.jsonl
 *     deno run --allow-read tests/bench/report.ts rows.jsonl
 */

import { compact, type Figures, type Row } from "./harness.ts";

const cell = (text: string): string => ` ${text} |`;
const line = (cells: ReadonlyArray<string>): string => `|${cells.map(cell).join("")}`;

const ratio = (value: number | undefined): string => value === undefined ? "" : value.toFixed(value < 10 ? 2 : 0);

/** The other columns, with the ratio of each. */
const others = ({ ratio: ratios }: Figures): string =>
  Object.entries(ratios).filter(([name]) => name !== "python").map(([name, value]) => `${name} ${ratio(value)}`)
    .join(", ");

const share = ({ limit }: Figures): string =>
  limit === undefined
    ? ""
    : `${limit.name}: ${compact.format(limit.value)} (${
      limit.reached < 0.01 ? "< 1" : Math.round(limit.reached * 100)
    } %)`;

const section = (subject: string, rows: ReadonlyArray<Row>): string => {
  const head = ["row", "here", "unit", "Python", "busy", "others", "busy", "limit (reached)", "bound by"];
  const lines = rows.map((row) =>
    line([
      `\`${row.name}\``,
      compact.format(row.ours),
      row.unit,
      ratio(row.ratio["python"]),
      ratio(row.busy?.ratio["python"]),
      others(row),
      row.busy === undefined ? "" : others(row.busy),
      share(row),
      row.bound ?? "",
    ])
  );
  return `## ${subject}\n\n${[line(head), line(head.map(() => "---")), ...lines].join("\n")}\n`;
};

const rows = Deno.args.flatMap((file) =>
  Deno.readTextFileSync(file).split("\n").filter((line) => line.startsWith("{")).map((line): Row => JSON.parse(line))
);
const subjects = Map.groupBy(rows, ({ name }) => name.split(".")[0]);
console.log([...subjects].map(([subject, rows]) => section(subject, rows)).join("\n"));
