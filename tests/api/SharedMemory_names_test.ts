/**
 * Named blocks of shared memory: their owners, their use by other programs, and the leftovers of killed processes.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import {
  type Backend,
  Process,
  Queue,
  ShareableList,
  SharedMemory,
  SubprocessBackend,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import { until } from "../support/leaks.ts";
import * as Tasks from "./memory_tasks.ts";
import { script } from "../support/scripts.ts";
import { test as run, warmUp, when } from "../support/suite.ts";

const subprocess = SubprocessBackend.layer();

const test = (title: string, program: Effect.Effect<unknown, unknown, Scope.Scope | Backend.Backend>): void =>
  run(`SharedMemory by name: ${title}`, Effect.provide(program, subprocess));

await warmUp(SharedMemory.sweep);
for (const layer of [subprocess, WorkerBackend.layer()]) {
  await warmUp(Effect.provide(Process.run(Tasks.nothing), layer));
}

/** The names of this run, because other programs may use the machine. */
const prefix = `mp_test_${crypto.randomUUID().slice(0, 8)}_`;

const names = (count: number): Array<string> =>
  Array.from({ length: count }, () => `${prefix}${crypto.randomUUID().slice(0, 8)}`);

const fresh = (): string => names(1)[0];

const sweep = Effect.map(SharedMemory.sweep, (names) => names.filter((name) => name.startsWith(prefix)).toSorted());

const exists = (name: string): boolean => [...Deno.readDirSync("/dev/shm")].some((entry) => entry.name === name);

const reason = (effect: Effect.Effect<unknown, SharedMemory.MemoryError, Scope.Scope>): Effect.Effect<unknown> =>
  Tasks.reasonOf(Effect.scoped(Effect.as(effect, "none")));

const python = (await new Deno.Command("python3", { args: ["--version"] }).output().catch(() => undefined))?.success;

/** Runs a program in Python without its resource tracker, which would remove blocks that are not its own. */
const inPython = (code: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const program = `
from multiprocessing import shared_memory, resource_tracker
resource_tracker.register = resource_tracker.unregister = lambda *_: None
${code}`;
    const { stdout, stderr } = await new Deno.Command("python3", { args: ["-c", program] }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    return new TextDecoder().decode(stdout).trim();
  });

test(
  "it appears whole, and goes with its scope (full)",
  Effect.gen(function* () {
    const name = fresh();
    yield* Effect.scoped(Effect.gen(function* () {
      const memory = yield* SharedMemory.create({ name, size: 5000 });
      assertEquals([memory.name, memory.size, memory.bytes.length], [name, 5000, 5000]);
      assertEquals(Deno.statSync(`/dev/shm/${name}`).size, 5000);
      assertEquals(Deno.statSync(`/dev/shm/${name}`).mode! & 0o777, 0o600);
      memory.bytes.fill(2);
      const attached = yield* SharedMemory.attach(name);
      assertEquals([attached.name, attached.size, attached.bytes[4999]], [name, 5000, 2]);
      attached.bytes[0] = 7;
      assertEquals(memory.bytes[0], 7);
      assertEquals(yield* Process.run(Tasks.attachesNamed, name), 10_005);
      // As an argument, the block is the same as by its name.
      assertEquals(yield* Process.run(Tasks.increments, memory), 10_005);
      assertEquals(attached.bytes[0], 8);
      yield* attached.close;
      assertEquals([attached.closed, attached.name, attached.size, memory.closed], [true, name, 5000, false]);
    }));
    assert(!exists(name));
    assertEquals(yield* reason(SharedMemory.attach(name)), "NotFound");
  }),
);

test(
  "attaching never destroys it, and an attach that fails changes nothing",
  Effect.gen(function* () {
    const name = fresh();
    const memory = yield* SharedMemory.create({ name: `/${name}`, size: 10 });
    assertEquals(memory.name, `/${name}`);
    for (let i = 0; i < 3; i++) assertEquals(yield* Process.run(Tasks.attachesNamed, name), 0);
    assertEquals(yield* Process.run(Tasks.attachesNamed, `${name}x`), "NotFound");
    assert(exists(name));
    assertEquals(yield* reason(SharedMemory.create({ name, size: 10 })), "Exists");
    assertEquals(yield* reason(SharedMemory.create({ name: `/${name}`, size: 10 })), "Exists");
    memory.bytes[9] = 1;
    assertEquals(yield* Process.run(Tasks.attachesNamed, name), 1);
  }),
);

