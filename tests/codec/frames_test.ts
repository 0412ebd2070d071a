import * as fc from "effect/FastCheck";
import {
  FRAGMENT,
  HEADER,
  LARGEST_FRAGMENT,
  ProtocolError,
  type Transport,
} from "../../src/internal/transport/frames.ts";
import { type Incoming, MAX_MESSAGE_SIZE, MessageTooLarge } from "../../src/internal/codec/message.ts";
import { Inbox } from "../../src/internal/transport/inbox.ts";
import { Outbox } from "../../src/internal/transport/outbox.ts";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertStringIncludes,
  assertThrows,
} from "../support/assert.ts";
import { repeating } from "../support/tier.ts";

/** A transport that records its writes, and accepts the next one when the test allows it. */
class Wire implements Transport {
  readonly writes: Array<Uint8Array> = [];
  #done: (() => void) | undefined;

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
    assert(this.#done === undefined, "a second write before the first was done");
    assert(chunks.length > 0 && chunks.every((chunk) => chunk.length > 0), "an empty write");
    // The buffer of a completed write may be used again.
    const copy = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      copy.set(chunk, at);
      at += chunk.length;
    }
    this.writes.push(copy);
    this.#done = () => {
      for (const chunk of chunks) if (chunk.buffer !== undefined && this.spoil) chunk.fill(0xee);
      done();
    };
  };

  /** Overwrites the buffer of the write: only for messages without the user's memory. */
  spoil = false;

  readonly start = (): void => {};
  readonly close = (): void => {};

  /** Returns whether a write waited for this call. */
  next(): boolean {
    const done = this.#done;
    this.#done = undefined;
    done?.();
    return done !== undefined;
  }

  /** Accepts all writes. */
  async drain(): Promise<void> {
    do await Promise.resolve(); while (this.next());
  }

  get bytes(): Uint8Array {
    const all = new Uint8Array(this.writes.reduce((sum, write) => sum + write.length, 0));
    let at = 0;
    for (const write of this.writes) {
      all.set(write, at);
      at += write.length;
    }
    return all;
  }
}

interface Message {
  readonly kind: number;
  readonly channel: number;
  readonly body: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
}

const send = (outbox: Outbox, { attachments, body, channel, kind }: Message): void =>
  outbox.send(kind, channel, (writer) => {
    writer.bytes(body);
    return { attachments };
  });

const contents = (size: number, seed: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = Math.imul(i + seed, 2654435761) >>> 24;
  return bytes;
};

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The sizes at boundaries: nothing, a header, around one and two fragments, and random sizes up to 1 MB. */
const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.nat(64) },
  { weight: 2, arbitrary: fc.integer({ min: FRAGMENT - 2, max: FRAGMENT + 2 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2 * FRAGMENT - 2, max: 2 * FRAGMENT + 2 }) },
  { weight: 1, arbitrary: fc.nat(1_000_000) },
);

const messages = fc.array(
  fc.record({
    kind: fc.integer({ min: 1, max: 31 }),
    channel: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(0xffff_ffff)),
    size: sizes,
    attachments: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Array<number>>([]) },
      { weight: 1, arbitrary: fc.array(sizes, { minLength: 1, maxLength: 3 }) },
    ),
    /** Number of writes that the transport accepts before the next message is sent. */
    pace: fc.nat(2),
  }),
  { maxLength: 12 },
);

const property = (title: string, check: () => void | Promise<void>): void =>
  Deno.test({ name: `frames: ${title}`, sanitizeOps: true, sanitizeResources: true, fn: check });

/** Cuts bytes into chunks of these sizes, in a cycle. */
const chunked = function* (bytes: Uint8Array, cuts: ReadonlyArray<number>): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = cuts[i % cuts.length];
    yield bytes.slice(at, at + size);
    at += size;
  }
};

/** Passes chunks of these sizes to an inbox, in its own memory where the inbox gives some. Returns the number of those. */
const feed = (inbox: Inbox, bytes: Uint8Array, cuts: ReadonlyArray<number>): number => {
  let direct = 0;
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const place = inbox.space;
    const size = Math.min(cuts[i % cuts.length], bytes.length - at, place?.length ?? Infinity);
    const chunk = bytes.slice(at, at + size);
    place?.set(chunk);
    inbox.push(place?.subarray(0, size) ?? chunk);
    if (place !== undefined) direct++;
    at += size;
  }
  return direct;
};

