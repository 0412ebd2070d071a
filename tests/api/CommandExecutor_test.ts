/**
 * The commands of `@effect/platform`, run by this library.
 *
 * @module
 */
import * as Command from "@effect/platform/Command";
import type { CommandExecutor } from "@effect/platform/CommandExecutor";
import { type PlatformError, SystemError } from "@effect/platform/Error";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import { layer, type Options, signalOf } from "../../src/CommandExecutor.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "../support/assert.ts";
import { descendants, noLeaks, processEntry } from "../support/leaks.ts";
import { logging } from "../support/logs.ts";
import { gone, script } from "../support/scripts.ts";
import { temporary, test as plain, when } from "../support/suite.ts";
import { testFunction } from "../support/tier.ts";

/** A test of commands. */
const test = <E>(
  name: string,
  program: Effect.Effect<unknown, E, CommandExecutor | Scope.Scope>,
  options: Options = {},
): void => plain(`commands: ${name}`, Effect.scoped(program).pipe(Effect.provide(layer(options))));

const sh = (line: string): Command.Command => Command.make("sh", "-c", line);

const utf8 = new TextEncoder();

const text = (stream: Stream.Stream<Uint8Array, PlatformError>): Effect.Effect<string, PlatformError> =>
  Stream.mkString(Stream.decodeText(stream));

/** Returns the first line of an output, whose program then continues. */
const firstLine = (
  stream: Stream.Stream<Uint8Array, PlatformError>,
): Effect.Effect<string, PlatformError, Scope.Scope> =>
  Effect.gen(function* () {
    const line = yield* Deferred.make<string, PlatformError>();
    yield* Stream.splitLines(Stream.decodeText(stream)).pipe(
      Stream.runForEach((text) => Deferred.succeed(line, text)),
      Effect.onError((cause) => Deferred.failCause(line, cause)),
      Effect.forkScoped,
    );
    return yield* Deferred.await(line);
  });

const reason = (error: PlatformError): string => error instanceof SystemError ? error.reason : error._tag;

const runs = (pid: number): boolean => !["Z", undefined].includes(processEntry(pid)?.state);

// ---- outputs ----

test(
  "string gives the whole output",
  Effect.gen(function* () {
    assertEquals(yield* Command.string(Command.make("printf", "hello\\n")), "hello\n");
    assertEquals(yield* Command.string(Command.make("true")), "");
  }),
);

test(
  "lines and streamLines give the lines, the last one without an end as well",
  Effect.gen(function* () {
    assertEquals(yield* Command.lines(Command.make("printf", "a\\nb\\n\\nc")), ["a", "b", "", "c"]);
    assertEquals([...yield* Stream.runCollect(Command.streamLines(Command.make("printf", "a\\nb\\n")))], ["a", "b"]);
  }),
);

test(
  "an encoding is decoded across chunks",
  Effect.gen(function* () {
    const halves = sh("printf '\\303'; sleep 0.05; printf '\\244\\n'");
    assertEquals(yield* Command.string(halves), "ä\n");
    assertEquals(yield* Command.lines(halves), ["ä"]);
    assertEquals(yield* Command.string(Command.make("printf", "\\344"), "latin1"), "ä");
    assertEquals(yield* Command.string(Command.make("printf", "a\\303")), "a\ufffd");
  }),
);

test(
  "an unknown encoding is a BadArgument",
  Effect.gen(function* () {
    for (
      const run of [
        Command.string(Command.make("true"), "no-such"),
        Stream.runDrain(Command.streamLines(Command.make("true"), "no-such")),
      ]
    ) {
      const error = yield* Effect.flip(run);
      assertEquals(error._tag, "BadArgument");
      assertStringIncludes(error.message, "no-such");
    }
  }),
);

test(
  "stream gives the bytes, however many (full)",
  Effect.gen(function* () {
    const count = yield* Stream.runFold(
      Command.stream(Command.make("head", "-c", "5000000", "/dev/zero")),
      0,
      (sum, bytes) => sum + bytes.length,
    );
    assertEquals(count, 5_000_000);
  }),
);

test(
  "a stream that is left early ends its command",
  Effect.gen(function* () {
    const taken = yield* Command.streamLines(Command.make("yes")).pipe(Stream.take(3), Stream.runCollect);
    assertEquals([...taken], ["y", "y", "y"]);
  }),
);

