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
import type * as Either from "effect/Either";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import type { Backend, Child, Command, SpawnError } from "../../../Backend.ts";
import { modules as definingModules } from "../tasks.ts";
import { authKey, type Notice, type Readiness } from "../../rpc/identity.ts";

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

/** The standby children of one backend. */
class Standby {
  readonly #backend: Backend;
  readonly #options: Options;
  readonly #scope: Scope.Scope;
  readonly #warm = new Set<Warm>();
  /** URLs of the modules of all processes that were started, for `"auto"`. */
  readonly #used = new Set<string>();
  /** The last child that was started in the ordinary way. */
  #latest: Child | undefined;
  /** Whether the place of `"auto"` is open or opening. */
  #open = false;

  constructor(backend: Backend, options: Options, scope: Scope.Scope) {
    this.#backend = backend;
    this.#options = options;
    this.#scope = scope;
  }

  get #isAutomatic(): boolean {
    return this.#options.size === "auto";
  }

  /** Opens the places that are open from the beginning. They are closed with the scope. */
  readonly openPlaces: Effect.Effect<void> = Effect.suspend(() => {
    const { size } = this.#options;
    const places = Array.from({ length: size === "auto" ? 0 : size }, () => Effect.forkIn(this.#place, this.#scope));
    return Effect.all(places, { discard: true });
  });

  /** Uses a warm child, or starts one in the ordinary way. */
  readonly spawn: Backend["spawn"] = (command) =>
    Effect.uninterruptible(Effect.suspend(() => {
      const one = this.#take(command);
      if (one === undefined) {
        const cold = Effect.interruptible(this.#backend.spawn(command));
        return this.#isAutomatic ? Effect.tap(cold, (child) => this.#record(command, child)) : cold;
      }
      const { name, daemon = false } = command;
      one.child.link.notify({ name, daemon, authKey: authKey() } satisfies Notice);
      return Effect.as(Effect.addFinalizer((exit) => Scope.close(one.scope, exit)), { ...one.child, name });
    }));

  readonly #start: Effect.Effect<Warm, SpawnError> = Effect.uninterruptibleMask((restore) =>
    Effect.gen(this, function* () {
      const scope = yield* Scope.make();
      const used = this.#isAutomatic ? this.#used : definingModules();
      const modules = [...new Set([...used, ...this.#options.modules])];
      const command: Command = { name: "Standby", daemon: true, modules, preload: true };
      const child = yield* Effect.onError(
        restore(Scope.extend(this.#backend.spawn(command), scope)),
        (cause) => Scope.close(scope, Exit.failCause(cause)),
      );
      return { child, scope, modules: new Set(modules), end: yield* Deferred.make<End>(), ours: true };
    })
  );

  /** Keeps one child until it is taken, dies, or is not needed any more. Fails if it could not be started. */
  #keep(one: Warm): Effect.Effect<End, SpawnError> {
    return Effect.gen(this, function* () {
      const state = yield* one.child.ready;
      if (state === undefined) {
        yield* one.child.serves;
        return "died";
      }
      yield* report(state);
      this.#warm.add(one);
      Effect.runCallback(one.child.exited, {
        onExit: () => Deferred.unsafeDone(one.end, Effect.succeed<End>("died")),
      });
      const end = Deferred.await(one.end);
      if (!this.#isAutomatic) return yield* end;
      if ([...this.#used].some((url) => !one.modules.has(url))) return "stale";
      return yield* Effect.race(end, Effect.delay(Effect.succeed<End>("idle"), this.#options.idle ?? IDLE));
    }).pipe(
      // Inside of `ensuring`: otherwise a pending interruption would keep the finalizer from being registered.
      Effect.interruptible,
      Effect.ensuring(Effect.suspend(() => {
        this.#warm.delete(one);
        return one.ours ? Scope.close(one.scope, Exit.void) : Effect.void;
      })),
    );
  }

  /** Starts a child and keeps it. */
  readonly #startAndKeep = Effect.either(Effect.flatMap(this.#start, (one) => this.#keep(one)));

  /** A place that is always open: keeps one child after another. */
  readonly #place: Effect.Effect<never> = Effect.uninterruptible(Effect.gen(this, function* () {
    let pause = FIRST_PAUSE;
    while (true) {
      const end = yield* this.#startAndKeep;
      if (end._tag === "Right" && end.right === "taken") {
        pause = FIRST_PAUSE;
        yield* Effect.interruptible(Effect.sleep(SETTLE));
        continue;
      }
      yield* warn(end);
      yield* Effect.interruptible(Effect.sleep(pause));
      pause = Math.min(2 * pause, LAST_PAUSE);
    }
  }));

  /** The place of `"auto"`. A failure closes it, and the next ordinary start opens it again. */
  readonly #automaticPlace: Effect.Effect<void> = Effect.uninterruptible(Effect.gen(this, function* () {
    while (true) {
      const before = this.#latest;
      // Waits for the program's own child: two starts at once would share the cores.
      yield* Effect.interruptible(Effect.zipRight(
        Effect.exit(Effect.suspend(() => this.#latest?.serves ?? Effect.void)),
        Effect.sleep(SETTLE),
      ));
      const end = yield* this.#startAndKeep;
      const isIdle = end._tag === "Right" && end.right === "idle";
      // A process that was started while the idle child ended has found the place open.
      if (isIdle && this.#latest !== before) continue;
      this.#open = end._tag === "Right" && (end.right === "taken" || end.right === "stale");
      if (this.#open) continue;
      if (!isIdle) yield* warn(end);
      return;
    }
  }));

  /** Records an ordinary start, whose modules the next process will probably need. */
  #record(command: Command, child: Child): Effect.Effect<void> {
    if (command.permissions !== undefined) return Effect.void;
    this.#latest = child;
    for (const url of command.modules) this.#used.add(url);
    for (const one of this.#warm) {
      if (command.modules.every((url) => one.modules.has(url))) continue;
      this.#warm.delete(one);
      Deferred.unsafeDone(one.end, Effect.succeed<End>("stale"));
    }
    if (this.#open) return Effect.void;
    this.#open = true;
    return Effect.asVoid(Effect.forkIn(this.#automaticPlace, this.#scope));
  }

  /** A warm child that can serve the command. */
  #take(command: Command): Warm | undefined {
    if (command.permissions !== undefined) return undefined;
    for (const one of this.#warm) {
      const usable = one.child.status() === undefined && one.child.link.closed === undefined &&
        command.modules.every((url) => one.modules.has(url));
      if (!usable) continue;
      this.#warm.delete(one);
      one.ours = false;
      Deferred.unsafeDone(one.end, Effect.succeed<End>("taken"));
      return one;
    }
    return undefined;
  }
}

const report = ({ failures }: Readiness): Effect.Effect<void> =>
  Effect.forEach(
    failures,
    ({ url, error }) => Effect.logWarning(`A standby child cannot preload ${url}`, error),
    { discard: true },
  );

const warn = (end: Either.Either<End, SpawnError>): Effect.Effect<void> =>
  end._tag === "Left"
    ? Effect.logWarning("Cannot start a standby child", end.left)
    : Effect.logWarning("A standby child died before it was used");

/** Adds standby children to a backend. They end with the scope. */
export const standby = (backend: Backend, options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const children = new Standby(backend, options, scope);
    return Effect.as(children.openPlaces, { ...backend, spawn: children.spawn });
  });
