/**
 * Serving a manager to other programs: every program that has the key can call it.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { Link } from "../../rpc/link.ts";
import type { Address } from "../../network/address.ts";
import type { ListenError } from "../../network/errors.ts";
import { listen, type ListenOptions } from "../../network/listen.ts";
import { logRejected } from "../../network/listener.ts";
import * as P from "../protocol.ts";
import type { ManagerServer } from "./server.ts";

/** The number of open calls that one program may have, including holds of objects and locks. */
const MAX_CALLS = 10_000;

/** Accepts other programs until the scope closes. Returns the address. */
export const accept = (
  server: ManagerServer,
  options: ListenOptions,
): Effect.Effect<Address, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>();
    const links = new Set<Link>();
    const acceptor = yield* listen(options, {
      accepted: ({ limits, transport }) => {
        const link = new Link(transport, {
          side: "parent",
          maxMessageSize: Math.min(options.limits.maxMessageSize, limits.maxMessageSize),
          onOpen: (channel, message) => {
            if (link.size < MAX_CALLS) return server.openForeign(channel, message);
            channel.exit((writer) => void writer.byte(P.OVERLOADED));
            return { closed: () => {} };
          },
          onClosed: () => links.delete(link),
        });
        links.add(link);
      },
      rejected: logRejected(runtime, "The manager"),
      closed: () => {},
    });
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        acceptor.close();
        for (const link of [...links]) link.destroy();
      })
    );
    return acceptor.address;
  });
