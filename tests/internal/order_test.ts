/**
 * The parts of a queue, compared with simple models: its orders, the FIFO queue of waiters, and packets.
 *
 * @module
 */
import * as fc from "effect/FastCheck";
import { FifoStore, Item, LifoStore, PriorityStore, type Store } from "../../src/internal/queue/store.ts";
import { pack, type Packet, sizeOf, unpack } from "../../src/internal/objects/packets.ts";
import { Fifo, type FifoEntry } from "../../src/internal/objects/fifo.ts";
import { Writer } from "../../src/internal/codec/codec.ts";
import { ProtocolError } from "../../src/internal/transport/frames.ts";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "../support/assert.ts";

const itemOf = (arrival: number, key: unknown): Item =>
  new Item({ bytes: new Uint8Array(), attachments: [] }, 0, arrival, key);

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

/** An operation on a store: a new item arrives, the next item is handed out, or the nth handed-out item returns. */
type Step = { readonly push: number } | "shift" | { readonly restore: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 3, arbitrary: fc.constant("shift" as const) },
  { weight: 2, arbitrary: fc.record({ restore: fc.nat(1000) }) },
);

const steps = fc.array(step, { maxLength: 200, size: "max" });

/** The arrival numbers of all items that a store hands out. */
const rest = (store: Store): ReadonlyArray<number> => {
  const arrivals: Array<number> = [];
  for (let item = store.shift(); item !== undefined; item = store.shift()) arrivals.push(item.arrival);
  return arrivals;
};

/** Applies the same operations to a store and to a list that is sorted each time. */
const follows = (make: () => Store, before: (a: Item, b: Item) => number) => (steps: ReadonlyArray<Step>): void => {
  const store = make();
  const model: Array<Item> = [];
  const out: Array<Item> = [];
  let arrival = 0;
  for (const step of steps) {
    if (step === "shift") {
      const expected = model.sort(before).shift();
      const item = store.shift();
      assertEquals(item?.arrival, expected?.arrival);
      if (item !== undefined) out.push(item);
    } else if ("push" in step) {
      const item = itemOf(++arrival, step.push);
      store.push(item);
      model.push(item);
    } else if (out.length > 0) {
      const [item] = out.splice(step.restore % out.length, 1);
      store.restore(item);
      model.push(item);
    }
    assertEquals(store.length, model.length);
  }
  assertEquals(rest(store), model.sort(before).map((item) => item.arrival));
};

const number = (a: unknown, b: unknown): number => (a as number) - (b as number);

const orders: ReadonlyArray<readonly [name: string, make: () => Store, before: (a: Item, b: Item) => number]> = [
  ["first in, first out", () => new FifoStore(), (a, b) => a.arrival - b.arrival],
  ["last in, first out", () => new LifoStore(), (a, b) => b.arrival - a.arrival],
  ["by priority", () => new PriorityStore(number), (a, b) => number(a.key, b.key) || a.arrival - b.arrival],
];

for (const [name, make, before] of orders) {
  Deno.test(`${name}: an item that was given out and comes back returns to its place`, () => {
    fc.assert(fc.property(steps, follows(make, before)), { numRuns: 300 });
  });

  Deno.test(`${name}: thirty thousand items, of which the first half comes back at once`, () => {
    const count = 30_000;
    const store = make();
    const items = numbers(count).map((n) => itemOf(n, n * 7919 % 1000));
    for (const item of items) store.push(item);
    const given = numbers(count / 2).map(() => store.shift()!);
    for (const item of given.reverse()) store.restore(item);
    assertEquals(store.length, count);
    assertEquals(rest(store), items.toSorted(before).map((item) => item.arrival));
  });

  Deno.test(`${name}: a store that was cleared is empty, and can be used again`, () => {
    const store = make();
    for (const n of numbers(10)) store.push(itemOf(n, n));
    store.shift();
    store.clear();
    assertEquals([store.length, store.shift()], [0, undefined]);
    store.push(itemOf(11, 0));
    assertEquals(rest(store), [11]);
  });
}

