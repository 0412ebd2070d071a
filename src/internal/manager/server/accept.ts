/**
 * The server of a manager for other programs: whoever has the key can call it.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import { Link } from "../../rpc/link.ts";
import { type Address, show } from "../../network/address.ts";
import type { ListenError } from "../../network/errors.ts";
import { listen, type Options } from "../../network/listen.ts";
import * as P from "../protocol.ts";
import type { Server } from "./server.ts";

/** Calls that one program may have under way, holds of objects and locks among them. */
const MAX_CALLS = 10_000;

/** Lets others in until the scope closes; gives where. */
export const open = (server: Server, options: Options): Effect.Effect<Address, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>();
    const links = new Set<Link>();
    const door = yield* listen(options, {
      visitor: ({ limits, wire }) => {
        const link = new Link(wire, {
          side: "parent",
          maxMessageSize: Math.min(options.limits.maxMessageSize, limits.maxMessageSize),
          onOpen: (channel, message) => {
            if (link.size < MAX_CALLS) return server.visit(channel, message);
            channel.exit((writer) => void writer.byte(P.OVERLOADED));
            return { closed: () => {} };
          },
          onClosed: () => links.delete(link),
        });
        links.add(link);
      },
      failure: (error, peer, first) =>
        void Runtime.runFork(runtime)((first && error.reason !== "Closed" ? Effect.logWarning : Effect.logDebug)(
          `A client of the manager, from ${show(peer)}, was sent away: ${error.message}`,
        )),
      closed: () => {},
    });
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        door.close();
        for (const link of [...links]) link.destroy();
      })
    );
    return door.address;
  });