test(
  "its owner takes its name away once, and never another's",
  Effect.gen(function* () {
    const name = fresh();
    const scope = yield* Scope.make();
    const first = yield* Scope.extend(SharedMemory.create({ name, size: 10 }), scope);
    const attached = yield* SharedMemory.attach(name);
    yield* first.unlink;
    yield* first.unlink;
    assert(!exists(name));
    const second = yield* SharedMemory.create({ name, size: 20 });
    first.bytes[1] = 1;
    assertEquals([attached.bytes[1], second.bytes[1]], [1, 0]);
    yield* Scope.close(scope, Exit.void);
    assertEquals((yield* SharedMemory.attach(name)).size, 20);
    assertEquals([first.bytes.length, attached.bytes[1]], [0, 1]);
    // Another process has removed the block. That is no failure, and a later block with the name is left alone.
    const third = fresh();
    yield* Effect.scoped(Effect.gen(function* () {
      yield* SharedMemory.create({ name: third, size: 10 });
      Deno.removeSync(`/dev/shm/${third}`);
      Deno.writeTextFileSync(`/dev/shm/${third}`, "not ours");
    }));
    assertEquals(Deno.readTextFileSync(`/dev/shm/${third}`), "not ours");
    assertEquals(yield* sweep, []);
    assertEquals(yield* reason(SharedMemory.create({ name: third, size: 10 })), "Exists");
    Deno.removeSync(`/dev/shm/${third}`);
  }),
);

test(
  "without a name it gets one of its own",
  Effect.gen(function* () {
    const [one, other] = [yield* SharedMemory.create({ size: 10 }), yield* SharedMemory.create({ size: 10 })];
    assert(one.name !== other.name);
    assertEquals((yield* SharedMemory.attach(one.name!)).size, 10);
  }),
);

test(
  "a name that cannot be is refused",
  Effect.gen(function* () {
    for (const name of ["", "/", ".", "..", "/..", "a/b", "//a", "a\0b", "x".repeat(256), "ü".repeat(128), "\ud800"]) {
      assertEquals(yield* reason(SharedMemory.create({ name, size: 1 })), "InvalidArgument");
      assertEquals(yield* reason(SharedMemory.attach(name)), "InvalidArgument");
    }
    const long = `${fresh()}${"ü".repeat(100)}`;
    assertEquals((yield* SharedMemory.create({ name: long, size: 1 })).name, long);
  }),
);

test(
  "what is no block of memory is not attached, nor opened as one",
  Effect.gen(function* () {
    const [folder, link, fifo, empty] = names(4);
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        Deno.mkdirSync(`/dev/shm/${folder}`);
        Deno.symlinkSync("/etc/passwd", `/dev/shm/${link}`);
        Deno.writeFileSync(`/dev/shm/${empty}`, new Uint8Array());
        new Deno.Command("mkfifo", { args: [`/dev/shm/${fifo}`] }).outputSync();
      }),
      () => Effect.sync(() => [folder, link, fifo, empty].forEach((name) => Deno.removeSync(`/dev/shm/${name}`))),
    );
    for (const name of [folder, link, fifo, empty]) {
      assertEquals(yield* reason(SharedMemory.attach(name)), "NotFound");
      assertEquals(yield* reason(SharedMemory.create({ name, size: 1 })), "Exists");
    }
    assertEquals(yield* sweep, []);
  }),
);

test(
  "a leftover of a killed owner is gone for a process that attaches, replaced by one that creates, and swept",
  Effect.gen(function* () {
    const [one, other, third] = names(3);
    const made = yield* Queue.make<string>();
    const owner = yield* Process.spawnWith(Tasks.owns, [[one, other, third], made], { daemon: true });
    assertEquals([yield* made.get, yield* made.get, yield* made.get], ["made", "made", "made"]);
    assertEquals(yield* reason(SharedMemory.create({ name: one, size: 1 })), "Exists");
    const kept = yield* SharedMemory.attach(third);
    assertEquals(yield* sweep, []);
    yield* owner.kill;
    yield* owner.status;
    assert(exists(one) && exists(other));
    assertEquals(yield* reason(SharedMemory.attach(one)), "Gone");
    const mine = yield* SharedMemory.create({ name: one, size: 10 });
    assertEquals([mine.size, mine.bytes[0]], [10, 0]);
    assertEquals(yield* sweep, [other, third].toSorted());
    assert(exists(one) && !exists(other));
    // A process that had attached the block keeps it.
    assertEquals(kept.bytes[4095], 1);
  }),
);

test(
  "a worker that is killed leaves a block, which is found while its program runs",
  Effect.gen(function* () {
    const name = fresh();
    const made = yield* Queue.make<string>();
    const owner = yield* Process.spawnWith(Tasks.owns, [[name], made], { daemon: true });
    assertEquals(yield* made.get, "made");
    yield* owner.kill;
    yield* Effect.promise(() =>
      until("the worker's memory was freed", () => Effect.runSync(reason(SharedMemory.attach(name))) === "Gone")
    );
    assertEquals(yield* sweep, [name]);
  }).pipe(Effect.provide(WorkerBackend.layer())),
);

