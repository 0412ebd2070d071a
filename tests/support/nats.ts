/**
 * A NATS server for a test, on a port of the loopback interface.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";

/** A running server. */
export interface NatsServer {
  readonly url: string;
  /** Kills the server. */
  readonly stop: Effect.Effect<void>;
  /** Starts a stopped server again, on the same port. */
  readonly start: Effect.Effect<void>;
}

/** A running server with JetStream. */
export interface DurableServer extends NatsServer {
  /**
   * Removes the content of a stream of a stopped server, and leaves the consumers of the stream: what version 2.10 may find when it was
   * killed while the stream was empty.
   */
  readonly forget: (stream: string) => void;
}

/** The version of `nats-server`; `undefined` if it cannot be run. Where tests must be complete, a missing one is an error. */
export const version: string | undefined = (() => {
  try {
    const { stdout } = new Deno.Command("nats-server", { args: ["--version"], stderr: "null" }).outputSync();
    return /v(\d+\.\d+\.\d+)/.exec(new TextDecoder().decode(stdout))?.[1];
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (Deno.env.get("MP_TEST_NATS") === "required") throw new Error("nats-server is missing; .ci/run installs it");
    console.warn("The tests of NatsBackend are left out: nats-server is missing (apt-get install nats-server)");
    return undefined;
  }
})();

/** Whether the program `nats-server` can be run. */
export const available: boolean = version !== undefined;

const freePort = (): number => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
};

/** Waits until the server accepts connections. */
const accepting = async (port: number, server: Deno.ChildProcess): Promise<void> => {
  let ended = false;
  server.status.then(() => ended = true);
  while (true) {
    // Another program may have taken the port.
    if (ended) throw new Error(`nats-server cannot be started at port ${port}`);
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
};

/** Starts a server with these further arguments, and stops it with the scope. */
export const natsServer = (args: ReadonlyArray<string> = []): Effect.Effect<NatsServer, never, Scope.Scope> =>
  Effect.suspend(() => {
    const port = freePort();
    let process: Deno.ChildProcess | undefined;
    const start = Effect.promise(async () => {
      process = new Deno.Command("nats-server", {
        args: ["-a", "127.0.0.1", "-p", `${port}`, ...args],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await accepting(port, process);
    });
    const stop = Effect.promise(async () => {
      process?.kill("SIGKILL");
      await process?.status;
      process = undefined;
    });
    return Effect.as(Effect.acquireRelease(start, () => stop), { url: `nats://127.0.0.1:${port}`, start, stop });
  });

/** Starts servers that form a cluster, and stops them with the scope. With a folder, they have JetStream. */
export const natsCluster = (
  count: number,
  folder?: string,
): Effect.Effect<ReadonlyArray<NatsServer>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const routes = Array.from({ length: count }, () => `nats://127.0.0.1:${freePort()}`);
    return Effect.forEach(
      routes,
      (route, index) =>
        natsServer([
          "--cluster_name=test",
          `--server_name=server-${index}`,
          `--cluster=${route}`,
          `--routes=${routes.join(",")}`,
          ...folder === undefined ? [] : ["-js", "-sd", `${folder}/${index}`],
        ]),
      { concurrency: "unbounded" },
    );
  });

/** An agent that runs as a program of its own. */
export interface AgentProgram {
  readonly pid: number;
  readonly kill: (signal: Deno.Signal) => void;
  /** Its log so far. */
  readonly log: () => string;
}

const agentModule = new URL("../../src/agent.ts", import.meta.url).href;

/** Starts an agent with these further arguments, waits until programs find it, and ends it with the scope. */
export const agentProgram = (
  url: string,
  args: ReadonlyArray<string> = [],
  flags: ReadonlyArray<string> = ["-A"],
  module: string = agentModule,
  env: Readonly<Record<string, string>> = {},
): Effect.Effect<AgentProgram, never, Scope.Scope> => {
  const start = Effect.promise(async () => {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", ...flags, module, `--servers=${url}`, ...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(process.stderr).text();
    let log = "";
    const ready = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
        log += text;
        if (/agent \w+ runs/.test(log)) ready.resolve();
      }
      ready.reject(new Error(`the agent has ended: ${log}${await errors}`));
    })();
    await ready.promise;
    const kill = (signal: Deno.Signal): void => {
      try {
        process.kill(signal);
      } catch (error) {
        // It has ended.
        if (!(error instanceof TypeError)) throw error;
      }
    };
    return { process, reading, agent: { pid: process.pid, kill, log: () => log } };
  });
  return Effect.map(
    Effect.acquireRelease(start, ({ agent, process, reading }) =>
      Effect.promise(async () => {
        agent.kill("SIGCONT");
        agent.kill("SIGTERM");
        await process.status;
        await reading;
      })),
    ({ agent }) => agent,
  );
};

/** Starts a server with JetStream and with these further arguments. Its streams outlive a {@link NatsServer.stop}. */
export const durableServerWith = (args: ReadonlyArray<string>): Effect.Effect<DurableServer, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => Deno.makeTempDirSync({ prefix: "mp-nats-" })),
      (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
    ),
    (folder) =>
      Effect.map(natsServer(["-js", "-sd", folder, ...args]), (server): DurableServer => ({
        ...server,
        forget: (stream) => Deno.removeSync(`${folder}/jetstream/$G/streams/${stream}/msgs`, { recursive: true }),
      })),
  );

/** Starts a server with JetStream, whose streams outlive a {@link NatsServer.stop}. */
export const durableServer: Effect.Effect<DurableServer, never, Scope.Scope> = durableServerWith([]);