/** A transport that hands chunks over, and copies those whose memory it may not take. */
class Port implements Transport {
  readonly whole = true;
  writes = 0;
  data: (chunk: Uint8Array) => void = () => {};

  readonly write = (
    chunks: ReadonlyArray<Uint8Array>,
    done: () => void,
    _handed?: () => void,
    owned?: boolean,
  ): void => {
    this.writes++;
    chunks.forEach((chunk, i) => this.data(owned === true && i === chunks.length - 1 ? chunk : chunk.slice()));
    done();
  };

  readonly start = (data: (chunk: Uint8Array) => void): void => void (this.data = data);
  readonly close = (): void => {};
}

property(
  "a transport that hands memory over takes a segment as one fragment, and a message's own memory is not copied",
  async () => {
    const transport = new Port();
    const received: Array<Incoming> = [];
    const inbox = new Inbox(MAX_MESSAGE_SIZE, (_kind, _channel, message) => received.push(message));
    transport.start((chunk) => inbox.push(chunk));
    const outbox = new Outbox(transport, MAX_MESSAGE_SIZE);
    const [own, other, short] = [contents(5 * FRAGMENT, 1), contents(3 * FRAGMENT, 2), contents(1, 3)];
    outbox.send(3, 7, (writer) => {
      writer.bytes(contents(10, 4));
      return { attachments: [own, other, short], owned: new Set([own]) };
    });
    outbox.send(3, 7, (writer) => writer.bytes(contents(2 * FRAGMENT, 5)));
    await Promise.resolve();
    assertEquals(received.length, 2);
    // The table, the short body and the first attachment are one write.
    assertEquals(transport.writes, 4);
    const [{ attachments, bytes }, long] = received;
    assert(equal(bytes, contents(10, 4)) && equal(long.bytes, contents(2 * FRAGMENT, 5)));
    assert([own, other, short].every((attachment, i) => equal(attachments[i], attachment)));
    assert(attachments[0].buffer === own.buffer);
    assert(
      attachments.every(({ buffer, length }, i) =>
        buffer.byteLength === length && (i === 0 || buffer !== other.buffer)
      ),
    );
  },
);

property("any messages arrive intact and in order on each channel, however the bytes are cut", () =>
  fc.assert(
    fc.asyncProperty(
      messages,
      fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 300_000 })), {
        minLength: 1,
        maxLength: 5,
      }).filter((cuts) => cuts.some((size) => size > 1000)),
      fc.boolean(),
      async (descriptions, cuts, isDirect) => {
        const wire = new Wire();
        const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
        const sent = descriptions.map(({ attachments, channel, kind, size }, i): Message => ({
          kind,
          channel,
          body: contents(size, i),
          attachments: attachments.map((size, j) => contents(size, 100 * i + j)),
        }));
        for (const [i, message] of sent.entries()) {
          send(outbox, message);
          for (let taken = 0; taken < descriptions[i].pace; taken++) {
            await Promise.resolve();
            wire.next();
          }
        }
        await wire.drain();
        assertEquals(outbox.pending, 0);
        const received: Array<Message> = [];
        const inbox = new Inbox(MAX_MESSAGE_SIZE, (kind, channel, { attachments, bytes }) => {
          received.push({ kind, channel, body: bytes.slice(), attachments });
        });
        if (isDirect) feed(inbox, wire.bytes, cuts);
        else for (const chunk of chunked(wire.bytes, cuts)) inbox.push(chunk);
        assertEquals(received.length, sent.length);
        for (const channel of new Set(sent.map(({ channel }) => channel))) {
          const there = received.filter((message) => message.channel === channel);
          const here = sent.filter((message) => message.channel === channel);
          assertEquals(there.map(({ kind }) => kind), here.map(({ kind }) => kind));
          for (const [i, message] of here.entries()) {
            assert(equal(there[i].body, message.body));
            assertEquals(there[i].attachments.length, message.attachments.length);
            assert(message.attachments.every((attachment, j) => equal(there[i].attachments[j], attachment)));
          }
        }
      },
    ),
    { numRuns: repeating ? 40 : 20 },
  ));

