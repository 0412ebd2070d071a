/** Programs on agents of this machine, over a real server. */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pipe, Pool, Process, Queue } from "../../mod.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import { serve } from "../../src/agent.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { gone } from "../support/scripts.ts";
import { agentProgram, available, type NatsServer, natsServer } from "../support/nats.ts";
import { group, type Step, test } from "../support/suite.ts";
import * as Tasks from "./tasks.ts";

interface Setting {
  readonly server: NatsServer;
  /** An absolute path. */
  readonly folder: string;
}
const Setting = Context.GenericTag<Setting>("tests/nats/Setting");

const temporary = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync()),
  (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
);

/** A server, one agent with three places and a label, and a backend that uses it. */
const setup = Effect.gen(function* () {
  const server = yield* natsServer();
  const folder = yield* temporary;
  yield* agentProgram(server.url, ["--slots=3", "--labels=gpu,linux", `--folder=${folder}`]);
  const backend = yield* NatsBackend.make({ servers: server.url, labels: ["gpu"] });
  return Context.make(Setting, { server, folder }).pipe(Context.add(Backend.Backend, backend));
});

const spawnError = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Backend.SpawnError, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Backend.SpawnError);
    return error;
  });

/** Provides a backend with these options. */
const using = (options: Omit<NatsBackend.Options, "servers">) =>
<A, E, R>(
  program: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | NatsBackend.NatsError, Exclude<R, Backend.Backend> | Setting> =>
  Effect.flatMap(
    Setting,
    ({ server }) => Effect.provide(program, NatsBackend.layer({ servers: server.url, ...options })),
  );

const steps: ReadonlyArray<Step<Setting | Backend.Backend>> = [
  [
    "tasks run on the agent's machine, with their sources in the agent's folder, and so do their own children",
    Effect.gen(function* () {
      const { folder } = yield* Setting;
      assertEquals(yield* Process.run(Tasks.square, 7), 49);
      const { cwd, url } = yield* Process.run(Tasks.where);
      assertStringIncludes(url, `file://${folder}/trees/`);
      assertEquals(cwd, `${folder}/work`);
      assertEquals(yield* Process.run(Tasks.below, 5), 25);
    }),
  ],
  [
    "a pool has as many workers as the agents have places; its map, streams and statistics are those of any backend",
    Effect.gen(function* () {
      const items = Array.from({ length: 500 }, (_, i) => i);
      const pool = yield* Pool.make();
      assertEquals(pool.size, 3);
      assertEquals(yield* pool.map(Tasks.square, items), items.map((n) => n * n));
      assertEquals(Chunk.size(yield* Stream.runCollect(pool.stream(Tasks.count, 1000))), 1000);
      const [agent] = yield* NatsBackend.agents;
      assertEquals([agent.slots, agent.free, agent.labels], [3, 0, ["gpu", "linux"]]);
      const { message, reason } = yield* spawnError(using({ placeTimeout: "1 millis" })(Process.run(Tasks.square, 1)));
      assertEquals(reason, "Full");
      assertStringIncludes(message, "none of the 1 agents has a free place");
    }).pipe(Effect.scoped),
  ],
  [
    "queues and pipes of this program work there; an item that was put outlives the process that has put it",
    Effect.gen(function* () {
      const queue = yield* Queue.make<string>();
      const died = yield* Effect.flip(Process.run(Tasks.putAndExit, queue));
      assertInstanceOf(died, Backend.ProcessDied);
      assertEquals(died.status, { _tag: "Exited", code: 3 });
      assert(died.host !== undefined && died.message.includes(` on ${died.host})`), died.message);
      assertEquals(yield* queue.get, "put");
      const [here, there] = yield* Pipe.make<Uint8Array>();
      const child = yield* Process.spawnWith(Tasks.echo, [there], { daemon: true });
      for (const size of [1, 100_000, 3_000_000]) {
        const bytes = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
        const item = new Uint8Array(size);
        item.set(bytes);
        yield* here.send(item);
        assertEquals(yield* here.recv, item);
      }
      yield* child.terminate;
    }).pipe(Effect.scoped),
  ],
  [
    "an interruption runs the finalizers of the task, and a busy process can be killed",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number | "interrupted">();
      const running = yield* Effect.fork(Process.run(Tasks.hang, queue));
      const pid = yield* queue.get;
      yield* Fiber.interrupt(running);
      assertEquals(yield* queue.get, "interrupted");
      const busy = yield* Queue.make<number>();
      const child = yield* Process.spawn(Tasks.spin, busy);
      assertEquals(yield* busy.get, child.pid);
      yield* child.kill;
      assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGKILL" });
      yield* Effect.promise(() => gone([pid as number, child.pid]));
    }).pipe(Effect.scoped),
  ],
  [
    "the output of a process is a Stream here, and output that is not read holds up nothing else (full)",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.speak, 3000);
      yield* child.join;
      const text = yield* Stream.runFold(Stream.decodeText(child.stdout), "", (all, part) => all + part);
      assertEquals(text, Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(""));
      const errors = yield* Stream.runFold(Stream.decodeText(child.stderr), "", (all, part) => all + part);
      assertEquals(errors, "to stderr\n");
    }).pipe(Effect.scoped, using({ stdout: "pipe", stderr: "pipe" })),
  ],
  [
    "a process has the permissions and variables that the program names, and not the agent's environment",
    Effect.gen(function* () {
      assertEquals(yield* Process.run(Tasks.may).pipe(using({ permissions: { net: true } })), ["net"]);
      const seen = using({ env: { NAMED: "yes" } });
      assertEquals(yield* seen(Process.run(Tasks.variable, "NAMED")), "yes");
      assertEquals(yield* seen(Process.run(Tasks.variable, "PWD")), undefined);
    }),
  ],
  [
    "an agent without the labels of the backend is not used (full)",
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        assertEquals(yield* NatsBackend.agents, []);
        return yield* spawnError(Process.run(Tasks.square, 1));
      });
      const { message, reason } = yield* using({ labels: ["gpu", "windows"], placeTimeout: "1 millis" })(program);
      assertEquals(reason, "NoAgent");
      assertStringIncludes(message, "gpu, windows");
    }),
  ],
  [
    "the children of a backend end with its scope, and a pool that outlives the scope says so",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 }).pipe(using({}));
      yield* Effect.repeat(NatsBackend.agents, { until: ([agent]) => agent.free === 3 });
      const error = yield* Effect.flip(pool.apply(Tasks.square, 1));
      assert(error._tag === "PoolError" && error.reason === "Broken", String(error));
      assertStringIncludes(error.message, "the scope of its NatsBackend has closed");
    }).pipe(Effect.scoped),
  ],
  [
    "what an agent cannot read changes nothing (full)",
    Effect.gen(function* () {
      const { server: { url } } = yield* Setting;
      const { connect } = yield* Effect.promise(() => import("../../src/internal/nats/transport.ts"));
      const stranger = yield* Effect.acquireRelease(
        Effect.promise(() => connect({ servers: url })),
        (connection) => Effect.promise(() => connection.close()),
      );
      const [{ name }] = yield* NatsBackend.agents;
      const subjects = ["spawn", "kill", "bye", "d.0.x", "d.9.", "probe", "nothing"];
      for (const body of ["", "{", "null", "[]", "{}", `{"protocol":1,"caller":"a.>"}`, `{"protocol":"1"}`]) {
        for (const subject of subjects) stranger.publish(`mp.default.a.${name}.${subject}`, body);
      }
      for (const body of ["null", "{}", `{"protocol":1}`, `{"protocol":1,"caller":"a.>","session":"*"}`]) {
        const { data } = yield* Effect.promise(() =>
          stranger.request(`mp.default.a.${name}.spawn`, body, { timeout: 5000 })
        );
        assertEquals(JSON.parse(new TextDecoder().decode(data)).reason, "Incompatible");
      }
      assertEquals(yield* Process.run(Tasks.square, 3), 9);
    }).pipe(Effect.scoped),
  ],
  [
    "a start that is interrupted while it waits for a place, or while the agent starts it, leaves no process",
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(
        using({ space: "empty", placeTimeout: "1 hour" })(Process.run(Tasks.square, 1)),
      );
      yield* Effect.yieldNow();
      yield* Fiber.interrupt(waiting);
      for (let i = 0; i < 3; i++) {
        const starting = yield* Effect.fork(Process.run(Tasks.square, 1));
        yield* Effect.sleep(`${i} millis`);
        yield* Fiber.interrupt(starting);
      }
      yield* Effect.repeat(NatsBackend.agents, { until: ([agent]) => agent.free === 3 });
    }),
  ],
];

