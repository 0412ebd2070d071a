/**
 * Workers of `@effect/platform` and servers of `@effect/rpc`.
 *
 * @module
 */
import * as Transferable from "@effect/platform/Transferable";
import { WorkerError } from "@effect/platform/WorkerError";
import * as WorkerRunner from "@effect/platform/WorkerRunner";
import * as Rpc from "@effect/rpc/Rpc";
import * as RpcGroup from "@effect/rpc/RpcGroup";
import * as RpcServer from "@effect/rpc/RpcServer";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import * as Listener from "../../src/Listener.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { runner } from "../../src/PlatformWorker.ts";
import { layerServer, server } from "../../src/Rpc.ts";

// ---- workers ----

export class Negative extends Schema.TaggedError<Negative>()("Negative", { n: Schema.Number }) {}

export class Sqrt extends Schema.TaggedRequest<Sqrt>()("Sqrt", {
  failure: Negative,
  success: Schema.Number,
  payload: { of: Schema.Number },
}) {}

export class Tomorrow extends Schema.TaggedRequest<Tomorrow>()("Tomorrow", {
  failure: Schema.Never,
  success: Schema.Date,
  payload: { day: Schema.Date },
}) {}

export class Count extends Schema.TaggedRequest<Count>()("Count", {
  failure: Negative,
  success: Schema.Number,
  payload: { to: Schema.Number },
}) {}

/** How the process of a worker ends, or hangs. */
export class End extends Schema.TaggedRequest<End>()("End", {
  failure: Schema.Never,
  success: Schema.Void,
  payload: { how: Schema.Literal("exit", "throw", "die", "spin", "close") },
}) {}

export class Leave extends Schema.TaggedRequest<Leave>()("Leave", {
  failure: Schema.Union(Negative, WorkerError),
  success: Schema.Void,
  payload: {},
}) {}

export class WhoAmI extends Schema.TaggedRequest<WhoAmI>()("WhoAmI", {
  failure: Schema.Never,
  success: Schema.Struct({ name: Schema.String, process: Schema.String, pid: Schema.Number, span: Schema.String }),
  payload: {},
}) {}

/** Never answers. Puts `begun` and `interrupted`. */
export class Wait extends Schema.TaggedRequest<Wait>()("Wait", {
  failure: Schema.Never,
  success: Schema.Void,
  payload: { news: Schema.Any },
}) {}

export class Flip extends Schema.TaggedRequest<Flip>()("Flip", {
  failure: Schema.Never,
  success: Transferable.Uint8Array,
  payload: { bytes: Transferable.Uint8Array },
}) {}

export class Initial extends Schema.TaggedRequest<Initial>()("InitialMessage", {
  failure: Negative,
  success: Schema.Void,
  payload: { name: Schema.String, news: Schema.optional(Schema.Any) },
}) {}

export const Request = Schema.Union(Sqrt, Tomorrow, Count, End, Leave, WhoAmI, Wait, Flip, Initial);
export type Request = typeof Request.Type;

class Name extends Context.Tag("Name")<Name, string>() {}

const spin = (): never => {
  while (true);
};

const ends: Readonly<Record<End["how"], Effect.Effect<void>>> = {
  exit: Effect.sync(() => Deno.exit(3)),
  throw: Effect.async<void>(() => {
    setTimeout(() => {
      throw new Error("nobody catches it");
    });
  }),
  die: Effect.die(new Error("a defect")),
  spin: Effect.sync(spin),
  close: Effect.async<void>(() => self.close()),
};

const wait = (news: Queue.Queue<string>): Effect.Effect<never, never> =>
  Effect.orDie(news.put("begun")).pipe(
    Effect.zipRight(Effect.never),
    Effect.onInterrupt(() => Effect.orDie(news.put("interrupted"))),
  );