test(
  "500 kB on stderr keep nobody waiting",
  Effect.gen(function* () {
    const noisy = sh("head -c 500000 /dev/zero >&2; echo done");
    assertEquals(yield* Command.string(noisy), "done\n");
    assertEquals(yield* Command.lines(noisy), ["done"]);
    assertEquals(yield* Command.string(Command.pipeTo(noisy, Command.make("cat"))), "done\n");
  }),
);

test(
  "exitCode waits for no reader",
  Effect.gen(function* () {
    assertEquals(yield* Command.exitCode(sh("head -c 500000 /dev/zero >&2; head -c 500000 /dev/zero; exit 3")), 3);
    const process = yield* Command.start(sh("head -c 500000 /dev/zero >&2; head -c 500000 /dev/zero; exit 4"));
    assertEquals(yield* process.exitCode, 4);
    const sizes = yield* Effect.forEach(
      [process.stdout, process.stderr],
      (stream) => Stream.runFold(stream, 0, (sum, bytes) => sum + bytes.length),
    );
    assertEquals(sizes, [500_000, 500_000]);
  }),
);

test(
  "an output is read while the other waits for its reader",
  Effect.gen(function* () {
    const process = yield* Command.start(sh("head -c 500000 /dev/zero >&2; echo out"));
    assertEquals(yield* text(process.stdout), "out\n");
    assertEquals((yield* text(process.stderr)).length, 500_000);
  }),
);

test(
  "more than maxBuffer bytes without a reader are a failure that names them",
  Effect.gen(function* () {
    const process = yield* Command.start(sh("head -c 500000 /dev/zero >&2; head -c 500000 /dev/zero"));
    const error = yield* Effect.flip(process.exitCode);
    assertEquals(reason(error), "WouldBlock");
    assertMatch(error.message, /more than 1000 bytes of its std(out|err) have no reader; .* raise maxBuffer/);
    // With readers the command continues.
    const sizes = yield* Effect.all([text(process.stdout), text(process.stderr)], { concurrency: 2 });
    assertEquals(sizes.map(({ length }) => length), [500_000, 500_000]);
    assertEquals(yield* process.exitCode, 0);
  }),
  { maxBuffer: 1000 },
);

test(
  "an interrupted read has lost nothing",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("cat"));
    // Started and abandoned before there is any output.
    yield* Effect.timeout(process.exitCode, "20 millis").pipe(Effect.flip);
    yield* Stream.run(Stream.make(utf8.encode("later")), process.stdin);
    assertEquals(yield* process.exitCode, 0);
    assertEquals(yield* text(process.stdout), "later");
  }),
);

test(
  "a Sink transforms an output",
  Effect.gen(function* () {
    const sums = Sink.map(Sink.collectAll<Uint8Array>(), (parts) => utf8.encode(`<${[...parts].map(String)}>`));
    const command = Command.stdout(Command.make("printf", "A"), sums);
    assertEquals(yield* Command.string(command), "<65>");
  }),
);

// ---- exit codes ----

test(
  "exit codes",
  Effect.gen(function* () {
    assertEquals(yield* Command.exitCode(Command.make("true")), 0);
    assertEquals(yield* Command.exitCode(sh("exit 3")), 3);
    assertEquals(yield* Command.exitCode(sh("exit 255")), 255);
  }),
);

test(
  "a signal exit is data, and signalOf names it",
  Effect.gen(function* () {
    for (const [signal, number] of [["SIGKILL", 9], ["SIGTERM", 15], ["SIGSEGV", 11]] as const) {
      const code = yield* Command.exitCode(sh(`kill -${number} $$`));
      assertEquals([code, signalOf(code)], [-number, signal]);
    }
    assertEquals([signalOf(0), signalOf(137), signalOf(-99)], [undefined, undefined, undefined]);
  }),
);

test(
  "isRunning, kill, and a second kill",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("sleep", "60"));
    assertEquals([yield* process.isRunning, runs(process.pid)], [true, true]);
    yield* process.kill();
    assertEquals([yield* process.isRunning, runs(process.pid)], [false, false]);
    assertEquals(signalOf(yield* process.exitCode), "SIGTERM");
    yield* process.kill("SIGKILL");
    assertEquals(signalOf(yield* process.exitCode), "SIGTERM");
  }),
);

