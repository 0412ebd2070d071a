/** When a pipe uses the memory of a copy again. */

import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { PipeHost } from "../../src/internal/pipe/host.ts";
import { BYTES, makeMessage, type Message } from "../../src/internal/pipe/message.ts";
import type { EndOwner, PipeAccess } from "../../src/internal/pipe/protocol.ts";
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
