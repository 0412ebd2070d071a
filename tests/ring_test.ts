/** The rings beside a link: bytes take another way from some byte on, and nobody notices. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { Process, Queue, SubprocessBackend, WorkerBackend } from "../mod.ts";
import { acceptRing, type Offer, offerRing } from "../src/link/ring.ts";
import { Changeable, type WatchedTransport } from "../src/link/transport.ts";
import { attach, type Kind } from "../src/region/region.ts";
import { words } from "../src/region/words.ts";
import { assert, assertEquals } from "./assert.ts";
import * as tasks from "./ring_tasks.ts";
import { test, warmUp } from "./suite.ts";

/** Two ends of a way in memory, which takes its time. */
const pair = (): readonly [WatchedTransport, WatchedTransport] => {
  const takes: Array<(chunk: Uint8Array) => void> = [];
  const ends: Array<(reason?: Error) => void> = [];
  let ended = false;
  const end = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    for (const tell of ends) setTimeout(() => tell(reason), 0);
  };
  const side = (own: number): WatchedTransport => ({
    write: (chunks, done) => {
      const copies = chunks.map((chunk) => chunk.slice());
      setTimeout(() => {
        for (const copy of copies) takes[1 - own](copy);
        done();
      }, 0);
    },
    start: (data, end) => {
      takes[own] = data;
      ends[own] = end;
    },
    close: () => setTimeout(end, 0),
    lost: end,
    drained: (done) => void setTimeout(done, 0),
  });
  return [side(0), side(1)];
};

/** Pseudo-random numbers from 0 to below `n`. */
const random = (seed: number) => (n: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor(seed / 2 ** 32 * n);
};

interface End {
  readonly transport: Changeable;
  readonly received: Array<Uint8Array>;
  count: number;
  ended: { readonly reason: Error | undefined } | undefined;
  onData: () => void;
}

const watched = (base: WatchedTransport): End => {
  const end: End = { transport: new Changeable(base), received: [], count: 0, ended: undefined, onData: () => {} };
  end.transport.start((chunk, lent) => {
    if (chunk.length === 0) return;
    end.received.push(lent ? chunk.slice() : chunk);
    end.count += chunk.length;
    end.onData();
  }, (reason) => {
    end.ended = { reason };
    end.onData();
  });
  return end;
};

/** Both ends, of which the parent makes its offer at once when it has become busy; the offer is taken up after `delay` turns. */
const conversation = (kind: Kind, delay: number, accepts = true): readonly [End, End, () => Offer | undefined] => {
  const [left, right] = pair();
  const parent = watched(left);
  const child = watched(right);
  let offered: Offer | undefined;
  offerRing(parent.transport, kind, (offer) => {
    offered = offer;
    const take = (turns: number): void => {
      if (turns > 0) return void setTimeout(() => take(turns - 1), 0);
      if (accepts) assert(acceptRing(child.transport, offer));
    };
    take(delay);
  });
  return [parent, child, () => offered];
};

const write = (end: End, chunk: Uint8Array): Promise<void> =>
  new Promise((resolve) =>
    end.transport.write([chunk.slice(0, chunk.length >> 1), chunk.slice(chunk.length >> 1)], resolve)
  );

const until = (end: End, holds: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (!holds()) return;
      end.onData = () => {};
      resolve();
    };
    end.onData = look;
    look();
  });

const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
};

const checked = async (from: End, to: End, pick: (n: number) => number, writes: number): Promise<void> => {
  const sent: Array<Uint8Array> = [];
  let total = 0;
  for (let i = 0; i < writes; i++) {
    const chunk = new Uint8Array(pick(20) === 0 ? pick(600_000) : pick(300));
    for (let j = 0; j < chunk.length; j += 1 + pick(50)) chunk[j] = pick(256);
    sent.push(chunk);
    total += chunk.length;
    await write(from, chunk);
  }
  await until(to, () => to.count >= total);
  assertEquals(to.count, total);
  const a = joined(sent);
  const b = joined(to.received);
  assert(a.every((byte, i) => byte === b[i]));
};

