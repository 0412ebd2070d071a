/** Readers of queues that read ahead. */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import * as Exit from "effect/Exit";
import { Queue } from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import type { QueueHandle } from "../../src/internal/queue/items.ts";
import * as P from "../../src/internal/queue/protocol.ts";
import { localHost } from "../../src/internal/queue/putter.ts";
import { Reader } from "../../src/internal/queue/reader.ts";
import { unreportedOf } from "../../src/internal/queue/unreported.ts";
import type { Receiver } from "../../src/internal/rpc/link.ts";
import { host, type Hosted, retire } from "../../src/internal/rpc/router.ts";
import { assertEquals } from "../support/assert.ts";
import { until } from "../support/leaks.ts";
import { test, when } from "../support/suite.ts";

const handleOf = (queue: Queue.Queue<number>): QueueHandle =>
  (queue as unknown as Record<typeof HandleId, { readonly encode: () => QueueHandle }>)[HandleId].encode();

test(
  "a wait that begins after its queue or its reader has ended is over at once",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const queue = yield* Scope.extend(Queue.make<number>(), scope);
    const handle = handleOf(queue);
    const [ended, closed] = [new Reader(handle, undefined), new Reader(handle, undefined)];
    yield* Effect.promise(() => until("they are attached", () => ended.isAttached && closed.isAttached));
    closed.close(false);
    yield* Scope.close(scope, Exit.void);
    yield* Effect.promise(() => until("the queue has ended", () => ended.ended !== undefined));
    let changes = 0;
    for (const reader of [ended, closed]) reader.pull(10, 1, () => changes++);
    assertEquals(changes, 2);
  }),
);

/** A queue whose readers cannot map its memory, and ask for a file. */
const withoutMemory = (handle: QueueHandle): Effect.Effect<QueueHandle, never, Scope.Scope> => {
  const queue = localHost(handle)!;
  const apart: Hosted = {
    open: (operation, line, message, isLocal) => {
      let isFirst = true;
      const receiver: Receiver = queue.open(
        operation,
        {
          ...line,
          data: (fill) => {
            if (!isFirst) return line.data(fill);
            isFirst = false;
            queueMicrotask(() => receiver.data!({ bytes: Uint8Array.of(P.FILE), attachments: [] }));
          },
        },
        message,
        isLocal,
      );
      return receiver;
    },
  };
  return Effect.map(
    Effect.acquireRelease(Effect.sync(() => host(apart)), (object) => Effect.sync(() => retire(object))),
    (object) => ({ ...handle, object }),
  );
};

test(
  "an item whose taking is in doubt can be reported at once, and does not come back",
  Effect.gen(function* () {
    const queue = yield* Queue.make<number>({ redeliver: true });
    yield* queue.putAll([1, 2, 3, 4]);
    const handle = yield* withoutMemory(handleOf(queue));
    const reader = new Reader(handle, unreportedOf(handle));
    reader.pull(10, 1, () => {});
    yield* Effect.promise(() => until("it has items", () => reader.hasItems));
    // The third notice in a turn waits for its end.
    assertEquals([reader.claim(1, 0), reader.claim(1, 0)], [1, 1]);
    const { seekSync } = Deno.FsFile.prototype;
    let seeks = 0;
    let claimed = 0;
    // The queue has read what was taken, and is about to lower the limit.
    Deno.FsFile.prototype.seekSync = function (...position) {
      if (++seeks === 3) claimed = reader.claim(1, 7);
      return seekSync.apply(this, position);
    };
    const local = localHost(handleOf(queue))!;
    try {
      assertEquals([local.hasNext(), local.canTakeNow, claimed], [false, false, 1]);
    } finally {
      Deno.FsFile.prototype.seekSync = seekSync;
    }
    const [third] = unreportedOf(handle).pick(7, 1)!;
    yield* Effect.async<void>((resume) => third.report(() => resume(Effect.void)));
    assertEquals((yield* queue.statistics).unfinished, 3);
    reader.close(false);
    yield* when(queue.size, (size) => size === 3);
    assertEquals(yield* queue.takeUpTo(9), [1, 2, 4]);
  }),
);
