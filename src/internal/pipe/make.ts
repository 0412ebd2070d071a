/**
 * The constructor of pipes. Loaded with the first pipe.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Connection, Options } from "../../Pipe.ts";
import { PipeError } from "../objects/errors.ts";
import * as Arguments from "../os/arguments.ts";
import { self } from "../rpc/identity.ts";
import { address, host, retire } from "../rpc/router.ts";
import { ConnectionClient } from "./client.ts";
import { PipeHost } from "./host.ts";
import { retainEnds } from "./in_transit.ts";

const MAX_BYTES = 8 * 1024 * 1024;

const checks: Arguments.Checks = {
  duplex: Arguments.optional(Arguments.boolean),
  maxBytes: Arguments.optional(Arguments.positiveOrInfinite),
};

/** Makes both ends of a pipe. */
export const make = (
  options: Options,
): Effect.Effect<readonly [Connection<never, unknown>, Connection<never, unknown>], PipeError, Scope.Scope> =>
  Effect.suspend(() => {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return Effect.fail(new PipeError("InvalidArgument", Arguments.invalidOption("pipe", wrong)));
    }
    const { duplex = true, maxBytes = MAX_BYTES } = options;
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const pipe = new PipeHost([maxBytes, maxBytes], retainEnds, () => retire(object));
          const object = host(pipe);
          const connection = (end: number): Connection<never, unknown> =>
            new ConnectionClient({
              address: address(),
              object,
              host: self().name,
              end,
              generation: 0,
              duplex,
              maxBytes,
            });
          return { pipe, connections: [connection(0), connection(1)] as const };
        }),
        ({ pipe }) => Effect.sync(() => pipe.release()),
      ),
      ({ connections }) => connections,
    );
  });
