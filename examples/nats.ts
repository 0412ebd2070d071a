/**
 * A pool on several machines, here two agents of this machine, and the death of one of them: `deno task example:nats`.
 * Needs the program `nats-server`.
 */
import { Pool, runMain, Task } from "@effect-deno/multiprocessing";
import * as NatsBackend from "@effect-deno/multiprocessing/NatsBackend";
import { Console, Effect, Fiber, Schedule } from "effect";

const PORT = 42_229;
const servers = `nats://127.0.0.1:${PORT}`;

const isPrime = (n: number): boolean => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return n > 1;
};

/** Counts the primes in a range. It may run again if its machine is lost. */
const countPrimes = Task.make(
  import.meta,
  "countPrimes",
  (from: number, to: number) => {
    let count = 0;
    for (let n = from; n < to; n++) if (isPrime(n)) count++;
    return count;
  },
  { idempotent: true },
);

/** Starts a program, and ends it with the scope. */
const start = (program: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.try(() => new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).spawn()),
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
  yield* start("nats-server", ["-a", "127.0.0.1", "-p", `${PORT}`]);
  const first = yield* startAgent;
  yield* startAgent;
  yield* Effect.gen(function* () {
    yield* Effect.repeat(NatsBackend.agents, { until: (agents) => agents.length === 2 });
    const pool = yield* Pool.make({ retry: Schedule.recurs(5) });
    yield* Console.log(`${pool.size} workers, on the slots of two agents`);
    const ranges = Array.from({ length: 200 }, (_, i) => [5000 * i, 5000 * (i + 1)] as const);
    const counting = yield* Effect.fork(pool.starmap(countPrimes, ranges, { chunkSize: 1 }));
    first.kill("SIGKILL");
    const counts = yield* Fiber.join(counting);
    yield* Console.log(
      `${counts.reduce((sum, n) => sum + n, 0)} primes below a million, although one agent was killed`,
    );
  }).pipe(Effect.provide(NatsBackend.layer({ servers, lostAfter: "1 seconds" })));
}).pipe(
  Effect.scoped,
  Effect.catchTag("UnknownException", () => Console.log("This example needs nats-server: apt-get install nats-server")),
);

if (import.meta.main) runMain(program);
