/**
 * Tasks: named pieces of work that other processes can run.
 *
 * Only the name of a task and its arguments cross to another process, never its code. The child imports the module that
 * defines the task and finds the task by its name. Therefore tasks are defined at the top level of a module; they need
 * not be exported. A child executes everything else at the top level of that module as well, so a program guards itself
 * with `if (import.meta.main)`.
 *
 * - A handler returns a value, a Promise, an Effect or a Stream.
 * - A failure of an Effect arrives at the caller as the same typed failure. An exception of a plain function arrives as
 *   a defect, with its stack in the child, unless the `error` Schema accepts it.
 * - Arguments and results are data (see "Values that can be sent"). Schemas in the options convert everything else to
 *   data on one side and back on the other, and check it on both.
 * - A process that is started by a module while a child loads it is a `SpawnError` with the reason `Loading`. Without
 *   this rule a forgotten guard would start children without end. Inside a handler a task may start processes.
 *
 * This module does not load Effect. A child starts in half the time if the module of its tasks imports only
 * `@effect-deno/multiprocessing/Task` and defines plain functions.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Context, Data, Effect, Layer, Schema } from "effect";
 *
 * class Unknown extends Data.TaggedError("Unknown")<{ readonly id: number }> {}
 *
 * class Users extends Context.Tag("Users")<Users, ReadonlyMap<number, string>>() {
 *   static readonly layer = Layer.succeed(Users, new Map([[1, "Ada"]]));
 * }
 *
 * // An Effect, with a service. The layer is built once in each process, when its first task needs it.
 * const find = Mp.Task.make(import.meta, "find", (id: number) =>
 *   Effect.flatMap(Users, (users) => {
 *     const name = users.get(id);
 *     return name === undefined ? new Unknown({ id }) : Effect.succeed(name);
 *   }), { layer: Users.layer });
 *
 * // Schemas convert other values to data, and check them on both sides.
 * const nextDay = Mp.Task.make(import.meta, "nextDay", (day: URL) => new URL(`${day.href}/next`), {
 *   payload: [Schema.URL],
 *   success: Schema.URL,
 * });
 *
 * // A thrown value is a typed failure if the error Schema accepts it.
 * class Negative extends Schema.TaggedError<Negative>()("Negative", { n: Schema.Number }) {}
 *
 * const root = Mp.Task.make(import.meta, "root", (n: number) => {
 *   if (n < 0) throw new Negative({ n });
 *   return Math.sqrt(n);
 * }, { error: Negative });
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Mp.Process.run(find, 1));
 *   console.log(
 *     yield* Mp.Process.run(find, 2).pipe(Effect.catchTag("Unknown", ({ id }) => Effect.succeed(`no user ${id}`))),
 *   );
 *   console.log((yield* Mp.Process.run(nextDay, new URL("https://example.com/monday"))).href);
 *   console.log(
 *     yield* Mp.Process.run(root, -1).pipe(Effect.catchTag("Negative", ({ n }) => Effect.succeed(`${n} < 0`))),
 *   );
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * Ada
 * no user 2
 * https://example.com/monday/next
 * -1 < 0
 * ```
 *
 * {@link makeAll} defines several tasks at once, under the names of their functions.
 *
 * ## A class
 *
 * {@link fromClass} makes a task of a class that has a method `run`. The argument of the task is an instance. Its
 * fields are sent, the child executes `run`, and the child does not call the constructor. Private (`#`) fields are not
 * sent.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * class Greeter {
 *   constructor(readonly greeting: string, readonly name: string) {}
 *   run() {
 *     return `${this.greeting}, ${this.name}`;
 *   }
 * }
 *
 * const greeter = Mp.Task.fromClass(import.meta, Greeter);
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Mp.Process.run(greeter, new Greeter("hello", "world")));
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * hello, world
 * ```
 *
 * ## Streams
 *
 * A task may return a Stream, and may take one as an argument. In either direction elements flow when the reader asks
 * for them: a slow reader holds back the writer, and a reader that stops early stops the writer.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const countTo = Mp.Task.make(import.meta, "countTo", (last: number) => Stream.range(1, last));
 *
 * const sum = Mp.Task.make(import.meta, "sum", (numbers: Stream.Stream<number>) => Stream.runSum(numbers));
 *
 * const program = Effect.gen(function* () {
 *   const first = yield* Mp.Process.stream(countTo, Infinity).pipe(Stream.take(3), Stream.runCollect);
 *   console.log([...first]);
 *
 *   console.log(yield* Mp.Process.run(sum, Stream.range(1, 1000)));
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 1, 2, 3 ]
 * 500500
 * ```
 *
 * A Stream that is sent stays in the process of its sender, and runs there when the other side pulls. It can be run
 * once, for as long as the request that brought it lasts.
 *
 * ## FiberRefs
 *
 * A FiberRef has its initial value in a child, unless {@link portable} has declared that its value travels with tasks.
 *
 * ## Values that can be sent
 *
 * Values are encoded by a codec of the library's own, which is the same for arguments, results, items of queues,
 * messages of pipes and managed objects.
 *
 * | value | how it arrives |
 * | --- | --- |
 * | `undefined`, `null`, booleans, strings, bigints, numbers (also `-0`, `NaN`) | unchanged |
 * | plain objects, arrays, `Map`, `Set`, `Date`, `RegExp` | unchanged; cycles and shared references are kept |
 * | `ArrayBuffer`, typed arrays, `DataView` | the bytes of the view |
 * | `Error` and its builtin subclasses | with `name`, `message`, `stack`, `cause`, `_tag` and their own fields |
 * | `Option`, `Either`, `Exit`, `Cause`, `Chunk`, `List`, `HashMap`, `HashSet`, `Duration`, `DateTime`, `BigDecimal`, `Data.struct` | equal by `Equal` |
 * | `Data.TaggedError` and other yieldable errors | yieldable, with `_tag` and fields, without their class |
 * | a `Stream`, as an argument | a Stream that pulls from the sender |
 * | a `Queue`, the `handle` of a process | the same queue or process |
 * | `Lock`, `Event` and the other objects in shared memory | the same object |
 * | `SharedMemory`, `ShareableList`, `Value`, `Array`, `SharedMemoryManager` | the same memory |
 * | a `Connection` of a pipe | the connection itself: it moves |
 * | a manager, a proxy of a managed object | the same manager, or a proxy of the same object |
 * | an instance of any other class, a `URL` | refused: send data, or give the task a Schema |
 * | functions, symbols, Promises, Effects, Layers, `Redacted` | refused |
 *
 * A value that is refused fails in the caller with an `EncodeError` that names its place. Nothing was sent then, and
 * the link can still be used.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Option } from "effect";
 *
 * const echo = Mp.Task.make(import.meta, "echo", (value: unknown) => value);
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Mp.Process.run(echo, new Map([["n", -0]])));
 *   console.log(String(yield* Mp.Process.run(echo, Option.some(1))).replaceAll(/\s+/g, " "));
 *
 *   const refused = yield* Effect.flip(Mp.Process.run(echo, { items: [1, () => 2] }));
 *   console.log(refused.message);
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * Map(1) { "n" => -0 }
 * { "_id": "Option", "_tag": "Some", "value": 1 }
 * Cannot encode args[0].items[1]: functions do not cross a process boundary; define a Task and send its arguments
 * ```
 *
 * ## Large binary content
 *
 * Content of 64 KiB and more is copied once on its way to a worker of `WorkerBackend`, and through the system to another
 * process. It must not be changed before the call has ended, because it is read when it is sent. {@link move} gives it
 * away instead: a worker then receives the memory itself, and so does the caller of a task that returns it.
 *
 * ## Failures with parts that cannot be sent
 *
 * A failure of a task must reach its caller, or `Effect.catchTag` would not see it. If a failure cannot be encoded as
 * it is, each part that cannot be sent is replaced by a description, and all other parts are sent unchanged:
 *
 * - A function, a `Response` and the like become a string such as `[Function retry: cannot be sent: functions do not
 *   cross a process boundary]`.
 * - A property whose getter throws becomes `[cannot be read: ...]`.
 * - An error of a class with a `_tag` becomes a plain object of its fields.
 * - A text that would make the message too large is cut.
 *
 * Results are not treated like this: a result that cannot be sent is an `EncodeError`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Data, Effect } from "effect";
 *
 * class Refused extends Data.TaggedError("Refused")<{ readonly status: number; readonly retry: () => void }> {}
 *
 * const fetchOnce = Mp.Task.make(
 *   import.meta,
 *   "fetchOnce",
 *   () => Effect.fail(new Refused({ status: 503, retry: () => {} })),
 * );
 *
 * const program = Mp.Process.run(fetchOnce).pipe(
 *   Effect.catchTag("Refused", ({ retry, status }) => Effect.sync(() => console.log(status, retry))),
 *   Effect.provide(Mp.SubprocessBackend.layer()),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 503 [Function retry: cannot be sent: functions do not cross a process boundary]
 * ```
 *
 * ## Tasks that start fast
 *
 * Every child loads the module that defines its task, so keep that module small. If its tasks are plain functions, let
 * it import only this entry, which does not load Effect; the child does not load Effect then either.
 *
 * ```ts
 * import * as Task from "@effect-deno/multiprocessing/Task";
 *
 * export const countWords = Task.make(import.meta, "countWords", async (path: string) => {
 *   const text = await Deno.readTextFile(path);
 *   return text.match(/\S+/g)?.length ?? 0;
 * });
 * ```
 *
 * Further:
 *
 * - Send paths and numbers, and let the child read the file.
 * - Give small tasks of a pool a larger `chunkSize`.
 * - Keep a pool instead of starting a process for each call, or keep children ready with `standby` of
 *   `SubprocessBackend`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `target` | `Task.make(import.meta, name, handler)` |
 * | `args`, `kwargs` | the arguments of `Process.spawn(task, ...args)` |
 * | a subclass of `Process` with `run` | `Task.fromClass(import.meta, Class)` |
 * | `reduction.register` | a Schema in the options of a task |
 * | `if __name__ == "__main__"` | `if (import.meta.main) runMain(program)` |
 * | the `RuntimeError` of a missing guard | a `SpawnError` with the reason `Loading` |
 *
 * @module
 */
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import "./internal/os/runtime.ts";
import type * as Effect from "effect/Effect";
import type * as Either from "effect/Either";
import type * as FiberRef from "effect/FiberRef";
import type * as Layer from "effect/Layer";
import type * as Option from "effect/Option";
import type * as Schema from "effect/Schema";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Backend } from "./Backend.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { mark } from "./internal/codec/moves.ts";
import { declarePortable, define, type Definition, TypeId as internalTypeId } from "./internal/child/tasks.ts";

