/**
 * Tasks that survive the program that has submitted them: `deno task example:nats_pool`. A first program submits tasks and is killed, as is
 * the agent that runs them; another agent goes on, and this program collects the results. Needs the program `nats-server`.
 */
import { runMain, Task } from "@effect-deno/multiprocessing";
import * as NatsPool from "@effect-deno/multiprocessing/NatsPool";
import { Console, Effect } from "effect";

const PORT = 42_230;
const servers = `nats://127.0.0.1:${PORT}`;
const months = Array.from({ length: 12 }, (_, i) => i + 1);

/** The number of days of a month of 2026, after some work. */
const countDays = Task.make(import.meta, "countDays", async (month: number) => {
  await new Promise((resolve) => setTimeout(resolve, 200));
  return new Date(2026, month, 0).getDate();
});

/** Dies whenever it is run. */
const poison = Task.make(import.meta, "poison", () => Deno.exit(1));

const makePool = NatsPool.make({ servers, name: "days", ackWait: "1 second", retries: 1 });

/** The program that is killed. */
const first = Effect.gen(function* () {
  const pool = yield* makePool;
  yield* Effect.forEach(months, (month) => pool.submitWith(countDays, [month], { id: `month-${month}` }));
  yield* pool.submitWith(poison, [], { id: "poison" });
  yield* Console.log("submitted");
  yield* Effect.never;
}).pipe(Effect.scoped);

const start = (program: string, args: ReadonlyArray<string>, stdout: "piped" | "null" = "null") =>
  Effect.acquireRelease(
    Effect.try(() => new Deno.Command(program, { args: [...args], stdout, stderr: "null" }).spawn()),
    (process) =>
      Effect.promise(async () => {
        try {
          process.kill();
        } catch {
          // It has ended.
        }
        await process.status;
      }),
  );

const agent = import.meta.resolve("@effect-deno/multiprocessing/agent");
const startAgent = start(Deno.execPath(), ["run", "-A", agent, `--servers=${servers}`, "--slots=2"]);

const program = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => Deno.makeTempDirSync()),
    (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
  );
  yield* start("nats-server", ["-js", "-sd", folder, "-a", "127.0.0.1", "-p", `${PORT}`]);
  const caller = yield* start(Deno.execPath(), ["run", "-A", import.meta.filename!, "first"], "piped");
  const agent = yield* startAgent;
  yield* Effect.promise(() => caller.stdout.getReader().read());
  caller.kill("SIGKILL");
  yield* Console.log("12 tasks were submitted; their program was killed");

  const pool = yield* makePool;
  const days = yield* Effect.forEach(months, (month) => pool.attach(`month-${month}`, countDays));
  yield* days[0].await;
  agent.kill("SIGKILL");
  yield* startAgent;
  yield* Console.log("the first task is done; the agent was killed, and another one was started");

  const results = yield* Effect.forEach(days, (day) => day.await);
  yield* Console.log(`${results.reduce((sum, days) => sum + days, 0)} days`);
  const failure = yield* Effect.flip(Effect.flatMap(pool.attach("poison", poison), (submission) => submission.await));
  const letters = yield* pool.deadLetters;
  yield* Console.log(`${failure._tag}; dead letters: ${letters.map(({ id }) => id)}`);
}).pipe(
  Effect.scoped,
  Effect.catchTag("UnknownException", () => Console.log("This example needs nats-server: apt-get install nats-server")),
);

if (import.meta.main) runMain(Deno.args[0] === "first" ? first : program);
