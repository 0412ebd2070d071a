/**
 * The guarantees of listeners and clients, on each kind of address.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Logger from "effect/Logger";
import * as Option from "effect/Option";
import * as Schema from "effect/Schema";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Client, Listener, Pipe, Process, Queue, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import { hosting } from "../../src/internal/rpc/router.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertNotEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import { noLeaks } from "../support/leaks.ts";
import * as Tasks from "./listener_tasks.ts";
import { script } from "../support/scripts.ts";
import { everywhere } from "../support/steps.ts";
import { test, warmUp, when } from "../support/suite.ts";
import { add } from "../support/tasks.ts";
import { registerEach, testFunction } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();
const linux = Deno.build.os === "linux";

await warmUp(Effect.provide(Process.run(add, 1, 2), subprocess));
await warmUp(Effect.provide(Process.run(add, 1, 2), worker));

const key = crypto.getRandomValues(new Uint8Array(32));
const local = { hostname: "127.0.0.1", port: 0 } as const;

// deno-lint-ignore no-explicit-any
type Any = Listener.Connection<any>;

/** A folder that the test removes at its end. */
const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync()),
  (path) => Effect.sync(() => Deno.removeSync(path, { recursive: true })),
);

/** A self-signed certificate for this machine. */
const certificate = await (async (): Promise<Listener.Certificate | undefined> => {
  const path = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
        ...["-keyout", `${path}/key.pem`, "-out", `${path}/cert.pem`, "-subj", "/CN=localhost"],
        ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    return success
      ? { cert: await Deno.readTextFile(`${path}/cert.pem`), key: await Deno.readTextFile(`${path}/key.pem`) }
      : undefined;
  } catch {
    return undefined;
  } finally {
    await Deno.remove(path, { recursive: true });
  }
})();

interface Family {
  readonly name: string;
  readonly address: Effect.Effect<Listener.Address | undefined, never, Scope.Scope>;
  readonly tls?: Listener.Certificate;
}

let names = 0;
const families: ReadonlyArray<Family> = [
  { name: "TCP", address: Effect.succeed(local) },
  { name: "a Unix socket", address: Effect.map(folder, (path) => ({ path: `${path}/socket` })) },
  { name: "a socket of its own choice", address: Effect.succeed(undefined) },
  ...(linux
    ? [{ name: "an abstract name", address: Effect.sync(() => ({ path: `\0listener-test-${Deno.pid}-${++names}` })) }]
    : []),
  ...(certificate === undefined ? [] : [{ name: "TLS", address: Effect.succeed(local), tls: certificate }]),
];

const make = (
  { address, tls }: Family,
  options: Listener.Options = {},
): Effect.Effect<Listener.Listener<unknown>, Listener.ListenError, Scope.Scope> =>
  Effect.flatMap(address, (address) => Listener.make<unknown>({ address, tls, authKey: key, ...options }));

const connect = (
  listener: Listener.Listener<unknown>,
  { tls }: Family = families[0],
  options: Partial<Client.Options> = {},
) =>
  Client.connect<unknown>({
    address: listener.address,
    authKey: key,
    tls: tls && { caCerts: [tls.cert] },
    ...options,
  });

/** Both ends of a connection. */
const both = (
  family: Family,
  options: Listener.Options = {},
  theirs: Partial<Client.Options> = {},
): Effect.Effect<readonly [Any, Any, Listener.Listener<unknown>], unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* make(family, options);
    const client = yield* connect(listener, family, theirs);
    return [client, yield* listener.accept, listener] as const;
  });

const promise = (title: string, program: (family: Family) => Effect.Effect<unknown, unknown, Scope.Scope>): void => {
  registerEach(
    families,
    (family) => test(`Listener over ${family.name}: ${title}`, program(family)),
    ["values and bytes in both directions", "another key"].filter((part) => title.startsWith(part)),
  );
};

/** The tag of a failure, and its reason if it has one. */
const failure = <A, R>(program: Effect.Effect<A, unknown, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    const { _tag, reason } = error as { readonly _tag: string; readonly reason?: string };
    return reason === undefined || _tag === "EncodeError" || _tag === "DecodeError" ? _tag : `${_tag} ${reason}`;
  });

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** A socket without the protocol. */
const raw = (address: Listener.Address): Effect.Effect<Deno.Conn, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise((): Promise<Deno.Conn> =>
      "path" in address
        ? Deno.connect({ transport: "unix", path: address.path })
        : Deno.connect({ hostname: address.hostname, port: address.port })
    ),
    (socket) =>
      Effect.sync(() => {
        try {
          socket.close();
        } catch {
          // The test has closed the socket.
        }
      }),
  );

const write = (socket: Deno.Conn, bytes: Uint8Array): Effect.Effect<unknown> =>
  Effect.promise(() => socket.write(bytes).catch(() => 0));

/** Reads until the other side closes. */
const readAll = (socket: Deno.Conn): Effect.Effect<Uint8Array> =>
  Effect.promise(async () => {
    const chunks: Array<number> = [];
    const buffer = new Uint8Array(4096);
    try {
      for (let n = await socket.read(buffer); n !== null; n = await socket.read(buffer)) {
        chunks.push(...buffer.subarray(0, n));
      }
    } catch {
      // The connection was reset.
    }
    return new Uint8Array(chunks);
  });

// Connections