export { TaskError } from "./internal/child/errors.ts";
export type { Refusal } from "./internal/codec/exits.ts";

/** Marks every task. @since 0.1.0 @category type ids */
export const TypeId: TypeId = internalTypeId;
/** Type of the mark of every task. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Task";

/**
 * A named piece of work with one result. Python calls it a `target`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Task<in Args extends ReadonlyArray<unknown>, out A, out E = never> {
  /** Marks it as a task, and carries its types. */
  readonly [TypeId]: {
    readonly _Args: (_: Args) => void;
    readonly _A: () => A;
    readonly _E: () => E;
    readonly _Kind: "value";
  };
  /** URL of the module that defines it. */
  readonly url: string;
  /** Its name, unique in that module. */
  readonly name: string;
}

/**
 * A named piece of work whose result is a Stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamTask<in Args extends ReadonlyArray<unknown>, out A, out E = never> {
  /** Marks it as a task, and carries its types. */
  readonly [TypeId]: {
    readonly _Args: (_: Args) => void;
    readonly _A: () => A;
    readonly _E: () => E;
    readonly _Kind: "stream";
  };
  /** URL of the module that defines it. */
  readonly url: string;
  /** Its name, unique in that module. */
  readonly name: string;
}

/** Any task. @since 0.1.0 @category models */
export type Any = Task<never, unknown, unknown> | StreamTask<never, unknown, unknown>;

