/** Objects that several programs share by a real server. */
import * as Effect from "effect/Effect";
import * as NatsShared from "../../src/NatsShared.ts";
import { assertEquals, assertStringIncludes } from "../support/assert.ts";
import { available, durableServer, natsServer } from "../support/nats.ts";
import { test } from "../support/suite.ts";

if (available) {
  test(
    "a server without JetStream, and an option that is not valid, are typed failures",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const refused = yield* Effect.flip(
        NatsShared.make({ servers: url, name: "tests", connectTimeout: "200 millis" }),
      );
      assertEquals(refused.reason, "Unsupported");
      assertStringIncludes(refused.message, "Cannot make a NatsShared: the server has no JetStream");
      const wrong = yield* Effect.flip(NatsShared.make({ servers: url, name: "a.b" }));
      assertEquals(wrong.reason, "InvalidOption");
    }).pipe(Effect.scoped),
  );

  test(
    "programs that name the same objects share one stream",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const one = yield* NatsShared.make({ servers: url, name: "tests", space: "one" });
      const two = yield* NatsShared.make({ servers: url, name: "tests", space: "one" });
      assertEquals([one.name, one.space, String(two)], ["tests", "one", "NatsShared(tests)"]);
    }).pipe(Effect.scoped),
  );
}
