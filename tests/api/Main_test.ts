import { assert, assertEquals, assertMatch, assertStringIncludes } from "../support/assert.ts";
import { noLeaks } from "../support/leaks.ts";
import { gone, script } from "../support/scripts.ts";
import { testFunction } from "../support/tier.ts";

const test = (name: string, body: () => Promise<void>): void => testFunction(`runMain: ${name}`, () => noLeaks(body));

const signals = [["SIGINT", 130, ""], ["SIGTERM", 143, " (full)"], ["SIGHUP", 129, " (full)"]] as const;

const backends = [["subprocess", ""], ["worker", " (full)"]] as const;

test("success exits with 0, or with Deno.exitCode if that was set", async () => {
  const { code, stderr, stdout } = await script("main.ts", ["success"]).ended;
  assertEquals([code, stdout, stderr], [0, "done\n", ""]);
  assertEquals((await script("main.ts", ["exitCode"]).ended).code, 7);
});

test("a failure exits with 1 and is printed to stderr", async () => {
  const { code, stderr, stdout } = await script("main.ts", ["failure"]).ended;
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "Shortage");
});

for (const [backend, again] of backends) {
  test(`a defect in a child (${backend}) is printed with its remote stack and its cause${again}`, async () => {
    const { code, stderr } = await script("main.ts", ["defect", backend]).ended;
    assertEquals(code, 1);
    assertStringIncludes(stderr, "RangeError: boom");
    assertMatch(stderr, /boom.*tasks\.ts:\d+/s);
    assertStringIncludes(stderr, "fuse");
  });
}

test("what is printed of a failure can be chosen", async () => {
  const { code, stderr } = await script("main.ts", ["report"]).ended;
  assertEquals([code, stderr], [1, "reported: no\n"]);
});

test("a failure is an entry of the loggers of the program's layer", async () => {
  const { code, stderr, stdout } = await script("main.ts", ["json"]).ended;
  assertEquals([code, stderr], [1, ""]);
  const { cause, logLevel } = JSON.parse(stdout);
  assertEquals([logLevel, cause], ["ERROR", "Error: no"]);
});

test("a failure is an entry of Effect's logger with disablePrettyLogger, and nothing with disableErrorReporting (full)", async () => {
  const logged = await script("main.ts", ["logfmt"]).ended;
  assertEquals([logged.code, logged.stderr], [1, ""]);
  assertMatch(logged.stdout, /level=ERROR .*no/);
  assertEquals(await script("main.ts", ["silent"]).ended, { code: 1, signal: null, stderr: "", stdout: "" });
});

test("a layer provides services, and a failure of it is printed once (full)", async () => {
  assertEquals((await script("main.ts", ["layer"]).ended).stdout, "hello\n");
  const { code, stderr, stdout } = await script("main.ts", ["layer", "fails"]).ended;
  assertEquals([code, stdout], [1, ""]);
  assertEquals(stderr.split("no word").length, 2);
});

test("teardown decides the exit code, also after a signal", async () => {
  const running = script("main.ts", ["teardown"]);
  await running.line("ready");
  running.kill("SIGINT");
  const { code, stdout } = await running.ended;
  assertEquals([code, stdout], [42, "ready\nfinalized\n"]);
});

test("a program that interrupts itself has failed", async () => {
  assertEquals((await script("main.ts", ["interrupted"]).ended).code, 1);
});

for (const [signal, expected, again] of signals) {
  test(`${signal} interrupts the program, lets its finalizers run and exits with ${expected}${again}`, async () => {
    const running = script("main.ts", ["wait"]);
    await running.line("ready");
    running.kill(signal);
    const { code, signal: killer, stderr, stdout } = await running.ended;
    assertEquals([killer, code, stderr, stdout], [null, expected, "", "ready\nfinalized\n"]);
  });
}

test("the second signal exits at once, although a finalizer does not end", async () => {
  const running = script("main.ts", ["cling"]);
  await running.line("ready");
  running.kill("SIGINT");
  await running.line("finalized");
  running.kill("SIGINT");
  assertEquals((await running.ended).code, 130);
});

for (const [backend, again] of backends) {
  test(`a signal ends the children in good order as well (${backend}), and they print nothing${again}`, async () => {
    const running = script("main.ts", ["child", backend]);
    const pid = Number(await running.line("ready"));
    running.kill("SIGTERM");
    const { code, stderr, stdout } = await running.ended;
    assertEquals([code, stderr], [143, ""]);
    assertStringIncludes(stdout, "child finalized: true");
    // The pid of a worker is that of the program.
    await gone([pid]);
  });
}

test("the program ends although a worker's thread is in an endless loop (full)", async () => {
  const path = await Deno.makeTempFile();
  try {
    const { code, stdout } = await script("main.ts", ["stuck", "worker", path]).ended;
    assertEquals(code, 0);
    assertStringIncludes(stdout, "freed 3\n");
  } finally {
    await Deno.remove(path);
  }
});

test("a script of the tests that ends too early is told apart from one that is slow", async () => {
  let failed = false;
  await script("main.ts", ["success"]).line("there is no such line").catch(() => failed = true);
  assert(failed);
});
