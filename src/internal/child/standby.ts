/**
 * Standby children: started before they are needed, with their modules loaded. Using one costs a message.
 *
 * Each place keeps one child warm, and starts the next one soon after that child was taken. A process that a warm child cannot
 * serve (other permissions, a module that the child has not loaded) is started in the ordinary way.
 *
 * With the size `"auto"` there is one place, which opens after the first ordinary start and closes when its child was not used for
 * {@link IDLE}. Its child has loaded the modules of all processes that were started so far.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import type { Backend, Child, Command, SpawnError } from "../../Backend.ts";
import { modules as definingModules } from "./tasks.ts";
import { authKey, type Notice, type Readiness } from "../rpc/identity.ts";

/** How long after a child was taken the next one is started: a start takes a core and this thread for a while. */
const SETTLE = "20 millis";

/** The pause after a failed start, in milliseconds: the first, and the longest. */
const FIRST_PAUSE = 1000;
const LAST_PAUSE = 60_000;

/** How long the child of `"auto"` is kept. */
const IDLE: Duration.DurationInput = "1 minute";

/** Options of {@link standby}. */
export interface Options {
  /** Number of children to keep warm. */
  readonly size: number | "auto";
  /** URLs of modules to load in addition to those that have defined tasks or, with `"auto"`, to those that were used. */
  readonly modules: ReadonlyArray<string>;
  /** How long the child of `"auto"` is kept. @default {@link IDLE} */
  readonly idle?: Duration.DurationInput;
}

/** How the wait of a warm child ended: `stale` if it lacks a module that is used by now. */
type End = "taken" | "died" | "stale" | "idle";

/** A warm child. */
interface Warm {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
  readonly modules: ReadonlySet<string>;
  readonly end: Deferred.Deferred<End>;
  /** Whether it has not been taken, so that this module has to end it. */
  ours: boolean;
}

/** Adds standby children to a backend. They end with the scope. */
export const standby = (backend: Backend, options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const warm = new Set<Warm>();
    /** URLs of the modules of all processes that were started, for `"auto"`. */
    const used = new Set<string>();
    const automatic = options.size === "auto";

    const start: Effect.Effect<Warm, SpawnError> = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make();
        const modules = [...new Set([...automatic ? used : definingModules(), ...options.modules])];
        const command: Command = { name: "Standby", daemon: true, modules, preload: true };
        const child = yield* Effect.onError(
          restore(Scope.extend(backend.spawn(command), scope)),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        );
        return { child, scope, modules: new Set(modules), end: yield* Deferred.make<End>(), ours: true };
      })
    );

    const report = ({ failures }: Readiness): Effect.Effect<void> =>
      Effect.forEach(
        failures,
        ({ url, error }) => Effect.logWarning(`A standby child cannot preload ${url}`, error),
        { discard: true },
      );

    /** Keeps one child until it is taken, dies, or is not needed any more. Fails if it could not be started. */
    const keep = (one: Warm): Effect.Effect<End, SpawnError> =>
      Effect.gen(function* () {
        const state = yield* one.child.ready;
        if (state === undefined) {
          yield* one.child.serves;
          return "died";
        }
        yield* report(state);
        warm.add(one);
        Effect.runCallback(one.child.exited, {
          onExit: () => Deferred.unsafeDone(one.end, Effect.succeed<End>("died")),
        });
        if (automatic && [...used].some((url) => !one.modules.has(url))) return "stale";
        const end = Deferred.await(one.end);
        return automatic
          ? yield* Effect.race(end, Effect.delay(Effect.succeed<End>("idle"), options.idle ?? IDLE))
          : yield* end;
      }).pipe(
        // Inside of `ensuring`: otherwise a pending interruption would keep the finalizer from being registered.
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
        if (taken._tag === "Right" && taken.right === "taken") {
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

    /** The last child that was started in the ordinary way. */
    let latest: Child | undefined;
    /** Whether the place of `"auto"` is open or opening. */
    let open = false;

    /** The place of `"auto"`. A failure closes it, and the next ordinary start opens it again. */
    const automaticPlace: Effect.Effect<void> = Effect.gen(function* () {
      while (true) {
        const before = latest;
        // Waits for the program's own child: two starts at once would share the cores.
        yield* Effect.interruptible(Effect.zipRight(
          Effect.exit(Effect.suspend(() => latest?.serves ?? Effect.void)),
          Effect.sleep(SETTLE),
        ));
        const end = yield* Effect.either(Effect.flatMap(start, keep));
        const idle = end._tag === "Right" && end.right === "idle";
        // A process that was started while the idle child ended has found the place open.
        if (idle && latest !== before) continue;
        open = end._tag === "Right" && (end.right === "taken" || end.right === "stale");
        if (open) continue;
        if (end._tag === "Left") yield* Effect.logWarning("Cannot start a standby child", end.left);
        else if (!idle) yield* Effect.logWarning("A standby child died before it was used");
        return;
      }
    }).pipe(Effect.uninterruptible);

    /** Records an ordinary start, whose modules the next process will probably need. */
    const learn = (command: Command, child: Child): Effect.Effect<void> => {
      if (command.permissions !== undefined) return Effect.void;
      latest = child;
      for (const url of command.modules) used.add(url);
      for (const one of warm) {
        if (command.modules.some((url) => !one.modules.has(url))) {
          warm.delete(one);
          Deferred.unsafeDone(one.end, Effect.succeed<End>("stale"));
        }
      }
      if (open) return Effect.void;
      open = true;
      return Effect.asVoid(Effect.forkIn(automaticPlace, scope));
    };

    const take = (command: Command): Warm | undefined => {
      if (command.permissions !== undefined) return undefined;
      for (const one of warm) {
        const usable = one.child.status() === undefined && one.child.link.closed === undefined &&
          command.modules.every((url) => one.modules.has(url));
        if (usable) {
          warm.delete(one);
          one.ours = false;
          Deferred.unsafeDone(one.end, Effect.succeed<End>("taken"));
          return one;
        }
      }
      return undefined;
    };

    const scope = yield* Effect.scope;
    const places = options.size === "auto" ? 0 : options.size;
    yield* Effect.forEach(Array.from({ length: places }), () => Effect.forkScoped(place));

    return {
      ...backend,
      spawn: (command) =>
        Effect.uninterruptible(Effect.suspend(() => {
          const one = take(command);
          if (one === undefined) {
            const cold = Effect.interruptible(backend.spawn(command));
            return automatic ? Effect.tap(cold, (child) => learn(command, child)) : cold;
          }
          const { name, daemon = false } = command;
          one.child.link.notify({ name, daemon, authKey: authKey() } satisfies Notice);
          return Effect.as(Effect.addFinalizer((exit) => Scope.close(one.scope, exit)), { ...one.child, name });
        })),
    };
  });