export const serialized = runner(
  import.meta,
  "serialized",
  WorkerRunner.layerSerialized(Request, {
    Sqrt: ({ of }) => of < 0 ? new Negative({ n: of }) : Effect.succeed(Math.sqrt(of)),
    Tomorrow: ({ day }) => Effect.succeed(new Date(day.getTime() + 86_400_000)),
    Count: ({ to }) => to < 0 ? Stream.concat(Stream.make(1), new Negative({ n: to })) : Stream.range(1, to),
    End: ({ how }) => ends[how],
    Leave: () => ends.exit,
    WhoAmI: () =>
      Effect.gen(function* () {
        const span = yield* Effect.orDie(Effect.currentParentSpan);
        const { name } = yield* Process.current;
        return { name: yield* Name, process: name, pid: Deno.pid, span: span.traceId };
      }),
    Wait: ({ news }) => wait(news),
    Flip: ({ bytes }) => Effect.sync(() => new Uint8Array(bytes).reverse()),
    InitialMessage: ({ name, news }) =>
      Layer.scoped(
        Name,
        name === "none" ? new Negative({ n: 0 }) : Effect.acquireRelease(
          Effect.succeed(name),
          () => news === undefined ? Effect.void : Effect.orDie(news.put("released")),
        ),
      ),
  }),
);

/** Without Schemas. */
export const doubles = runner(
  import.meta,
  "doubles",
  WorkerRunner.layer((n: number) => n < 0 ? Effect.fail(`${n} is negative`) : Effect.succeed(2 * n)),
);

export const unbuildable = runner(
  import.meta,
  "unbuildable",
  Layer.effectDiscard(Effect.fail(new Negative({ n: -1 }))),
);

export const leaving = runner(import.meta, "leaving", Layer.effectDiscard(Effect.sync(() => Deno.exit(5))));

/** A worker whose module cannot be loaded. */
export const missing = runner(
  { url: new URL("no_such_module.ts", import.meta.url).href } as ImportMeta,
  "missing",
  Layer.empty,
);

// ---- rpc ----

export class Users extends RpcGroup.make(
  Rpc.make("sqrt", { payload: { of: Schema.Number }, success: Schema.Number, error: Negative }),
  Rpc.make("tomorrow", { payload: { day: Schema.Date }, success: Schema.Date }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, error: Negative, stream: true }),
  Rpc.make("wait", { success: Schema.Void }),
  Rpc.make("tell", { payload: { news: Schema.Any }, success: Schema.Void }),
  Rpc.make("waiting", { success: Schema.Number }),
  Rpc.make("echo", { payload: { value: Schema.Any }, success: Schema.Any }),
  Rpc.make("strange", { success: Schema.Any }),
  Rpc.make("end", { payload: { how: Schema.Literal("exit", "die", "throw") }, success: Schema.Void }),
) {}

let open = 0;

/** The `wait` requests that this process serves. */
export const waiting: Effect.Effect<number> = Effect.sync(() => open);

export const handlers = Users.toLayer({
  sqrt: ({ of }) => of < 0 ? new Negative({ n: of }) : Effect.succeed(Math.sqrt(of)),
  tomorrow: ({ day }) => Effect.succeed(new Date(day.getTime() + 86_400_000)),
  count: ({ to }) => to < 0 ? Stream.concat(Stream.make(1), new Negative({ n: to })) : Stream.range(1, to),
  wait: () =>
    Effect.acquireUseRelease(
      Effect.sync(() => open++),
      () => Effect.never,
      () => Effect.sync(() => open--),
    ),
  tell: ({ news }) => wait(news),
  waiting: () => waiting,
  echo: ({ value }) => Effect.succeed(value),
  // A function cannot be sent.
  strange: () => Effect.succeed(() => 1),
  end: ({ how }) => ends[how],
});

const service = RpcServer.layer(Users).pipe(Layer.provide(handlers));

export const users = server(import.meta, "users", service);

export const usersAsWorker = runner(
  import.meta,
  "users as a worker",
  Layer.provide(service, RpcServer.layerProtocolWorkerRunner),
);

/** Serves at a listener, and puts its address. */
export const listening = Task.make(
  import.meta,
  "listening",
  (address: Queue.Queue<Listener.Address>) =>
    Effect.gen(function* () {
      const listener = yield* Listener.make<unknown>();
      yield* Layer.build(Layer.provide(service, layerServer(listener.connections)));
      yield* address.put(listener.address);
      return yield* Effect.never;
    }),
);

export const missingUsers = server(
  { url: new URL("no_such_module.ts", import.meta.url).href } as ImportMeta,
  "missing users",
  Layer.empty,
);

export const brokenUsers = server(
  import.meta,
  "broken users",
  Layer.effectDiscard(Effect.fail(new Negative({ n: -1 }))),
);
