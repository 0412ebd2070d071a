/**
 * The services of `@effect/rpc` between processes, over each connection from client to server.
 *
 * @module
 */
import * as RpcClient from "@effect/rpc/RpcClient";
import { RpcClientError } from "@effect/rpc/RpcClientError";
import type * as RpcGroup from "@effect/rpc/RpcGroup";
import * as RpcServer from "@effect/rpc/RpcServer";
import type { WorkerError } from "@effect/platform/WorkerError";
import * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Client, Listener, Pipe, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { ProcessDied } from "../../src/Backend.ts";
import { layer as workers } from "../../src/PlatformWorker.ts";
import { layerClient, layerProcess, layerServer } from "../../src/Rpc.ts";
import { TaskError } from "../../src/Task.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "../support/assert.ts";
import { logging } from "../support/logs.ts";
import { group, type Step, test, warmUp, when } from "../support/suite.ts";
import { add } from "../support/tasks.ts";
import * as Tasks from "./platform_tasks.ts";
import { casesOf, fullUnless, registerEach } from "../support/tier.ts";

const backends: ReadonlyArray<readonly [string, Layer.Layer<Backend.Backend>]> = [
  ["subprocess", SubprocessBackend.layer({ stdout: "null", stderr: "null" })],
  ["worker", WorkerBackend.layer()],
];

for (const [, backend] of casesOf(backends)) await warmUp(Effect.provide(Process.run(add, 1, 2), backend));

/** A connection from a client to a server in another process. */
type Way = Layer.Layer<RpcClient.Protocol, unknown, Backend.Backend>;

const ways: Readonly<Record<string, Way>> = {
  "a process": layerProcess(Tasks.users),
  "a pipe": Layer.unwrapScoped(Effect.gen(function* () {
    const [mine, theirs] = yield* Pipe.make<unknown>();
    yield* Process.spawnWith(Tasks.users, [theirs], { daemon: true });
    return layerClient(mine);
  })),
  "a listener": Layer.unwrapScoped(Effect.gen(function* () {
    const address = yield* Queue.make<Listener.Address>();
    yield* Process.spawnWith(Tasks.listening, [address], { daemon: true });
    return layerClient(yield* Client.connect<unknown>({ address: yield* address.get }));
  })),
  "the worker protocol": RpcClient.layerProtocolWorker({ size: 1, concurrency: 8 }).pipe(
    Layer.provide(workers(() => Tasks.usersAsWorker)),
  ),
};

type Users = RpcClient.RpcClient<RpcGroup.Rpcs<typeof Tasks.Users>, RpcClientError>;

const client: Effect.Effect<Users, never, RpcClient.Protocol | Scope.Scope> = RpcClient.make(Tasks.Users);

/** The client of a server that several tests share. */
const Connected = Context.GenericTag<Users>("tests/Users");

/** The tests that leave their server as it was. */
const steps: Array<Step<Users | Scope.Scope>> = [];

const check = <E>(name: string, program: (users: Users) => Effect.Effect<unknown, E, Scope.Scope>): void => {
  steps.push([name, Effect.flatMap(Connected, program)]);
};

check("results and errors by Schema", (users) =>
  Effect.gen(function* () {
    assertEquals(yield* users.sqrt({ of: 16 }), 4);
    assertEquals(yield* users.tomorrow({ day: new Date(0) }), new Date(86_400_000));
    const error = yield* Effect.flip(users.sqrt({ of: -1 }));
    assertInstanceOf(error, Tasks.Negative);
    assertEquals(error.n, -1);
    const many = yield* Effect.forEach([1, 4, 9, 16], (of) => users.sqrt({ of }), { concurrency: "unbounded" });
    assertEquals(many, [1, 2, 3, 4]);
  }));

check("streams of elements, and of an error", (users) =>
  Effect.gen(function* () {
    assertEquals(yield* Stream.runSum(users.count({ to: 5000 })), 12_502_500);
    assertInstanceOf(yield* Effect.flip(Stream.runDrain(users.count({ to: -1 }))), Tasks.Negative);
    assertEquals([...yield* Stream.runCollect(Stream.take(users.count({ to: 1e9 }), 2))], [1, 2]);
  }));

