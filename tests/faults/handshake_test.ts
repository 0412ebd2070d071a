/**
 * The proof of a key against peers that violate the handshake: replayed, reflected, cut, mixed up, and in floods.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as fc from "effect/FastCheck";
import { Client, Listener } from "../../mod.ts";
import { Failures } from "../../src/internal/network/limits.ts";
import {
  CALLS,
  CLIENT,
  CLOSING,
  Handshake,
  type HandshakeSettings,
  importKey,
  type Limits,
  LISTENER,
  MESSAGES,
  WRONG_KEY,
} from "../../src/internal/network/handshake.ts";
import { type TcpSocket, TcpTransport } from "../../src/internal/network/tcp_transport.ts";
import { openConnection } from "../../src/internal/network/connection.ts";
import { hosting } from "../../src/internal/rpc/router.ts";
import { assert, assertEquals, assertLess, assertStringIncludes } from "../support/assert.ts";
import { random, seed } from "../support/chance.ts";
import { test } from "../support/suite.ts";

const limits: Limits = { maxBytes: 1000, maxMessageSize: 2000 };
const key = await importKey(new Uint8Array(32).fill(1));
const other = await importKey(new Uint8Array(32).fill(2));

const works: Array<Promise<unknown>> = [];

/** A test of handshakes, which ends when the system has done all work for them. */
const handshakes = (name: string, body: () => Promise<void>): void =>
  Deno.test(`handshake: ${name}`, async () => {
    await body();
    await Promise.all(works.splice(0));
  });

/** One side, with the bytes that it has sent and its outcome. */
class Side {
  readonly sent: Array<Uint8Array> = [];
  readonly ended: Promise<string>;
  readonly handshake: Handshake;
  result: string | undefined;
  rest: Uint8Array | undefined;
  limits: Limits | undefined;
  onSend: ((bytes: Uint8Array) => void) | undefined;

  constructor(settings: Partial<HandshakeSettings> & Pick<HandshakeSettings, "role">) {
    let end = (_: string): void => {};
    this.ended = new Promise((resolve) => end = resolve);
    const finish = (result: string): void => {
      assertEquals(this.result, undefined, "it ends once");
      this.result = result;
      end(result);
    };
    this.handshake = new Handshake({ purpose: MESSAGES, key, limits, ...settings }, {
      working: (work) => void works.push(work),
      send: (bytes) => {
        assert(this.result === undefined, "nothing is sent after the end");
        this.sent.push(bytes);
        this.onSend?.(bytes);
      },
      succeed: (limits, rest) => {
        this.limits = limits;
        this.rest = rest;
        finish("done");
      },
      fail: (error) => finish(`${error._tag} ${error.reason}`),
    });
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return concat(this.sent);
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
};

/** Connects two sides. All sent bytes are cut into pieces and passed through `pass`. */
const converse = async (
  client: Side,
  listener: Side,
  cut: () => number = () => Infinity,
  pass: (bytes: Uint8Array, from: Side) => Uint8Array = (bytes) => bytes,
): Promise<readonly [string, string]> => {
  for (const [from, to] of [[client, listener], [listener, client]] as const) {
    from.onSend = (bytes) => {
      const passed = pass(bytes.slice(), from);
      queueMicrotask(() => {
        for (let at = 0; at < passed.length;) {
          const next = Math.min(passed.length, at + Math.max(1, cut()));
          to.handshake.push(passed.subarray(at, next));
          at = next;
        }
      });
    };
    void from.ended.then((result) => {
      if (result !== "done") queueMicrotask(() => to.handshake.end(undefined));
    });
  }
  client.handshake.begin();
  listener.handshake.begin();
  return [await client.ended, await listener.ended];
};

const pair = (theirs: Partial<HandshakeSettings> = {}, ours: Partial<HandshakeSettings> = {}) =>
  [new Side({ role: CLIENT, ...theirs }), new Side({ role: LISTENER, ...ours })] as const;

handshakes("both sides with the same key are done, and know each other's limits, however bytes are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 }),
      fc.boolean(),
      async (sizes, keyed) => {
        let i = 0;
        const own = keyed ? key : undefined;
        const [client, listener] = pair({ key: own, limits: { maxBytes: 1, maxMessageSize: 2 } }, { key: own });
        assertEquals(await converse(client, listener, () => sizes[i++ % sizes.length]), ["done", "done"]);
        assertEquals([client.limits, listener.limits], [limits, { maxBytes: 1, maxMessageSize: 2 }]);
        assertEquals([client.rest?.length, listener.rest?.length], [0, 0]);
      },
    ),
    { numRuns: 50 },
  );
});

