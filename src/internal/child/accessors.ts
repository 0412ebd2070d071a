/**
 * Accessors of the current process.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Redacted from "effect/Redacted";
import { show } from "../os/arguments.ts";
import { InvalidAuthKey } from "./errors.ts";
import type { Process } from "../../Process.ts";
import { authKey as secret, self, setAuthKey as setSecret } from "../rpc/identity.ts";

/**
 * The description of the current process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Self {
  /** `MainProcess`, or the name that it was started with. */
  readonly name: string;
  /** Process id. A worker has that of the process that hosts it. */
  readonly pid: number;
  /** Whether it is terminated, not joined, when the scope that started it closes. */
  readonly daemon: boolean;
  /** The process that started it; none in the main program. */
  readonly parent: { readonly name: string; readonly pid: number } | undefined;
  /** `"main"`, or the name of the backend that runs it, such as `"subprocess"`. */
  readonly backend: string;
}

/**
 * The current process. In the main program its name is `MainProcess`. Python's `current_process()`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const current: Effect.Effect<Self> = Effect.sync(() => ({ ...self(), pid: Deno.pid }));

/**
 * Name and process id of the process that has started this one; none in the main program. A child ends with its parent, so
 * it need not watch the parent. Python's `parent_process()`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const parent: Effect.Effect<Option.Option<{ readonly name: string; readonly pid: number }>> = Effect.sync(() =>
  Option.fromNullable(self().parent)
);

/**
 * The number of logical cores that this program may use: the default size of a pool. Python's `cpu_count()`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cpuCount: Effect.Effect<number> = Effect.sync(() => navigator.hardwareConcurrency);

/**
 * The secret that this process shares with all its descendants: 32 random bytes, unless it was set. It is
 * sent over the private link to a child, never on a command line. Python's `authkey`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const authKey: Effect.Effect<Redacted.Redacted<Uint8Array>> = Effect.sync(() => Redacted.make(secret().slice()));

/**
 * Replaces the secret of this process, for itself and the children that it starts from now on.
 *
 * Fails with {@link InvalidAuthKey} if it is empty.
 *
 * @since 0.1.0
 * @category accessors
 */
export const setAuthKey = (key: Uint8Array): Effect.Effect<void, InvalidAuthKey> =>
  Effect.suspend(() => {
    if (key instanceof Uint8Array && key.length > 0) return Effect.sync(() => setSecret(key));
    return Effect.fail(
      new InvalidAuthKey(
        `Invalid argument of Process.setAuthKey: key must be a Uint8Array of at least one byte, received ${
          key instanceof Uint8Array ? "an empty one" : show(key)
        }`,
      ),
    );
  });

/** Children of this process whose end was not dealt with yet, each with whether it lives. */
export const active: Map<Process<unknown, unknown>, () => boolean> = new Map();

/** Children of this process that have not ended. */
export const children = (): ReadonlyArray<Process<unknown, unknown>> =>
  [...active].flatMap(([process, isAlive]) => isAlive() ? [process] : []);
