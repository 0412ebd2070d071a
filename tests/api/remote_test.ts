/**
 * The layers below connections: links over authenticated sockets, and messages of strangers.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";

import * as Scope from "effect/Scope";
import { Client, Listener, Pipe, Process, Queue, SubprocessBackend } from "../../mod.ts";
import { hooks } from "../../src/internal/objects/handles.ts";
import { VALUE } from "../../src/internal/pipe/message.ts";
import { Link, type LinkClosed, type Receiver } from "../../src/internal/rpc/link.ts";
import * as Codec from "../../src/internal/codec/codec.ts";
import { dial } from "../../src/internal/network/dial.ts";
import type { PeerSession } from "../../src/internal/network/authenticate.ts";
import { CALLS, MESSAGES } from "../../src/internal/network/handshake.ts";
import { listen, type ListenOptions } from "../../src/internal/network/listen.ts";
import { assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import * as Tasks from "./listener_tasks.ts";
import { echo } from "./pipe_tasks.ts";
import { test, warmUp } from "../support/suite.ts";
import { add } from "../support/tasks.ts";

const subprocess = SubprocessBackend.layer({ stderr: "null" });
await warmUp(Effect.provide(Process.run(add, 1, 2), subprocess));

const authKey = crypto.getRandomValues(new Uint8Array(32));
const limits = { maxBytes: 1000, maxMessageSize: 1_000_000 };

const listening: ListenOptions = {
  address: { hostname: "127.0.0.1", port: 0 },
  authKey,
  tls: undefined,
  purpose: CALLS,
  limits,
  maxConnections: 10,
  maxHandshakes: 10,
  handshakeMillis: 10_000,
};

const silent: Receiver = { closed: () => {} };

/** Listens, and makes a link for each client, as a manager does. */
const linked = (onOpen: (link: Link, text: string) => string) =>
  Effect.gen(function* () {
    const links = new Set<Link>();
    const acceptor = yield* listen(listening, {
      accepted: ({ limits, transport }: PeerSession) => {
        const link = new Link(transport, {
          side: "parent",
          maxMessageSize: limits.maxMessageSize,
          onOpen: (channel, message) => {
            const text = Codec.decode(message.bytes, { link: undefined }) as string;
            channel.exit((writer) => Codec.encodeInto(writer, onOpen(link, text)) as undefined);
            return silent;
          },
          onClosed: () => links.delete(link),
        });
        links.add(link);
      },
      rejected: () => {},
      closed: () => {},
    });
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        acceptor.close();
        for (const link of [...links]) link.destroy();
      })
    );
    return { acceptor, links };
  });

/** Connects with a link that closes with the scope. */
const linking = (address: Listener.Address, purpose: number = CALLS) =>
  dial({ address, authKey, tls: undefined, purpose, limits, millis: 10_000 }, ({ limits, transport }: PeerSession) => {
    const link = new Link(transport, { side: "child", maxMessageSize: limits.maxMessageSize });
    return Effect.as(
      Effect.addFinalizer(() =>
        Effect.async<void>((resume) => {
          link.destroy();
          transport.released(() => resume(Effect.void));
        })
      ),
      link,
    );
  });

const call = (link: Link, text: string): Effect.Effect<string, LinkClosed> =>
  Effect.async((resume) => {
    link.open((writer) => Codec.encodeInto(writer, text) as undefined, {
      exit: (message) => resume(Effect.sync(() => Codec.decode(message.bytes, { link }) as string)),
      closed: (reason) => resume(Effect.fail(reason)),
    });
  });

test(
  "a link runs over an authenticated socket: many calls at once, then the news of its end on both sides",
  Effect.gen(function* () {
    const { acceptor, links } = yield* linked((_, text) => text.toUpperCase());
    yield* Effect.scoped(Effect.gen(function* () {
      const link = yield* linking(acceptor.address);
      const long = "x".repeat(300_000);
      assertEquals(yield* call(link, long), long.toUpperCase());
      const calls = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.fork(call(link, text)));
      assertEquals(
        yield* Effect.forEach(calls, (fiber) => fiber.await),
        yield* Effect.forEach(
          ["A", "B", "C"],
          (text) => Effect.exit(Effect.succeed(text)),
        ),
      );
      assertEquals(links.size, 1);
    }));
    const link = yield* linking(acceptor.address);
    yield* call(link, "d");
    const closed = yield* Deferred.make<void>();
    link.onClosed(() => Deferred.unsafeDone(closed, Effect.void));
    for (const link of links) link.destroy();
    yield* Deferred.await(closed);
    assertEquals((yield* Effect.flip(call(link, "e")))._tag, "LinkClosed");
  }),
);

