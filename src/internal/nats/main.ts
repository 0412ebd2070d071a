/**
 * The program of an agent.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { NatsError } from "../../NatsBackend.ts";
import { parse, serve } from "./serve.ts";

/** An agent with the options of a command line, which runs until it is interrupted. Ends the program if they are wrong. */
export const program = (args: ReadonlyArray<string>): Effect.Effect<never, NatsError> =>
  Effect.suspend(() => {
    let options: ReturnType<typeof parse>;
    try {
      options = parse(args);
    } catch (error) {
      console.error((error as Error).message);
      Deno.exit(2);
    }
    const running = Effect.tap(serve(options), ({ name }) => Effect.logInfo(`agent ${name} runs`));
    return Effect.scoped(Effect.zipRight(running, Effect.never));
  });