promise("values and bytes in both directions, whole and in their order", (family) =>
  Effect.gen(function* () {
    const [client, server] = yield* both(family);
    assert(client.readable && client.writable && server.readable && server.writable);
    for (const value of [1, "two", { three: [3, new Map([[1, new Date(0)]])] }, undefined, null, 10n ** 30n]) {
      yield* client.send(value);
      yield* server.send([value]);
    }
    for (const value of [1, "two", { three: [3, new Map([[1, new Date(0)]])] }, undefined, null, 10n ** 30n]) {
      assertEquals(yield* server.recv, value);
      assertEquals(yield* client.recv, [value]);
    }
    for (const size of [0, 1, 1000, 65_536, 300_000, 3_000_000]) {
      const bytes = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
      const message = new Uint8Array(size).map((_, i) => bytes[i % bytes.length]);
      const sending = yield* Effect.fork(client.sendBytes(message));
      assertEquals(yield* server.recvBytes(), message);
      yield* Fiber.join(sending);
    }
    assertEquals(yield* server.poll(), false);
  }));

promise(
  "what a client has sent before it is accepted is there to be received, also if it has gone since",
  (family) =>
    Effect.gen(function* () {
      const listener = yield* make(family);
      yield* Effect.scoped(Effect.gen(function* () {
        const client = yield* connect(listener, family);
        yield* client.send("early");
        yield* client.sendBytes(new Uint8Array(1_000_000).fill(7));
      }));
      const server = yield* listener.accept;
      assertEquals(yield* server.recv, "early");
      assertEquals((yield* server.recvBytes()).length, 1_000_000);
      assertEquals(yield* failure(server.recv), "EndOfFile");
      assertEquals(yield* failure(server.send(1)), "BrokenPipe");
    }),
);

promise(
  "when either side closes, the other receives what was sent, then EndOfFile, each time",
  (family) =>
    Effect.gen(function* () {
      for (const closing of [0, 1] as const) {
        const ends = yield* both(family);
        const [one, other] = [ends[closing], ends[1 - closing] as Any];
        yield* other.send("never received");
        yield* Effect.forEach(numbers(10), one.send);
        yield* one.close;
        assertEquals(one.closed, true);
        assertEquals(yield* failure(one.send(1)), "PipeError Closed");
        assertEquals(Array.from(yield* Stream.runCollect(other.toStream)), numbers(10));
        const end = yield* Effect.flip(other.recv as Effect.Effect<unknown, Error>);
        assertEquals([end.name, end.cause], ["EndOfFile", undefined]);
        assertEquals(yield* failure(other.recv), "EndOfFile");
        assertEquals(yield* failure(other.send(1)), "BrokenPipe");
      }
    }),
);

promise(
  "clients are told apart by their addresses, and accepted in the order of their proofs",
  (family) =>
    Effect.gen(function* () {
      const listener = yield* make(family);
      assertEquals(yield* listener.lastAccepted, Option.none());
      const clients = yield* Effect.forEach(
        numbers(5),
        (n) => Effect.tap(connect(listener, family), (client) => client.send(n)),
      );
      for (const n of numbers(5)) {
        const server = yield* listener.accept;
        assertEquals(yield* server.recv, n);
        assertEquals(yield* listener.lastAccepted, Option.some(server.peer));
        if ("hostname" in server.peer) assertNotEquals(server.peer.port, 0);
        else assertEquals(server.peer, listener.address);
        assertEquals(clients[n].peer, listener.address);
      }
    }),
);

promise(
  "another key, a key on one side only: an error on both sides at once, and the listener goes on",
  (family) =>
    Effect.gen(function* () {
      const listener = yield* make(family);
      const connecting = (authKey: Listener.AuthKey) => failure(Effect.scoped(connect(listener, family, { authKey })));
      assertEquals(yield* connecting(new Uint8Array([1])), "AuthenticationError WrongKey");
      assertEquals(yield* connecting(key.slice(0, 31)), "AuthenticationError WrongKey");
      assertEquals(yield* connecting(false), "AuthenticationError KeyMissing");
      assertEquals(yield* connecting(new Uint8Array(0)), "ConnectError InvalidOption");
      assertEquals(yield* connecting("text" as never), "ConnectError InvalidOption");
      assertEquals(yield* connecting(32 as never), "ConnectError InvalidOption");
      assertEquals((yield* when(listener.statistics, ({ failed }) => failed === 3)).authenticated, 0);
      const open = yield* make(family, { authKey: false });
      assertEquals(yield* failure(connect(open, family)), "AuthenticationError KeyMissing");
      const client = yield* connect(open, family, { authKey: false });
      yield* client.send("without");
      assertEquals(yield* Effect.flatMap(open.accept, ({ recv }) => recv), "without");
      const after = yield* connect(listener, family);
      yield* after.send("with");
      assertEquals(yield* Effect.flatMap(listener.accept, ({ recv }) => recv), "with");
    }),
);

promise(
  "the same address is free at once after the listener's scope, or its close",
  (family) =>
    Effect.gen(function* () {
      const wanted = yield* family.address;
      const { address } = yield* Effect.scoped(Effect.gen(function* () {
        const [client, server, listener] = yield* both({ ...family, address: Effect.succeed(wanted) });
        yield* client.send(1);
        yield* server.recv;
        return listener;
      }));
      const again = yield* Listener.make<unknown>({ address, authKey: key, tls: family.tls });
      assertEquals(again.address, address);
      const client = yield* connect(again, family);
      yield* again.accept;
      assertEquals(yield* failure(Listener.make({ address, authKey: key })), "ListenError AddressInUse");
      yield* again.close;
      yield* again.close;
      assertEquals(yield* failure(again.accept), "ListenerClosed");
      assertEquals(yield* failure(connect(again, family)), "ConnectError Refused");
      assertEquals((yield* again.statistics).state, "closed");
      const third = yield* Listener.make<unknown>({ address, authKey: key, tls: family.tls });
      yield* connect(third, family);
      // The accepted connection is not affected.
      assertEquals(yield* client.poll(), false);
    }).pipe((program) =>
      // The listener removes the folder that it made.
      family.name === "a socket of its own choice" ? Effect.void : program
    ),
);