handshakes("each mismatch is an error on both sides, without either waiting for the time to be over", async () => {
  const outcomes = async (theirs: Partial<HandshakeSettings>, ours: Partial<HandshakeSettings>) =>
    (await converse(...pair(theirs, ours))).map((result) => result.split(" ")[1]);
  assertEquals(await outcomes({ key: other }, {}), ["WrongKey", "WrongKey"]);
  assertEquals(await outcomes({ key: undefined }, {}), ["KeyMissing", "KeyMissing"]);
  assertEquals(await outcomes({}, { key: undefined }), ["KeyMissing", "KeyMissing"]);
  assertEquals(await outcomes({ purpose: CALLS }, {}), ["Protocol", "Protocol"]);
  assertEquals(await outcomes({ role: LISTENER }, {}), ["Protocol", "Protocol"]);
  assertEquals(await outcomes({}, { role: CLIENT }), ["Protocol", "Protocol"]);
  assertEquals(await outcomes({}, { refuse: () => 2 }), ["Full", "Full"]);
});

handshakes("a bit that is changed on the way lets nobody in, on neither side", async () => {
  // The client accepts the welcome of the listener only if it is unchanged.
  for (let i = 0; i < 200; i++) {
    const [client, listener] = pair();
    const broken = random() < 0.5 ? client : listener;
    let at = Math.floor(random() * 93 * 8);
    const results = await converse(client, listener, undefined, (bytes, from) => {
      if (from !== broken) return bytes;
      if (at >= 0 && at < bytes.length * 8) bytes[at >> 3] ^= 1 << (at & 7);
      at -= bytes.length * 8;
      return bytes;
    });
    const deceived = broken === client ? listener : client;
    assert(
      deceived.result !== "done",
      `${results} with a bit of the ${broken === client ? "client's" : "listener's"}, seed ${seed}`,
    );
  }
});

handshakes("what was said before is of no use: not replayed, not sent back, not from another connection", async () => {
  const [client, listener] = pair();
  assertEquals(await converse(client, listener), ["done", "done"]);
  // Replayed to a listener and to a client.
  for (const [replayed, role] of [[client.bytes, LISTENER], [listener.bytes, CLIENT]] as const) {
    const victim = new Side({ role });
    victim.handshake.begin();
    victim.handshake.push(replayed);
    assertEquals(await victim.ended, "AuthenticationError WrongKey");
  }
  // Reflected.
  for (const role of [LISTENER, CLIENT] as const) {
    const victim = new Side({ role });
    victim.handshake.begin();
    victim.handshake.push(victim.bytes);
    assertEquals(await victim.ended, "AuthenticationError Protocol");
  }
  // With a forged role, and with the proof that the victim itself made: that proof is for the other role.
  const victim = new Side({ role: CLIENT });
  victim.handshake.begin();
  const forged = victim.bytes;
  forged[9] = LISTENER;
  victim.handshake.push(forged);
  await new Promise<void>((resolve) => victim.onSend = () => resolve());
  const proof = victim.sent[1].slice();
  proof[0] = 2;
  victim.handshake.push(proof);
  assertEquals(await victim.ended, "AuthenticationError WrongKey");
  // A man in the middle sends each side a hello of its own. Neither proof is valid for the other side.
  const [first, second] = pair();
  const results = await converse(first, second, undefined, (bytes) => {
    if (bytes.length === 60) crypto.getRandomValues(bytes.subarray(12, 44));
    return bytes;
  });
  assertEquals(results, ["AuthenticationError WrongKey", "AuthenticationError WrongKey"]);
  // Limits cannot be changed either.
  const lowered = await converse(...pair(), undefined, (bytes) => {
    if (bytes.length === 60) new DataView(bytes.buffer).setFloat64(44, 1);
    return bytes;
  });
  assertEquals(lowered, ["AuthenticationError WrongKey", "AuthenticationError WrongKey"]);
});