property("the smallest chunks of all, one byte each, make the same messages", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const body = contents(FRAGMENT + 1, 1);
  send(outbox, { kind: 1, channel: 1, body: new Uint8Array(0), attachments: [] });
  send(outbox, { kind: 2, channel: 2, body, attachments: [contents(3, 2), new Uint8Array(0)] });
  await wire.drain();
  const received: Array<[number, Incoming]> = [];
  const inbox = new Inbox(MAX_MESSAGE_SIZE, (kind, _, message) => received.push([kind, message]));
  for (const chunk of chunked(wire.bytes, [1])) inbox.push(chunk);
  assertEquals(received.map(([kind]) => kind), [1, 2]);
  assert(equal(received[1][1].bytes, body));
  assertEquals(received[1][1].attachments.map(({ length }) => length), [3, 0]);
});

property("the parts of a long message are read into its own memory, each byte once", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const body = contents(3 * FRAGMENT, 1);
  send(outbox, { kind: 2, channel: 2, body, attachments: [contents(5000, 2)] });
  await wire.drain();
  const received: Array<Incoming> = [];
  const inbox = new Inbox(MAX_MESSAGE_SIZE, (_, __, message) => received.push(message));
  assert(feed(inbox, wire.bytes, [1000]) > 3 * FRAGMENT / 1000);
  assert(equal(received[0].bytes, body));
  assert(equal(received[0].attachments[0], contents(5000, 2)));
  assertEquals([inbox.space, inbox.whole], [undefined, true]);
});

property("bytes that were written may be reused by the outbox, not those that were delivered", async () => {
  const wire = new Wire();
  wire.spoil = true;
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const received: Array<Uint8Array> = [];
  const inbox = new Inbox(MAX_MESSAGE_SIZE, (_, __, { bytes }) => received.push(bytes));
  const bodies = Array.from({ length: 50 }, (_, i) => contents(i * 10, i));
  for (const body of bodies) {
    send(outbox, { kind: 1, channel: 1, body, attachments: [] });
    await wire.drain();
  }
  for (const chunk of chunked(wire.bytes, [100, 7, 30])) inbox.push(chunk);
  assertEquals(received.map((bytes) => Array.from(bytes)), bodies.map((bytes) => Array.from(bytes)));
});

property("many small messages of one turn leave in one write", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  for (let i = 0; i < 1000; i++) send(outbox, { kind: 1, channel: i, body: contents(20, i), attachments: [] });
  await wire.drain();
  assertEquals(wire.writes.length, 1);
  assertEquals(wire.writes[0].length, 1000 * (HEADER + 20));
});

property("messages that are sent while the transport is busy leave in one write after it", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const small = { kind: 1, channel: 1, body: contents(20, 1), attachments: [] };
  send(outbox, small);
  await Promise.resolve();
  for (let turn = 0; turn < 10; turn++) {
    send(outbox, small);
    await Promise.resolve();
  }
  await wire.drain();
  assertEquals(wire.writes.map((write) => write.length), [HEADER + 20, 10 * (HEADER + 20)]);
});

property("a small message overtakes a large one of another channel, and no other of its own", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const order: Array<string> = [];
  const inbox = new Inbox(MAX_MESSAGE_SIZE, (kind, channel) => order.push(`${channel}:${kind}`));
  send(outbox, { kind: 1, channel: 1, body: contents(100 * FRAGMENT, 1), attachments: [] });
  await Promise.resolve();
  send(outbox, { kind: 2, channel: 1, body: contents(10, 1), attachments: [] });
  send(outbox, { kind: 1, channel: 2, body: contents(10, 1), attachments: [] });
  assert(wire.next());
  assert(wire.next());
  // The message arrives two writes later, because one fragment was already being sent.
  for (const write of wire.writes.slice(0, 3)) inbox.push(write);
  assertEquals(order, ["2:1"]);
  await wire.drain();
  for (const write of wire.writes.slice(3)) inbox.push(write);
  assertEquals(order, ["2:1", "1:1", "1:2"]);
});

property("large messages of several channels take turns", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  const order: Array<number> = [];
  const inbox = new Inbox(MAX_MESSAGE_SIZE, (_, channel) => order.push(channel));
  send(outbox, { kind: 1, channel: 1, body: contents(40 * FRAGMENT, 1), attachments: [] });
  send(outbox, { kind: 1, channel: 2, body: contents(2 * FRAGMENT, 1), attachments: [] });
  send(outbox, { kind: 1, channel: 3, body: contents(10, 1), attachments: [contents(FRAGMENT, 1)] });
  await wire.drain();
  for (const write of wire.writes) {
    assertLessOrEqual(write.length, LARGEST_FRAGMENT + 1024);
    inbox.push(write);
  }
  assertEquals(order.toSorted(), [1, 2, 3]);
  assertEquals(order[2], 1);
});