check(
  "a stream that is not read, or not read to its end, holds up no other request",
  (users) =>
    Effect.gen(function* () {
      const next = yield* Stream.toPull(users.count({ to: 1e9 }));
      yield* next;
      assertEquals(yield* users.sqrt({ of: 9 }), 3);
    }),
);

check("a timeout interrupts in the server", (users) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(users.wait());
    yield* when(users.waiting(), (count) => count === 1);
    yield* Fiber.interrupt(fiber);
    yield* when(users.waiting(), (count) => count === 0);
    const late = yield* Effect.flip(Effect.timeout(users.wait(), "50 millis"));
    assertEquals(late._tag, "TimeoutException");
    yield* when(users.waiting(), (count) => count === 0);
    assertEquals(yield* users.sqrt({ of: 9 }), 3);
  }));

check(
  "a defect, and a result that cannot be sent, are defects of their request alone",
  (users) =>
    Effect.gen(function* () {
      for (const [run, text] of [[users.end({ how: "die" }), /a defect/], [users.strange(), /function/]] as const) {
        const exit = yield* Effect.exit(run as Effect.Effect<unknown, unknown>);
        assert(Exit.isFailure(exit) && Cause.isDie(exit.cause));
        assertMatch(Cause.pretty(exit.cause), text);
      }
      assertEquals(yield* users.sqrt({ of: 9 }), 3);
    }),
);

/** A server that dies fails each request. */
const dying = (users: Users, way: string) =>
  Effect.gen(function* () {
    const other = yield* Effect.fork(Effect.flip(users.wait()));
    yield* when(users.waiting(), (count) => count === 1);
    const errors = [yield* Effect.flip(users.end({ how: "exit" })), yield* Fiber.join(other)];
    for (const error of errors) {
      assertInstanceOf(error, RpcClientError);
      const { cause } = error as { readonly cause?: unknown };
      if (way === "a process") assertInstanceOf(cause, ProcessDied);
      // The pool of workers reports the death as the cause of a WorkerError.
      if (way === "the worker protocol") assertInstanceOf((cause as WorkerError).cause, ProcessDied);
    }
    if (way === "the worker protocol") assertEquals(yield* users.sqrt({ of: 9 }), 3); // by the next worker
    else assertInstanceOf(yield* Effect.flip(users.sqrt({ of: 9 })), RpcClientError);
  });

registerEach(backends, ([backend, services]) => {
  for (const [way, layer] of Object.entries(ways)) {
    const provided = Layer.provide(layer, services);
    group(
      `rpc (${way}, ${backend})${fullUnless(way !== "a pipe")}`,
      Effect.map(
        Effect.flatMap(Layer.build(provided), (context) => Effect.provide(client, context)),
        (users) => Context.make(Connected, users),
      ),
      steps,
    );
    test(
      `rpc (${way}, ${backend}): a server that dies is an RpcClientError of each request${
        fullUnless(way === "a process")
      }`,
      Effect.flatMap(client, (users) => dying(users, way)).pipe(Effect.scoped, Effect.provide(provided)),
    );
  }

  test(
    `rpc (a process, ${backend}): one that cannot serve is an RpcClientError that says why`,
    Effect.gen(function* () {
      for (
        const [server, check] of [
          [Tasks.brokenUsers, (cause: unknown) => (cause as Tasks.Negative)._tag === "Negative"],
          [Tasks.missingUsers, (cause: unknown) => cause instanceof TaskError],
        ] as const
      ) {
        const error = yield* client.pipe(
          Effect.flatMap((users) => Effect.flip(users.sqrt({ of: 1 }))),
          Effect.scoped,
          Effect.provide(layerProcess(server)),
        );
        assertInstanceOf(error, RpcClientError);
        assert(check((error as { readonly cause?: unknown }).cause), String(error));
      }
    }).pipe(Effect.provide(services)),
  );

  test(
    `rpc (a process, ${backend}): it has ended with its layer, and what it did was interrupted (full)`,
    Effect.gen(function* () {
      const news = yield* Queue.make<string>();
      yield* Effect.gen(function* () {
        const users = yield* client;
        yield* Effect.forkScoped(users.tell({ news }));
        assertEquals(yield* news.get, "begun");
      }).pipe(Effect.scoped, Effect.provide(layerProcess(Tasks.users)));
      assertEquals(yield* news.get, "interrupted");
      assertEquals((yield* Process.activeChildren).length, 0);
    }).pipe(Effect.provide(services)),
  );
});