handshakes("nonces are fresh, and neither the key nor anything made of it is told to a stranger", async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const listener = new Side({ role: LISTENER });
    listener.handshake.begin();
    seen.add(listener.bytes.slice(12, 44).join());
    listener.handshake.push(new Side({ role: CLIENT }).bytes);
    listener.handshake.end(undefined);
    assertEquals(listener.bytes.length, 60);
  }
  assertEquals(seen.size, 100);
  // The answer to a wrong proof is two bytes, which reveal nothing about the right proof.
  const [client, listener] = pair({ key: other });
  await converse(client, listener);
  assertEquals(listener.bytes.slice(60), new Uint8Array([3, 1]));
  await importKey(new Uint8Array([1])).then((key) =>
    crypto.subtle.exportKey("raw", key).then(() => assert(false, "the key can be read"), () => {})
  );
});

handshakes("a client that goes on before it is welcome is sent away; a listener may", async () => {
  for (const extra of [1, 1000]) {
    const [client, listener] = pair();
    const results = await converse(
      client,
      listener,
      undefined,
      (bytes, from) => from === client && bytes[0] === 1 ? concat([bytes, new Uint8Array(extra)]) : bytes,
    );
    assertEquals(results[1], "AuthenticationError Protocol");
  }
  const [client, listener] = pair();
  const results = await converse(
    client,
    listener,
    undefined,
    (bytes, from) => from === listener && bytes[0] === 2 ? concat([bytes, new Uint8Array([7, 8, 9])]) : bytes,
  );
  assertEquals([results, client.rest], [["done", "done"], new Uint8Array([7, 8, 9])]);
});

handshakes("any bytes, in any pieces: it ends as an error or waits for more, and keeps little of them", async () => {
  const hello = new Side({ role: CLIENT });
  hello.handshake.begin();
  const start = hello.bytes;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<typeof LISTENER | typeof CLIENT>(LISTENER, CLIENT),
      fc.integer({ min: 0, max: 60 }),
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
      async (role, valid, chunks) => {
        const side = new Side({ role });
        side.handshake.begin();
        side.handshake.push(start.slice(0, valid));
        for (const chunk of chunks) side.handshake.push(chunk);
        side.handshake.end(undefined);
        const result = await side.ended;
        assert(/^(AuthenticationError|ConnectError) /.test(result), result);
      },
    ),
    { numRuns: 500 },
  );
});

handshakes(
  "a client that has not proved itself is told so after the delay, or when the listener is done with it",
  async () => {
    for (const how of ["refuse", "abandon", "end"] as const) {
      const client = new Side({ role: CLIENT, key: other });
      const listener = new Side({ role: LISTENER, delay: () => 3_600_000 });
      client.handshake.begin();
      listener.handshake.begin();
      listener.handshake.push(client.bytes);
      client.handshake.push(listener.bytes);
      await Promise.all(works.splice(0));
      const before = listener.sent.length;
      listener.handshake.push(client.sent[1]);
      await Promise.all(works.splice(0));
      await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
      // This handshake is over, so it is dropped first, and has not reported its outcome yet.
      assertEquals([listener.handshake.progress, listener.sent.length, listener.result], [0, before, undefined]);
      if (how === "refuse") listener.handshake.refuse(CLOSING);
      else if (how === "abandon") listener.handshake.abandon();
      else listener.handshake.end(undefined);
      assertEquals(listener.result, "AuthenticationError WrongKey");
      assertEquals(listener.sent.at(-1), new Uint8Array([3, WRONG_KEY]));
    }
    const client = new Side({ role: CLIENT, key: other });
    const listener = new Side({ role: LISTENER, delay: () => 1 });
    assertEquals(await converse(client, listener), ["AuthenticationError WrongKey", "AuthenticationError WrongKey"]);
  },
);