promise(
  "nothing is left of connections, accepted or not, when the scopes have closed",
  (family) =>
    Effect.gen(function* () {
      const before = hosting();
      for (let i = 0; i < 5; i++) {
        yield* Effect.scoped(Effect.gen(function* () {
          const listener = yield* make(family);
          const clients = yield* Effect.forEach(numbers(4), () => connect(listener, family));
          const server = yield* listener.accept;
          yield* clients[0].send("unread");
          yield* server.sendBytes(new Uint8Array(100_000));
        }));
      }
      assertEquals(hosting(), before);
    }),
);

// Values

test(
  "Listener: handles of the family cannot be sent to another program: that is an EncodeError, with nothing sent",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[0]);
    const queue = yield* Queue.make<number>();
    const [end] = yield* Pipe.make<number>();
    for (const handle of [queue, end, server]) {
      const error = yield* Effect.flip(client.send({ in: [handle] }));
      assertInstanceOf(error, Error);
      assertStringIncludes(error.message, "cannot be sent to another program");
      assertStringIncludes(error.message, "value.in[0]");
    }
    assertEquals(end.closed, false);
    assertEquals(yield* failure(client.send(() => {})), "EncodeError");
    yield* client.send("still");
    assertEquals(yield* server.recv, "still");
  }),
);

test(
  "Listener: a connection can be sent to a process of the family, with all that was not received",
  Effect.gen(function* () {
    for (const backend of [subprocess, worker]) {
      const [client, server] = yield* both(families[0]);
      yield* client.send("before");
      const child = yield* Effect.provide(Process.spawn(Tasks.answer, server), backend);
      assertEquals(yield* failure(server.recv), "PipeError Moved");
      const [value, pid] = (yield* client.recv) as [string, number];
      assertEquals([value, pid === Deno.pid], ["before", backend === worker]);
      yield* child.join;
      assertEquals(yield* failure(client.recv), "EndOfFile");
    }
  }),
);

test(
  "Listener: a connection that was sent keeps its limits, and lets no handle out (full)",
  Effect.gen(function* () {
    const [, server] = yield* both(families[0], {}, { maxMessageSize: 1000 });
    const queue = yield* Queue.make<number>();
    assertStringIncludes(
      yield* Effect.provide(Process.run(Tasks.sendHandle, server, queue), subprocess),
      "cannot be sent to another program",
    );
    const [, other] = yield* both(families[0], {}, { maxMessageSize: 1000 });
    assertEquals(yield* Effect.provide(Process.run(Tasks.sendTooMuch, other, 1001), subprocess), "MessageTooLarge");
  }),
);

test(
  "Listener: a message larger than the other side takes fails for its sender, with nothing sent",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[0], { maxMessageSize: 5000 }, { maxMessageSize: 700_000 });
    const error = yield* Effect.flip(client.sendBytes(new Uint8Array(5001)));
    assertInstanceOf(error, Error);
    assertEquals([error.name, error.message.includes("maxMessageSize of the other side")], ["MessageTooLarge", true]);
    yield* client.sendBytes(new Uint8Array(5000));
    assertEquals((yield* server.recvBytes()).length, 5000);
    yield* server.sendBytes(new Uint8Array(700_000));
    assertEquals((yield* client.recvBytes()).length, 700_000);
    assertEquals(yield* failure(server.send("x".repeat(700_001))), "MessageTooLarge");
  }),
);

test(
  "Listener: a sender of more than the other side has room for waits, and an interruption has then sent nothing",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[0], { maxBytes: 10_000 });
    yield* client.sendBytes(new Uint8Array(9_000));
    const fiber = yield* Effect.fork(client.sendBytes(new Uint8Array(9_001)));
    yield* when(client.statistics, ({ senders }) => senders === 1);
    yield* Fiber.interrupt(fiber);
    const waiting = yield* Effect.fork(client.sendBytes(new Uint8Array(9_002)));
    yield* when(client.statistics, ({ senders }) => senders === 1);
    assertEquals((yield* server.recvBytes()).length, 9_000);
    assertEquals((yield* server.recvBytes()).length, 9_002);
    yield* Fiber.join(waiting);
    yield* when(client.statistics, ({ pendingBytes }) => pendingBytes === 0);
    // A message that is larger than the room is sent when nothing else is unread.
    yield* client.sendBytes(new Uint8Array(50_000));
    assertEquals((yield* server.recvBytes()).length, 50_000);
  }),
);

test(
  "Listener: a buffer that is too short, a message that is too long or of the other kind stays the next",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[0]);
    yield* client.sendBytes(utf8("hello"));
    assertEquals(yield* failure(server.recvBytesInto(new Uint8Array(4))), "PipeError BufferTooShort");
    assertEquals(yield* failure(server.recvBytes(4)), "PipeError MessageTooLong");
    assertEquals(yield* failure(server.recv), "PipeError WrongKind");
    const buffer = new Uint8Array(8);
    assertEquals(yield* server.recvBytesInto(buffer, 2), 5);
    assertEquals(buffer, new Uint8Array([0, 0, ...utf8("hello"), 0]));
  }),
);