test(
  "rpc: a server of a pipe ends when the other end does",
  Effect.gen(function* () {
    const [mine, theirs] = yield* Pipe.make<unknown>();
    const process = yield* Process.spawn(Tasks.users, theirs);
    const answer = Effect.flatMap(client, (users) => users.sqrt({ of: 4 }));
    assertEquals(yield* Effect.provide(Effect.scoped(answer), layerClient(mine)), 2);
    yield* mine.close;
    assertEquals((yield* process.exit)._tag, "Success");
  }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())),
);

/** Serves a listener in this process. */
const serving = Effect.gen(function* () {
  const listener = yield* Listener.make<unknown>();
  yield* Layer.build(
    RpcServer.layer(Tasks.Users).pipe(
      Layer.provide(Tasks.handlers),
      Layer.provide(layerServer(listener)),
    ),
  );
  return listener;
});

const connected = (listener: Listener.Listener<unknown>) => Client.connect<unknown>({ address: listener.address });

test(
  "rpc: a listener serves many clients; the end of one interrupts its requests, and harms no other",
  Effect.gen(function* () {
    const listener = yield* serving;
    const [first, second] = [yield* connected(listener), yield* connected(listener)];
    const waiting = Effect.flatMap(client, (users) => users.wait()).pipe(
      Effect.scoped,
      Effect.provide(layerClient(first)),
    );
    const fiber = yield* Effect.fork(Effect.flip(waiting));
    yield* when(Tasks.waiting, (count) => count === 1);
    yield* first.close;
    yield* when(Tasks.waiting, (count) => count === 0);
    assertInstanceOf(yield* Fiber.join(fiber), RpcClientError);
    yield* Effect.gen(function* () {
      assertEquals(yield* (yield* client).sqrt({ of: 25 }), 5);
    }).pipe(Effect.scoped, Effect.provide(layerClient(second)));
  }),
);

test(
  "rpc: a client that sends what is no message loses its connection, with a warning; the others go on",
  logging((lines) =>
    Effect.gen(function* () {
      const listener = yield* serving;
      const good = yield* connected(listener);
      for (const message of [null, 1, "Request", {}, { _tag: 1 }, { _tag: "Interrupt", requestId: "no number" }]) {
        const bad = yield* connected(listener);
        yield* bad.send(message);
        assertEquals((yield* Effect.flip(bad.recv))._tag, "EndOfFile");
      }
      assertEquals(lines.length, 6);
      for (const line of lines) assertMatch(line, /^WARN The connection of a client of @effect\/rpc was closed: /);
      // The server answers known messages with invalid contents.
      yield* good.send({ _tag: "Request", id: "1", tag: "no such", payload: 1, headers: [] });
      assertEquals((yield* good.recv as Effect.Effect<{ readonly _tag: string }, unknown>)._tag, "Defect");
      yield* Effect.gen(function* () {
        assertEquals(yield* (yield* client).sqrt({ of: 25 }), 5);
      }).pipe(Effect.scoped, Effect.provide(layerClient(good)));
    })
  ),
);

test(
  "rpc: a request that cannot be sent is an RpcClientError, and the client goes on",
  Effect.gen(function* () {
    const users = yield* client;
    const error = yield* Effect.flip(users.echo({ value: () => 1 }));
    assertInstanceOf(error, RpcClientError);
    assertEquals(((error as { readonly cause?: unknown }).cause as { readonly _tag: string })._tag, "EncodeError");
    assertEquals(yield* users.sqrt({ of: 9 }), 3);
  }).pipe(Effect.scoped, Effect.provide(layerProcess(Tasks.users)), Effect.provide(WorkerBackend.layer())),
);

test(
  "rpc: what is no connection is a TypeError",
  Effect.sync(() => {
    assertThrows(() => layerClient(1 as never), TypeError, "Invalid argument of Rpc.layerClient: connection must be");
    assertThrows(
      () => layerServer({} as never),
      TypeError,
      "must be a connection, a listener or a Stream of connections",
    );
  }),
);
