/** Tasks that let a manager make shared memory for them. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import type * as SharedMemoryManager from "../../src/SharedMemoryManager.ts";
import * as Task from "../../src/Task.ts";
import { reasonOf } from "./memory_tasks.ts";

export type Manager = SharedMemoryManager.SharedMemoryManager;

/** Lets the manager make a block and a list, and fills them. */
export const makes = Task.make(
  import.meta,
  "makes",
  (manager: Manager, name: string | undefined) =>
    Effect.gen(function* () {
      const memory = yield* manager.memory({ name, size: 100 });
      memory.bytes.fill(3);
      const list = yield* manager.list(["a", 1]);
      yield* list.set(0, "b");
      return { memory, list };
    }),
);

export const makesBelow = Task.make(
  import.meta,
  "makesBelow",
  (manager: Manager) => Process.run(makes, manager, undefined),
);

/** The failures of invalid requests. */
export const asksInVain = Task.make(
  import.meta,
  "asksInVain",
  (manager: Manager, name: string) =>
    Effect.all([
      reasonOf(Effect.catchTags(manager.memory({ size: -1 }), untyped)),
      reasonOf(Effect.catchTags(manager.memory({ name, size: 1 }), untyped)),
      reasonOf(Effect.catchTags(manager.list([2n ** 64n]), untyped)),
    ]),
);

const untyped = {
  Unreachable: () => Effect.succeed("Unreachable"),
  EncodeError: () => Effect.succeed("EncodeError"),
  DecodeError: () => Effect.succeed("DecodeError"),
  MessageTooLarge: () => Effect.succeed("MessageTooLarge"),
};

/** Lets the manager make a block, releases another, reports so, and waits for ever. */
export const uses = Task.make(
  import.meta,
  "uses",
  (manager: Manager, told: Queue.Queue<ReadonlyArray<boolean>>) =>
    Effect.gen(function* () {
      yield* manager.memory({ size: 10 });
      const other = yield* manager.memory({ size: 20 });
      yield* told.put([yield* manager.release(other), yield* manager.release(other)]);
      yield* Effect.never;
    }),
);

export const shutsDown = Task.make(
  import.meta,
  "shutsDown",
  (manager: Manager) =>
    Effect.zipRight(
      Effect.zipRight(manager.shutdown, manager.shutdown),
      Effect.match(manager.segments, { onFailure: ({ _tag }) => _tag, onSuccess: () => "it lives" }),
    ),
);