if (available) {
  group("NatsBackend", setup, steps);

  test(
    "an agent gives no more permissions than it has, and says on which machine; the others are cut (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const folder = yield* temporary;
      yield* agentProgram(url, [`--folder=${folder}`], ["-A", "--deny-run=/bin/true"]);
      const layer = NatsBackend.layer({ servers: url });
      const whole = yield* Process.run(Tasks.may).pipe(Effect.provide(layer));
      assertEquals(whole, ["read", "net"]);
      const asked = Process.spawnWith(Tasks.may, [], { permissions: { run: true } });
      const error = yield* spawnError(Effect.provide(asked, layer));
      assertEquals(error.reason, "PermissionExceeded");
      assertStringIncludes(error.message, `the agent on ${Deno.hostname()}`);
    }),
  );

  test(
    "an agent inside of a program counts its processes, and kills them when it is released, which their program learns (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const backend = yield* NatsBackend.make({ servers: url });
      const scope = yield* Scope.make();
      const agent = yield* Scope.extend(serve({ servers: url, slots: 2 }), scope);
      assertEquals(yield* agent.running, 0);
      const queue = yield* Queue.make<number>();
      const child = yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true }).pipe(
        Effect.provideService(Backend.Backend, backend),
      );
      assertEquals([yield* queue.get, yield* agent.running], [child.pid, 1]);
      yield* Scope.close(scope, Exit.void);
      assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGKILL" });
    }),
  );

  test(
    "a program and an agent end in good order although their server has just ended (full)",
    Effect.gen(function* () {
      const server = yield* natsServer();
      for (let round = 0; round < 3; round++) {
        const scope = yield* Scope.make();
        const agent = yield* Scope.extend(serve({ servers: server.url, slots: 1 }), scope);
        const backend = yield* Scope.extend(NatsBackend.make({ servers: server.url, lostAfter: "1500 millis" }), scope);
        const queue = yield* Queue.make<number>();
        if (round === 2) {
          yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true }).pipe(
            Effect.provideService(Backend.Backend, backend),
          );
          yield* queue.get;
        }
        yield* server.stop;
        // The connections learn of it before, or while, they are closed.
        if (round === 0) yield* Effect.sleep("20 millis");
        yield* Scope.close(scope, Exit.void);
        assertEquals(yield* agent.running, 0);
        yield* server.start;
      }
    }),
  );

  test(
    "a server that is not there, that refuses the password, or an invalid option is a NatsError",
    Effect.gen(function* () {
      const server = yield* natsServer(["--user", "me", "--pass", "secret"]);
      const make = (options: Partial<NatsBackend.Options>) =>
        Effect.scoped(NatsBackend.make({ servers: server.url, connectTimeout: "5 seconds", ...options }));
      yield* make({ auth: { user: "me", password: "secret" } });
      // The reset that follows a refusal is no error of its own, at whatever moment it comes.
      for (let round = 0; round < 25; round++) {
        const refused = yield* Effect.flip(make({ auth: { user: "me", password: "wrong" } }));
        assertEquals(refused.reason, "Refused");
      }
      yield* server.stop;
      const absent = yield* Effect.flip(make({ connectTimeout: "1 millis" }));
      assertEquals(absent.reason, "Unreachable");
      for (const options of [{ space: "a.b" }, { lease: -1 }, { servers: [] }, { auth: { user: "me" } as never }]) {
        assertEquals((yield* Effect.flip(make(options))).reason, "InvalidOption");
      }
      for (const options of [{ slots: 0 }, { keep: 0 }, { keep: Number.NaN }]) {
        assertEquals(
          (yield* Effect.flip(Effect.scoped(serve({ servers: server.url, ...options })))).reason,
          "InvalidOption",
        );
      }
      yield* server.start;
    }),
  );

  test(
    "a space without agents is NoAgent, and an agent of another version Incompatible",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const layer = NatsBackend.layer({ servers: url, placeTimeout: "1 millis" });
      const run = Effect.exit(Effect.provide(Process.run(Tasks.square, 1), layer));
      const [none] = yield* Effect.all([run]);
      assert(Exit.isFailure(none));
      assertEquals((yield* spawnError(none)).reason, "NoAgent");
      const { connect } = yield* Effect.promise(() => import("../../src/internal/nats/transport.ts"));
      const other = yield* Effect.acquireRelease(
        Effect.promise(() => connect({ servers: url })),
        (connection) => Effect.promise(() => connection.close()),
      );
      other.subscribe("mp.default.bid", {
        callback: (_, message) =>
          void message.respond(JSON.stringify({ protocol: 2, agent: "x", host: "h2", slots: 1, free: 1, labels: [] })),
      });
      yield* Effect.promise(() => other.flush());
      const error = yield* spawnError(Effect.flatten(run));
      assertEquals(error.reason, "Incompatible");
      assertStringIncludes(error.message, "the agent on h2 speaks version 2");
    }),
  );

  test(
    "the users and the TLS of the documentation let a program and an agent work together, and do no more (full)",
    Effect.gen(function* () {
      const folder = yield* temporary;
      const openssl = (...args: ReadonlyArray<string>): void => {
        const { code, stderr } = new Deno.Command("openssl", { args: [...args], cwd: folder }).outputSync();
        assertEquals(code, 0, new TextDecoder().decode(stderr));
      };
      openssl(
        ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"],
        ...["-subj", "/CN=test authority"],
      );
      for (const name of ["server", "client"]) {
        openssl(
          "req",
          "-newkey",
          "rsa:2048",
          "-nodes",
          "-keyout",
          `${name}.key`,
          "-out",
          `${name}.csr`,
          "-subj",
          "/CN=me",
        );
        Deno.writeTextFileSync(`${folder}/san`, "subjectAltName=DNS:localhost");
        openssl(
          ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
          ...["-out", `${name}.pem`, "-days", "2", "-extfile", "san"],
        );
      }
      const source = Deno.readTextFileSync(new URL("../../src/NatsBackend.ts", import.meta.url));
      const [, text] = /^ \* # nats-server.conf\n(.+?)^ \* ```$/ms.exec(source)!;
      const config = text.replaceAll(/^ \* /gm, "").replaceAll("mp.S.", "mp.team.")
        .replaceAll(/"(\w+\.(?:pem|key))"/g, `"${folder}/$1"`).replace("$PROGRAM", "one").replace("$AGENT", "two");
      Deno.writeTextFileSync(`${folder}/server.conf`, config);
      Deno.writeTextFileSync(`${folder}/agent.password`, "two\n");
      const server = yield* natsServer(["-c", `${folder}/server.conf`]);
      // Certificates are of names, not of addresses.
      const url = server.url.replace("127.0.0.1", "localhost");
      const tls = { ca: `${folder}/ca.pem`, cert: `${folder}/client.pem`, key: `${folder}/client.key` };
      yield* agentProgram(url, [
        ...["--space=team", "--user=agent", `--password-file=${folder}/agent.password`],
        ...[`--ca=${tls.ca}`, `--cert=${tls.cert}`, `--key=${tls.key}`],
      ]);
      const make = (options: Partial<NatsBackend.Options>) =>
        NatsBackend.layer({ servers: url, space: "team", tls, placeTimeout: "1 millis", ...options });
      const run = Process.run(Tasks.square, 3);
      const program = { user: "program", password: "one" };
      assertEquals(yield* run.pipe(Effect.provide(make({ auth: program }))), 9);
      const asAgent = yield* Effect.flip(run.pipe(Effect.provide(make({ auth: { user: "agent", password: "two" } }))));
      assert(asAgent._tag === "SpawnError" && asAgent.reason === "NoAgent", String(asAgent));
      for (const wrong of [false, true, { ca: tls.ca }, { ...tls, ca: `${folder}/server.pem` }]) {
        const refused = yield* Effect.flip(run.pipe(Effect.provide(make({ auth: program, tls: wrong }))));
        assert(refused._tag === "NatsError" && refused.reason === "Refused", String(refused));
      }
    }),
  );
}