test(
  "a client for messages is told that it has come to a manager, and the other way round",
  Effect.gen(function* () {
    const { acceptor } = yield* linked((_, text) => text);
    const error = yield* Effect.flip(linking(acceptor.address, MESSAGES));
    assertEquals(error.reason, "Protocol");
    assertStringIncludes(error.message, "manager");
    const listener = yield* Listener.make({ address: listening.address, authKey });
    assertStringIncludes((yield* Effect.flip(linking(listener.address))).message, "manager");
  }),
);

/** Sends a message to a listener, as any client with the key can. */
const say = (
  address: Listener.Address,
  bodies: ReadonlyArray<Uint8Array>,
): Effect.Effect<unknown, unknown, Scope.Scope> =>
  dial(
    { address, authKey, tls: undefined, purpose: MESSAGES, limits, millis: 10_000 },
    ({ transport }) =>
      Effect.zipRight(
        Effect.addFinalizer(() =>
          Effect.async<void>((resume) => {
            transport.close();
            transport.released(() => resume(Effect.void));
          })
        ),
        Effect.async<void>((resume) => {
          transport.start(() => {}, () => {});
          transport.write(
            bodies.map((body) => {
              const frame = new Uint8Array(11 + body.length);
              new DataView(frame.buffer).setUint32(0, 2 + body.length, true);
              frame.set([1, 1, 0, 0, 0, 0, VALUE], 4);
              frame.set(body, 11);
              return frame;
            }),
            () => resume(Effect.void),
          );
        }),
      ),
  );

test(
  "a stranger that forges a handle of an object of the family gets a DecodeError for it, and the object is not touched",
  Effect.gen(function* () {
    const listener = yield* Listener.make<unknown>({ address: listening.address, authKey });
    const queue = yield* Queue.make<string>();
    yield* queue.put("mine");
    const [end, other] = yield* Pipe.make<string>();
    yield* say(listener.address, [
      Codec.encode([queue], { hooks }).bytes,
      // Encoding a handle moves nothing. The end moves when the message is passed to a link.
      Codec.encode({ end }, { hooks }).bytes,
      new Uint8Array([0xff, 0xff, 0xff]),
      Codec.encode("data").bytes,
    ]);
    const connection = yield* listener.accept;
    for (const reason of ["another program has sent a handle", "another program has sent a handle", ""]) {
      const error = yield* Effect.flip(connection.recv);
      assertInstanceOf(error, Codec.DecodeError);
      assertStringIncludes(error.message, reason);
    }
    assertEquals(yield* connection.recv, "data");
    yield* other.send("still");
    assertEquals([yield* end.recv, yield* queue.get, end.closed], ["still", "mine", false]);
    // The same holds in a process to which the connection has moved.
    yield* say(listener.address, [Codec.encode([queue], { hooks }).bytes]);
    const moved = yield* listener.accept;
    const failed = yield* Effect.flip(Effect.provide(Process.run(Tasks.answer, moved), subprocess));
    assertEquals((failed as { readonly _tag: string })._tag, "DecodeError");
    assertStringIncludes((failed as Error).message, "another program has sent a handle");
  }),
);

test(
  "when the scope of the listener closes, a child that was given a connection is told, and so is the other side",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const listener = yield* Scope.extend(Listener.make<unknown>({ address: listening.address, authKey }), scope);
    const client = yield* Client.connect<unknown>({ address: listener.address, authKey });
    const connection = yield* listener.accept;
    const child = yield* Effect.provide(Process.spawn(echo, connection), subprocess);
    yield* client.send("there");
    assertEquals(yield* client.recv, "there");
    yield* Scope.close(scope, Exit.void);
    assertEquals((yield* Effect.flip(client.recv))._tag, "EndOfFile");
    assertEquals(((yield* Effect.flip(child.join)) as { readonly _tag: string })._tag, "Unreachable");
  }),
);
