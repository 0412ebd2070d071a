/**
 * Children that are started before they are needed: with their modules loaded, taking one over costs a message.
 *
 * Each place keeps one child warm, and starts the next soon after that one is taken. What cannot be served from a warm
 * child (other permissions, a module that it was not started with) is started in the ordinary way.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import type { Backend, Child, Command, SpawnError } from "../Backend.ts";
import * as Task from "../Task.ts";
import { authKey, type Notice, type Readiness } from "../link/self.ts";

/** The start of a process takes this thread and a core for a while: not in the very moment when one is taken over. */
const SETTLE = "20 millis";

/** The pause after a child that did not come up, in milliseconds: at first, and after many. */
const FIRST_PAUSE = 1000;
const LAST_PAUSE = 60_000;

/** How many children to keep warm, and with what. */
export interface Options {
  /** Children to keep warm. */
  readonly size: number;
  /** URLs of modules to load besides those that have defined tasks. */
  readonly modules: ReadonlyArray<string>;
}

/** A warm child that nobody has taken yet. */
interface Warm {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
  readonly modules: ReadonlySet<string>;
  /** Done when it was taken, with `true`, or has died. */
  readonly taken: Deferred.Deferred<boolean>;
  /** Whose it is to end. */
  ours: boolean;
}

/** Makes children wait for their use. The warm ones end with the scope. */
export const standby = (backend: Backend, options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const warm = new Set<Warm>();

    const start: Effect.Effect<Warm, SpawnError> = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make();
        const modules = [...new Set([...Task.modules(), ...options.modules])];
        const command: Command = { name: "Standby", daemon: true, modules, preload: true };
        const child = yield* Effect.onError(
          restore(Scope.extend(backend.spawn(command), scope)),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        );
        return { child, scope, modules: new Set(modules), taken: yield* Deferred.make<boolean>(), ours: true };
      })
    );

    const report = ({ failures }: Readiness): Effect.Effect<void> =>
      Effect.forEach(
        failures,
        ({ url, error }) => Effect.logWarning(`A standby child cannot preload ${url}`, error),
        { discard: true },
      );

    /** Keeps one child until somebody takes it, or it dies. Answers whether it was taken; fails if it could not come up. */
    const keep = (one: Warm): Effect.Effect<boolean, SpawnError> =>
      Effect.gen(function* () {
        const state = yield* one.child.ready;
        if (state === undefined) {
          yield* one.child.serves;
          return false;
        }
        yield* report(state);
        warm.add(one);
        Effect.runCallback(one.child.exited, {
          onExit: () => Deferred.unsafeDone(one.taken, Effect.succeed(false)),
        });
        return yield* Deferred.await(one.taken);
      }).pipe(
        // Inside of the ensuring: an interruption that is pending would otherwise keep it from being registered.
        Effect.interruptible,
        Effect.ensuring(Effect.suspend(() => {
          warm.delete(one);
          return one.ours ? Scope.close(one.scope, Exit.void) : Effect.void;
        })),
      );

    const place: Effect.Effect<never> = Effect.gen(function* () {
      let pause = FIRST_PAUSE;
      while (true) {
        const taken = yield* Effect.either(Effect.flatMap(start, keep));
        if (taken._tag === "Right" && taken.right) {
          pause = FIRST_PAUSE;
          yield* Effect.interruptible(Effect.sleep(SETTLE));
          continue;
        }
        yield* taken._tag === "Left"
          ? Effect.logWarning("Cannot start a standby child", taken.left)
          : Effect.logWarning("A standby child died before it was used");
        yield* Effect.interruptible(Effect.sleep(pause));
        pause = Math.min(2 * pause, LAST_PAUSE);
      }
    }).pipe(Effect.uninterruptible);

    const take = (command: Command): Warm | undefined => {
      if (command.permissions !== undefined) return undefined;
      for (const one of warm) {
        const usable = one.child.status() === undefined && one.child.link.closed === undefined &&
          command.modules.every((url) => one.modules.has(url));
        if (usable) {
          warm.delete(one);
          one.ours = false;
          Deferred.unsafeDone(one.taken, Effect.succeed(true));
          return one;
        }
      }
      return undefined;
    };

    yield* Effect.forEach(Array.from({ length: options.size }), () => Effect.forkScoped(place));

    return {
      ...backend,
      spawn: (command) =>
        Effect.uninterruptible(Effect.suspend(() => {
          const one = take(command);
          if (one === undefined) return Effect.interruptible(backend.spawn(command));
          const { name, daemon = false } = command;
          one.child.link.notify({ name, daemon, authKey: authKey() } satisfies Notice);
          return Effect.as(Effect.addFinalizer((exit) => Scope.close(one.scope, exit)), { ...one.child, name });
        })),
    };
  });
