/** Two programs that share a manager and its key: `deno task example:manager_remote`. */
import { Manager, type Queue, runMain, SubprocessBackend } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** The second program. It has only the address and the key of the manager. */
const worker = (port: number, authKey: Uint8Array) =>
  Effect.gen(function* () {
    const manager = yield* Manager.connect({ address: { hostname: "127.0.0.1", port }, authKey });
    const jobs = yield* manager.find<Queue.Queue<number>>("jobs");
    const squares = yield* manager.find<Manager.Dict<number, number>>("squares");
    if (jobs === undefined || squares === undefined) return yield* Effect.fail(new Error("nothing is published"));
    yield* jobs.get.pipe(
      Effect.flatMap((n) => squares.set(n, n * n)),
      Effect.forever,
      Effect.catchTag("QueueClosed", () => Effect.void), // no more jobs
    );
  }).pipe(Effect.scoped);

const server = Effect.gen(function* () {
  const authKey = crypto.getRandomValues(new Uint8Array(32));
  const manager = yield* Manager.serve({ address: { hostname: "127.0.0.1", port: 0 }, authKey });
  const jobs = yield* manager.queue<number>();
  const squares = yield* manager.dict<number, number>();
  yield* manager.publish("jobs", jobs);
  yield* manager.publish("squares", squares);

  yield* jobs.putAll([1, 2, 3, 4, 5]);
  yield* jobs.close;
  if (!("port" in manager.address)) return;
  const { port } = manager.address;
  // The second program could also run on another machine. It receives the key in the environment, not on the command
  // line.
  const other = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, `${port}`],
    env: { AUTH_KEY: authKey.toHex() },
  });
  const { success } = yield* Effect.promise(() => other.output());
  yield* Console.log(`the other program ${success ? "is done" : "has failed"}`);
  yield* Console.log([...yield* squares.toMap].map(([n, square]) => `${n}: ${square}`).join(", "));
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) {
  const [port] = Deno.args;
  if (port === undefined) runMain(server);
  else runMain(worker(Number(port), Uint8Array.fromHex(Deno.env.get("AUTH_KEY")!)));
}
