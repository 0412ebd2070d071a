import { assertEquals, assertMatch } from "../support/assert.ts";
import { testFunction } from "../support/tier.ts";

const rows = new URL("bench_rows.ts", import.meta.url).href;

testFunction(
  "the bench gives up a row that does not end, and tells of the others how far they are from their limit, quiet and busy (full)",
  async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", rows, "--json", "--busy", "--samples=1", "--patience=1"],
    }).output();
    const text = new TextDecoder();
    assertMatch(text.decode(stderr), /hangs failed: Error: Cannot measure: a sample took more than 1 s/);
    assertEquals(code, 1);
    const row = JSON.parse(text.decode(stdout));
    assertEquals(row.name, "shm.bandwidth");
    for (const { ours, limit } of [row, row.busy]) {
      assertEquals([ours, limit.name, limit.reached], [1, "copy of the bytes", 1 / limit.value]);
      assertEquals(limit.value > 0, true);
    }
  },
);
