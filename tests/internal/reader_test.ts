/** Readers of queues that read ahead. */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import * as Exit from "effect/Exit";
import { Queue } from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import type { QueueHandle } from "../../src/internal/queue/items.ts";
import { Reader } from "../../src/internal/queue/reader.ts";
import { assertEquals } from "../support/assert.ts";
import { until } from "../support/leaks.ts";
import { test } from "../support/suite.ts";

test(
  "a wait that begins after its queue or its reader has ended is over at once",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const queue = yield* Scope.extend(Queue.make<number>(), scope);
    const handle = (queue as unknown as Record<typeof HandleId, { readonly encode: () => QueueHandle }>)[HandleId]
      .encode();
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