/** Services that a child provides to every handler that is an Effect. @since 0.1.0 @category models */
export type Provided = Backend | Scope.Scope;

/** A Schema of `A` with any encoded type and without requirements. @since 0.1.0 @category models */
// deno-lint-ignore no-explicit-any -- a Schema is invariant in its encoded type, which does not matter here
export type SchemaOf<A> = Schema.Schema<A, any>;

/**
 * Options of a task. Every Schema must be free of requirements.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Args extends ReadonlyArray<unknown>, A, E, R> {
  /** One Schema for each argument. Checked where the task is called and where it runs. */
  readonly payload?: { readonly [K in keyof Args]: SchemaOf<Args[K]> } | undefined;
  /** Schema of the result, or of each element of a Stream. */
  readonly success?: SchemaOf<A> | undefined;
  /** Schema of typed failures. A value that a plain handler throws becomes a typed failure if this Schema accepts it. */
  readonly error?: SchemaOf<E> | undefined;
  /**
   * Services for the handler. They are built when the first task with the same Layer runs in a process, and released when that
   * process ends in good order.
   */
  readonly layer?: Layer.Layer<Exclude<R, Provided>, unknown, Provided> | undefined;
  /**
   * Running the task twice does no more than running it once, so a pool with `retry` may run it again even if it had begun.
   *
   * @default false
   */
  readonly idempotent?: boolean | undefined;
  /**
   * It must be possible to stop the task at any time, even if it never turns its event loop. A pool refuses it, with the `PoolError`
   * `Unsupported`, on a backend that cannot kill a busy process.
   *
   * @default false
   */
  readonly killable?: boolean | undefined;
}