test(
  "an unknown signal is a BadArgument, and kills nothing",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("sleep", "60"));
    const error = yield* Effect.flip(process.kill("SIGLOST"));
    assertEquals(error._tag, "BadArgument");
    assert(yield* process.isRunning);
  }),
);

// ---- where and how it runs ----

test(
  "cwd, and environment",
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.realPathSync(Deno.makeTempDirSync())),
      (path) => Effect.sync(() => Deno.removeSync(path, { recursive: true })),
    );
    assertEquals(yield* Command.string(Command.workingDirectory(Command.make("pwd"), folder)), `${folder}\n`);
    const see = Command.env(sh('echo "$MINE $HOME"'), { MINE: "1", HOME: "x" });
    assertEquals(yield* Command.string(see), "1 x\n");
    const only = Command.env(Command.make("env"), { MINE: "1" }, { extendEnv: false });
    assertEquals((yield* Command.lines(only)).filter((line) => !/^(PWD|SHLVL|_)=/.test(line)), ["MINE=1"]);
  }),
);

test(
  "a command by way of the shell",
  Effect.gen(function* () {
    assertEquals(yield* Command.string(Command.runInShell(Command.make("echo $((1+2)) | tr 3 4"), true)), "4\n");
    assertEquals(yield* Command.string(Command.runInShell(Command.make("echo", "$0"), "/bin/sh")), "/bin/sh\n");
  }),
);

test(
  "a command without input has an empty one, where nobody can write to it",
  Effect.gen(function* () {
    assertEquals(yield* Command.string(Command.make("cat")), "");
    assertEquals(yield* Command.exitCode(Command.make("cat")), 0);
    assertEquals(yield* Command.lines(Command.pipeTo(Command.make("cat"), Command.make("wc", "-c"))), ["0"]);
  }),
);

test(
  "the process is inspectable",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("true"));
    assertEquals(process.toJSON(), { _id: "@effect/platform/CommandExecutor/Process", pid: process.pid });
  }),
);

// ---- inputs ----

test(
  "stdin from a Stream, and from a text",
  Effect.gen(function* () {
    const input = Stream.range(1, 50_000).pipe(Stream.map((n) => utf8.encode(`${n}\n`)));
    assertEquals(yield* Command.lines(Command.stdin(Command.make("tail", "-n", "1"), input)), ["50000"]);
    assertEquals(yield* Command.string(Command.feed(Command.make("cat"), "fed")), "fed");
  }),
);

test(
  "stdin by the Sink of the process, once",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("cat"));
    yield* Stream.run(Stream.make(utf8.encode("by "), utf8.encode("hand")), process.stdin);
    assertEquals(yield* text(process.stdout), "by hand");
    assertEquals(reason(yield* Effect.flip(Stream.run(Stream.make(utf8.encode("x")), process.stdin))), "Busy");
  }),
);

test(
  "a command that reads no further ends its input, which is no failure",
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>();
    const input = Stream.repeatValue(utf8.encode("y\n".repeat(1000))).pipe(
      Stream.ensuring(Deferred.succeed(ended, undefined)),
    );
    assertEquals(yield* Command.lines(Command.stdin(Command.make("head", "-n", "1"), input)), ["y"]);
    yield* Deferred.await(ended);
  }),
);

test(
  "the Sink of a command that has closed its input fails",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.make("true"));
    yield* process.exitCode;
    const error = yield* Effect.flip(Stream.run(Stream.repeatValue(new Uint8Array(100_000)), process.stdin));
    assertEquals(reason(error), "BadResource");
  }),
);

test(
  "a failing input fails the command, which never takes a part for the whole",
  Effect.gen(function* () {
    const path = yield* temporary;
    const failure = new SystemError({ module: "Stream", method: "read", reason: "InvalidData" });
    const input = Stream.concat(Stream.make(utf8.encode("part")), Stream.fail(failure));
    // The command would report the end of its input.
    const command = Command.stdin(sh(`cat; echo whole > ${path}`), input);
    assertEquals(yield* Effect.flip(Command.string(command)), failure);
    assertEquals(yield* Effect.flip(Command.exitCode(command)), failure);
    assertEquals(yield* Effect.flip(Stream.runDrain(Command.stream(command))), failure);
    assertEquals(Deno.readTextFileSync(path), "");
  }),
);

