/**
 * The kill policy: how a child is ended, by whoever owns it.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type { Child, KillPolicy } from "../../Backend.ts";
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

/** How a child is ended. */
export interface Stop {
  readonly child: Child;
  /** Whether there is something to be interrupted. */
  readonly interruptible: () => boolean;
  /** Interrupts it. */
  readonly ask: Effect.Effect<void>;
  readonly policy: KillPolicy;
  /** What the child is there for, as a warning says it: `running task "crunch"`. */
  readonly doing: () => string;
  /** The program itself wants the child to be killed, and is not warned of that. @default false */
  readonly wanted?: boolean;
}

/**
 * Ends a child, asking first if there is something to be asked, and waits for its end.
 *
 * One warning is logged if the child has to be killed before it could end in good order and the program has not asked for that. A
 * subprocess that runs Effects still ends in good order after SIGTERM, so only SIGKILL kills it; a worker is killed by either.
 */
export const stop = ({ ask, child, doing, interruptible, policy, wanted = false }: Stop): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function* () {
    if (child.status() !== undefined) return;
    const grace = Duration.decode(policy.gracePeriod ?? GRACE_PERIOD);
    const force = Duration.decode(policy.forceKillAfter ?? FORCE_KILL_AFTER);
    const killed = (waited: ReadonlyArray<string>, option: string): Effect.Effect<void> =>
      wanted ? Effect.void : Effect.logWarning(
        `${child.name} (pid ${child.pid}), ${doing()}, had to be killed: it had not ended ${
          waited.join(" and ")
        }; a larger ${option} gives its finalizers more time`,
      );
    const waited: Array<string> = [];
    // A thread of this process has no time after SIGTERM.
    const thread = child.pid === Deno.pid;
    // What cannot be interrupted ends by the signal; asking as well would only make it chance how it ends.
    if (interruptible()) {
      yield* ask;
      if (Option.isSome(yield* within(child.exited, grace))) return;
      // Without any grace the program asks for the kill.
      wanted ||= Duration.toMillis(grace) === 0;
      waited.push(`${Duration.format(grace)} after its interruption`);
      if (thread) yield* killed(waited, "gracePeriod");
    }
    yield* Effect.orDie(child.kill("SIGTERM"));
    if (Option.isSome(yield* within(child.exited, force))) return;
    waited.push(`${Duration.format(force)} after SIGTERM`);
    if (!thread) yield* killed(waited, waited.length === 1 ? "forceKillAfter" : "gracePeriod or forceKillAfter");
    yield* Effect.orDie(child.kill("SIGKILL"));
    yield* child.exited;
  }));
