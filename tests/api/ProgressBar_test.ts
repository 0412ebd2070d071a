/**
 * The line of a progress bar, and the silence of a bar where there is no terminal.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Option from "effect/Option";
import type { Pool } from "../../mod.ts";
import { line } from "../../src/internal/progress_bar/line.ts";
import { assertEquals } from "../support/assert.ts";

const snapshot: Pool.ProgressSnapshot = {
  done: 3,
  failed: 0,
  total: Option.some(10),
  elapsed: Duration.seconds(2),
  rate: 1.5,
  timeLeft: Option.some(Duration.millis(4100)),
};

Deno.test("a line has the label, the bar, the counts, the rate and the time left", () => {
  assertEquals(line("files", "###---", snapshot), "files  ###---  3/10  1.5/s  0:05 left");
  assertEquals(line("", "###", { ...snapshot, failed: 2 }), "###  5/10  2 failed  1.5/s  0:05 left");
  const long = { ...snapshot, rate: 1234.5, timeLeft: Option.some(Duration.seconds(2 * 3600 + 9)) };
  assertEquals(line("", "###", long), "###  3/10  1235/s  2:00:09 left");
});

Deno.test("a line without a known end has no bar, and the time so far", () => {
  const endless = { ...snapshot, total: Option.none(), timeLeft: Option.none(), elapsed: Duration.seconds(65) };
  assertEquals(line("files", "###", endless), "files  3  1.5/s  1:05");
});

Deno.test("a bar draws nothing, and does not load its package, if standard error is no terminal", async () => {
  const program = new URL("../programs/progress_bar.ts", import.meta.url);
  // Quiet, so that Deno does not name the packages that it downloads into an empty cache.
  const args = ["run", "-A", "--quiet", program.href];
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  const text = new TextDecoder();
  assertEquals([code, text.decode(stdout), text.decode(stderr)], [0, "[ 1, 4, 9 ]\n", ""]);
});