property("while writes take long, the fragments of a large message stay small", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  send(outbox, { kind: 1, channel: 1, body: contents(10 * FRAGMENT, 1), attachments: [] });
  do {
    await Promise.resolve();
    // A timer may fire too early by the other clock.
    for (const begun = performance.now(); performance.now() - begun < 5;);
  } while (wire.next());
  assertLessOrEqual(Math.max(...wire.writes.map(({ length }) => length)), FRAGMENT + 1024);
  assertGreaterOrEqual(wire.writes.length, 10);
});

property("a message over the limit is refused before a byte of it is sent, and the outbox is unchanged", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, 1000);
  const received: Array<number> = [];
  const inbox = new Inbox(1000, (_, channel) => received.push(channel));
  send(outbox, { kind: 1, channel: 1, body: contents(1000, 1), attachments: [] });
  const pending = outbox.pending;
  for (
    const tooLarge of [
      { body: contents(1001, 1), attachments: [] },
      { body: contents(FRAGMENT + 1, 1), attachments: [] },
      { body: contents(1, 1), attachments: [contents(1000, 1)] },
    ]
  ) {
    const error = assertThrows(() => send(outbox, { kind: 1, channel: 2, ...tooLarge }), MessageTooLarge);
    assertEquals(error.limit, 1000);
    assertEquals(error.size, tooLarge.body.length + tooLarge.attachments.reduce((sum, { length }) => sum + length, 0));
    assertStringIncludes(error.message, "maxMessageSize");
    assertEquals(outbox.pending, pending);
  }
  send(outbox, { kind: 1, channel: 3, body: contents(1, 1), attachments: [contents(999, 1)] });
  await wire.drain();
  inbox.push(wire.bytes);
  assertEquals(received, [1, 3]);
});

property("a body whose writer throws leaves the outbox unchanged", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  send(outbox, { kind: 1, channel: 1, body: contents(10, 1), attachments: [] });
  assertThrows(
    () =>
      outbox.send(1, 2, (writer) => {
        writer.bytes(contents(100_000, 1));
        throw new RangeError("no");
      }),
    RangeError,
  );
  send(outbox, { kind: 1, channel: 3, body: contents(10, 1), attachments: [] });
  await wire.drain();
  assertEquals(wire.bytes.length, 2 * (HEADER + 10));
});

property("an outbox that is full says so, and says when it is not", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  assert(outbox.writable);
  send(outbox, { kind: 1, channel: 1, body: contents(8 * FRAGMENT, 1), attachments: [] });
  assert(!outbox.writable);
  let resumed = 0;
  let flushed = 0;
  outbox.onWritable(() => resumed++);
  outbox.flushed(() => flushed++);
  await Promise.resolve();
  assertEquals([resumed, flushed], [0, 0]);
  await wire.drain();
  assertEquals([resumed, flushed], [1, 1]);
  outbox.flushed(() => flushed++);
  assertEquals(flushed, 2);
});

property("after the end messages are dropped, and nobody waits", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  send(outbox, { kind: 1, channel: 1, body: contents(8 * FRAGMENT, 1), attachments: [] });
  let resumed = 0;
  outbox.onWritable(() => resumed++);
  outbox.flushed(() => resumed++);
  outbox.close();
  assertEquals(resumed, 2);
  send(outbox, { kind: 1, channel: 1, body: contents(10, 1), attachments: [] });
  send(outbox, { kind: 1, channel: 1, body: contents(8 * FRAGMENT, 1), attachments: [] });
  assertEquals(outbox.pending, 0);
  await wire.drain();
  assertEquals(wire.writes.length, 0);
});

/** Feeds an inbox until it fails. Any failure but a ProtocolError fails the test. */
const survives = (inbox: Inbox, bytes: Uint8Array, cuts: ReadonlyArray<number>): void => {
  try {
    for (const chunk of chunked(bytes, cuts)) inbox.push(chunk);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
};

const cuts = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 4 });

