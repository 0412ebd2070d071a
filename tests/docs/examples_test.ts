import config from "../../deno.json" with { type: "json" };
import { assertEquals, assertMatch, assertStringIncludes } from "../support/assert.ts";
import { available } from "../support/nats.ts";
import { testFunction } from "../support/tier.ts";

const root = new URL("../../", import.meta.url);

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const deno = async (...args: ReadonlyArray<string>): Promise<Ran> => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
};

const task = (name: string, ...args: ReadonlyArray<string>): Promise<Ran> => deno("task", "--quiet", name, ...args);

const commandOf = (name: string): string =>
  (config.tasks as Readonly<Record<string, { readonly command: string }>>)[`example:${name}`].command;

const example = async (name: string): Promise<string> => {
  const { code, stdout, stderr } = await task(`example:${name}`);
  assertEquals(code, 0, stderr);
  return stdout;
};

/** A folder with two similar source files, one different, one empty, and files that are no source files. */
const withFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await Deno.makeTempDir();
  const sums = Array.from({ length: 40 }, (_, n) => `const sum${n} = first + ${n}; // of ${n}\n`);
  const calls = Array.from({ length: 40 }, (_, n) => `print("${n}", [${n}, 'a']);\n`);
  try {
    await Deno.mkdir(`${folder}/sub/nothing`, { recursive: true });
    await Deno.writeTextFile(`${folder}/sums.ts`, sums.join(""));
    await Deno.writeTextFile(`${folder}/sub/sums.js`, `/* The same,\n   after a comment. */\n${sums.join("\n")}`);
    await Deno.writeTextFile(`${folder}/calls.mts`, calls.join(""));
    await Deno.writeTextFile(`${folder}/empty.ts`, "");
    await Deno.writeTextFile(`${folder}/notes.txt`, sums.join(""));
    if (Deno.build.os !== "windows") await Deno.symlink("nowhere", `${folder}/link.ts`);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** The output of the demo, without the times and without its remark about other programs. */
const withoutTimes = (stdout: string): string =>
  stdout.replaceAll(/ +\d+\.\d\d s( {2}\d+\.\d\d times as fast)?$/gm, "").replace(/^Other programs.*\n/m, "");

const demo = (folder: string, pool: string): string =>
  `\
Which of the 4 source files of ${folder} are most alike?

  100 %  sub/sums.js  sums.ts

The fingerprints of 161 lines, 1,000 tokens, took
  one process alone
  ${pool}
  without its start and end
and are the same, alone and in the pool.
`;

Deno.test("example hello runs its task in another process", async () => {
  const pids = (await example("hello")).match(/^This is process (\d+)\nHello world, this is process (\d+)\n$/);
  assertEquals(pids !== null && pids[1] !== pids[2], true);
});

Deno.test("example pool_map spreads a count over a pool and gets a typed failure back", async () => {
  assertMatch(
    await example("pool_map"),
    /^Primes below a million: 78498\nSum of the first 1000 squares: 333833500\n9 is not prime, says PoolWorker-1:[12]\n$/,
  );
});

testFunction(
  "example pool_state keeps the balances of a person in one worker, which releases them (full)",
  async () => {
    const [balances, ...released] = (await example("pool_state")).trimEnd().split("\n");
    // The keys may share a worker, and the workers end in any order.
    assertEquals([balances, released.join(" ").split(" ").filter((word) => word !== "released:").sort()], [
      "[ 2, 20, 6, 60, 12 ]",
      ["ann,12", "ben,60"],
    ]);
  },
);

testFunction(
  "example pool_resilient measures the files that can be measured, and reports the others (full)",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/sub`);
      await Deno.writeTextFile(`${folder}/a.ts`, "// one\n// two\n");
      await Deno.writeTextFile(`${folder}/sub/b.ts`, "// crash\n");
      await Deno.writeTextFile(`${folder}/c.ts`, "// secret\n");
      await Deno.writeTextFile(`${folder}/d.ts`, "x\n");
      const picture = `${folder}/timeline.svg`;
      const { code, stderr, stdout } = await task("example:pool_resilient", folder, picture);
      assertEquals({ code, stdout }, {
        code: 0,
        stdout: `\
c.ts: the file is secret
sub/b.ts: has killed 2 workers
2 files have 5 lines, 2 could not be measured
2 workers were replaced, 1 attempts repeated
`,
      }, stderr);
      assertMatch(await Deno.readTextFile(picture), /^<svg .*<title>measure: [^<]*, failed<\/title>/s);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

/** The exact output of the other examples. */
const printed = {
  barrier: ["load", "compute", "store"].map((phase) => `${phase}\n`.repeat(3) + `all have done: ${phase}\n`).join(""),
  condition: "consumed 10, 20, 30\n",
  groups: `\
answer of fast
Cannot finish the group: 2 were to succeed, and of 2 members 1 failed
slow: no answer yet
broken: failed
fast: answer of fast
`,
  supervisor: `\
ONE TWO
1 restart; starts: cache 1, server 2, monitor 2
`,
  test_backend: `\
tea: 30
coffee: unknown, out of memory
cocoa: Timeout
milk: 40
`,
  listener_client: `\
42
{
  received: {
    name: "Ada",
    born: 1815-12-10T00:00:00.000Z,
    tags: Set(1) { "math" }
  }
}
{ received: [ 1n, null ] }
Uint8Array(3) [ 1, 2, 3 ]
rejected: WrongKey
{ authenticated: 1, failed: 1 }
`,
  two_ways: `\
Process-1 counted o=3
Process-2 counted a=3, s=3
`,
  attributes: `\
MainProcess has a parent: false
child is alive: true
active children: child
inside: child, daemon: true, backend: subprocess
both say the same pid: true
its parent is MainProcess, with our pid: true
child is alive: false
succeeded: Success, exit code 0
failed: Failure, exit code 1
exited: Died, exit code 3
killed: Died, exit code -9
`,
  daemon: `\
joining Process-2: TimeoutException, and it is alive: true
the scope closes
the daemon tidies up
children left: 0
`,
  nested: `\
Process-1, started by MainProcess
Process-1:1, started by Process-1
a leaf, started by Process-1
pools in a pool: 14, 77
`,
  supervised: `\
"fragile" was not done: exit code 41
"fragile" was not done: exit code 42
worked at attempt 3
half of 2 is 1
PoolWorker-1:1 died of SIGKILL
half of 4 is 2
alive 1, completed 2, failed 1, replaced 1
`,
  pool_callbacks: `\
awaited: 832040, ready: true
fibonacci(10) is 55
fibonacci(20) is 6765
fibonacci(40) failed: 40 is too large
`,
  pool_close_join: `\
mapped: 1, 4, 9, 16
joined before it was closed: Open
asked after it was closed: Closed
submitted: 25, 36, 49
alive 0, waiting 0, completed 7, failed 0
not done when it was terminated: Terminated
`,
  queue_producers_consumers: `\
ann put 100, 100 were taken
bob put 100, 100 were taken
cy put 100, 100 were taken
each consumer saw the items of each producer in order: true
`,
  queue_full: `\
dropped 6, full: true
put: TimeoutException, size 4 of 4
took 1, full: false
took 2, 3, 4, 12, empty: true
`,
  queue_drain: `\
put: QueueClosed, size 6
WHAT WAS PUT IS NOT LOST
get: Cannot use the queue: it was closed, which ends puts at once, and gets when nothing is left
`,
  queue_poison_pill: `\
with pills: 5 jobs done
with close: 5 jobs done
`,
  queue_pipeline: "The largest gap between primes below 100,000 is 72\n",
  queue_priority: `\
sweep, wash, cook, rest
now, at once, soon, later
third, second, first
Cannot put the item: it has no place in the order: NaN is neither smaller nor larger than anything
`,
  queue_join: `\
waiting 0, unfinished 0
1, 4, 9, 16, 25
Cannot report tasks done: fewer are unfinished
`,
  pipe_echo: `\
hello, hello
world, world
more to receive: false
Cannot use the connection: it was sent to another process, which owns it now
echoed 2
`,
  shared_array: `\
filled: 0, 2 ... 999.999
the sum is 666666166
Cannot keep 300 as u8: it takes integers from 0 to 255
Cannot use element 2: there are 2, numbered from 0, or from -1 backwards
`,
  pool_shared: `\
the mean of 2000000 numbers is 999999.5
now the first one is -999999.5, and the last one 999999.5
`,
  shareable_list: `\
499500 + 1499500 = 1999000
[ "größe und mehr", 2, null ]
Cannot keep 40 bytes in element 0 of the list: 32 were reserved for it; make the list with a larger capacity
the manager owns 2 lists
`,
  siblings: `\
The sum of the first 1000 squares is 333833500
`,
  pipe_bytes: `\
sent 192000 bytes, received 192015: P6 320 200 255
MessageTooLong, 960 bytes
BufferTooShort, 960 bytes
the last row is 960 bytes of 75
`,
  manager_shared: `\
done: 0 1 2 3 4 5 6 7 8 9
the square of 7: 49, of all: 285
`,
  manager_namespace: `\
colour: blue, users: 15
`,
  manager_class: `\
add: 7
mul: 56
in a child: 42
calls: 3
Maths.divide failed: RangeError: division by zero
`,
  manager_queue: `\
Jobs had 20 results, the last is 361
it keeps Queue and list
`,
  trace: `\
log: 5 words
log: 5 words
program in MainProcess {}
  read in PoolWorker-1:1 { page: "one" }
    count in PoolWorker-1:1:1 { characters: 21 }
  read in PoolWorker-1:1 { page: "two" }
    count in PoolWorker-1:1:2 { characters: 21 }
`,
  opentelemetry: `\
[ 3, 5 ]
1 trace
program in MainProcess
  crawl in PoolWorker-1:1
    read in PoolWorker-1:1:1
      measure in PoolWorker-1:1:1:1
    read in PoolWorker-1:1:2
      measure in PoolWorker-1:1:2:1
`,
  promise: `\
[ true, false, false, true ]
TimeoutError
one counter is done
one counter is done
100 numbers can be divided by 3
`,
  commands: `\
sorted: [ "apple", "fig" ]
found: 1
noisy: quiet
ended by SIGTERM
in time: false
NotFound: Command.spawn (no-such-program): Failed to spawn 'no-such-program': entity not found
`,
  platform_workers: `\
eins, zwei
two
there is no "drei"
WorkerError: translator-0 (pid ...) exited with code 3 before task "translator" was done
one
`,
  rpc_service: `\
in a process of its own
balance 70
overdrawn by 10
30 at 1970-01-01T00:00:00.000Z
RpcClientError ProcessDied
at a listener
balance 70
overdrawn by 10
30 at 1970-01-01T00:00:00.000Z
`,
  manager_remote: `\
the other program is done
1: 1, 2: 4, 3: 9, 4: 16, 5: 25
`,
};

for (const [name, output] of Object.entries(printed)) {
  testFunction(
    `example ${name} prints what it shows (full)`,
    async () => assertEquals(await example(name), output),
  );
}

/** Examples for each kind of object that works on every system. */
const EVERYWHERE = [
  "attributes",
  "barrier",
  "commands",
  "condition",
  "listener_client",
  "manager_class",
  "manager_shared",
  "nested",
  "pipe_echo",
  "pool_close_join",
  "promise",
  "queue_drain",
  "queue_producers_consumers",
  "rpc_service",
  "shareable_list",
  "siblings",
  "trace",
] as const;

/** Those that connect their processes in another way where there are no Unix sockets. */
const WITHOUT_UNIX_SOCKETS = [
  "commands",
  "listener_client",
  "pipe_echo",
  "shareable_list",
  "siblings",
] as const;

/** Registers tests of examples in a program that takes its system for another one. */
const elsewhere = (system: string, module: string, names: ReadonlyArray<keyof typeof printed>): void => {
  for (const name of names) {
    testFunction(`example ${name} prints the same on a system like ${system} (full) (storm)`, async () => {
      const [, program, args] = /deno run -A (\S+)(.*)/.exec(commandOf(name))!;
      const flags = ["--deny-ffi", `--preload=tests/programs/systems/${module}.ts`];
      const { code, stderr, stdout } = await deno("run", "-A", ...flags, program, ...args.split(" ").filter(Boolean));
      assertEquals({ code, stdout }, { code: 0, stdout: printed[name] }, stderr);
    }, { ignore: Deno.build.os === "windows" }); // the Deno of the children is a script of a shell
  }
};

elsewhere("macOS", "macos", EVERYWHERE);
elsewhere("Windows", "windows", WITHOUT_UNIX_SOCKETS);

testFunction("example nats counts primes on two agents, one of which is killed (full)", async () => {
  if (!available) return;
  assertEquals(
    await example("nats"),
    "4 workers, on the slots of two agents\n78498 primes below a million, although one agent was killed\n",
  );
});

testFunction("example nats_pool collects the results of a program that was killed (full)", async () => {
  if (!available) return;
  assertEquals(
    await example("nats_pool"),
    "12 tasks were submitted; their program was killed\n" +
      "the first task is done; the agent was killed, and another one was started\n" +
      "365 days\nPoisoned; dead letters: poison\n",
  );
});

testFunction("example nats_shared goes on when a worker is killed that holds the lock (full)", async () => {
  if (!available) return;
  assertEquals(
    await example("nats_shared"),
    "a worker is stuck; the till is locked\nit was killed, and two others go on\n30 orders, 4650 in all\n",
  );
});

Deno.test("every example is a task, and every task of an example runs one", async () => {
  const listed = Object.keys(config.tasks).filter((name) => name.startsWith("example:")).map((name) => name.slice(8));
  const files: Array<string> = [];
  for await (const { name } of Deno.readDir(new URL("examples", root))) files.push(name.replace(/\.ts$/, ""));
  const shared = ["demo", "fingerprint"]; // the demo is a task of its own, and `fingerprint.ts` its module of tasks
  assertEquals(listed.sort(), files.filter((name) => !shared.includes(name)).sort());
});

testFunction("example stream_pipeline passes streams through four processes (full)", async () => {
  assertEquals(
    await example("stream_pipeline"),
    "The longest chain below 100,000 starts at 77031 and has 351 numbers\nThe first candidates: 1, 2, 3, 4, 5\n",
  );
});

testFunction("example mandelbrot paints a picture that any program can show (full)", async () => {
  const path = await Deno.makeTempFile({ suffix: ".png" });
  try {
    const { code, stderr, stdout } = await task("example:mandelbrot", path);
    assertEquals(code, 0, stderr);
    assertEquals(stdout, `4 processes painted 400 rows, each of them in its turn\nlook at ${path}\n`);
    const file = await Deno.readFile(path);
    const view = new DataView(file.buffer);
    assertEquals([...file.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
    assertEquals([view.getUint32(16), view.getUint32(20)], [640, 400]);
    const packed = new Blob([file.subarray(41, 41 + view.getUint32(33))]).stream();
    const unpacked = await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
    const rows = new Uint8Array(unpacked);
    assertEquals(rows.length, 400 * (1 + 3 * 640));
    const pixel = (
      x: number,
      y: number,
    ): ReadonlyArray<number> => [...rows.subarray(y * 1921 + 1 + 3 * x).subarray(0, 3)];
    // The set is black and symmetrical, and the distant points are blue.
    assertEquals(pixel(460, 200), [0, 0, 0]);
    assertEquals(pixel(320, 60), pixel(320, 340));
    assertEquals(pixel(5, 5)[2] > pixel(5, 5)[0], true);
  } finally {
    await Deno.remove(path);
  }
});

for (
  const [backend, pool] of [["subprocess", "a pool of 2 subprocesses"], ["worker", "a pool of 2 workers"]] as const
) {
  testFunction(
    `the demo finds what is alike in a folder, the same alone and in the pool (${backend}) (full)`,
    () =>
      withFolder(async (folder) => {
        const { code, stdout, stderr } = await task("demo", folder, `--backend=${backend}`, "--size=2");
        assertEquals(withoutTimes(stdout), demo(folder, pool));
        assertEquals([code, stderr], [0, ""]); // no bar without a terminal
      }),
  );
}

testFunction(
  "the demo compares the sources of effect, in subprocesses, one for each core, and prints 15 lines at most (full)",
  async () => {
    const { code, stdout, stderr } = await task("demo");
    assertMatch(stdout, /^Which of the \d{3} source files of effect are most alike\?\n\n( +\d\d % {2}\S+ +\S+\n){5}\n/);
    assertStringIncludes(stdout, `a pool of ${navigator.hardwareConcurrency} subprocess`);
    assertEquals([code, stderr, stdout.split("\n").length <= 16], [0, "", true]);
  },
);

testFunction("the demo draws a bar of each way on a terminal (full)", () =>
  withFolder(async (folder) => {
    const quoted = [Deno.execPath(), "run", "-A", "examples/demo.ts", folder].map((word) => `'${word}'`).join(" ");
    const { code, stdout } = await new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", quoted, "/dev/null"],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertStringIncludes(text, `\r\x1b[K  alone       ${"█".repeat(10)}${"░".repeat(30)} 25 %`);
    assertMatch(text, /in the pool {2}█{40} {2}4\/4/);
    assertEquals([code, text.lastIndexOf("░") < text.lastIndexOf("█")], [0, true]);
  }), { ignore: Deno.build.os !== "linux" });

testFunction(
  "the demo names what it cannot read, and compares the other files (full)",
  () =>
    withFolder(async (folder) => {
      const denied = `--deny-read=${folder}/calls.mts,${folder}/sub`;
      const { code, stdout } = await deno("run", "-A", denied, "examples/demo.ts", folder, "--backend=worker");
      assertStringIncludes(stdout, "Which of the 2 source files");
      assertStringIncludes(stdout, "  no two of them\n");
      assertMatch(stdout, /^Not counted, because they cannot be read: (sub|calls\.mts) \(NotCapable\) and 1 more$/m);
      assertEquals(code, 0);
    }),
);

testFunction("the demo says that there are no sources in a folder, and that is no failure (full)", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stdout } = await task("demo", folder);
    assertEquals({ code, stdout }, { code: 0, stdout: `There is no TypeScript or JavaScript in ${folder}.\n` });
  } finally {
    await Deno.remove(folder);
  }
});

testFunction(
  "the demo fails with exit code 1 when the folder is missing, or is no folder (full)",
  () =>
    withFolder(async (folder) => {
      const missing = await task("demo", `${folder}/missing`);
      assertStringIncludes(
        missing.stderr,
        `Cannot take files from ${folder}/missing: it cannot be read (NotFound)\n`,
      );
      assertEquals([missing.code, missing.stdout], [1, ""]);

      const file = await task("demo", `${folder}/sums.ts`);
      assertStringIncludes(file.stderr, `Cannot take files from ${folder}/sums.ts: it is not a folder\n`);
      assertEquals([file.code, file.stdout], [1, ""]);
    }),
);

for (
  const [args, message] of [
    [["--colour"], "Unknown option '--colour'"],
    [["--backend=cluster"], 'There is no backend "cluster"'],
    [["--size=0"], 'The size must be a whole number from 1 to 999, received "0"'],
    [["one", "two"], "One folder at a time, received 2"],
  ] as const
) {
  testFunction(`the demo explains its usage, with exit code 2, after ${args.join(" ")} (full)`, async () => {
    const { code, stdout, stderr } = await task("demo", ...args);
    assertEquals({ code, stdout }, { code: 2, stdout: "" });
    assertStringIncludes(stderr, message);
    assertStringIncludes(stderr, "\nUsage: deno task demo [folder] [--backend=subprocess|worker] [--size=N]\n");
  });
}

testFunction("example lock_file keeps lines whole, with and without withLock (full)", async () => {
  assertEquals(
    await example("lock_file"),
    ["a one", "a two", "b one", "b two", "c"].map((line) => `${line} is whole\n`).join(""),
  );
});