test(
  "of many processes that create a name over a leftover, one gets it (full)",
  Effect.gen(function* () {
    const all = names(40);
    const made = yield* Queue.make<string>();
    const owner = yield* Process.spawnWith(Tasks.owns, [all, made], { daemon: true });
    yield* Effect.forEach(all, () => made.get);
    yield* owner.kill;
    yield* owner.status;
    const [go, done] = [yield* Queue.make<number>(), yield* Queue.make<number>()];
    const rivals = yield* Effect.replicateEffect(
      Process.spawnWith(Tasks.rivals, [all, go, done], { daemon: true }),
      3,
    );
    yield* when(go.statistics, ({ takers }) => takers === 3);
    yield* go.putAll([1, 1, 1]);
    const counts = [yield* done.get, yield* done.get, yield* done.get];
    assertEquals(counts.reduce((a, b) => a + b), all.length, `${counts}`);
    yield* go.putAll([1, 1, 1]);
    yield* Effect.forEach(rivals, ({ join }) => join);
    assert(!all.some(exists));
  }),
);

if (python) {
  test(
    "a Python program attaches it, and it survives that (full)",
    Effect.gen(function* () {
      const name = fresh();
      const memory = yield* SharedMemory.create({ name, size: 4096 });
      memory.view.setFloat64(8, 2.5, true);
      const seen = yield* inPython(`
import struct
m = shared_memory.SharedMemory("${name}")
print(m.size, struct.unpack_from("<d", m.buf, 8)[0])
m.buf[0] = 99
m.close()`);
      assertEquals([seen, memory.bytes[0]], ["4096 2.5", 99]);
      assert(exists(name));
    }),
  );

  test(
    "a block of a Python program is attached, and never taken for a leftover",
    Effect.gen(function* () {
      const name = fresh();
      yield* inPython(`
m = shared_memory.SharedMemory("${name}", create=True, size=100)
m.buf[:3] = b"abc"
m.close()`);
      assertEquals(yield* sweep, []);
      assertEquals(yield* reason(SharedMemory.create({ name, size: 100 })), "Exists");
      const memory = yield* SharedMemory.attach(name);
      assertEquals([...memory.bytes.subarray(0, 4)], [97, 98, 99, 0]);
      memory.bytes[3] = 100;
      const seen = yield* inPython(`
m = shared_memory.SharedMemory("${name}")
print(bytes(m.buf[:4]))
m.close()
m.unlink()`);
      assertEquals(seen, "b'abcd'");
      assert(!exists(name));
      assertEquals(memory.bytes[3], 100);
    }),
  );
}

/** Runs a program in a namespace whose `/dev/shm` has 1 MiB; `undefined` if such a namespace is not available. */
const inSmallMemory = async (file: string): Promise<string | undefined> => {
  const inner = `mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" run -A --no-check "$1"`;
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["-m", "sh", "-c", inner, Deno.execPath(), new URL(`../programs/${file}`, import.meta.url).href],
    cwd: new URL("../../", import.meta.url),
  }).output().catch(() => ({ code: -1, stdout: new Uint8Array(), stderr: new Uint8Array() }));
  const error = new TextDecoder().decode(stderr);
  if (code !== 0 && /unshare|mount|permitted/.test(error + code)) return undefined;
  assertEquals(error, "");
  return new TextDecoder().decode(stdout);
};

const small = await inSmallMemory("small_memory.ts");

Deno.test({
  name: `SharedMemory by name: a full /dev/shm is an error of the one who creates${
    small === undefined ? " (needs the right to mount one)" : ""
  }`,
  ignore: small === undefined,
  fn: () => assertEquals(small, "Full, nothing is left\n524288 bytes used\nFull, nothing is left\n"),
});

test(
  "a child that was not given --allow-ffi is told so, whatever it is given (full)",
  Effect.gen(function* () {
    const permissions = { ...SubprocessBackend.inherited(), ffi: false };
    const [memory, value] = [yield* SharedMemory.make({ size: 8 }), yield* Value.make("i32", 0, { carrier: "memory" })];
    const list = yield* ShareableList.make<string | number>(["a"], { name: fresh(), carrier: "memory" });
    const reasons = yield* Process.run(Tasks.usesAll, memory, value, list, list.name!).pipe(
      Effect.provide(SubprocessBackend.layer({ permissions })),
    );
    assertEquals(reasons, Array.from(reasons, () => "Unsupported"));
    assertEquals([memory.bytes[0], yield* value.get, yield* list.get(0)], [0, 0, "a"]);
  }),
);

Deno.test("SharedMemory by name: without --allow-ffi it says which flag, and what works instead", async () => {
  const { code, stderr, stdout } = await script("without_ffi.ts", [], ["-A", "--deny-ffi"]).ended;
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.trim().split("\n");
  for (const line of lines.slice(0, 2)) {
    assertStringIncludes(line, "Unsupported: ");
    assertStringIncludes(line, "--allow-ffi");
    assertStringIncludes(line, "SharedMemory.make");
  }
  assertEquals(lines[2], "a worker adds: 3");
  assertStringIncludes(lines[3], "a subprocess: Unsupported");
});