for (const kind of ["memory", "buffer"] as const) {
  for (const delay of [0, 1, 7]) {
    test(
      `${kind}: all bytes arrive once and in order, whatever way they take (taken up after ${delay} turns)`,
      Effect.promise(async () => {
        const [parent, child] = conversation(kind, delay);
        const pick = random(delay + 1);
        await Promise.all([checked(parent, child, pick, 300), checked(child, parent, pick, 300)]);
        // Most of it has gone by the rings.
        assert(parent.transport.sent < child.count / 2);
        assert(child.transport.sent < parent.count / 2);
        parent.transport.close();
        await until(child, () => child.ended !== undefined);
      }),
    );
  }

  test(
    `${kind}: who writes is held back by who does not read, and what was taken before outlives the writer`,
    Effect.promise(async () => {
      const [parent, child] = conversation(kind, 0);
      const small = new Uint8Array(10).fill(1);
      for (let i = 0; i < 80; i++) await Promise.all([write(parent, small), write(child, small)]);
      await until(parent, () => parent.count === 800);
      // Nobody reads while this thread does not turn: the first fills the ring, the next has to wait.
      let taken = 0;
      const large = new Uint8Array(200_000).fill(2);
      for (let i = 0; i < 2; i++) parent.transport.write([large], () => taken++);
      assertEquals(taken, 1);
      await until(child, () => child.count === 800 + 400_000);
      assertEquals(taken, 2);
      child.transport.write([large], () => taken++);
      assertEquals(taken, 3);
      child.transport.close();
      await until(parent, () => parent.ended !== undefined);
      assertEquals(parent.count, 800 + 200_000);
    }),
  );

  test(
    `${kind}: who dies right after changing over, and cannot be rung any more, has written what he has written`,
    Effect.promise(async () => {
      const [parent, child, offered] = conversation(kind, 0, false);
      const small = new Uint8Array(10).fill(1);
      for (let i = 0; i < 80; i++) await Promise.all([write(parent, small), write(child, small)]);
      await until(parent, () => parent.count === 800);
      assert(acceptRing(child.transport, offered()!));
      let taken = 0;
      child.transport.write([new Uint8Array(200_000)], () => taken++);
      const cells = words(attach(offered()!.token).buffer);
      // Nobody is there who has this doorbell.
      for (let word = 35; word < 39; word++) cells.store(word, 0);
      child.transport.close();
      await until(parent, () => parent.ended !== undefined);
      assertEquals([taken, parent.count], [1, 800 + 200_000]);
    }),
  );

  test(
    `${kind}: an offer that is not taken up changes nothing`,
    Effect.promise(async () => {
      const [parent, child] = conversation(kind, 0, false);
      await checked(parent, child, random(3), 120);
      parent.transport.detour!.end();
      await checked(child, parent, random(4), 120);
      assertEquals(child.transport.sent, parent.count);
      parent.transport.close();
      await until(child, () => child.ended !== undefined);
    }),
  );

  test(
    `${kind}: counts that cannot be true end the link, and say why`,
    Effect.promise(async () => {
      const [parent, child, offered] = conversation(kind, 0);
      const small = new Uint8Array(10);
      for (let i = 0; i < 80; i++) await Promise.all([write(parent, small), write(child, small)]);
      await until(parent, () => parent.count === 800);
      const cells = words(attach(offered()!.token).buffer);
      cells.add(128, 1_000_000);
      child.transport.write([small], () => {});
      await until(parent, () => parent.ended !== undefined);
      assert(parent.ended!.reason?.message.includes("more bytes than the ring holds"));
      await until(child, () => child.ended !== undefined);
    }),
  );
}

const backends = {
  subprocess: SubprocessBackend.layer(),
  "subprocess without ffi": SubprocessBackend.layer({ permissions: { read: true } }),
  worker: WorkerBackend.layer(),
};

await warmUp(Effect.gen(function* () {
  for (const layer of Object.values(backends)) yield* Effect.provide(Process.run(tasks.nothing), layer);
}));

for (const [name, layer] of Object.entries(backends)) {
  test(
    `${name}: a queue that is much used loses nothing when its link changes over`,
    Effect.gen(function* () {
      const there = yield* Queue.make<number>({ capacity: 50 });
      const back = yield* Queue.make<number>({ capacity: 50 });
      const child = yield* Process.spawn(tasks.relay, there, back);
      const all = Array.from({ length: 3000 }, (_, i) => i);
      const feed = yield* Effect.fork(Effect.zipRight(Effect.forEach(all, (i) => there.put(i)), there.close));
      const got = yield* Stream.runCollect(Stream.take(back.toStream, all.length));
      assertEquals([...got], all);
      yield* feed.await;
      yield* child.join;
    }).pipe(Effect.provide(layer)),
  );
}

test(
  "a link changes over only if it is much used, and only where the child may",
  Effect.gen(function* () {
    const mapped = (calls: number) =>
      Effect.gen(function* () {
        const queue = yield* Queue.make<number>();
        const child = yield* Process.spawn(tasks.mapsAfter, queue);
        for (let i = 0; i < calls; i++) {
          yield* queue.put(i);
          yield* queue.join;
        }
        yield* queue.close;
        return yield* child.join;
      });
    assertEquals(yield* Effect.provide(mapped(3), backends.subprocess), 0);
    assert((yield* Effect.provide(mapped(200), backends.subprocess)) > 0);
  }),
);