test(
  "Listener: many fibers on one end never mix their messages",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[1]);
    const senders = yield* Effect.forEach(
      numbers(8),
      (sender) =>
        Effect.fork(
          Effect.forEach(numbers(50), (n) => client.send({ sender, n, rest: "x".repeat(n % 7 === 0 ? 300_000 : n) })),
        ),
    );
    const receivers = yield* Effect.forEach(
      numbers(4),
      () =>
        Effect.fork(
          Effect.replicateEffect(server.recv as Effect.Effect<{ sender: number; n: number; rest: string }>, 100),
        ),
    );
    const all = (yield* Effect.forEach(receivers, Fiber.join)).flat();
    yield* Effect.forEach(senders, Fiber.join);
    assertEquals(all.length, 400);
    assertEquals(new Set(all.map(({ n, sender }) => `${sender} ${n}`)).size, 400);
    assert(all.every(({ n, rest }) => rest.length === (n % 7 === 0 ? 300_000 : n)));
  }),
);

test(
  "Listener: Schemas check what is sent and received",
  Effect.gen(function* () {
    const [client, server] = yield* both(families[0]);
    const typed = Pipe.schema(Schema.DateFromString, Schema.NumberFromString)(client);
    yield* typed.send(42);
    assertEquals(yield* server.recv, "42");
    yield* server.send("1970-01-01T00:00:00.000Z");
    assertEquals(yield* typed.recv, new Date(0));
    yield* server.send(1);
    assertEquals(yield* failure(typed.recv), "DecodeError");
  }),
);

test(
  "Listener: wait tells when somebody has connected, when there is a message, and when a listener was closed",
  Effect.gen(function* () {
    const listener = yield* make(families[1]);
    const other = yield* make(families[0]);
    const queue = yield* Queue.make<number>();
    const things = [queue, listener, other];
    assertEquals(yield* wait(things, { timeout: 0 }), []);
    const waiting = yield* Effect.fork(wait(things));
    const client = yield* connect(listener);
    assertEquals(yield* Fiber.join(waiting), [listener]);
    const server = yield* listener.accept;
    assertEquals(yield* wait([listener, server], { timeout: 0 }), []);
    yield* client.send(1);
    assertEquals(yield* wait([listener, server]), [server]);
    yield* other.close;
    assertEquals(yield* wait(things), [other]);
  }),
);

// Accepting

test(
  "Listener: serve has each connection handled on its own, closes it, and logs a handler that fails",
  Effect.gen(function* () {
    const listener = yield* make(families[1]);
    const lines: Array<string> = [];
    const logger = Logger.make(({ message }) => void lines.push(String(message)));
    const serving = yield* Effect.fork(Effect.provide(
      listener.serve(({ recv, send }) =>
        Effect.flatMap(recv, (n) => Effect.zipRight(n === 1 ? Effect.fail("one") : Effect.void, send(n)))
      ),
      Logger.add(logger),
    ));
    const silent = yield* connect(listener);
    for (const n of [1, 2, 3]) {
      const { recv, send } = yield* connect(listener);
      yield* send(n);
      if (n === 1) assertEquals(yield* failure(recv), "EndOfFile");
      else assertEquals([yield* recv, yield* failure(recv)], [n, "EndOfFile"]);
    }
    assertEquals(lines.length, 1);
    assertStringIncludes(lines[0], "has failed");
    yield* silent.close;
    yield* listener.close;
    yield* Fiber.join(serving);
  }),
);

test(
  "Listener: serve that is interrupted interrupts its handlers, waits for them, and closes their connections",
  Effect.gen(function* () {
    const listener = yield* make(families[1]);
    let ended = 0;
    const serving = yield* Effect.fork(listener.serve(({ send }) =>
      Effect.zipRight(send("here"), Effect.never).pipe(
        Effect.onInterrupt(() => Effect.zipRight(Effect.sleep("1 millis"), Effect.sync(() => ended++))),
      )
    ));
    const clients = yield* Effect.forEach(numbers(3), () => connect(listener));
    yield* Effect.forEach(clients, ({ recv }) => recv);
    yield* Fiber.interrupt(serving);
    assertEquals(ended, 3);
    for (const { recv } of clients) assertEquals(yield* failure(recv), "EndOfFile");
  }),
);

test(
  "Listener: connections is a Stream of them, which ends with the listener",
  Effect.gen(function* () {
    const listener = yield* make(families[0]);
    const reading = yield* Effect.fork(
      listener.connections.pipe(Stream.mapEffect(({ recv }) => recv), Stream.take(3), Stream.runCollect),
    );
    const clients = yield* Effect.forEach(numbers(3), (n) => Effect.tap(connect(listener), ({ send }) => send(n)));
    assertEquals(Array.from(yield* Fiber.join(reading)), [0, 1, 2]);
    const rest = yield* Effect.fork(Stream.runCount(listener.connections));
    yield* connect(listener);
    yield* when(listener.statistics, ({ waiting }) => waiting === 0);
    yield* listener.close;
    assertEquals(yield* Fiber.join(rest), 1);
    assertEquals(clients.length, 3);
  }),
);