// ---- chains ----

test(
  "pipeTo passes the output on, through any number of commands",
  Effect.gen(function* () {
    const chain = Command.make("printf", "b\\na\\n").pipe(
      Command.pipeTo(Command.make("sort")),
      Command.pipeTo(Command.make("tr", "a-z", "A-Z")),
    );
    assertEquals(yield* Command.lines(chain), ["A", "B"]);
    assertEquals(yield* Command.exitCode(Command.pipeTo(sh("exit 1"), sh("exit 5"))), 5);
    const large = Command.pipeTo(Command.make("head", "-c", "3000000", "/dev/zero"), Command.make("wc", "-c"));
    assertEquals(yield* Command.string(large), "3000000\n");
  }),
);

test(
  "the process of a chain has the input of the first and the output of the last",
  Effect.gen(function* () {
    const process = yield* Command.start(Command.pipeTo(Command.make("sort"), Command.make("head", "-n", "1")));
    yield* Stream.run(Stream.make(utf8.encode("b\na\n")), process.stdin);
    assertEquals([yield* text(process.stdout), yield* process.exitCode], ["a\n", 0]);
  }),
);

test(
  "a chain ends when its last command does, and with it the first",
  Effect.gen(function* () {
    assertEquals(yield* Command.lines(Command.pipeTo(Command.make("yes"), Command.make("head", "-n", "2"))), [
      "y",
      "y",
    ]);
  }),
);

test(
  "a chain whose first, middle or last command does not exist fails",
  Effect.gen(function* () {
    const missing = Command.make("no-such-program");
    const cat = Command.make("cat");
    for (const chain of [[missing, cat, cat], [cat, missing, cat], [cat, cat, missing]]) {
      const [first, second, third] = chain;
      const command = first.pipe(Command.pipeTo(second), Command.pipeTo(third));
      assertEquals(reason(yield* Effect.flip(Command.string(command))), "NotFound");
    }
  }),
);

// ---- failures ----

test(
  "what cannot be started is a PlatformError",
  Effect.gen(function* () {
    const path = yield* temporary;
    const failing: ReadonlyArray<readonly [Command.Command, string]> = [
      [Command.make("no-such-program"), "NotFound"],
      [Command.make(""), "NotFound"],
      [Command.workingDirectory(Command.make("true"), "/no-such-folder"), "NotFound"],
      [Command.workingDirectory(Command.make("true"), path), "NotFound"],
      [Command.make(path), "PermissionDenied"],
      [Command.make("/"), "PermissionDenied"],
      [Command.make("echo", "a\0b"), "BadArgument"],
      [Command.env(Command.make("true"), { A: "a\0b" }), "BadArgument"],
      [Command.make("true", "x".repeat(3_000_000)), "BadArgument"],
    ];
    for (const [command, expected] of failing) {
      const runs: ReadonlyArray<Effect.Effect<unknown, PlatformError, CommandExecutor>> = [
        Command.exitCode(command),
        Command.string(command),
        Effect.scoped(Command.start(command)),
      ];
      for (const run of runs) {
        const error = yield* Effect.flip(run);
        assertEquals([reason(error), error.message.includes("Command.spawn")], [expected, true], error.message);
      }
    }
  }),
);

test(
  "a wrong option fails each command",
  Effect.gen(function* () {
    const error = yield* Effect.flip(Command.string(Command.make("true")));
    assertEquals(error._tag, "BadArgument");
    assertStringIncludes(error.message, "Invalid CommandExecutor option: maxBuffer must be");
  }),
  { maxBuffer: -1 },
);

// ---- ends ----

const stubborn = sh("trap '' TERM; echo up; while :; do sleep 0.1; done");

plain(
  "commands: one that ignores SIGTERM is killed after forceKillAfter, with a warning that says so",
  logging((lines) =>
    Effect.gen(function* () {
      const pid = yield* Effect.scoped(Effect.gen(function* () {
        const { pid, stdout } = yield* Command.start(stubborn);
        yield* firstLine(stdout);
        return pid;
      })).pipe(Effect.provide(layer({ forceKillAfter: "100 millis" })));
      assert(!runs(pid));
      assertEquals(lines.length, 1);
      assertMatch(
        lines[0],
        /^WARN "sh -c trap .* \(pid \d+\) had to be killed: .* 100ms after SIGTERM; a larger forceKill/,
      );
    })
  ),
);

