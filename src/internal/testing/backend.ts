/**
 * Implementation of the test backend.
 *
 * @module
 */
import type * as Clock from "effect/Clock";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import type { Backend, Capabilities } from "../../Backend.ts";
import type { Options } from "../../TestBackend.ts";
import { TypeId } from "../child/backend.ts";
import { SpawnError } from "../child/errors.ts";
import { wrongCommand, wrongOptions, wrongSignal } from "../child/options.ts";
import * as Arguments from "../os/arguments.ts";
import { duration } from "../os/durations.ts";
import { TestChild } from "./child.ts";
import { Script } from "./script.ts";

const CAPABILITIES: Capabilities = { killBusy: true, signals: true, permissions: false, stdio: false };

const { arrayOf, must, name, oneOf, optional, positive, range, text } = Arguments;

const signal: Arguments.Check = (value) =>
  wrongSignal(value) === undefined ? undefined : must(() => false, "a signal")(value);

/** The fields of each kind of action. */
const fields: Readonly<Record<string, Arguments.Checks>> = {
  Kill: { signal },
  Exit: { code: range(0, 255) },
  Crash: { message: text },
  OutOfMemory: {},
  Delay: { duration },
  Hang: {},
};

const action: Arguments.Check = (value) => {
  const complaint = must(
    (value) => Arguments.record(value) === undefined && "_tag" in (value as object),
    "made by TestBackend.kill, exit, crash, outOfMemory, delay or hang",
  )(value);
  if (complaint !== undefined) return complaint;
  const { _tag } = value as { readonly _tag: string };
  return oneOf(...Object.keys(fields))(_tag) ?? Arguments.options(fields[_tag])(value);
};

const fault = Arguments.options({
  action,
  worker: optional(positive),
  task: optional(name),
  nth: optional(positive),
  when: optional(oneOf("received", "answered")),
});

const faults: Arguments.Check = (value) => {
  const list = arrayOf(Arguments.anything, "faults")(value);
  return list ?? (value as ReadonlyArray<unknown>).map(fault).find((wrong) => wrong !== undefined)?.replace(
    /^/,
    "has a fault that ",
  );
};

const checks: Arguments.Checks = { faults: optional(faults), unstartable: optional(arrayOf(positive, "numbers")) };

/** Makes the backend; see `TestBackend.make`. */
export const make = (options: Options): Effect.Effect<Backend, never, Scope.Scope> =>
  Effect.gen(function* () {
    const unusable = wrongOptions("TestBackend", options, checks);
    const { faults = [], unstartable = [] } = unusable === undefined ? options : {};
    const clock: Clock.Clock = yield* Effect.clock;
    const loggers = yield* FiberRef.get(FiberRef.currentLoggers);
    const runtime = yield* Effect.runtime<never>();
    const script = new Script(faults);
    let started = 0;
    const backend: Backend = {
      [TypeId]: TypeId,
      name: "test",
      capabilities: CAPABILITIES,
      spawn: (command) =>
        Effect.suspend(() => {
          const wrong = unusable ?? wrongCommand(command);
          if (wrong !== undefined) return Effect.fail(wrong);
          const number = ++started;
          if (unstartable.includes(number)) {
            const message = `Cannot start ${command.name}: the script of the test says so`;
            return Effect.fail(new SpawnError({ reason: "Failed", message }));
          }
          const child = Effect.sync(() =>
            new TestChild({
              command,
              number,
              script,
              backend,
              within: (effect) => Effect.locally(Effect.withClock(effect, clock), FiberRef.currentLoggers, loggers),
              after: (duration, run) =>
                void Runtime.runFork(runtime)(
                  Effect.zipRight(clock.sleep(Duration.decode(duration)), Effect.sync(run)),
                ),
            })
          );
          return Effect.map(Effect.acquireRelease(child, ({ release }) => release), ({ child }) => child);
        }),
    };
    return backend;
  });
