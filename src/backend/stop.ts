/**
 * The kill policy: how a child is ended, by whoever owns it.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type { Child, KillPolicy } from "../Backend.ts";
import { after } from "../os/timer.ts";

const GRACE_PERIOD = "5 seconds";
const FORCE_KILL_AFTER = "500 millis";

/**
 * Waits for something, but no longer than that: for finalizers. `Effect.timeout` would wait in a child fiber, to which Effect
 * passes on an interruption even while its parent is uninterruptible, and so break off the finalizer.
 */
export const within = <A>(effect: Effect.Effect<A>, limit: Duration.DurationInput): Effect.Effect<Option.Option<A>> =>
  Effect.async((resume) => {
    const stop = after(Duration.toMillis(limit), () => {
      resume(Effect.succeed(Option.none()));
      cancel();
    });
    const cancel = Effect.runCallback(effect, {
      onExit: (exit) => {
        stop();
        resume(Effect.succeed(Exit.isSuccess(exit) ? Option.some(exit.value) : Option.none()));
      },
    });
  });

/** Ends a child, asking first if there is something to be asked, and waits for its end. */
export const stop = (
  child: Child,
  interruptible: () => boolean,
  ask: Effect.Effect<void>,
  policy: KillPolicy,
): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function* () {
    if (child.status() !== undefined) return;
    const grace = policy.gracePeriod ?? GRACE_PERIOD;
    const force = policy.forceKillAfter ?? FORCE_KILL_AFTER;
    // What cannot be interrupted ends by the signal; asking as well would only make it chance how it ends.
    if (interruptible()) {
      yield* ask;
      if (Option.isSome(yield* within(child.exited, grace))) return;
      yield* Effect.logWarning(
        `${child.name} (pid ${child.pid}) has not ended ${
          Duration.format(grace)
        } after its interruption: sending SIGTERM`,
      );
    }
    yield* Effect.orDie(child.kill("SIGTERM"));
    if (Option.isSome(yield* within(child.exited, force))) return;
    yield* Effect.logWarning(
      `${child.name} (pid ${child.pid}) has not ended ${Duration.format(force)} after SIGTERM: sending SIGKILL`,
    );
    yield* Effect.orDie(child.kill("SIGKILL"));
    yield* child.exited;
  }));
