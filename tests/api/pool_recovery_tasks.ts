/** Tasks of `pool_recovery_test.ts`. */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Task from "../../src/Task.ts";

const Held = Context.GenericTag<number>("tests/Held");

/** A task whose layer is never released. */
export const hold = Task.make(import.meta, "hold", () => Held, {
  layer: Layer.scoped(Held, Effect.acquireRelease(Effect.succeed(1), () => Effect.never)),
});
