/** Sessions of records over a carrier that loses messages, breaks, and is slow. */
import { Session } from "../../src/internal/nats/session.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, random, rounds, seed } from "../support/chance.ts";
import { chosen } from "../support/tier.ts";

/** Two sessions, and the messages between them, which the test delivers or loses. */
class Wire {
  connected = true;
  readonly queues: [Array<Uint8Array>, Array<Uint8Array>] = [[], []];
  readonly received: [Array<number>, Array<number>] = [[], []];
  /** Records that a side has received and not taken, with the function that takes each. */
  readonly held: [Array<() => void>, Array<() => void>] = [[], []];
  readonly resets = [0, 0];
  answerable = 0;
  readonly sides: readonly [Session, Session];

  constructor() {
    this.sides = [this.#side(0), this.#side(1)];
  }

  #side(of: 0 | 1): Session {
    return new Session({
      connected: () => this.connected,
      send: (message, answerable) => {
        this.queues[of].push(message.slice());
        if (answerable) this.answerable++;
      },
    }, {
      record: (kind, body, taken) => {
        assertEquals(kind, 1);
        this.received[of].push(new DataView(body.buffer, body.byteOffset).getUint32(0));
        this.held[of].push(taken);
      },
      reset: () => this.resets[of]++,
    });
  }

  send(from: 0 | 1, number: number, size: number = 4, acknowledged?: () => void): void {
    const body = new Uint8Array(Math.max(4, size));
    new DataView(body.buffer).setUint32(0, number);
    this.sides[from].send(1, [body.subarray(0, 2), body.subarray(2)], acknowledged);
  }

  /** Delivers the next message of a side. */
  deliver(from: 0 | 1): boolean {
    const message = this.queues[from].shift();
    if (message !== undefined) this.sides[1 - from].receive(message);
    return message !== undefined;
  }

  take(of: 0 | 1): void {
    for (const taken of this.held[of].splice(0)) taken();
  }

  /** Breaks the connection: messages that are under way are lost, except for the first ones. */
  break(arriving: number): void {
    for (const from of [0, 1] as const) {
      for (let i = 0; i < arriving; i++) this.deliver(from);
      this.queues[from].length = 0;
    }
    this.connected = false;
  }

  heal(): void {
    this.connected = true;
    for (const side of this.sides) side.resume();
  }

  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      const moved = this.deliver(0) || this.deliver(1);
      this.take(0);
      this.take(1);
      await Promise.resolve();
      quiet = moved ? 0 : quiet + 1;
    }
  }

  close(): void {
    for (const side of this.sides) side.close();
  }
}

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i);

Deno.test("records arrive once and in order, whatever a broken connection has lost (storm)", async () => {
  if (!chosen("(storm)")) return;
  for (let round = 0; round < rounds(30, 2000); round++) {
    const wire = new Wire();
    const sent = [0, 0];
    const acknowledged: [Array<number>, Array<number>] = [[], []];
    const send = (from: 0 | 1): void => {
      const number = sent[from]++;
      wire.send(from, number, 4 + below(2000), random() < 0.3 ? () => void acknowledged[from].push(number) : undefined);
    };
    for (let step = 0; step < 200; step++) {
      const from = below(2) as 0 | 1;
      const chance = random();
      if (chance < 0.4) send(from);
      else if (chance < 0.8) wire.deliver(from);
      else if (chance < 0.9) wire.take(from);
      else if (chance < 0.95) {
        wire.break(below(3));
        if (random() < 0.5) send(from);
        wire.heal();
      } else await Promise.resolve();
    }
    await wire.settle();
    // The last messages may have been lost without a gap that shows it: the next connection finds out.
    wire.heal();
    await wire.settle();
    const message = `seed ${seed}, round ${round}`;
    for (const from of [0, 1] as const) {
      assertEquals(wire.received[1 - from], numbers(sent[from]), message);
      assertEquals(acknowledged[from], acknowledged[from].toSorted((a, b) => a - b), message);
      assert(wire.sides[from].room, message);
    }
    assertEquals(wire.resets, [0, 0]);
    wire.close();
  }
});

Deno.test("a record counts as acknowledged when the other side has taken it, not when it has received it", async () => {
  const wire = new Wire();
  let done = false;
  wire.send(0, 0, 4, () => done = true);
  wire.deliver(0);
  await Promise.resolve();
  assertEquals([wire.received[1], wire.queues[1].length, done], [[0], 0, false]);
  wire.take(1);
  await Promise.resolve();
  wire.deliver(1);
  assertEquals(done, true);
  wire.close();
});

Deno.test("a record that was received and not taken is neither acknowledged by a new connection nor sent again", async () => {
  const wire = new Wire();
  let done = false;
  wire.send(0, 0, 4, () => done = true);
  wire.send(0, 1);
  wire.deliver(0);
  wire.break(0);
  wire.heal();
  while (wire.deliver(0) || wire.deliver(1));
  assertEquals([wire.received[1], done], [[0, 1], false]);
  await wire.settle();
  assertEquals([wire.received[1], done], [[0, 1], true]);
  wire.close();
});

Deno.test("a side has no room while a mebibyte is not taken, and is told when there is room", async () => {
  const wire = new Wire();
  for (let i = 0; wire.sides[0].room; i++) wire.send(0, i, 100_000);
  assertEquals(wire.queues[0].length, 11);
  let told = 0;
  wire.sides[0].onRoom(() => told++);
  while (wire.deliver(0));
  assertEquals(told, 0);
  await wire.settle();
  assertEquals([told, wire.sides[0].room], [1, true]);
  wire.close();
});

Deno.test("a gap is asked for once, and a record that came before is not delivered again", async () => {
  const wire = new Wire();
  for (const number of numbers(4)) wire.send(0, number);
  // The second message is lost.
  wire.deliver(0);
  wire.queues[0].shift();
  wire.deliver(0);
  wire.deliver(0);
  assertEquals([wire.received[1], wire.queues[1].length], [[0], 1]);
  await wire.settle();
  assertEquals(wire.received[1], numbers(4));
  wire.close();
});

Deno.test("a last record that is lost is sent again, in a message that tells where to answer", async () => {
  const wire = new Wire();
  wire.send(0, 0);
  wire.queues[0].length = 0;
  while (wire.queues[0].length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(wire.answerable, 1);
  await wire.settle();
  assertEquals(wire.received[1], [0]);
  wire.close();
});

Deno.test("a side of which the other one knows nothing is told, and malformed messages change nothing", () => {
  const wire = new Wire();
  wire.sides[0].receive(new Uint8Array(3));
  wire.sides[0].receive(new Uint8Array([0x62, ...new Uint8Array(16)]));
  assertEquals(wire.resets, [1, 0]);
  wire.close();
});
