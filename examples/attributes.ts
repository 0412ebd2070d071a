/** The attributes of a process, seen by the process and by its parent, and its exit: `deno task example:attributes`. */
import { Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Deferred, Effect, Option, Stream } from "effect";

/** Describes its process after the parent has read the attributes. */
const describe = Task.make(import.meta, "describe", (asked: Stream.Stream<unknown>) =>
  Effect.gen(function* () {
    yield* Stream.runDrain(asked);
    const { backend, daemon, name, pid } = yield* Process.current;
    const parent = Option.getOrThrow(yield* Process.parent);
    return { name, pid, daemon, backend, parent };
  }));

const succeed = Task.make(import.meta, "succeed", () => "done");
const fail = Task.make(import.meta, "fail", () => Effect.fail("no"));
const exit = Task.make(import.meta, "exit", (code: number) => Deno.exit(code));
const wait = Task.make(import.meta, "wait", () => Effect.never);

const program = Effect.gen(function* () {
  const main = yield* Process.current;
  yield* Console.log(`${main.name} has a parent: ${Option.isSome(yield* Process.parent)}`);

  const asked = yield* Deferred.make<void>();
  const child = yield* Process.spawnWith(describe, [Stream.fromEffect(Deferred.await(asked))], {
    name: "child",
    daemon: true,
  });
  const active = yield* Process.activeChildren;
  yield* Console.log(`${child.name} is alive: ${yield* child.isAlive}`);
  yield* Console.log(`active children: ${active.map(({ name }) => name).join(", ")}`);

  yield* Deferred.succeed(asked, undefined);
  const self = yield* child.join;
  yield* Console.log(`inside: ${self.name}, daemon: ${self.daemon}, backend: ${self.backend}`);
  yield* Console.log(`both say the same pid: ${self.pid === child.pid}`);
  yield* Console.log(`its parent is ${self.parent.name}, with our pid: ${self.parent.pid === Deno.pid}`);
  yield* Console.log(`${child.name} is alive: ${yield* child.isAlive}`);

  for (
    const ended of [
      yield* Process.spawnWith(succeed, [], { name: "succeeded" }),
      yield* Process.spawnWith(fail, [], { name: "failed" }),
      yield* Process.spawnWith(exit, [3], { name: "exited" }),
    ]
  ) yield* Console.log(`${ended.name}: ${(yield* ended.exit)._tag}, exit code ${yield* ended.exitCode}`);

  const killed = yield* Process.spawnWith(wait, [], { name: "killed" });
  yield* killed.kill;
  yield* Console.log(`${killed.name}: ${(yield* killed.exit)._tag}, exit code ${yield* killed.exitCode}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