plain(
  "commands: one that ends in time is not killed, and what it writes meanwhile does not keep it",
  logging((lines) =>
    Effect.gen(function* () {
      const path = yield* temporary;
      const tidy = sh(
        `trap 'head -c 500000 /dev/zero; echo tidied > ${path}; exit' USR1; echo up; while :; do sleep 0.1; done`,
      );
      yield* Effect.scoped(Effect.flatMap(Command.start(tidy), ({ stdout }) => firstLine(stdout))).pipe(
        Effect.provide(layer({ killSignal: "SIGUSR1", forceKillAfter: "1 minute" })),
      );
      assertEquals([Deno.readTextFileSync(path), lines], ["tidied\n", []]);
    })
  ),
);

test(
  "an interrupted command has ended",
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Command.exitCode(Command.make("sleep", "61")));
    const mine = yield* when(
      Effect.sync(() => descendants(Deno.pid).filter(({ pid }) => argumentsOf(pid).endsWith("sleep 61"))),
      ({ length }) => length === 1,
    );
    assert(Exit.isInterrupted(yield* Fiber.interrupt(fiber)));
    assert(!runs(mine[0].pid));
  }),
);

test(
  "the programs that a command has started end with its scope",
  Effect.gen(function* () {
    const own = (line: string) =>
      Effect.scoped(Effect.gen(function* () {
        const process = yield* Command.start(sh(line));
        return Number(yield* firstLine(process.stdout));
      }));
    const below = yield* own("sleep 62 & echo $!; wait");
    // Also if the command itself has ended.
    const left = yield* own("sleep 63 & echo $!");
    assertEquals([runs(below), runs(left)], [false, false]);
  }),
);

test(
  "a process outlives the layer that has started it, and not its scope",
  Effect.gen(function* () {
    const pid = yield* Effect.scoped(Effect.gen(function* () {
      const process = yield* Effect.provide(Command.start(Command.make("sleep", "64")), layer());
      assert(yield* process.isRunning);
      return process.pid;
    }));
    assert(!runs(pid));
  }),
);

const argumentsOf = (pid: number): string => {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").join(" ").trim();
  } catch {
    return "";
  }
};

plain(
  "commands: a guard that was killed is replaced",
  Effect.scoped(Effect.gen(function* () {
    const guards = Effect.sync(() =>
      descendants(Deno.pid).filter(({ pid }) => argumentsOf(pid).includes("trap '' HUP"))
    );
    yield* Command.start(Command.make("sleep", "65"));
    const [{ pid }] = yield* when(guards, ({ length }) => length === 1);
    Deno.kill(pid, "SIGKILL");
    yield* when(guards, (found) => found.length === 1 && found[0].pid !== pid);
    assertEquals(yield* Command.string(Command.make("echo", "on")), "on\n");
  })).pipe(Effect.provide(layer())),
);

plain(
  "commands: without the guard there is none",
  Effect.scoped(Effect.gen(function* () {
    const { pid } = yield* Command.start(Command.make("sleep", "66"));
    assertEquals(descendants(Deno.pid).map((entry) => entry.pid), [pid]);
  })).pipe(Effect.provide(layer({ guard: false }))),
);

const narrow = ["--allow-read", "--allow-run=sh,sleep,/bin/sh"];

for (const [flags, name] of [[["-A"], "with all permissions"], [narrow, "with narrow permissions"]] as const) {
  Deno.test(`commands: none is left when the program is killed, nor what it has started; ${name}`, () =>
    noLeaks(async () => {
      const running = script("commands.ts", [], flags);
      const pids = (await running.line("running")).split(" ").map(Number);
      assertEquals(pids.filter(runs), pids);
      running.kill("SIGKILL");
      await running.ended;
      await gone(pids);
    }));
}

testFunction("commands: a program without the permission for the guard is told so (full)", async () => {
  const { code, stderr } = await script("commands.ts", [], ["--allow-run=sleep"]).ended;
  assertEquals(code, 1);
  assertStringIncludes(stderr, "PermissionDenied");
  assertStringIncludes(stderr, "the guard of commands is /bin/sh, guard: false does without it");
});
