/**
 * The implementation of `Client`.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Options } from "../../Client.ts";
import type { Connection } from "../../Listener.ts";
import { invalidOption, wrongOptions } from "../os/arguments.ts";
import { openConnection } from "./connection.ts";
import { dial } from "./dial.ts";
import { type AuthenticationError, ConnectError } from "./errors.ts";
import { MESSAGES } from "./handshake.ts";
import { connectChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "./options.ts";

/** Connects for as long as the scope is open. */
export const connect = <A, B>(
  options: Options,
): Effect.Effect<Connection<A, B>, ConnectError | AuthenticationError, Scope.Scope> =>
  Effect.suspend(() => {
    const wrong = wrongOptions(options, connectChecks);
    if (wrong !== undefined) return Effect.fail(new ConnectError("InvalidOption", invalidOption("client", wrong)));
    const { maxBytes = MAX_BYTES, maxMessageSize = MAX_MESSAGE_SIZE, timeout = "10 seconds" } = options;
    const millis = Duration.toMillis(timeout);
    const limits = { maxBytes, maxMessageSize };
    const { address, authKey, tls } = options;
    return dial({ address, authKey, tls, purpose: MESSAGES, limits, millis }, (session) => {
      const { connection, release } = openConnection<A, B>(session, limits, () => {});
      const released = Effect.async<void>((resume) => {
        release();
        session.transport.released(() => resume(Effect.void));
      });
      return Effect.as(Effect.addFinalizer(() => released), connection);
    });
  });