property("garbage is a ProtocolError at most, and delivers no more than it holds", () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), cuts, (bytes, cuts) => {
      let delivered = 0;
      const inbox = new Inbox(MAX_MESSAGE_SIZE, (_, __, { attachments, bytes }) => {
        delivered += bytes.length + attachments.reduce((sum, { length }) => sum + length, 0);
      });
      survives(inbox, bytes, cuts);
      assertLessOrEqual(delivered, bytes.length);
    }),
    { numRuns: 3000 },
  ));

property("frames that are almost right are a ProtocolError at most", () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          length: fc.oneof(fc.nat(40), fc.constantFrom(0, 4, 12, 20, 28, FRAGMENT, FRAGMENT + 1, 0xffff_ffff)),
          kind: fc.constantFrom(1, 0x1f, 0x40, 0x41, 0x80, 0x81, 0xc0, 0xff),
          channel: fc.nat(2),
          body: fc.oneof(
            fc.uint8Array({ maxLength: 40 }),
            fc.array(fc.oneof(fc.nat(50), fc.constantFrom(NaN, -1, 0.5, 2 ** 53, Infinity, 1e9)), { maxLength: 4 }).map(
              (sizes) => {
                const view = new DataView(new ArrayBuffer(4 + 8 * sizes.length));
                view.setUint32(0, sizes.length, true);
                sizes.forEach((size, i) => view.setFloat64(4 + 8 * i, size, true));
                return new Uint8Array(view.buffer);
              },
            ),
          ),
          honest: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      cuts,
      (frames, cuts) => {
        const parts = frames.map(({ body, channel, honest, kind, length }) => {
          const frame = new Uint8Array(HEADER + body.length);
          const view = new DataView(frame.buffer);
          view.setUint32(0, honest ? body.length : length, true);
          frame[4] = kind;
          view.setUint32(5, channel, true);
          frame.set(body, HEADER);
          return frame;
        });
        const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
        let at = 0;
        for (const part of parts) {
          bytes.set(part, at);
          at += part.length;
        }
        let delivered = 0;
        const inbox = new Inbox(1_000_000, (_, __, { attachments, bytes }) => {
          delivered += bytes.length + attachments.reduce((sum, { length }) => sum + length, 0);
        });
        survives(inbox, bytes, cuts);
        assertLessOrEqual(delivered, bytes.length);
      },
    ),
    { numRuns: 3000 },
  ));

property("a claim of a gigabyte without the bytes allocates next to nothing", () => {
  const table = (channel: number, ...sizes: ReadonlyArray<number>): Uint8Array => {
    const body = 4 + 8 * sizes.length;
    const view = new DataView(new ArrayBuffer(HEADER + body));
    view.setUint32(0, body, true);
    view.setUint8(4, 0x41);
    view.setUint32(5, channel, true);
    view.setUint32(HEADER, sizes.length, true);
    sizes.forEach((size, i) => view.setFloat64(HEADER + 4 + 8 * i, size, true));
    return new Uint8Array(view.buffer);
  };
  const part = (channel: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(HEADER + 1));
    view.setUint32(0, 1, true);
    view.setUint8(4, 0x81);
    view.setUint32(5, channel, true);
    return new Uint8Array(view.buffer);
  };
  const { external: before } = Deno.memoryUsage();
  const inbox = new Inbox(MAX_MESSAGE_SIZE, () => {});
  let fed = 0;
  for (let channel = 0; channel < 20; channel++) {
    for (const bytes of [table(channel, MAX_MESSAGE_SIZE), part(channel)]) {
      fed += bytes.length;
      inbox.push(bytes);
    }
  }
  const { external: after } = Deno.memoryUsage();
  // Twenty channels have announced one byte each: the inbox may trust one of them, but not all together.
  assertLess(fed, 1000);
  assertLess(after - before, 40 * 1024 * 1024);
});

property("a message over the receiver's limit is a ProtocolError before it is received", async () => {
  const wire = new Wire();
  const outbox = new Outbox(wire, MAX_MESSAGE_SIZE);
  send(outbox, { kind: 1, channel: 1, body: contents(10, 1), attachments: [contents(2000, 1)] });
  await wire.drain();
  const inbox = new Inbox(1000, () => assert(false, "delivered"));
  assertThrows(() => inbox.push(wire.bytes.slice(0, HEADER + 20)), ProtocolError, "maxMessageSize");
});