Deno.test("failures cost their address time for a minute; addresses and log lines have a bound", () => {
  let now = 0;
  const failures = new Failures(() => now);
  assertEquals([failures.add("a"), failures.add("a"), failures.delay("a")], [true, false, 0]);
  for (let i = 2; i < 14; i++) failures.add("a");
  assertEquals([failures.delay("a"), failures.delay("b")], [200, 0]);
  for (let i = 0; i < 1000; i++) failures.add("a");
  assertEquals(failures.delay("a"), 2000);
  const lines = Array.from({ length: 100_000 }, (_, i) => failures.add(`${i}`));
  assertEquals([lines.filter((line) => line).length, failures.size], [9, 4096]);
  now = 60_000;
  assertEquals([failures.delay("a"), failures.add("a"), failures.delay("a")], [0, true, 0]);
});

// Floods

/** A socket that sends given bytes, and reads everything. */
const scripted = (chunks: ReadonlyArray<Uint8Array>): TcpSocket & { readonly closed: () => boolean } => {
  let closed = false;
  let next = 0;
  return {
    read: (buffer) => {
      if (closed || next === chunks.length) return Promise.resolve(null);
      const chunk = chunks[next++].subarray(0, buffer.length);
      buffer.set(chunk);
      return Promise.resolve(chunk.length);
    },
    write: ({ length }) => Promise.resolve(length),
    closeWrite: () => Promise.resolve(),
    close: () => void (closed = true),
    closed: () => closed,
  };
};

const garbage = (size: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = random() * 256;
  return bytes;
};

/** Frames that are valid, nearly valid, or invalid. */
const frame = (): Uint8Array<ArrayBuffer> => {
  const body = garbage(Math.floor(random() * 24));
  if (random() < 0.5) {
    const header = new Uint8Array([2 + body.length, 0, 0, 0, 1, 1, 0, 0, 0, 0, random() * 2]);
    return concat([header, body]);
  }
  const bytes = new Uint8Array(9 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, random() < 0.9 ? body.length : random() * 2 ** 32, true);
  bytes[4] = [1, 2, 1 | 0x40, 1 | 0x80, 2 | 0x40, random() * 256][Math.floor(random() * 6)];
  view.setUint32(5, random() < 0.9 ? Math.floor(random() * 3) : random() * 2 ** 32, true);
  bytes.set(body, 9);
  if (body.length >= 2 && random() < 0.7) bytes.set([0, Math.floor(random() * 3)], 9);
  if (random() < 0.2 && body.length >= 12) {
    view.setUint32(9, 1, true);
    view.setFloat64(13, random() * 2 ** Math.floor(random() * 50), true);
  }
  return bytes;
};

test(
  "connection: 100 000 garbage frames of clients that have the key end nothing but their connections, and take no memory",
  Effect.promise(async () => {
    const before = hosting();
    let ended = 0;
    let whole = 0;
    const run = async (): Promise<void> => {
      const socket = scripted([concat(Array.from({ length: 10 }, frame)), concat(Array.from({ length: 10 }, frame))]);
      const transport = new TcpTransport(socket);
      const { connection, release } = openConnection(
        { transport, limits: { maxBytes: 10_000, maxMessageSize: 10_000 }, peer: { path: "x" } },
        { maxBytes: 10_000, maxMessageSize: 10_000 },
        () => ended++,
      );
      await new Promise<void>((resolve) => transport.released(resolve));
      const { unreadBytes } = await Effect.runPromise(connection.statistics);
      if (unreadBytes > 0) whole++;
      assertLess(unreadBytes, 21_000);
      // The result is a value, bytes, or an error that describes the fault.
      await Effect.runPromise(Effect.either(connection.recv));
      release();
    };
    for (let i = 0; i < 100; i++) await run();
    const heap = Deno.memoryUsage().heapUsed;
    for (let i = 0; i < 4900; i++) await run();
    assertEquals([ended, hosting()], [5000, before]);
    assert(whole > 100, "none of them was right");
    assertLess(Deno.memoryUsage().heapUsed - heap, 100_000_000);
  }),
);