/** Data whose type is also that of an Effect; if a handler returns it, it is the result. */
type Data = Option.Option<unknown> | Either.Either<unknown, unknown>;

type IsAny<Result> = 0 extends 1 & Result ? true : false;

/** Every Effect is also a Stream by type, so Effects are excluded first. */
type IsStream<Result> = IsAny<Result> extends true ? false
  : [Result] extends [never] ? false
  : [Result] extends [Effect.Effect<unknown, unknown, infer _R>] ? false
  : [Result] extends [Stream.Stream<unknown, unknown, infer _R>] ? true
  : false;

/**
 * The type of a task whose handler has this result.
 *
 * @since 0.1.0
 * @category type-level
 */
export type Of<Args extends ReadonlyArray<unknown>, Result, Named> = IsStream<Result> extends true
  ? StreamTask<Args, Success<Result>, Failure<Result, Named>>
  : Task<Args, Success<Result>, Failure<Result, Named>>;

/** The success type of a handler's result. @since 0.1.0 @category type-level */
export type Success<Result> = IsAny<Result> extends true ? Result
  : Result extends Data ? Result
  : Result extends Effect.Effect<infer A, infer _E, infer _R> ? A
  : Result extends Stream.Stream<infer A, infer _E, infer _R> ? A
  : Awaited<Result>;

/** The error type of a handler's result; for a plain result the type of the `error` Schema. @since 0.1.0 @category type-level */
export type Failure<Result, Named> = IsAny<Result> extends true ? Named
  : [Result] extends [never] ? Named
  : Result extends Data ? Named
  : Result extends Effect.Effect<infer _A, infer E, infer _R> ? E
  : Result extends Stream.Stream<infer _A, infer E, infer _R> ? E
  : Named;

/** The requirements of a handler's result. @since 0.1.0 @category type-level */
export type Context<Result> = IsAny<Result> extends true ? never
  : Result extends Data ? never
  : Result extends Effect.Effect<infer _A, infer _E, infer R> ? R
  : Result extends Stream.Stream<infer _A, infer _E, infer R> ? R
  : never;

/**
 * Defines a task. Call it at the top level of a module, once for each name.
 *
 * A handler that requires services needs the `layer` that provides them; `Backend` (so that a task can start processes
 * of its own) and `Scope` (closed when the task ends) are always provided.
 *
 * Throws a `TypeError` if the name is empty or taken in this module, if `meta` is not an `import.meta`, if the handler is not a
 * function, or if an option is not a Schema or Layer.
 *
 * *Interruption:* an Effect or Stream is interrupted where it runs, and its finalizers run. A plain function or Promise cannot be
 * interrupted, so its process is ended by the caller's kill policy.
 *
 * ```ts
 * import * as Task from "@effect-deno/multiprocessing/Task";
 *
 * export const square = Task.make(import.meta, "square", (n: number) => n * n);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Args extends ReadonlyArray<unknown>, Result, Named = never>(
  meta: ImportMeta,
  name: string,
  handler: (...args: Args) => Result,
  ...options: [Exclude<Context<Result>, Provided>] extends [never]
    ? [options?: Options<Args, Success<Result>, Failure<Result, Named>, Context<Result>>]
    : [
      options: Options<Args, Success<Result>, Failure<Result, Named>, Context<Result>> & {
        readonly layer: Layer.Layer<Exclude<Context<Result>, Provided>, unknown, Provided>;
      },
    ]
): Of<Args, Result, Named> =>
  define(meta, name, { handler, options: options[0] === undefined ? {} : options[0] } as Definition) as Of<
    Args,
    Result,
    Named
  >;

/**
 * Options of {@link makeAll}.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedOptions<R> {
  /** Services for all handlers: see {@link Options.layer}. */
  readonly layer?: Layer.Layer<Exclude<R, Provided>, unknown, Provided> | undefined;
}

