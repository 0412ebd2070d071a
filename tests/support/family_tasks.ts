/**
 * Tasks about processes with children of their own, and what these processes know of each other.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import * as HashMap from "effect/HashMap";
import * as Logger from "effect/Logger";
import * as LogLevel from "effect/LogLevel";
import * as Option from "effect/Option";
import * as Redacted from "effect/Redacted";
import * as Stream from "effect/Stream";
import type * as Backend from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";
import * as Tasks from "./lifetime_tasks.ts";

/** The identity of a process and of its parent, as the process reports them. */
export interface Identity {
  readonly self: Process.Self;
  readonly parent: { readonly name: string; readonly pid: number } | undefined;
}

const identity: Effect.Effect<Identity> = Effect.map(
  Effect.zip(Process.current, Process.parent),
  ([self, parent]) => ({ self, parent: Option.getOrUndefined(parent) }),
);

/** The identities of this process, its child, the child's child, and so on. */
export const lineage = Task.make(
  import.meta,
  "lineage",
  (depth: number): Effect.Effect<ReadonlyArray<Identity>, unknown, Task.Provided> =>
    Effect.gen(function* () {
      const here = yield* identity;
      return depth === 0 ? [here] : [here, ...yield* Process.run(below(), depth - 1)];
    }),
);
const below = (): Task.Task<[number], ReadonlyArray<Identity>, unknown> => lineage;

/** The names of processes that a child starts one after the other. */
export const names = Task.make(import.meta, "names", (count: number) =>
  Effect.scoped(
    Effect.forEach(Array.from({ length: count }), () => Effect.map(Process.spawn(Tasks.echo, 1), ({ name }) => name)),
  ));

const secret = Effect.map(Process.authKey, Redacted.value);

/** The secrets of this process and of a process that it starts. */
export const secrets = Task.make(
  import.meta,
  "secrets",
  (depth: number): Effect.Effect<ReadonlyArray<Uint8Array>, unknown, Task.Provided> =>
    Effect.gen(function* () {
      return [yield* secret, ...(depth === 0 ? [] : yield* Process.run(secretsBelow(), depth - 1))];
    }),
);
const secretsBelow = (): Task.Task<[number], ReadonlyArray<Uint8Array>, unknown> => secrets;

/** Adopts another secret, and returns the secrets that it and its child have then. */
export const rekey = Task.make(import.meta, "rekey", (key: Uint8Array) =>
  Effect.gen(function* () {
    yield* Process.setAuthKey(key);
    return [yield* secret, ...yield* Process.run(secrets, 0)];
  }));

/** The processes that this one knows of, before and after it has started one. */
export const siblings = Task.make(
  import.meta,
  "siblings",
  () =>
    Effect.scoped(Effect.gen(function* () {
      const listed = Effect.map(Process.activeChildren, (all) => all.map(({ name }) => name));
      const before = yield* listed;
      const child = yield* Process.spawnWith(Tasks.linger, [], { name: "mine", daemon: true });
      const during = yield* listed;
      yield* child.terminate;
      return { before, during, after: yield* listed };
    })),
);

/** The annotations of log entries in this process. */
export const logged = Task.make(import.meta, "logged", () =>
  Effect.gen(function* () {
    const annotated: Array<unknown> = [];
    const logger = Logger.make(({ annotations }) => {
      annotated.push(Option.getOrUndefined(HashMap.get(annotations, "process")));
    });
    yield* Effect.provide(Effect.log("here"), Logger.replace(Logger.defaultLogger, logger));
    return annotated;
  }));
export const log = Task.make(import.meta, "log", (text: string) => Effect.log(text));

/** The minimum log level: the default, and the level that a layer sets. */
const leastLevel = Effect.map(FiberRef.get(FiberRef.currentMinimumLogLevel), ({ label }) => label);
export const level = Task.make(import.meta, "level", () => leastLevel);
export const verboseLevel = Task.make(import.meta, "verboseLevel", () => leastLevel, {
  layer: Logger.minimumLogLevel(LogLevel.Debug),
});