test(
  "Listener: several that accept at once take turns; one that is interrupted has accepted nobody",
  Effect.gen(function* () {
    const listener = yield* make(families[0]);
    const first = yield* Effect.fork(listener.accept);
    const second = yield* Effect.fork(listener.accept);
    const third = yield* Effect.fork(listener.accept);
    yield* Effect.yieldNow();
    yield* Fiber.interrupt(second);
    for (const n of [1, 2]) yield* Effect.flatMap(connect(listener), ({ send }) => send(n));
    assertEquals(yield* Effect.flatMap(Fiber.join(first), ({ recv }) => recv), 1);
    assertEquals(yield* Effect.flatMap(Fiber.join(third), ({ recv }) => recv), 2);
    const last = yield* Effect.fork(failure(listener.accept));
    yield* Effect.yieldNow();
    yield* listener.close;
    assertEquals(yield* Fiber.join(last), "ListenerClosed");
  }),
);

// Strangers

promise(
  "a client that is silent, speaks something else or breaks off concerns nobody else, and is never accepted",
  (family) =>
    Effect.gen(function* () {
      const listener = yield* make(family, { handshakeTimeout: "2 seconds" });
      const silent = yield* Effect.forEach(numbers(10), () => raw(listener.address));
      const slow = yield* raw(listener.address);
      yield* write(slow, new Uint8Array([0xed]));
      const http = yield* raw(listener.address);
      yield* write(http, utf8("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      const broken = yield* raw(listener.address);
      yield* write(broken, new Uint8Array([0xed, 0x6d, 0x70]));
      broken.close();
      // These connections send nothing more; the listener serves others meanwhile.
      const client = yield* connect(listener, family);
      yield* client.send("hello");
      assertEquals(yield* Effect.flatMap(listener.accept, ({ recv }) => recv), "hello");
      // The listener closes each of them in time. If a client never finishes the TLS handshake itself, Deno keeps the
      // socket until the client closes it.
      yield* Effect.forEach(family.tls === undefined ? [http, slow, ...silent] : [http], readAll);
      const { authenticated, waiting } = yield* when(listener.statistics, ({ failed, handshakes }) =>
        failed === 13 && handshakes === 0);
      assertEquals([authenticated, waiting], [1, 0]);
    }),
);

test(
  "Listener: the first failure of an address in a minute is logged as a warning, and says why",
  Effect.gen(function* () {
    const lines: Array<string> = [];
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`));
    const listener = yield* Effect.provide(make(families[0]), Logger.add(logger));
    for (const byte of [1, 2, 3]) {
      yield* failure(Effect.scoped(connect(listener, families[0], { authKey: new Uint8Array([byte]) })));
    }
    yield* when(listener.statistics, ({ failed }) => failed === 3);
    assertEquals(lines.length, 1);
    assertStringIncludes(lines[0], "WARN The listener rejected a client from 127.0.0.1:");
    assertStringIncludes(lines[0], "different keys");
  }),
);

test(
  "Listener: more connections than maxConnections are told so, and have room when one has ended",
  Effect.gen(function* () {
    const listener = yield* make(families[0], { maxConnections: 2 });
    const [first] = yield* Effect.forEach([1, 2], () => connect(listener));
    assertEquals(yield* failure(connect(listener)), "ConnectError Full");
    // Only a client with the key learns the reason.
    assertEquals(
      yield* failure(connect(listener, families[0], { authKey: new Uint8Array(1) })),
      "AuthenticationError WrongKey",
    );
    yield* first.close;
    yield* when(listener.statistics, ({ open }) => open === 1);
    yield* connect(listener);
    assertEquals((yield* listener.statistics).refused, 1);
  }),
);

test(
  "Listener: silent clients cannot keep others out: for one more than maxHandshakes the oldest is dropped",
  Effect.gen(function* () {
    const listener = yield* make(families[1], { maxHandshakes: 4 });
    const silent = yield* Effect.forEach(numbers(12), () => raw(listener.address));
    yield* when(listener.statistics, ({ dropped }) => dropped === 8);
    const client = yield* connect(listener);
    yield* client.send(1);
    assertEquals(yield* Effect.flatMap(listener.accept, ({ recv }) => recv), 1);
    const { dropped, handshakes } = yield* listener.statistics;
    assertEquals([dropped, handshakes], [9, 3]);
    yield* Effect.forEach(silent.slice(0, 9), readAll);
  }),
);

test(
  "Listener: a client that proves the key is let in whatever others do from the same address (full)",
  Effect.gen(function* () {
    for (const family of families.slice(0, 2)) {
      const listener = yield* make(family);
      const stranger = failure(Effect.scoped(connect(listener, family, { authKey: new Uint8Array(1) })));
      yield* Effect.repeatN(Effect.map(stranger, (how) => assertEquals(how, "AuthenticationError WrongKey")), 11);
      yield* Effect.all(Array.from({ length: 110 }, () => stranger), { concurrency: "unbounded" });
      yield* when(listener.statistics, ({ failed }) => failed === 122);
      // These clients wait for their answers while clients with the key connect.
      const flood = yield* Effect.fork(
        Effect.all(Array.from({ length: 20 }, () => stranger), { concurrency: "unbounded" }),
      );
      for (let i = 0; i < 10; i++) {
        const client = yield* connect(listener, family);
        yield* client.send(i);
        assertEquals(yield* Effect.flatMap(listener.accept, ({ recv }) => recv), i);
      }
      yield* Fiber.await(flood);
    }
  }),
);

test(
  "Listener: more than backlog that nobody has accepted wait, and get in when there is room",
  Effect.gen(function* () {
    const listener = yield* make(families[1], { backlog: 2 });
    const waiting = yield* Effect.forEach(
      numbers(6),
      (n) => Effect.fork(Effect.tap(connect(listener), ({ send }) => send(n))),
    );
    yield* when(listener.statistics, ({ waiting }) => waiting >= 2);
    const received = new Set<unknown>();
    for (let i = 0; i < 6; i++) received.add(yield* Effect.flatMap(listener.accept, ({ recv }) => recv));
    assertEquals(received.size, 6);
    yield* Effect.forEach(waiting, Fiber.join);
  }),
);

// Addresses

test(
  "Listener: a Unix socket is its user's alone, in a folder of its own that is gone afterwards",
  Effect.gen(function* () {
    const paths = yield* Effect.scoped(Effect.gen(function* () {
      const path = `${yield* folder}/socket`;
      const named = yield* Listener.make({ address: { path } });
      assertEquals(Deno.lstatSync(path).mode! & 0o777, 0o600);
      assertEquals([...Deno.readDirSync(path.slice(0, -7))].map(({ name }) => name), ["socket"]);
      const { address } = yield* Listener.make();
      assert("path" in address);
      const own = address.path.slice(0, address.path.lastIndexOf("/"));
      assertEquals(Deno.lstatSync(address.path).mode! & 0o777, 0o600);
      assertEquals(Deno.lstatSync(own).mode! & 0o777, 0o700);
      yield* named.close;
      assertEquals(yield* Effect.option(Effect.try(() => Deno.lstatSync(path))), Option.none());
      return [own, address.path];
    }));
    for (const path of paths) {
      assertEquals(yield* Effect.option(Effect.try(() => Deno.lstatSync(path))), Option.none());
    }
  }),
);

testFunction(
  "Listener: without an address, it listens where TMPDIR is longer than the path of a socket may be (full)",
  () =>
    noLeaks(async () => {
      const outer = Deno.makeTempDirSync();
      const TMPDIR = `${outer}/${"a folder with a long name/".repeat(5)}`;
      Deno.mkdirSync(TMPDIR, { recursive: true });
      const { stderr, stdout } = await script("listening.ts", [], ["-A"], undefined, { TMPDIR }).ended;
      assertEquals([stdout, stderr], ["hello\n0\n", ""]);
      Deno.removeSync(outer, { recursive: true });
    }),
);

test(
  "Listener: the socket of a listener that was killed is taken over at once, one that is in use is not",
  Effect.gen(function* () {
    const path = `${yield* folder}/socket`;
    const found = yield* Queue.make<Listener.Address>();
    const child = yield* Effect.provide(
      Process.spawnWith(Tasks.echoing, [{ address: { path } }, found], { daemon: true }),
      subprocess,
    );
    yield* found.get;
    assertEquals(yield* failure(Listener.make({ address: { path } })), "ListenError AddressInUse");
    const client = yield* Client.connect<string>({ address: { path } });
    yield* client.send("alive");
    assertEquals(yield* client.recv, "alive");
    yield* child.kill;
    assertEquals(yield* failure(client.recv), "EndOfFile");
    assert(Deno.lstatSync(path).isSocket);
    assertEquals(yield* failure(Client.connect({ address: { path } })), "ConnectError Refused");
    // Of several concurrent listeners, one gets the path.
    const made = yield* Effect.forEach(
      numbers(4),
      () => Effect.either(Listener.make<string>({ address: { path } })),
      { concurrency: "unbounded" },
    );
    assertEquals(made.filter(({ _tag }) => _tag === "Right").length, 1);
    yield* Client.connect({ address: { path } });
    assertEquals([...Deno.readDirSync(path.slice(0, -7))].map(({ name }) => name), ["socket"]);
  }),
);

test(
  "Listener: a file that is no socket is not touched, and neither is the socket of a successor",
  Effect.gen(function* () {
    const path = `${yield* folder}/file`;
    Deno.writeTextFileSync(path, "mine");
    assertEquals(yield* failure(Listener.make({ address: { path } })), "ListenError AddressInUse");
    assertEquals(Deno.readTextFileSync(path), "mine");
    Deno.removeSync(path);
    yield* Effect.scoped(Effect.gen(function* () {
      yield* Listener.make({ address: { path } });
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, "successor");
    }));
    assertEquals(Deno.readTextFileSync(path), "successor");
  }),
);

test(
  "Listener: addresses and options that make no sense are errors that say so",
  Effect.gen(function* () {
    const listening = (options: unknown) => failure(Effect.scoped(Listener.make(options as Listener.Options)));
    for (
      const options of [
        { address: "localhost" },
        { address: null },
        { address: {} },
        { address: { hostname: "", port: 1 } },
        { address: { hostname: "127.0.0.1", port: -1 } },
        { address: { hostname: "127.0.0.1", port: 65536 } },
        { address: { hostname: "127.0.0.1" } },
        { address: { path: "" } },
        { address: { path: "a\0b" } },
        { address: { path: "x", port: 1 } },
        { address: { path: `/tmp/${"x".repeat(200)}` } },
        { authKey: new Uint8Array(0) },
        { authKey: "key" },
        { authKey: 5 },
        { maxConnections: 0 },
        { maxHandshakes: 1.5 },
        { backlog: -1 },
        { maxBytes: "many" },
        { maxMessageSize: 0 },
        { handshakeTimeout: 0 },
        { handshakeTimeout: "soon" },
        { address: local, tls: { cert: "no", key: "no" } },
      ]
    ) assertEquals(yield* listening(options), "ListenError InvalidOption", JSON.stringify(options));
    assertEquals(
      yield* listening({ address: { path: "/tmp/x" }, tls: { cert: "", key: "" } }),
      "ListenError Unsupported",
    );
    assertEquals(yield* listening({ address: { path: "/there/is/no/folder" } }), "ListenError AddressUnavailable");
    assertEquals(yield* listening({ address: { hostname: "192.0.2.1", port: 0 } }), "ListenError AddressUnavailable");
    const connecting = (options: unknown) => failure(Effect.scoped(Client.connect(options as Client.Options)));
    for (
      const options of [
        { address: undefined },
        { address: { path: 1 } },
        { address: local, timeout: -1 },
        { address: local, maxBytes: 0 },
        { address: local, authKey: new Uint8Array(0) },
      ]
    ) assertEquals(yield* connecting(options), "ConnectError InvalidOption", JSON.stringify(options));
    assertEquals(yield* connecting({ address: { path: "/tmp/x" }, tls: true }), "ConnectError Unsupported");
    assertEquals(yield* connecting({ address: { path: "/there/is/no/socket" } }), "ConnectError Refused");
    assertEquals(
      yield* connecting({ address: { hostname: "no.such.host.invalid", port: 1 } }),
      "ConnectError Unreachable",
    );
  }),
);

test(
  "Client: a server that is silent is a Timeout, one that speaks something else is told apart, one that hangs up is, too",
  Effect.gen(function* () {
    const serving = (answer: Uint8Array | "hang up" | undefined) =>
      Effect.scoped(Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
          (server) => Effect.sync(() => server.close()),
        );
        const { port } = server.addr as Deno.NetAddr;
        const client = yield* Effect.fork(
          failure(Client.connect({ address: { hostname: "127.0.0.1", port }, timeout: "300 millis" })),
        );
        const socket = yield* Effect.acquireRelease(
          Effect.promise(() => server.accept()),
          (socket) => Effect.sync(() => socket.close()),
        );
        if (answer === "hang up") yield* Effect.promise(() => socket.closeWrite());
        else if (answer !== undefined) yield* write(socket, answer);
        return yield* Fiber.join(client);
      }));
    assertEquals(yield* serving(undefined), "AuthenticationError Timeout");
    assertEquals(yield* serving(new Uint8Array([0xed, 0x6d])), "AuthenticationError Timeout");
    assertEquals(yield* serving(utf8("HTTP/1.1 400 Bad Request\r\n\r\n")), "AuthenticationError Protocol");
    assertEquals(yield* serving(utf8("SSH-2.0-OpenSSH_9.6\r\n")), "AuthenticationError Protocol");
    assertEquals(
      yield* serving(new Uint8Array([0xed, 0x6d, 0x70, 0x0d, 0x0a, 0x1a, 0x0a, 0, 99])),
      "AuthenticationError Version",
    );
    assertEquals(yield* serving("hang up"), "AuthenticationError Closed");
  }),
);

if (certificate !== undefined) {
  const [plain] = families;
  const secured = families.find(({ tls }) => tls !== undefined)!;

  test(
    "Listener over TLS: a client without TLS, one that does not trust it, and TLS to a listener without it fail at once",
    Effect.gen(function* () {
      const listener = yield* make(secured);
      assertEquals(yield* failure(connect(listener, plain)), "AuthenticationError Protocol");
      assertEquals(yield* failure(connect(listener, plain, { tls: true })), "ConnectError Tls");
      assertEquals(
        yield* failure(connect(listener, plain, { tls: { caCerts: [certificate.cert], hostname: "example.com" } })),
        "ConnectError Tls",
      );
      yield* connect(listener, plain, { tls: { caCerts: [certificate.cert], hostname: "localhost" } });
      const open = yield* make(plain);
      assertEquals(yield* failure(connect(open, secured)), "ConnectError Tls");
    }),
  );
}

// Processes

test(
  "Listener: children have the key of the family, and nobody else",
  Effect.gen(function* () {
    const listener = yield* Listener.make<unknown>();
    const serving = yield* Effect.fork(listener.serve(({ toSink, toStream }) => Stream.run(toStream, toSink)));
    for (const backend of [subprocess, worker]) {
      assertEquals(yield* Effect.provide(Process.run(Tasks.asking, listener.address, "family"), backend), "family");
    }
    assertEquals(
      yield* failure(Client.connect({ address: listener.address, authKey: key })),
      "AuthenticationError WrongKey",
    );
    assert(!Object.values(listener).some((value) => value instanceof Uint8Array));
    yield* Fiber.interrupt(serving);
  }),
);

test(
  "Listener: when a client is killed, what it had sent is received, then EndOfFile; a send that has returned outlives it",
  Effect.gen(function* () {
    const listener = yield* Listener.make<number>();
    const sent = yield* Queue.make<boolean>();
    const child = yield* Effect.provide(
      Process.spawnWith(Tasks.sending, [listener.address, numbers(500), sent], { daemon: true }),
      subprocess,
    );
    yield* sent.get;
    yield* child.kill;
    const all = yield* Effect.flatMap(listener.accept, ({ toStream }) => Stream.runCollect(toStream));
    assertEquals(Array.from(all), numbers(500));
    yield* Effect.either(Effect.provide(Process.run(Tasks.sendAndExit, listener.address, numbers(500)), subprocess));
    const others = yield* Effect.flatMap(listener.accept, ({ toStream }) => Stream.runCollect(toStream));
    assertEquals(Array.from(others), numbers(500));
  }),
);

test(
  "Listener: a side that is stopped holds up nobody: a send to it can be interrupted, and its connection closed",
  Effect.gen(function* () {
    const found = yield* Queue.make<Listener.Address>();
    const child = yield* Effect.provide(
      Process.spawnWith(Tasks.echoing, [{ address: { path: `${yield* folder}/socket` }, maxBytes: Infinity }, found], {
        daemon: true,
      }),
      subprocess,
    );
    const client = yield* Client.connect<unknown>({ address: yield* found.get });
    yield* client.send(1);
    yield* client.recv;
    yield* child.signal("SIGSTOP");
    const sending = yield* Effect.fork(client.sendBytes(new Uint8Array(20_000_000)));
    yield* when(client.statistics, ({ pendingBytes }) => pendingBytes > 0);
    yield* Fiber.interrupt(sending);
    yield* client.close;
    yield* child.kill;
  }),
);

test(
  "Listener: a send in an uninterruptible region waits for a side that is stopped, also when it is interrupted",
  Effect.gen(function* () {
    const found = yield* Queue.make<Listener.Address>();
    const child = yield* Effect.provide(
      Process.spawnWith(Tasks.echoing, [{ address: { path: `${yield* folder}/socket` }, maxBytes: Infinity }, found], {
        daemon: true,
      }),
      subprocess,
    );
    const client = yield* Client.connect<unknown>({ address: yield* found.get });
    yield* client.send(1);
    yield* client.recv;
    yield* child.signal("SIGSTOP");
    let sent = false;
    const send = Effect.tap(client.send(new Uint8Array(20_000_000)), () => Effect.sync(() => sent = true));
    const sending = yield* Effect.fork(Effect.uninterruptible(send));
    yield* when(client.statistics, ({ pendingBytes }) => pendingBytes > 0);
    const interrupting = yield* Effect.fork(Fiber.interrupt(sending));
    yield* Effect.yieldNow();
    assertEquals(sent, false);
    yield* child.signal("SIGCONT");
    yield* Fiber.join(interrupting);
    assert(sent);
  }),
);

test(
  "Listener: one that is killed while clients speak with it: each has received what was answered, in order, then the end (full)",
  Effect.gen(function* () {
    const path = `${yield* folder}/socket`;
    for (const messages of [0, 1, 40, 400]) {
      const found = yield* Queue.make<Listener.Address>();
      // Uses the path on which the previous listener was killed.
      const child = yield* Effect.provide(
        Process.spawnWith(Tasks.echoing, [{ address: { path } }, found], { daemon: true }),
        subprocess,
      );
      yield* found.get;
      const clients = yield* Effect.forEach(numbers(3), () => Client.connect<number>({ address: { path } }));
      const speaking = yield* Effect.forEach(clients, ({ recv, send }) => {
        const received: Array<number> = [];
        const sending = Effect.forEach(numbers(100_000), send, { discard: true });
        const receiving = Effect.forever(Effect.tap(recv, (n) => {
          received.push(n);
          return received.length === messages ? child.kill : Effect.void;
        }));
        return Effect.map(
          Effect.all([Effect.fork(failure(sending)), Effect.fork(failure(receiving))]),
          (fibers) => ({ fibers, received }),
        );
      });
      if (messages === 0) yield* child.kill;
      for (const { fibers: [sending, receiving], received } of speaking) {
        assertEquals([yield* Fiber.join(sending), yield* Fiber.join(receiving)], ["BrokenPipe", "EndOfFile"]);
        assertEquals(received, numbers(received.length));
      }
    }
  }),
);

// Interruption

test(
  "Client: a connect that is interrupted at any step leaves no connection, and the listener sound (storm)",
  Effect.gen(function* () {
    const listener = yield* make(families[1], { maxConnections: 3 });
    const serving = yield* Effect.fork(listener.serve(({ toSink, toStream }) => Stream.run(toStream, toSink)));
    const asking = Effect.scoped(Effect.gen(function* () {
      const { recv, send } = yield* connect(listener);
      yield* send(1);
      assertEquals(yield* recv, 1);
    }));
    yield* everywhere(
      asking,
      { rounds: 40, turns: 12 },
      (when_) =>
        Effect.map(
          when(listener.statistics, ({ open, waiting }) => open === 0 && waiting === 0),
          ({ state }) => assertEquals(state, "listening", when_),
        ),
    );
    assertEquals(hosting(), 0);
    yield* Fiber.interrupt(serving);
  }),
);

test(
  "Listener: an accept that is interrupted at any step has accepted nobody, or somebody (storm)",
  Effect.gen(function* () {
    const listener = yield* make(families[1]);
    let next = 0;
    let expected = 0;
    const accepting = Effect.gen(function* () {
      const client = yield* connect(listener);
      yield* client.send(next++);
      return yield* listener.accept;
    }).pipe(Effect.scoped);
    yield* everywhere(accepting, { rounds: 30, turns: 10 }, (when_) =>
      Effect.gen(function* () {
        // The connections that were not accepted are still waiting, in order; none is lost.
        yield* when(listener.statistics, ({ handshakes }) => handshakes === 0);
        for (let { waiting } = yield* listener.statistics; waiting > 0; waiting--) {
          const value = yield* Effect.option(Effect.flatMap(listener.accept, ({ recv }) => recv));
          if (Option.isSome(value)) {
            assertLess(expected - 1, value.value as number, when_);
            expected = (value.value as number) + 1;
          }
        }
      }));
  }),
);

test(
  "Listener: making one that is interrupted at any step leaves no socket, no file and no folder (storm)",
  Effect.gen(function* () {
    const path = `${yield* folder}/socket`;
    const making = Effect.scoped(Listener.make({ address: { path } }));
    yield* everywhere(
      making,
      { rounds: 30, turns: 4 },
      (when_) => Effect.sync(() => assertEquals([...Deno.readDirSync(path.slice(0, -7))], [], when_)),
    );
  }),
);