/** Functions by the names of the tasks that {@link makeAll} makes of them. @since 0.1.0 @category type-level */
export type Handlers = Readonly<Record<string, (...args: never) => unknown>>;

/** The tasks that {@link makeAll} makes of functions. @since 0.1.0 @category type-level */
export type AllOf<H extends Handlers> = {
  readonly [Name in keyof H]: H[Name] extends (...args: infer Args extends ReadonlyArray<unknown>) => infer Result
    ? Of<Args, Result, never>
    : never;
};

/** The requirements of the results of several handlers. @since 0.1.0 @category type-level */
export type SharedContext<H extends Handlers> = {
  readonly [Name in keyof H]: Context<ReturnType<H[Name]>>;
}[keyof H];

/**
 * Defines several tasks at once. Each has the name of its function, and otherwise is as if {@link make} had made it.
 *
 * Handlers that require services need the `layer` that provides them. A task that needs a Schema is made by {@link make}.
 *
 * Throws a `TypeError` as {@link make} does.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const numbers = Mp.Task.makeAll(import.meta, {
 *   square: (n: number) => n * n,
 *   add: (a: number, b: number) => Effect.succeed(a + b),
 * });
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Mp.Process.run(numbers.add, 1, yield* Mp.Process.run(numbers.square, 3)));
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // 10
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeAll = <const H extends Handlers>(
  meta: ImportMeta,
  handlers: H,
  ...options: [Exclude<SharedContext<H>, Provided>] extends [never] ? [options?: SharedOptions<SharedContext<H>>]
    : [
      options: SharedOptions<SharedContext<H>> & {
        readonly layer: Layer.Layer<Exclude<SharedContext<H>, Provided>, unknown, Provided>;
      },
    ]
): AllOf<H> => {
  const wrong = Arguments.wrong({ handlers }, { handlers: Arguments.record });
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Task.makeAll", wrong));
  const shared = options[0] === undefined ? {} : options[0];
  const tasks = Object.entries(handlers).map(([name, handler]) => [
    name,
    define(meta, name, { handler, options: shared } as Definition),
  ]);
  return Object.fromEntries(tasks) as AllOf<H>;
};

/**
 * Declares that the value of a FiberRef travels with each task that a fiber starts: to a process, a pool, or the children of
 * children. Gives the FiberRef. Call it at the top level of a module, once for each name.
 *
 * - The value is read when the task is called, and is set while the task runs, if the task is an Effect or a Stream. A change in the
 *   child does not come back.
 * - The value is encoded by the Schema. A value that the Schema refuses is an `EncodeError` in the caller.
 * - A child sets the FiberRef if it has loaded the declaration, by the modules of its tasks. It passes the value on to its own
 *   children in any case.
 * - The initial value is not sent. Nor is any value with a call of a managed object, such as a pool of a manager.
 *
 * Throws a `TypeError` if the name is taken, or an argument is invalid.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, FiberRef, Schema } from "effect";
 *
 * const user = Mp.Task.portable(import.meta, "user", FiberRef.unsafeMake("nobody"), Schema.String);
 *
 * const whoAsks = Mp.Task.make(import.meta, "whoAsks", () => FiberRef.get(user));
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Mp.Process.run(whoAsks), yield* Effect.locally(Mp.Process.run(whoAsks), user, "Ada"));
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // nobody Ada
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const portable = <A>(
  meta: ImportMeta,
  name: string,
  ref: FiberRef.FiberRef<A>,
  schema: SchemaOf<A>,
): FiberRef.FiberRef<A> => {
  declarePortable(meta, name, ref, schema);
  return ref;
};

const isRunnable = Arguments.must(
  (value) => typeof value === "function" && typeof value.prototype?.run === "function",
  "a class with a method `run`",
);

/**
 * Defines a task from a class. The argument of the task is an instance: its own enumerable fields are sent, and its `run` is
 * executed in the child. Python's subclass of `Process`.
 *
 * Private (`#`) fields and accessors are not sent, and the constructor is not called in the child. The task has the name of the
 * class. Throws a `TypeError` as {@link make} does.
 *
 * ```ts
 * import * as Task from "@effect-deno/multiprocessing/Task";
 *
 * class Greeter {
 *   constructor(readonly greeting: string, readonly name: string) {}
 *   run() {
 *     return `${this.greeting}, ${this.name}`;
 *   }
 * }
 * export const greeter = Task.fromClass(import.meta, Greeter);
 * // Process.spawn(greeter, new Greeter("hello", "world"))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromClass = <Instance extends { run(): unknown }>(
  meta: ImportMeta,
  Class: abstract new (...args: never) => Instance,
): Of<[instance: Instance], ReturnType<Instance["run"]>, never> => {
  const wrong = isRunnable(Class);
  if (wrong !== undefined) throw new TypeError(`Cannot define a task from a class: the class ${wrong}`);
  const rehydrate = (fields: object): Instance =>
    Object.create(Class.prototype, Object.getOwnPropertyDescriptors(fields)) as Instance;
  const dehydrate = (instance: unknown): unknown => {
    if (instance instanceof Class) return { ...instance };
    throw new TypeError(`Cannot call task "${Class.name}": the argument must be an instance of class ${Class.name}`);
  };
  return define(meta, Class.name, {
    handler: (fields: never) => rehydrate(fields).run(),
    options: {},
    dehydrate,
  }) as Of<
    [instance: Instance],
    ReturnType<Instance["run"]>,
    never
  >;
};

const isMovable = Arguments.must(
  (value) => (ArrayBuffer.isView(value) ? value.buffer : value) instanceof ArrayBuffer,
  "an ArrayBuffer, or a view of one",
);

/**
 * Marks binary content to move with the next call that contains it, instead of being copied. Returns the content.
 *
 * - A worker of `WorkerBackend` receives the memory itself, so that the call takes no longer with a large content than with a small
 *   one. Other processes receive a copy.
 * - On every backend, the content is gone here as soon as the call is made or the task has returned it, also if the call fails or is
 *   interrupted later: the ArrayBuffer is detached, and all views of it have length 0. A call that cannot be encoded, or is refused
 *   before that, leaves the content as it is.
 * - It moves in the arguments of a task and the items of a map, in results and in elements of Streams. In a queue, a pipe or a managed
 *   object it is copied like other content, and stays.
 * - A pool copies the content to a worker if the call may have to be sent again: with `retry`, ahead with `prefetch`, or by `broadcast`.
 * - A view of a part of an ArrayBuffer takes the whole buffer away here. The other side receives a copy of the part.
 * - The memory of a `WebAssembly.Memory` cannot be taken away. It is copied, and stays.
 *
 * Throws a `TypeError` if the content is neither an ArrayBuffer nor a view of one. Shared memory is not copied in any case; see
 * `SharedMemory`. Python has no equivalent: there, processes copy.
 *
 * *Interruption:* a call that is interrupted does not give the content back.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const invert = Mp.Task.make(import.meta, "invert", (pixels: Uint8Array) => {
 *   for (let i = 0; i < pixels.length; i++) pixels[i] = 255 - pixels[i];
 *   return Mp.Task.move(pixels);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pixels = new Uint8Array(1_000_000);
 *   const inverted = yield* Mp.Process.run(invert, Mp.Task.move(pixels));
 *   console.log(pixels.length, inverted.length, inverted[0]);
 * }).pipe(Effect.provide(Mp.WorkerBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // 0 1000000 255
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const move = <A extends ArrayBuffer | ArrayBufferView>(content: A): A => {
  const wrong = Arguments.wrong({ content }, { content: isMovable });
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Task.move", wrong));
  mark((ArrayBuffer.isView(content) ? content.buffer : content) as ArrayBuffer);
  return content;
};

/**
 * Whether a value is a task.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTask = (value: unknown): value is Any => typeof value === "object" && value !== null && TypeId in value;