/** Starts a child that waits for ever, and waits with it. */
export const guardian = Task.make(
  import.meta,
  "guardian",
  (begun: string) =>
    Effect.scoped(Effect.flatMap(
      Process.spawnWith(Tasks.wait, [begun], { daemon: true }),
      (child) => child.join,
    )),
);

/** Starts a process with these permissions. Reports whether that was refused, and whether the process may read. */
export const delegate = Task.make(
  import.meta,
  "delegate",
  (permissions: Backend.Permissions | undefined, path: string) =>
    Effect.scoped(Effect.gen(function* () {
      const child = yield* Process.spawnWith(reads, [path], { permissions });
      return yield* child.join;
    })).pipe(
      Effect.catchTag("SpawnError", ({ reason }) => Effect.succeed(reason)),
    ),
);
export const reads = Task.make(import.meta, "reads", (path: string): string => {
  try {
    Deno.readTextFileSync(path);
    return "allowed";
  } catch (error) {
    return error instanceof Deno.errors.NotCapable ? "denied" : String(error);
  }
});

/** The environment and the working directory of a process that this one starts. */
export const surroundingsBelow = Task.make(
  import.meta,
  "surroundingsBelow",
  (name: string) => Process.run(Tasks.surroundings, name),
);

/** Ignores its interruption and SIGTERM. */
export const stubborn = Task.make(
  import.meta,
  "stubborn",
  (begun: Stream.Stream<never>) =>
    Effect.sync(() => Deno.addSignalListener("SIGTERM", () => {})).pipe(
      Effect.zipRight(Stream.runDrain(begun)),
      Effect.zipRight(Effect.never),
      Effect.onInterrupt(() => Effect.never),
    ),
);

/** Ignores its interruption, and reports the arrival of SIGTERM. */
export const lastWord = Task.make(
  import.meta,
  "lastWord",
  (begun: Stream.Stream<never>) =>
    Effect.uninterruptible(Effect.zipRight(
      Stream.runDrain(begun),
      Effect.async<string>((resume) => Deno.addSignalListener("SIGTERM", () => resume(Effect.succeed("at last")))),
    )),
);

/** Waits to be interrupted. Its finalizer then waits until the parent lets it end. */
export const reluctant = Task.make(
  import.meta,
  "reluctant",
  (begun: Stream.Stream<never>, finalizing: Stream.Stream<never>, opened: Stream.Stream<never>) =>
    Effect.onInterrupt(
      Effect.zipRight(Stream.runDrain(begun), Effect.never),
      () => Effect.zipRight(Stream.runDrain(finalizing), Stream.runDrain(opened)),
    ),
);

/** Waits in its only worker, and runs a finalizer when it is interrupted. */
export const outer = Task.make(import.meta, "outer", (begun: string) =>
  Effect.scoped(
    Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(Tasks.wait, begun)),
  ));

/** Sums in a pool of its own. */
export const poolInPool = Task.make(
  import.meta,
  "poolInPool",
  (n: number, depth: number): Effect.Effect<number, unknown, Task.Provided> =>
    Effect.scoped(Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const items = Array.from({ length: n }, (_, i) => i);
      const parts = depth === 0
        ? yield* pool.map(Tasks.echo, items, { chunkSize: 1 })
        : yield* pool.starmap(itself(), [[n, depth - 1], [n, depth - 1]], { chunkSize: 1 });
      return parts.reduce((sum, part) => sum + part, 0);
    })),
);
const itself = (): Task.Task<[number, number], number, unknown> => poolInPool;

// Classes.

export class Countdown {
  constructor(readonly from: number) {}
  run(): Stream.Stream<number> {
    return Stream.map(Stream.range(1, this.from), (n) => this.from - n);
  }
}
export class Division {
  constructor(readonly dividend: number, readonly divisor: number) {}
  run(): Effect.Effect<number, "by zero"> {
    return this.divisor === 0 ? Effect.fail("by zero") : Effect.succeed(this.dividend / this.divisor);
  }
}
export const countdown = Task.fromClass(import.meta, Countdown);
export const division = Task.fromClass(import.meta, Division);