Deno.test("by priority: an item without an order is refused with nothing changed, or found too late and given out all the same", () => {
  const partial = (a: unknown, b: unknown): number => {
    if (typeof a !== typeof b) throw new TypeError("no order");
    return a! < b! ? -1 : a! > b! ? 1 : 0;
  };
  const key = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom("a", "b", "c"));
  const partialStep = fc.oneof(
    { weight: 4, arbitrary: fc.record({ push: key }) },
    { weight: 3, arbitrary: fc.constant("shift" as const) },
    { weight: 2, arbitrary: fc.record({ restore: fc.nat(1000) }) },
  );
  fc.assert(
    fc.property(fc.array(partialStep, { maxLength: 100, size: "max" }), (steps) => {
      const store = new PriorityStore(partial);
      const inside = new Set<number>();
      const out: Array<Item> = [];
      let arrival = 0;
      for (const step of steps) {
        if (step === "shift") {
          const item = store.shift();
          assertEquals(item === undefined, inside.size === 0);
          if (item === undefined) continue;
          assert(inside.delete(item.arrival));
          out.push(item);
        } else if ("push" in step) {
          try {
            store.push(itemOf(++arrival, step.push));
            inside.add(arrival);
          } catch (error) {
            assertInstanceOf(error, TypeError);
          }
        } else if (out.length > 0) {
          const [item] = out.splice(step.restore % out.length, 1);
          store.restore(item);
          inside.add(item.arrival);
        }
        assertEquals(store.length, inside.size);
      }
      assertEquals(new Set(rest(store)), inside);
    }),
    { numRuns: 300 },
  );
});

Deno.test("a FIFO queue gives its values in order, whichever entries were removed", () => {
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.constant("push" as const) },
    { weight: 2, arbitrary: fc.constant("shift" as const) },
    { weight: 3, arbitrary: fc.record({ remove: fc.nat(1000) }) },
    { weight: 1, arbitrary: fc.constant("clear" as const) },
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
      const line = new Fifo<number>();
      const places: Array<FifoEntry<number>> = [];
      let model: Array<number> = [];
      for (const action of actions) {
        if (action === "push") {
          places.push(line.push(places.length));
          model.push(places.length - 1);
        } else if (action === "shift") {
          assertEquals(line.shift(), model.shift());
        } else if (action === "clear") {
          assertEquals(line.drain(), model);
          model = [];
        } else if (places.length > 0) {
          const place = places[action.remove % places.length];
          assertEquals(place.queued, model.includes(place.value));
          assertEquals(line.remove(place), model.includes(place.value));
          model = model.filter((value) => value !== place.value);
        }
        assertEquals([line.length, line.first], [model.length, model[0]]);
      }
    }),
    { numRuns: 300 },
  );
});

// Packets

const bytes = fc.uint8Array({ maxLength: 300, size: "max" });

const packet: fc.Arbitrary<Packet> = fc.record({
  bytes,
  attachments: fc.array(bytes, { maxLength: 3 }),
  moves: fc.boolean(),
});

Deno.test("packets are read as they were written, from wherever they begin, and own their memory", () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 20, size: "max" }), fc.nat(300), (packets, start) => {
      const writer = new Writer(16);
      writer.bytes(new Uint8Array(start));
      const extras = pack(writer, packets);
      const message = writer.buffer.slice(0, writer.position);
      const read = unpack({ bytes: message, attachments: extras?.attachments ?? [] }, start, "own");
      message.fill(255);
      assertEquals(read.map((packet): Packet => ({ ...packet })), packets);
      assertEquals(read.map(sizeOf), packets.map(sizeOf));
    }),
  );
});

Deno.test("whatever bytes come, they are packets or a ProtocolError", () => {
  const parts = fc.array(bytes, { maxLength: 3 });
  const prefix = fc.constantFrom([], [1], [2, 3, 0], [255, 255, 255, 255, 255, 255, 255, 255, 255], [
    1,
    255,
    127,
  ]);
  fc.assert(
    fc.property(bytes, parts, prefix, (tail, attachments, head) => {
      const message = new Uint8Array([...head, ...tail]);
      try {
        const packets = unpack({ bytes: message, attachments }, 0, "own");
        assert(packets.reduce((sum, { bytes }) => sum + bytes.length, 0) <= message.length);
      } catch (error) {
        assertInstanceOf(error, ProtocolError);
      }
    }),
    { numRuns: 1_000 },
  );
  // A short message that announces many or long items is refused before any allocation.
  for (const message of [[255, 255, 255, 255, 15], [1, 255, 255, 255, 255, 15, 0], [1, 0, 9], [], [128]]) {
    assertThrows(() => unpack({ bytes: new Uint8Array(message), attachments: [] }, 0, "own"), ProtocolError);
  }
});
