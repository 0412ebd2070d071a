/**
 * Ends a child by its kill policy.
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
 * Waits for an Effect, but no longer than `limit`; for finalizers. `Effect.timeout` waits in a child fiber, which Effect interrupts
 * even if its parent is uninterruptible, so it would break off the finalizer.
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

/** Options of {@link stop}. */
export interface Stop {
  readonly child: Child;
  /** Whether the child runs a task that can be interrupted. */
  readonly interruptible: () => boolean;
  /** Interrupts the task. */
  readonly ask: Effect.Effect<void>;
  readonly policy: KillPolicy;
  /** Describes the child in a warning: `running task "crunch"`. */
  readonly doing: () => string;
  /** Whether the program has asked for the kill, so that no warning is logged. @default false */
  readonly wanted?: boolean;
}

/**
 * Ends a child and waits for its end. A task that can be interrupted is interrupted first.
 *
 * Logs one warning if the child had to be killed although the program has not asked for it. A subprocess that runs Effects still
 * ends in good order after SIGTERM, so only SIGKILL kills it; a worker is killed by either signal.
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
    // A worker ends at once with SIGTERM.
    const thread = child.host === undefined && child.pid === Deno.pid;
    // A plain function is ended by the signal. Sending both would make the exit status nondeterministic.
    if (interruptible()) {
      yield* ask;
      if (Option.isSome(yield* within(child.exited, grace))) return;
      // A grace period of zero asks for the kill.
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
