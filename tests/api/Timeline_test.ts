/**
 * The timeline of a pool, and its files.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Schedule from "effect/Schedule";
import { Pool, Timeline } from "../../mod.ts";
import { Timeline as Recorder } from "../../src/internal/pool/timeline.ts";
import { chromeTrace, svg } from "../../src/internal/pool/timeline_files.ts";
import * as TestBackend from "../../src/TestBackend.ts";
import { assert, assertEquals, assertFalse } from "../support/assert.ts";
import { test } from "../support/suite.ts";
import { testFunction } from "../support/tier.ts";
import * as Tasks from "./pool_calls_tasks.ts";

test(
  "a timeline has each attempt of each task, with its worker and its outcome",
  Effect.gen(function* () {
    const timeline = yield* Timeline.make();
    const faults = [{ worker: 1, nth: 2, action: TestBackend.kill() }];
    const pool = yield* Effect.provide(
      Pool.make({ size: 1, timeline, retry: Schedule.recurs(1) }),
      TestBackend.layer({ faults }),
    );
    yield* pool.apply(Tasks.killsAtFives, 1);
    yield* pool.apply(Tasks.killsAtFives, 2);
    yield* Effect.exit(pool.apply(Tasks.failsOnce, "/nowhere/at/all"));
    const entries = yield* timeline.entries;
    assertEquals(entries.map(({ failed, task, worker }) => [worker.split(":")[1], task, failed]), [
      ["1", "killsAtFives", false],
      ["1", "killsAtFives", true],
      ["2", "killsAtFives", false],
      ["2", "failsOnce", true],
    ]);
    assert(entries.every(({ end, start }) => 0 <= start && start <= end));
    assertEquals(yield* timeline.dropped, 0);
    assertEquals((yield* timeline.svg).match(/<title>/g)?.length, 4);
  }),
);

const entry = (n: number): Timeline.Entry => ({
  worker: `w${n % 3}`,
  task: `<a & "b"> ${n % 2}\u0000`,
  start: n * 10,
  end: n * 10 + 5,
  failed: n % 5 === 0,
});

const entries = Array.from({ length: 20 }, (_, n) => entry(n));

Deno.test("a timeline keeps the latest entries, and counts those that it has dropped", () => {
  const timeline = new Recorder(10);
  for (const entry of entries.slice(0, 15)) timeline.add(entry);
  assertEquals(Effect.runSync(timeline.dropped), 5);
  for (let round = 0; round < 10; round++) for (const entry of entries) timeline.add(entry);
  const kept = Effect.runSync(timeline.entries);
  assertEquals(kept.map(({ worker }) => worker), entries.slice(-10).map(({ worker }) => worker));
  assertEquals(Effect.runSync(timeline.dropped), 205);
});

Deno.test("the trace for Chrome has a thread for each worker and an event for each task, in microseconds", () => {
  const { traceEvents } = JSON.parse(chromeTrace(entries));
  assertEquals(traceEvents.slice(0, 3).map(({ args, tid }: { args: unknown; tid: number }) => [args, tid]), [
    [{ name: "w0" }, 1],
    [{ name: "w1" }, 2],
    [{ name: "w2" }, 3],
  ]);
  assertEquals(traceEvents[4], {
    name: entries[1].task,
    cat: "done",
    ph: "X",
    ts: 10_000,
    dur: 5_000,
    pid: 1,
    tid: 2,
  });
  assertEquals(traceEvents.length, 23);
});

/** Complains about what is no well-formed XML, as far as these files go. */
const wellFormed = (xml: string): string | undefined => {
  const open: Array<string> = [];
  for (const [all, close, name, attributes, self] of xml.matchAll(/<(\/?)([a-z]+)([^<>]*?)(\/?)>/g)) {
    if (close === "/") { if (open.pop() !== name) return `unexpected ${all}`; }
    else if (!/^(\s+[\w-]+="[^"<&]*")*\s*$/.test(attributes)) return `attributes of ${all}`;
    else if (self === "") open.push(name);
  }
  if (open.length > 0) return `not closed: ${open.join()}`;
  const text = xml.replaceAll(/<[^<>]*>/g, "");
  const isRaw = text.includes("\u0000") || /[<>]|&(?!amp;|lt;|gt;|quot;)/.test(text);
  return isRaw ? "text is not escaped" : undefined;
};

Deno.test("the picture is well-formed, with a bar for each task and a label for each worker, whatever their names", () => {
  const picture = svg(entries);
  assertEquals(wellFormed(picture), undefined);
  assertEquals(picture.match(/<title>/g)?.length, 20);
  assertEquals(picture.match(/fill="#d33"/g)?.length, 5); // four bars, and the legend
  assertEquals(picture.match(/>w\d</g), [">w0<", ">w1<", ">w2<"]);
  assertEquals(wellFormed(svg([])), undefined);
  assertEquals(wellFormed(svg([{ ...entry(1), end: 10 }])), undefined);
});

/** The browser of Debian, if it is installed. */
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** The document of a page after its scripts have run. */
const shown = async (url: string): Promise<string> => {
  const profile = await Deno.makeTempDir();
  try {
    const { code, stderr, stdout } = await new Deno.Command(chromium!, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-extensions",
        "--no-first-run",
        `--user-data-dir=${profile}`,
        "--window-size=1300,600",
        "--dump-dom",
        url,
      ],
    }).output();
    const text = new TextDecoder();
    assertEquals(code, 0, text.decode(stderr));
    return text.decode(stdout);
  } finally {
    await Deno.remove(profile, { recursive: true });
  }
};

interface Bar {
  readonly text: string;
  readonly visible: boolean;
  readonly left: number;
  readonly top: number;
  readonly width: number;
}

/** Runs in the page: finds which bar is at the middle of each bar, with its text and its place. */
const look = `
  const bars = [...document.querySelectorAll("title")].map(({ parentNode }) => parentNode);
  document.body.dataset.found = encodeURIComponent(JSON.stringify(bars.map((bar) => {
    const { height, left, top, width } = bar.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    return { text: bar.textContent, visible: found === bar, left, top, width };
  })));
`;

testFunction(
  `a browser shows a bar for each task at its time, with its text${
    chromium === undefined ? " (needs Chromium: apt-get install chromium)" : ""
  } (full)`,
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const picture = svg(entries);
      await Deno.writeTextFile(`${folder}/timeline.svg`, picture);
      const alone = await shown(`file://${folder}/timeline.svg`);
      assertFalse(alone.includes("parsererror"), alone);
      assertEquals(alone.match(/<title>/g)?.length, 20);
      await Deno.writeTextFile(`${folder}/page.html`, `<body style="margin:0">${picture}<script>${look}</script>`);
      const page = await shown(`file://${folder}/page.html`);
      const bars = JSON.parse(decodeURIComponent(/data-found="(.*?)"/.exec(page)?.[1] ?? "null")) as ReadonlyArray<Bar>;
      assertEquals(bars.map(({ text }) => text.startsWith('<a & "b"> ')), entries.map(() => true));
      assertEquals(bars.filter(({ visible }) => !visible), []);
      // Later tasks are farther to the right, and those of one worker in one row.
      for (let i = 1; i < bars.length; i++) assert(bars[i].left > bars[i - 1].left && bars[i].width > 0);
      assertEquals(new Set(bars.map(({ top }) => top)).size, 3);
      assertEquals(bars[0].top, bars[3].top);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
  { ignore: chromium === undefined },
);
