/**
 * Programs that share a queue, a lock and a dict by a server: `deno task example:nats_shared`. Three workers take orders from a queue and
 * book them under a lock. One of them is killed while it holds the lock; the others go on. Needs the program `nats-server`.
 */
import { runMain } from "@effect-deno/multiprocessing";
import * as NatsShared from "@effect-deno/multiprocessing/NatsShared";
import { Console, Effect } from "effect";

const PORT = 42_240;
const servers = `nats://127.0.0.1:${PORT}`;
const ORDERS = 30;

const join = Effect.gen(function* () {
  const shared = yield* NatsShared.make({ servers, name: "shop" });
  return {
    orders: yield* shared.queue<number>("orders", { redeliver: true, ackWait: "1 second" }),
    till: yield* shared.lock("till", { lease: "1 second" }),
    books: yield* shared.dict<string, number>("books"),
    done: yield* shared.event("done"),
  };
});

/** Takes orders, and books them. A worker with a limit gets stuck at that order, with the lock. */
const worker = (limit: number) =>
  Effect.gen(function* () {
    const { books, done, orders, till } = yield* join;
    for (let n = 1;; n++) {
      const order = yield* orders.get;
      yield* till.withLock(Effect.gen(function* () {
        if (n === limit) yield* Effect.zipRight(Console.log("stuck"), Effect.never);
        yield* books.set(`order ${order}`, 10 * order);
        if ((yield* books.size) === ORDERS) yield* done.set;
      }));
      yield* orders.taskDone();
    }
  }).pipe(Effect.scoped);

const start = (program: string, args: ReadonlyArray<string>, stdout: "piped" | "null" = "null") =>
  Effect.acquireRelease(
    Effect.try(() => new Deno.Command(program, { args: [...args], stdout, stderr: "null" }).spawn()),
    (process) =>
      Effect.promise(async () => {
        try {
          process.kill("SIGKILL");
        } catch {
          // It has ended.
        }
        await process.status;
      }),
  );

const startWorker = (limit: number) =>
  start(Deno.execPath(), ["run", "-A", import.meta.filename!, "worker", `${limit}`], "piped");

const program = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => Deno.makeTempDirSync()),
    (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
  );
  yield* start("nats-server", ["-js", "-sd", folder, "-a", "127.0.0.1", "-p", `${PORT}`]);
  const { books, done, orders, till } = yield* join;
  yield* orders.putAll(Array.from({ length: ORDERS }, (_, i) => i + 1));

  const stuck = yield* startWorker(3);
  yield* Effect.promise(() => stuck.stdout.getReader().read());
  yield* Console.log(`a worker is stuck; the till is ${(yield* till.isLocked) ? "locked" : "free"}`);
  yield* startWorker(0);
  yield* startWorker(0);
  stuck.kill("SIGKILL");
  yield* Console.log("it was killed, and two others go on");

  yield* done.wait;
  const sums = yield* books.values;
  yield* Console.log(`${sums.length} orders, ${sums.reduce((sum, price) => sum + price, 0)} in all`);
}).pipe(
  Effect.scoped,
  Effect.catchTag("UnknownException", () => Console.log("This example needs nats-server: apt-get install nats-server")),
);

if (import.meta.main) runMain(Deno.args[0] === "worker" ? worker(Number(Deno.args[1])) : program);
