/** A service and what it depends on, started again together: `deno task example:supervisor`. */
import { Process, Queue, runMain, SubprocessBackend, Supervisor, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Schedule } from "effect";

/** Serves requests, and crashes at a bad one. */
const serve = Task.make(
  import.meta,
  "serve",
  (requests: Queue.Queue<string>, answers: Queue.Queue<string>) =>
    Effect.forever(Effect.gen(function* () {
      const request = yield* requests.get;
      if (request === "bad") yield* Effect.sync(() => Deno.exit(1));
      yield* answers.put(request.toUpperCase());
    })),
);

const program = Effect.gen(function* () {
  const requests = yield* Queue.make<string>();
  const answers = yield* Queue.make<string>();
  const supervisor = yield* Supervisor.make([
    { name: "cache", run: Effect.never },
    { name: "server", run: Process.run(serve, requests, answers) },
    { name: "monitor", run: Effect.never },
  ], {
    strategy: "restForOne",
    intensity: { restarts: 5, within: "1 minute" },
    backoff: Schedule.exponential("10 millis"),
  });
  for (const request of ["one", "bad", "two"]) yield* requests.put(request);
  yield* Console.log(yield* answers.get, yield* answers.get);
  const { children, restarts } = yield* supervisor.statistics;
  yield* Console.log(
    `${restarts} restart; starts: ${children.map(({ name, starts }) => `${name} ${starts}`).join(", ")}`,
  );
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
