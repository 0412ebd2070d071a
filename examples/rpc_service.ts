/** A typed service of `@effect/rpc` in a process of its own, then at a listener: `deno task example:rpc_service`. */
import * as Rpc from "@effect/rpc/Rpc";
import * as RpcClient from "@effect/rpc/RpcClient";
import * as RpcGroup from "@effect/rpc/RpcGroup";
import * as RpcServer from "@effect/rpc/RpcServer";
import { Effect, Layer, Schema, Stream } from "effect";
import { Client, Listener, runMain, SubprocessBackend } from "@effect-deno/multiprocessing";
import * as MpRpc from "@effect-deno/multiprocessing/Rpc";

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { by: Schema.Number }) {}

class Bank extends RpcGroup.make(
  Rpc.make("withdraw", { payload: { amount: Schema.Number }, success: Schema.Number, error: Overdrawn }),
  Rpc.make("payments", { success: Schema.Struct({ at: Schema.Date, amount: Schema.Number }), stream: true }),
  Rpc.make("crash"),
) {}

const handlers = Bank.toLayer(Effect.sync(() => {
  let balance = 100;
  const payments: Array<{ readonly at: Date; readonly amount: number }> = [];
  return {
    withdraw: ({ amount }) => {
      if (amount > balance) return new Overdrawn({ by: amount - balance });
      payments.push({ at: new Date(0), amount });
      return Effect.succeed(balance -= amount);
    },
    payments: () => Stream.fromIterable(payments),
    crash: () => Effect.sync(() => Deno.exit(3)),
  };
}));

const service = RpcServer.layer(Bank).pipe(Layer.provide(handlers));

const bank = MpRpc.server(import.meta, "bank", service);

/** The client, the same for either place of the server. */
const use = Effect.gen(function* () {
  const client = yield* RpcClient.make(Bank);
  console.log("balance", yield* client.withdraw({ amount: 30 }));
  const result = client.withdraw({ amount: 80 }).pipe(
    Effect.catchTag("Overdrawn", ({ by }) => Effect.succeed(`overdrawn by ${by}`)),
  );
  console.log(yield* result);
  const payments = yield* Stream.runCollect(client.payments());
  console.log([...payments].map(({ amount, at }) => `${amount} at ${at.toISOString()}`).join(", "));
  return client;
});

const program = Effect.gen(function* () {
  console.log("in a process of its own");
  yield* Effect.gen(function* () {
    const client = yield* use;
    const error = yield* Effect.flip(client.crash());
    console.log(error._tag, (error.cause as { readonly _tag: string })._tag);
  }).pipe(Effect.scoped, Effect.provide(MpRpc.layerProcess(bank)));

  console.log("at a listener");
  const listener = yield* Listener.make<unknown>();
  yield* Layer.build(Layer.provide(service, MpRpc.layerServer(listener)));
  const connection = yield* Client.connect<unknown>({ address: listener.address });
  yield* Effect.scoped(use).pipe(Effect.provide(MpRpc.layerClient(connection)));
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
