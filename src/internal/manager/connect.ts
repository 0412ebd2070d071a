/**
 * Connecting to the manager of another program.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { ConnectOptions } from "../../Manager.ts";
import { show } from "../network/address.ts";
import { type AuthenticationError, ConnectError } from "../network/errors.ts";
import { CALLS } from "../network/handshake.ts";
import { connectChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "../network/options.ts";
import * as Arguments from "../os/arguments.ts";
import { address, host, retire } from "../rpc/router.ts";
import { type Manager, ManagerProxy } from "./manager.ts";
import { forgetServer } from "./proxies/make.ts";

/** Connects for as long as the scope is open. */
export const connect = (
  options: ConnectOptions,
): Effect.Effect<Manager, ConnectError | AuthenticationError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, connectChecks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new ConnectError("InvalidOption", Arguments.invalidOption("manager", wrong)));
    }
    const { address: where, authKey, maxMessageSize = MAX_MESSAGE_SIZE, timeout = "10 seconds", tls } = options;
    const millis = Duration.toMillis(timeout);
    const limits = { maxBytes: MAX_BYTES, maxMessageSize };
    const { make } = yield* Effect.promise(() => import("./connection.ts"));
    const connection = yield* make({ address: where, authKey, tls, purpose: CALLS, limits, millis });
    const ref = yield* Effect.acquireRelease(
      Effect.sync(() => ({
        address: address(),
        server: host(connection),
        host: show(where),
        number: 0,
        type: "Manager",
      })),
      (ref) =>
        Effect.sync(() => {
          retire(ref.server);
          forgetServer(ref);
        }),
    );
    return new ManagerProxy({ ...ref, foreign: true });
  }).pipe(Effect.withSpan("Manager.connect"));
