/**
 * The implementation of `Manager`. `start.ts` starts and serves managers, `connect.ts` connects to managers of other programs; here
 * are the operations that take any proxy.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { ask, checked, type ManagerFailure, type ObjectRef, retain as hold } from "./calls.ts";
import { type Proxy, TypeId } from "./proxies/remote.ts";

export { connect } from "./connect.ts";
export { make, serve } from "./start.ts";

const isProxyCheck = Arguments.marked(TypeId, "a proxy of a managed object");

/** The server of an object, which is object 0. */
const serverRef = (proxy: Proxy): ObjectRef => ({ ...proxy[TypeId], number: 0 });

/** Holds an object for the scope. */
export const retain = (proxy: Proxy): Effect.Effect<void, ManagerFailure, Scope.Scope> =>
  checked("Manager.retain", { proxy }, { proxy: isProxyCheck }, () => hold(proxy[TypeId]));

/** Makes the server hold an object for a time. */
export const lease = (proxy: Proxy, duration: Duration.DurationInput): Effect.Effect<void, ManagerFailure> =>
  checked(
    "Manager.lease",
    { proxy, duration },
    { proxy: isProxyCheck, duration: positiveDuration },
    () => ask(serverRef(proxy), "lease", proxy[TypeId].number, Duration.toMillis(duration)),
  );

/** Copies the content of an object. */
export const getValue = (proxy: Proxy): Effect.Effect<unknown, ManagerFailure> =>
  checked(
    "Manager.getValue",
    { proxy },
    { proxy: isProxyCheck },
    () => ask(serverRef(proxy), "value", proxy[TypeId].number),
  );

/** Describes the content of an object as text. */
export const inspect = (proxy: Proxy): Effect.Effect<string, ManagerFailure> =>
  checked(
    "Manager.inspect",
    { proxy },
    { proxy: isProxyCheck },
    () => ask(serverRef(proxy), "inspect", proxy[TypeId].number),
  );
