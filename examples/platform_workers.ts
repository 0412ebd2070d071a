/**
 * A pool of `@effect/platform`, unmodified, whose workers are processes, with a crash as a typed error:
 * `deno task example:platform_workers`.
 */
import * as Worker from "@effect/platform/Worker";
import { WorkerError } from "@effect/platform/WorkerError";
import * as WorkerRunner from "@effect/platform/WorkerRunner";
import { Context, Effect, Layer, Logger, LogLevel, Schema, Stream } from "effect";
import { runMain, SubprocessBackend } from "@effect-deno/multiprocessing";
import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";

class Translate extends Schema.TaggedRequest<Translate>()("Translate", {
  failure: Schema.String,
  success: Schema.String,
  payload: { word: Schema.String },
}) {}

class Words extends Schema.TaggedRequest<Words>()("Words", {
  failure: Schema.Never,
  success: Schema.String,
  payload: {},
}) {}

class Crash extends Schema.TaggedRequest<Crash>()("Crash", {
  failure: WorkerError,
  success: Schema.Void,
  payload: {},
}) {}

/** The first message to each worker: its configuration. */
class InitialMessage extends Schema.TaggedRequest<InitialMessage>()("InitialMessage", {
  failure: Schema.Never,
  success: Schema.Void,
  payload: { words: Schema.Array(Schema.Tuple(Schema.String, Schema.String)) },
}) {}

const Request = Schema.Union(Translate, Words, Crash, InitialMessage);

class Dictionary extends Context.Tag("Dictionary")<Dictionary, ReadonlyMap<string, string>>() {}

const translator = PlatformWorker.runner(
  import.meta,
  "translator",
  WorkerRunner.layerSerialized(Request, {
    Translate: ({ word }) =>
      Effect.flatMap(Dictionary, (dictionary) => {
        const found = dictionary.get(word);
        return found === undefined ? Effect.fail(`there is no "${word}"`) : Effect.succeed(found);
      }),
    Words: () => Stream.unwrap(Effect.map(Dictionary, (dictionary) => Stream.fromIterable(dictionary.keys()))),
    Crash: () => Effect.sync(() => Deno.exit(3)),
    InitialMessage: ({ words }) => Layer.succeed(Dictionary, new Map(words)),
  }),
);

const program = Effect.gen(function* () {
  const { execute, executeEffect } = yield* Worker.makePoolSerialized<typeof Request.Type>({
    size: 1,
    initialMessage: () => new InitialMessage({ words: [["eins", "one"], ["zwei", "two"]] }),
  });
  console.log([...yield* Stream.runCollect(execute(new Words()))].join(", "));
  console.log(yield* executeEffect(new Translate({ word: "zwei" })));
  console.log(yield* Effect.flip(executeEffect(new Translate({ word: "drei" }))));

  const error = yield* Effect.flip(executeEffect(new Crash()));
  console.log(`${error._tag}: ${(error.cause as Error).message.replace(/pid \d+/, "pid ...")}`);
  // Another worker has taken its place, and has received the words.
  console.log(yield* executeEffect(new Translate({ word: "eins" })));
}).pipe(
  Effect.scoped,
  Effect.provide(PlatformWorker.layer(() => translator, { name: "translator" })),
  Effect.provide([SubprocessBackend.layer(), Logger.minimumLogLevel(LogLevel.Error)]), // the platform warns of the crash
);

if (import.meta.main) runMain(program);
