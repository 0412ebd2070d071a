/** Small copies share their memory, and nothing that a user receives does. */

import * as Effect from "effect/Effect";
import { slabCopy, slabText, SMALL } from "../../src/internal/codec/bytes.ts";
import * as Codec from "../../src/internal/codec/codec.ts";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { echoBytes } from "../api/pipe_tasks.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { test } from "../support/suite.ts";
import { testFunction } from "../support/tier.ts";

testFunction("copies of all sizes have the bytes of their source, and keep them", () => {
  const source = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  const copies = Array.from({ length: 500 }, (_, i) => slabCopy(source, i % 300, i % 300 + i));
  source.fill(0);
  copies.forEach((copy, i) => {
    assertEquals(copy.length, i);
    copy.forEach((byte, at) => assertEquals(byte, (i % 300 + at) * 7 & 255));
  });
});

testFunction("a text with a character for each byte gives these bytes, and keeps them", () => {
  const sources = Array.from(
    { length: 1000 },
    (_, i) => Uint8Array.from({ length: i % (SMALL + 1) }, (_, at) => i + at),
  );
  const copies = sources.map((source) => slabText(String.fromCharCode(...source)));
  assertEquals(copies, sources);
  assert(new Set(copies.map(({ buffer }) => buffer)).size < 100);
});

testFunction("a small copy shares a buffer of limited size, and a long one has its own", () => {
  const source = new Uint8Array(10_000);
  const buffers = new Set(Array.from({ length: 100 }, () => slabCopy(source, 0, 30).buffer));
  assert(buffers.size < 5);
  for (const buffer of buffers) assert(buffer.byteLength <= 4096);
  assertEquals(slabCopy(source, 0, 1000).buffer.byteLength, 1000);
});

testFunction("decoded binary values have buffers of their own", () => {
  const encoded = Codec.encode([new Uint8Array([1, 2, 3]), new ArrayBuffer(2), new DataView(new ArrayBuffer(4), 1, 2)]);
  assert(encoded.bytes.buffer.byteLength > encoded.bytes.length);
  const [array, buffer, view] = Codec.decode(encoded.bytes, { link: undefined }) as [Uint8Array, ArrayBuffer, DataView];
  assertEquals([array.buffer.byteLength, buffer.byteLength, view.buffer.byteLength], [3, 2, 2]);
});

test(
  "received bytes have a buffer of their own, here and in a child",
  Effect.gen(function* () {
    const [near, other] = yield* Pipe.make<unknown>();
    yield* near.sendBytes(new Uint8Array([1, 2, 3]));
    assertEquals((yield* other.recvBytes()).buffer.byteLength, 3);
    const [mine, theirs] = yield* Pipe.make<unknown>();
    yield* Process.spawn(echoBytes, theirs);
    yield* mine.sendBytes(new Uint8Array([1, 2, 3]));
    const back = yield* mine.recvBytes();
    assertEquals([back.buffer.byteLength, ...back], [3, 1, 2, 3]);
    yield* mine.close;
  }).pipe(Effect.provide(SubprocessBackend.layer())),
);
