/** When a pipe uses the memory of a copy again. */

import * as Effect from "effect/Effect";
import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { PipeHost } from "../../src/internal/pipe/host.ts";
import { BYTES, makeMessage, type Message } from "../../src/internal/pipe/message.ts";
import type { EndOwner, PipeAccess } from "../../src/internal/pipe/protocol.ts";
import { Inbox } from "../../src/internal/transport/inbox.ts";
import { Outbox } from "../../src/internal/transport/outbox.ts";
import { recycle, recycled } from "../../src/internal/transport/recycled.ts";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { echoBytes } from "../api/pipe_tasks.ts";
import { test } from "../support/suite.ts";
import { testFunction } from "../support/tier.ts";

/** An owner that keeps what it is given. */
const owner = (near: boolean) => {
  const given: Array<{ readonly message: Message; readonly handed: () => void }> = [];
  const self: EndOwner = {
    near,
    start: () => {},
    message: (message, handed) => void given.push({ message, handed: () => handed?.(true) }),
    freed: () => {},
    peer: () => {},
    end: () => {},
  };
  return { self, given, memory: (at: number) => given[at].message.attachments[0] };
};

/** A pipe whose first end is in this process, and whose second end is in another one. */
const pipe = () => {
  const host = new PipeHost([Infinity, Infinity], () => () => {}, () => {});
  const claim = (index: number, generation: number, { self }: ReturnType<typeof owner>): PipeAccess =>
    host.claim(index, generation, self) as PipeAccess;
  const distant = owner(false);
  const sender = claim(0, 0, owner(true));
  const receiver = claim(1, 0, distant);
  let size = 0;
  return {
    claim,
    distant,
    receiver,
    send: (fill: number) => {
      // Each test has a size of its own, since the unused memory belongs to the process.
      size ||= nextSize++;
      const bytes = new Uint8Array(size).fill(fill);
      sender.send(makeMessage(BYTES, { bytes: new Uint8Array(0), attachments: [bytes] }), () => {});
      bytes.fill(255);
    },
  };
};

let nextSize = 100_000;

testFunction("a copy that has left and was received is the memory of the next message", () => {
  const { distant, receiver, send } = pipe();
  send(1);
  assertEquals(distant.memory(0)[0], 1);
  distant.given[0].handed();
  receiver.received(1);
  send(2);
  assertStrictEquals(distant.memory(1), distant.memory(0));
  assertEquals(distant.memory(1)[0], 2);
});

testFunction("a copy is not used again before it has left, even if the other side claims to have received it", () => {
  const { distant, receiver, send } = pipe();
  send(1);
  receiver.received(1);
  send(2);
  assertNotStrictEquals(distant.memory(1), distant.memory(0));
  assertEquals(distant.memory(0)[0], 1);
});

testFunction("a copy is not used again before it was received", () => {
  const { distant, send } = pipe();
  send(1);
  distant.given[0].handed();
  send(2);
  assertNotStrictEquals(distant.memory(1), distant.memory(0));
});

testFunction("a copy that was passed on twice, because its end has moved, is not used again", () => {
  const { claim, distant, receiver, send } = pipe();
  send(1);
  send(2);
  distant.given[0].handed();
  receiver.move();
  const next = owner(false);
  const successor = claim(1, 1, next);
  // The first way may still be reading the second message.
  distant.given[1].handed();
  assertStrictEquals(next.memory(0), distant.memory(0));
  successor.received(2);
  send(3);
  for (const at of [0, 1]) assertNotStrictEquals(next.memory(2), next.memory(at));
  assertEquals([next.memory(0)[0], next.memory(1)[0], next.memory(2)[0]], [1, 2, 3]);
});

testFunction("a copy that an end of this process has received belongs to its receiver", () => {
  const host = new PipeHost([Infinity, Infinity], () => () => {}, () => {});
  const near = owner(true);
  const sender = host.claim(0, 0, owner(true).self) as PipeAccess;
  const receiver = host.claim(1, 0, near.self) as PipeAccess;
  const size = nextSize++;
  for (const fill of [1, 2]) {
    sender.send(
      makeMessage(BYTES, { bytes: new Uint8Array(0), attachments: [new Uint8Array(size).fill(fill)] }),
      () => {},
    );
    near.given[fill - 1].handed();
    receiver.received(1);
  }
  assertNotStrictEquals(near.memory(1), near.memory(0));
  assertEquals(near.memory(0)[0], 1);
});

testFunction("a long message is received into unused memory of its size, and into new memory if there is none", () => {
  const size = nextSize++;
  const received: Array<Uint8Array> = [];
  const inbox = new Inbox(Infinity, (_, __, { attachments }) => received.push(...attachments));
  const transport = {
    write: (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
      // Lent, as a transport does that reads into its own buffer.
      for (const chunk of chunks) inbox.push(chunk.slice(), true);
      done();
    },
    start: () => {},
    close: () => {},
  };
  const outbox = new Outbox(transport, Infinity);
  const send = (fill: number): void => {
    outbox.send(1, 1, () => ({ attachments: [new Uint8Array(size).fill(fill)] }));
    outbox.flush();
  };
  send(1);
  send(2);
  assert(received[1].buffer !== received[0].buffer);
  recycle(received[0]);
  send(3);
  assert(received[2].buffer === received[0].buffer);
  assertEquals(received.map((bytes) => bytes[size - 1]), [3, 2, 3]);
  assertEquals(recycled(size), undefined);
});

testFunction("a part of a larger buffer is not used again", () => {
  const size = nextSize++;
  recycle(new Uint8Array(2 * size).subarray(size));
  recycle(new Uint8Array(new SharedArrayBuffer(size)));
  assertEquals(recycled(size), undefined);
});

const layers = [["subprocess", SubprocessBackend.layer()], ["worker", WorkerBackend.layer()]] as const;

for (const [name, layer] of layers) {
  test(
    `bytes that were received keep their content on ${name}, whatever is received into other memory after them`,
    Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<unknown>();
      yield* Process.spawn(echoBytes, theirs);
      const [near, other] = yield* Pipe.make<unknown>();
      const size = 200_000;
      const buffer = new Uint8Array(size);
      const kept: Array<Uint8Array> = [];
      for (let fill = 0; fill < 40; fill++) {
        for (const [send, receive] of [[mine, mine], [near, other]]) {
          yield* send.sendBytes(new Uint8Array(size).fill(fill));
          if (fill % 2 === 0) kept.push(yield* receive.recvBytes());
          else {
            assertEquals(yield* receive.recvBytesInto(buffer), size);
            assertEquals([buffer[0], buffer[size - 1]], [fill, fill]);
          }
        }
      }
      kept.forEach((bytes, at) => assertEquals(bytes, new Uint8Array(size).fill(at - at % 2)));
      yield* mine.close;
    }).pipe(Effect.scoped, Effect.provide(layer)),
  );
}
