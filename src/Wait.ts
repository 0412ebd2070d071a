/**
 * Waits for several queues, connections, listeners, processes, events and submissions of pools at once.
 *
 * {@link wait} returns when at least one of its objects is ready, or when its `timeout` has passed. It returns the objects that are
 * ready, and takes nothing from them.
 *
 * | object | is ready when |
 * | --- | --- |
 * | a queue | it has an item, or has ended |
 * | a connection | it has a message, or an end of file |
 * | a listener | a client has connected, or the listener is closed |
 * | a process | it has ended |
 * | an event | it is set |
 * | a submission of a pool | it has settled |
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const first = yield* Mp.Queue.make<string>();
 *   const second = yield* Mp.Queue.make<string>();
 *   yield* second.put("an item");
 *   const ready = yield* Mp.wait([first, second], { timeout: "1 minute" });
 *   console.log(ready.length, ready[0] === second, yield* second.size);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 1 true 1
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.connection.wait(objects, timeout)` | `wait(objects, { timeout })` |
 * | `Process.sentinel` | the process itself |
 *
 * @module
 */
import "./internal/os/runtime.ts";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import { InvalidArgument } from "./internal/objects/errors.ts";
import { type Waitable, WaitId } from "./internal/objects/waitable.ts";
import { after } from "./internal/os/timer.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { duration } from "./internal/os/durations.ts";

export { InvalidArgument };
export type { Waitable, WaitId };

/**
 * Options of {@link wait}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The longest time to wait. With zero, `wait` only checks the objects. @default unlimited */
  readonly timeout?: Duration.DurationInput | undefined;
}

/**
 * Waits until at least one of the objects is ready, and returns all objects that are ready, in their order. Returns none if the
 * timeout passes first. Nothing is taken from any object.
 *
 * An object is ready if using it would not wait: a queue that has an item or has ended, a connection that has a message or whose
 * other end is closed, a listener with a new client, a process that has ended, an event that is set, a submission that has settled, and
 * any object that is gone. What is no longer ready when `wait` looks is not returned, and the wait goes on: an item that another
 * consumer has taken, or an event that was set and cleared at once. `event.wait` also ends in that case.
 *
 * Fails with {@link InvalidArgument} if a value is not an object to wait for, or if the timeout is not a duration.
 *
 * *Interruption:* stops the wait.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const next = (queue: Mp.Queue.Queue<string>, child: Mp.Process.Process<void>) =>
 *   Effect.gen(function* () {
 *     const ready = yield* Mp.wait([queue, child], { timeout: "10 seconds" });
 *     if (ready.includes(queue)) return yield* queue.get;
 *     return ready.includes(child) ? "it has ended" : "nothing for ten seconds";
 *   });
 * ```
 *
 * @since 0.1.0
 * @category waiting
 */
export const wait = <A extends Waitable>(
  objects: Iterable<A>,
  options: Options = {},
): Effect.Effect<ReadonlyArray<A>, InvalidArgument> =>
  Effect.suspend((): Effect.Effect<ReadonlyArray<A>, InvalidArgument> => {
    const wrong = Arguments.wrong({ objects, options }, argumentChecks);
    if (wrong !== undefined) return Effect.fail(new InvalidArgument(Arguments.invalidArgument("wait", wrong)));
    const all = [...objects];
    const wrongObject = waitables(all);
    if (wrongObject !== undefined) {
      return Effect.fail(new InvalidArgument(Arguments.invalidArgument("wait", `objects ${wrongObject}`)));
    }
    const { timeout } = options;
    const ready = looks(all);
    const limit = timeout === undefined ? Infinity : performance.now() + Duration.toMillis(timeout);
    const look: Effect.Effect<ReadonlyArray<A>> = Effect.flatMap(ready, (found) => {
      const left = limit - performance.now();
      return found.length > 0 || left <= 0 ? Effect.succeed(found) : Effect.zipRight(change(all, left), look);
    });
    return look;
  });

const argumentChecks: Arguments.Checks = {
  objects: Arguments.iterable,
  options: Arguments.options({ timeout: Arguments.optional(duration) }),
};

const waitables = Arguments.arrayOf(
  Arguments.marked(WaitId, "something to wait for"),
  "queues, connections, listeners, processes or other things to wait for",
);

/** Checks all objects at once, and returns those that are ready. */
const looks = <A extends Waitable>(objects: ReadonlyArray<A>): Effect.Effect<ReadonlyArray<A>> =>
  Effect.async((resume) => {
    const ready = new Array<boolean>(objects.length);
    let open = objects.length + 1;
    const answered = (): void => {
      if (--open === 0) resume(Effect.succeed(objects.filter((_, index) => ready[index])));
    };
    try {
      objects.forEach((object, index) =>
        object[WaitId].look((now) => {
          ready[index] = now;
          answered();
        })
      );
      answered();
    } catch (error) {
      resume(Effect.die(error));
    }
  });

/** Waits until one of the objects is ready, or `limit` milliseconds have passed. Stops watching each of the others once. */
const change = (objects: ReadonlyArray<Waitable>, limit: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const cancels = new Set<() => void>();
    let over = false;
    const stop = (): void => {
      over = true;
      stopTimer();
      for (const cancel of cancels) cancel();
      cancels.clear();
    };
    const end = (result: Effect.Effect<void>): void => {
      if (over) return;
      stop();
      resume(result);
    };
    const stopTimer = after(limit, () => end(Effect.void));
    for (const object of objects) {
      let ready = false;
      let cancel: (() => void) | undefined;
      const answered = (result: Effect.Effect<void>): void => {
        ready = true;
        if (cancel !== undefined) cancels.delete(cancel);
        end(result);
      };
      try {
        cancel = object[WaitId].watch(() => answered(Effect.void), (error) => answered(Effect.die(error)));
      } catch (error) {
        end(Effect.die(error));
        break;
      }
      if (!ready) cancels.add(cancel);
      if (over) break;
    }
    return Effect.sync(stop);
  });