for (const kind of ["tcp", "unix"] as const) {
  test(
    `Listener: thousands of garbage connections over ${kind}, many frames each: it serves others meanwhile, and takes no memory`,
    Effect.gen(function* () {
      const authKey = new Uint8Array([1, 2, 3]);
      const address = kind === "tcp" ? { hostname: "127.0.0.1", port: 0 } : undefined;
      const listener = yield* Listener.make<number>({ address, authKey, maxHandshakes: 32 });
      const { address: found } = listener;
      const hello = new Side({ role: CLIENT });
      hello.handshake.begin();
      const attack = async (): Promise<void> => {
        const socket = "path" in found
          ? await Deno.connect({ transport: "unix", path: found.path })
          : await Deno.connect({ hostname: found.hostname, port: found.port });
        try {
          const chance = random();
          if (chance < 0.3) await socket.write(concat([hello.bytes, new Uint8Array([1]), garbage(32)]));
          else if (chance < 0.5) await socket.write(concat([hello.bytes, ...Array.from({ length: 10 }, frame)]));
          else if (chance < 0.9) await socket.write(concat(Array.from({ length: 10 }, frame)));
          if (chance < 0.2) await socket.read(new Uint8Array(100));
        } catch {
          // Disconnected.
        }
        socket.close();
      };
      const serving = yield* Effect.fork(listener.serve(({ recv, send }) => Effect.flatMap(recv, send)));
      const flood = (count: number) =>
        Effect.promise(async () => {
          for (let i = 0; i < count; i += 8) await Promise.all(Array.from({ length: 8 }, attack));
        });
      // A flood of more than maxHandshakes connections may also drop this client, so it retries.
      const ask = Effect.scoped(Effect.gen(function* () {
        const { recv, send } = yield* Client.connect<number>({ address: found, authKey });
        yield* send(7);
        assertEquals(yield* recv, 7);
      })).pipe(Effect.retry({ while: ({ _tag }) => _tag === "AuthenticationError" || _tag === "EndOfFile" }));
      yield* flood(200);
      const heap = Deno.memoryUsage().heapUsed;
      for (let i = 0; i < 5; i++) {
        const flooding = yield* Effect.fork(flood(200));
        yield* ask;
        yield* flooding.await;
      }
      assertLess(Deno.memoryUsage().heapUsed - heap, 100_000_000);
      const { authenticated, dropped, failed } = yield* listener.statistics.pipe(
        Effect.zipLeft(Effect.sleep("1 millis")),
        Effect.repeat({ until: ({ handshakes, open }) => handshakes === 0 && open === 0 }),
      );
      assert(authenticated >= 5);
      assert(failed + dropped >= 1200 - 1, `${failed} failed, ${dropped} dropped`);
      yield* listener.close;
      yield* serving.await;
    }),
  );
}

test(
  "Client: a listener that does not keep to the protocol after the welcome ends the connection, with the reason as the cause",
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
      (server) => Effect.sync(() => server.close()),
    );
    const { port } = server.addr as Deno.NetAddr;
    for (
      const [bytes, cause] of [
        [new Uint8Array([255, 255, 255, 255, 1, 1, 0, 0, 0]), "4294967295 bytes"],
        [new Uint8Array([1, 0, 0, 0, 9, 1, 0, 0, 0, 0]), "unknown kind"],
        [new Uint8Array([2, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2]), "malformed message"],
        // Pretends that handles move with the value.
        [new Uint8Array([3, 0, 0, 0, 1, 1, 0, 0, 0, 0, 128, 0]), "malformed message"],
        [new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0, 0, 5]), "received more messages than it was sent"],
        [new Uint8Array([9, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]), "in the middle of a message"],
      ] as const
    ) {
      yield* Effect.scoped(Effect.gen(function* () {
        const accepting = server.accept().then(async (socket) => {
          const side = new Side({ role: LISTENER, key: undefined, limits: { maxBytes: 100, maxMessageSize: 100 } });
          const writes: Array<Promise<unknown>> = [];
          side.onSend = (bytes) => void writes.push(socket.write(bytes));
          side.handshake.begin();
          const buffer = new Uint8Array(1000);
          while (side.result === undefined) side.handshake.push(buffer.slice(0, (await socket.read(buffer)) ?? 0));
          await Promise.all(writes);
          await socket.write(bytes);
          socket.close();
        });
        const { recv } = yield* Client.connect({ address: { hostname: "127.0.0.1", port }, authKey: false });
        const error = yield* Effect.flip(recv);
        yield* Effect.promise(() => accepting);
        assertEquals(error._tag, "EndOfFile");
        assertStringIncludes(String((error as Error).cause), cause);
      }));
    }
  }),
);
