/**
 * The valid and invalid arguments of every function of the library: a row for each function, a kind for each parameter.
 *
 * @module
 */
import * as Command from "@effect/platform/Command";
import * as Worker from "@effect/platform/Worker";
import * as WorkerRunner from "@effect/platform/WorkerRunner";
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import * as Layer from "effect/Layer";
import * as Schedule from "effect/Schedule";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import {
  Array as SharedArray,
  Barrier,
  Client,
  Condition,
  Event,
  Group,
  Listener,
  Lock,
  Manager,
  Pipe,
  Pool,
  Process,
  Queue,
  ReadWriteLock,
  RLock,
  runMain,
  Semaphore,
  ShareableList,
  SharedMemory,
  SharedMemoryManager,
  SubprocessBackend,
  Supervisor,
  Task,
  Telemetry,
  Timeline,
  Value,
  wait,
  WorkerBackend,
} from "../../mod.ts";
import { change as change2 } from "./arguments_tasks.ts";
import * as Agent from "../../src/agent.ts";
import * as CommandExecutor from "../../src/CommandExecutor.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import * as NatsPool from "../../src/NatsPool.ts";
import * as NatsShared from "../../src/NatsShared.ts";
import * as PlatformWorker from "../../src/PlatformWorker.ts";
import * as ProgressBar from "../../src/ProgressBar.ts";
import * as Rpc from "../../src/Rpc.ts";
import * as TestBackend from "../../src/TestBackend.ts";
import { add, countTo, meta, square } from "../support/tasks.ts";

/** The invalid values of a parameter. Empty if every value is valid. */
export type Kind = ReadonlyArray<unknown>;

const fn = (): number => 1;
class Strange {}
class Thumbnails extends Pool.Tag("tests/Thumbnails")<Thumbnails>() {}

/** A value of every kind of JavaScript. */
const zoo = [
  null,
  true,
  -1,
  0,
  1,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  Number.MAX_VALUE,
  5n,
  "",
  "x",
  "2",
  Symbol("s"),
  {},
  [],
  new Map(),
  new Uint8Array(2),
  fn,
  Strange,
  Promise.resolve(1),
  Effect.void,
] as const;

const all = (except: (value: unknown) => boolean): Kind => zoo.filter((value) => !except(value));

const isText = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isFunction = (value: unknown): boolean => typeof value === "function";
const isIterable = (value: unknown): boolean =>
  isText(value) || typeof (value as Iterable<unknown> | null)?.[Symbol.iterator] === "function";
const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

/** Every value is valid, because it is only put, kept, compared or passed on. */
const any: Kind = [];
const positive = all((value) => value === 1);
const positiveOrInfinite = all((value) => value === 1 || value === Infinity);
const count = all((value) => value === 0 || value === 1);
const countOrInfinite = all((value) => value === 0 || value === 1 || value === Infinity);
const integer = all((value) => Number.isSafeInteger(value));
const end = all((value) => Number.isSafeInteger(value) || value === Infinity);
const numeric = all((value) => isNumber(value) || typeof value === "bigint");
const boolean = all(isBoolean);
const text = all(isText);
const name = all((value) => isText(value) && value !== "");
const func = all(isFunction);
const iterable = all(isIterable);
const list = all(Array.isArray);
const record = all(isRecord);
const bytes = all((value) => value instanceof Uint8Array);
const buffer = bytes;
const effect = all(Effect.isEffect);
const stream = all(Effect.isEffect);
const schema = all(() => false);
const layer = all(() => false);
const task = [...all(() => false), Strange, { url: "file:///x.ts", name: "x" }];
const duration = [
  ...all((value) =>
    value === 0 || value === 1 || value === 1.5 || value === Infinity ||
    value === Number.MAX_VALUE || value === 5n
  ),
  "-1 seconds",
  "1 parsec",
  [1, -1],
  -5n,
];
const positiveDuration = [...duration, 0];
const lock = all(() => false);
const carrier = all(() => false);
const waitable = all(() => false);
const texts = [...all(Array.isArray), [1], ["a", null]];
const addresses = [
  ...all(() => false),
  { path: "" },
  { path: 5 },
  { hostname: "", port: 1 },
  { hostname: 5, port: 1 },
  ...[-1, 1.5, NaN, "80", 65536, null].map((port) => ({ hostname: "127.0.0.1", port })),
];
const authKey = [...all((value) => value instanceof Uint8Array), new Uint8Array(0)];
const signal = all(() => false);
const initializer = [...all(() => false), { task: fn, args: [] }, { task: square, args: 5 }];
const tasks = [...all(Array.isArray), [fn], [null], [square, fn]];
const types = [...all(Array.isArray), [fn], [Strange], [square]];
const members = [...all(isIterable), [1], [fn], [Effect.void, null], new Set([1]), "x"];
const supervised = [
  ...all(Array.isArray),
  [null],
  [{}],
  [{ name: "", run: Effect.void }],
  [{ name: "a", run: fn }],
  [{ name: "a", run: Effect.void, restart: "always" }],
  [{ name: "a", run: Effect.void }, { name: "a", run: Effect.void }],
];
const pairs = [...all(isIterable), [1], ["ab"], [[1]], [[1, 2, 3]], [null]];
const permissions = [...all(isRecord), { read: 5 }, { read: [5] }, { net: null }, { run: "x" }];
const sources = [...all(isRecord), { folders: [], library: 5, main: "" }, { folders: [{}], library: "", main: "" }];
const environment = [...all(isRecord), { A: 1 }, { A: null }];
const stdin = all(() => false);

/** Options of which one field is invalid. */
const optionsOf = (key: keyof typeof options): Kind => {
  const fields: Readonly<Record<string, Kind>> = options[key];
  const required: Readonly<Record<string, unknown>> = requirements[key] ?? {};
  return [
    ...all(isRecord),
    ...Object.entries(fields).flatMap(([field, kind]) => kind.map((value) => ({ ...required, [field]: value }))),
    ...Object.keys(required).map((field) => ({ ...required, [field]: undefined })),
  ];
};

const chunks = [...all(isRecord), ...positive.map((chunkSize) => ({ chunkSize }))];
const killPolicy = { gracePeriod: duration, forceKillAfter: duration };
const certificate = [...all(isRecord), { cert: 5, key: "" }, { cert: "", key: null }, {}];
const trust = [...all((value) => isRecord(value) || isBoolean(value)), { caCerts: "x" }, { hostname: 5 }];
const remote = { authKey, maxMessageSize: positiveOrInfinite };
const listening = {
  ...remote,
  address: addresses,
  tls: certificate,
  handshakeTimeout: positiveDuration,
  maxConnections: positiveOrInfinite,
  maxHandshakes: positiveOrInfinite,
};
const connecting = { ...remote, address: addresses, tls: trust, timeout: positiveDuration };
const worker = {
  maxMessageSize: positiveOrInfinite,
  standby: all((value) => value === 0 || value === 1 || value === false),
  preload: texts,
  observe: [...all((value) => isRecord(value) || isBoolean(value)), { logs: 1 }, { spans: "x" }, { metrics: null }],
};
const queue = { capacity: positiveOrInfinite, maxBytes: positiveOrInfinite, redeliver: boolean, confirm: boolean };
const retry = [
  ...all((value) => value === false || isRecord(value)),
  {},
  ...positiveOrInfinite.map((kills) => ({ schedule: Schedule.forever, kills })),
  ...countOrInfinite.map((outOfMemory) => ({ schedule: Schedule.forever, outOfMemory })),
];
const terms = {
  timeout: positiveDuration,
  queueTimeout: positiveDuration,
  deadline: positiveDuration,
  priority: all((value) => Number.isFinite(value)),
  retry,
};
const calling = { ...terms, affinity: all((value) => isText(value) || isNumber(value)) };
const poolSize = [
  ...positive.filter((value) => !isRecord(value)),
  {},
  { min: 2, max: 1 },
  { min: 0, max: 0 },
  ...positive.map((max) => ({ min: 0, max })),
  ...count.map((min) => ({ min, max: Infinity })),
  ...duration.map((growAfter) => ({ min: 1, max: 2, growAfter })),
  ...positiveDuration.map((idleTimeToLive) => ({ min: 1, max: 2, idleTimeToLive })),
];
const chunking = { chunkSize: positive };
const mapping = { ...calling, ...chunking, progress: all(() => false) };
const process = { ...killPolicy, name, permissions };

const server = {
  servers: all((value) => isText(value) && value !== ""),
  space: all((value) => value === "x" || value === "2"),
  auth: [...all(() => false), { user: "me" }, { user: "me", password: 1 }, { token: "" }, { token: "a", user: "me" }],
  tls: [...all((value) => isBoolean(value) || isRecord(value)), { ca: 1 }, { cert: "" }],
  connectTimeout: positiveDuration,
};
const word = all((value) => value === "x" || value === "2");
const destination = all(() => false);

/** A test backend whose only fault is this. */
const acting = (action: TestBackend.Action) => TestBackend.make({ faults: [{ action, nth: 2 }] });

const scripted = (made: ReturnType<typeof TestBackend.make>) =>
  Effect.flatMap(made, (backend) => backend.spawn({ name: "x", modules: [] }));

/** The options of the library. */
export const options = {
  "Array.Options": { lock, carrier },
  "Backend.Command": { name, daemon: boolean, modules: texts, permissions, preload: boolean, sources },
  "Backend.KillPolicy": killPolicy,
  "Barrier.Options": { carrier, parties: positive },
  "agent.Options": { ...server, slots: positive, labels: texts, folder: name, keep: positiveDuration },
  "Client.Options": { ...connecting, maxBytes: positiveOrInfinite },
  "Client.Trust": { caCerts: texts, hostname: name },
  "CommandExecutor.Options": {
    killSignal: signal,
    forceKillAfter: duration,
    maxBuffer: countOrInfinite,
    guard: boolean,
  },
  "Condition.Options": { carrier, lock },
  "Group.Options": { concurrency: positiveOrInfinite },
  "Group.PartialOptions": { concurrency: positiveOrInfinite, deadline: duration },
  "Listener.Certificate": { cert: text, key: text },
  "Listener.Options": { ...listening, backlog: positiveOrInfinite, maxBytes: positiveOrInfinite },
  "Listener.TcpAddress": { hostname: name, port: count },
  "Listener.UnixAddress": { path: name },
  "Lock.CarrierOptions": { carrier },
  "Lock.WithOptions": { onAbandoned: effect },
  "Main.Options": { layer, teardown: func, disableErrorReporting: boolean, disablePrettyLogger: boolean, report: func },
  "Manager.ConnectOptions": connecting,
  "Manager.Options": { ...process, modules: texts, initializer },
  "Manager.ServeOptions": { ...listening, types, tasks },
  "Manager.TypeOptions": { exposed: texts, streams: texts, returns: record },
  "NatsBackend.Options": {
    ...server,
    labels: texts,
    permissions,
    env: environment,
    v8Flags: texts,
    include: texts,
    lease: positiveDuration,
    lostAfter: positiveDuration,
    placeTimeout: positiveDuration,
    stdout: destination,
    stderr: destination,
    maxMessageSize: positiveOrInfinite,
    observe: worker.observe,
  },
  "NatsBackend.ServerOptions": server,
  "NatsPool.Options": {
    ...server,
    name: word,
    size: positive,
    replicas: positive,
    maxQueued: positive,
    whenFull: all(() => false),
    ackWait: positiveDuration,
    retries: count,
    priority: terms.priority,
    timeout: positiveDuration,
    keepResults: positiveDuration,
    keepDead: positiveDuration,
    labels: texts,
    permissions,
    env: environment,
    v8Flags: texts,
    include: texts,
  },
  "NatsShared.LeaseOptions": { lease: positiveDuration },
  "NatsShared.Options": { ...server, name: word, replicas: positive },
  "NatsShared.QueueOptions": {
    capacity: positiveOrInfinite,
    maxBytes: positiveOrInfinite,
    redeliver: boolean,
    ackWait: positiveDuration,
  },
  "NatsShared.SemaphoreOptions": { lease: positiveDuration, permits: positive },
  "NatsPool.SubmitOptions": { ...calling, onSuccess: func, onFailure: func, id: word },
  "Pipe.Options": { duplex: boolean, maxBytes: positiveOrInfinite },
  "PlatformWorker.Options": process,
  "Pool.ApplyOptions": calling,
  "Pool.CallOptions": calling,
  "Pool.Initializer": { task, args: list },
  "Pool.MapOptions": mapping,
  "Pool.MapStreamOptions": { ...mapping, unordered: boolean, lookAhead: positive },
  "Pool.Options": {
    ...killPolicy,
    ...terms,
    size: poolSize,
    concurrency: positive,
    prefetch: count,
    queueCapacity: positiveOrInfinite,
    whenFull: all(() => false),
    initializer,
    maxTasksPerChild: positiveOrInfinite,
    maxAge: positiveDuration,
    maxMemory: positiveOrInfinite,
    timeline: all(() => false),
    spare: boolean,
  },
  "Pool.SubmitOptions": { ...calling, onSuccess: func, onFailure: func },
  "Pool.TermOptions": terms,
  "Pool.WaitOptions": { returnWhen: all(() => false), timeout: duration },
  "Process.Options": { ...process, daemon: boolean },
  "Queue.Options": queue,
  "Queue.StreamOptions": chunking,
  "Queue.PriorityOptions": { ...queue, key: func, order: func },
  "Semaphore.Options": { carrier, permits: count, reclaim: boolean },
  "ProgressBar.Options": { label: text },
  "ShareableList.Options": { capacity: positive, carrier, lock, name },
  "SharedMemory.CreateOptions": { size: positive, name },
  "SharedMemory.Options": { size: positive, experimental: boolean },
  "Supervisor.Options": {
    strategy: all(() => false),
    intensity: [
      ...all(() => false),
      { restarts: 1 },
      ...count.map((restarts) => ({ restarts, within: 1 })),
      ...positiveDuration.map((within) => ({ restarts: 1, within })),
    ],
    backoff: all(() => false),
    onEvent: func,
  },
  "SubprocessBackend.Options": {
    ...worker,
    permissions,
    cwd: name,
    env: environment,
    clearEnv: boolean,
    v8Flags: texts,
    denoFlags: texts,
    stdin,
    stdout: stdin,
    stderr: stdin,
    detached: boolean,
  },
  "Task.SharedOptions": { layer },
  "Task.Options": {
    payload: [...all(Array.isArray), [fn]],
    success: schema,
    error: schema,
    layer,
    idempotent: boolean,
    killable: boolean,
  },
  "TestBackend.Options": {
    faults: [
      ...all(Array.isArray),
      ...all(() => false).map((fault) => [fault]),
      [{ action: { _tag: "Delay", duration: -1 } }],
      [{ action: TestBackend.hang, when: "never" }],
      ...positive.map((worker) => [{ action: TestBackend.hang, worker }]),
      ...positive.map((nth) => [{ action: TestBackend.hang, nth }]),
      ...name.map((task) => [{ action: TestBackend.hang, task }]),
    ],
    unstartable: [...all(Array.isArray), [0], [null], ["1"]],
  },
  "Timeline.Options": { capacity: positive },
  "Value.Options": { lock, carrier },
  "Wait.Options": { timeout: duration },
  "WorkerBackend.Options": { ...worker, maxQuarantined: positiveOrInfinite },
} satisfies Record<string, Readonly<Record<string, Kind>>>;

/** Required options. */
const requirements: Partial<Record<keyof typeof options, Readonly<Record<string, unknown>>>> = {
  "Backend.Command": { name: "x", modules: [] },
  "Barrier.Options": { parties: 1 },
  "Client.Options": { address: { path: "/nowhere/at/all" } },
  "Group.PartialOptions": { deadline: 1 },
  "Manager.ConnectOptions": { address: { path: "/nowhere/at/all" } },
  "NatsBackend.Options": { servers: "nats://127.0.0.1:1" },
  "NatsPool.Options": { servers: "nats://127.0.0.1:1", name: "x" },
  "NatsShared.Options": { servers: "nats://127.0.0.1:1", name: "x" },
  "agent.Options": { servers: "nats://127.0.0.1:1" },
  "SharedMemory.CreateOptions": { size: 8 },
  "SharedMemory.Options": { size: 8 },
};

/** The objects on which the rows are tried. */
export interface Fixtures {
  readonly [name: string]: unknown;
}

// The rows violate the types of the objects, so the types are of no use here.
// deno-lint-ignore no-explicit-any
type Loose = any;

/** One function: the kinds of its parameters in order, valid arguments, and the call. */
export interface Row {
  readonly kinds: Readonly<Record<string, Kind>>;
  readonly right: (fixtures: Loose) => ReadonlyArray<unknown>;
  /** Returns an Effect or a Stream, or, if it `throws`, any value. */
  readonly call: (fixtures: Loose, args: ReadonlyArray<Loose>) => unknown;
  readonly throws: boolean;
}

type Kinds = Readonly<Record<string, Kind>>;

const row = (
  kinds: Kinds,
  right: Row["right"] | ReadonlyArray<unknown>,
  call: Row["call"],
  throws: boolean = false,
): Row => ({ kinds, right: typeof right === "function" ? right : () => right, call, throws });

/** Methods of an object: kinds and valid arguments, by name. */
const methods = (
  key: string,
  on: string,
  table: Readonly<Record<string, readonly [Kinds, ReadonlyArray<unknown> | Row["right"]]>>,
  throws: boolean = false,
): Record<string, Row> =>
  Object.fromEntries(
    Object.entries(table).map(([method, [kinds, right]]) => {
      const path = on.split(".");
      const find = (fixtures: Loose): Loose => path.reduce((object, part) => object[part], fixtures);
      return [`${key}.${method}`, row(kinds, right, (fixtures, args) => find(fixtures)[method](...args), throws)];
    }),
  );

const element = [...all(Number.isSafeInteger), 7, -7];
/** An integer that wraps if it is too large. */
const whole = all(Number.isInteger);
const i32 = all((value) => Number.isSafeInteger(value));
const change = func;
const part = { start: integer, end };

const numbers = (key: string, prefix: Kinds, before: ReadonlyArray<unknown>): Record<string, Row> => {
  const on = key.startsWith("Array") ? "array" : "value";
  const raw = `${on}.raw`;
  const operand: readonly [Kinds, ReadonlyArray<unknown>] = [{ ...prefix, value: i32 }, [...before, 1]];
  const mask: readonly [Kinds, ReadonlyArray<unknown>] = [{ ...prefix, mask: i32 }, [...before, 1]];
  const changing: readonly [Kinds, ReadonlyArray<unknown>] = [{ ...prefix, change }, [...before, (n: number) => n]];
  const modifying: readonly [Kinds, ReadonlyArray<unknown>] = [
    { ...prefix, change: [...change, () => 5, () => [1], () => [1, "x"]] },
    [...before, (n: number) => [n, n]],
  ];
  const general = {
    ...key.startsWith("Array") ? { get: [prefix, before] as const } : {},
    set: operand,
    exchange: operand,
    compareExchange: [{ ...prefix, expected: i32, value: i32 }, [...before, 1, 1]] as const,
    update: changing,
    modify: modifying,
  };
  const many = {
    slice: [part, [0, 1]] as const,
    setAll: [{ values: [...iterable, ["x"], [1, 2, 3, 4, 5, 6]], offset: count }, [[1], 0]] as const,
    fill: [{ value: i32, ...part }, [1, 0, 1]] as const,
  };
  const own = key.startsWith("Array") ? { ...general, ...many } : general;
  return {
    ...methods(`${key}.Raw`, raw, own, true),
    ...methods(`${key}.RawNumeric`, raw, { add: operand, sub: operand }, true),
    ...methods(`${key}.RawInteger`, raw, { and: mask, or: mask, xor: mask }, true),
    ...methods(key === "Array" ? "Array.Array" : "Value.Value", on, own),
    ...methods(`${key}.Numeric`, on, { add: operand, sub: operand }),
    ...methods(`${key}.Integer`, on, { and: mask, or: mask, xor: mask }),
  };
};

const guard = (is: (value: unknown) => boolean): Row =>
  row({ value: any }, [1], (_, [value]) => Effect.sync(() => is(value)));

const doubles = PlatformWorker.runner(
  import.meta,
  "doubles for arguments",
  WorkerRunner.layer((n: number) => Effect.succeed(2 * n)),
);
const served = Rpc.server(import.meta, "nothing for arguments", Layer.empty);
const spawner = Worker.layerSpawner(() => doubles);

/** Starts a worker. Fails with the cause of the platform's error. */
const startWorker = <E, R>(layer: Layer.Layer<Worker.WorkerManager | Worker.Spawner, E, R>) =>
  Effect.flatMap(Worker.WorkerManager, (manager) => manager.spawn({})).pipe(
    Effect.mapError(({ cause }) => cause),
    Effect.scoped,
    Effect.provide(layer),
  );

const names = { name: text };
const index = { index: integer };
const modified = { task, args: any };

/** The arguments of a function whose name ends with `With`. */
const withOptions = (options: Parameters<typeof optionsOf>[0]) => ({ task, args: list, options: optionsOf(options) });

/** Required parameters that may be `undefined`. */
export const absent: ReadonlySet<string> = new Set(["Manager.Manager.publish(object)"]);

export const rows: Readonly<Record<string, Row>> = {
  ...numbers("Array", { at: element }, [0]),
  "Array.make": row(
    {
      type: all(() => false),
      initial: all((v) => v === 0 || v === 1 || isIterable(v) && v !== "x" && v !== "2"),
      options: optionsOf("Array.Options"),
    },
    ["i32", 2, {}],
    (_, args) => SharedArray.make(...args as [Loose, Loose, Loose]),
  ),
  "Array.isArray": guard(SharedArray.isArray),

  "Backend.Child.kill": row({ signal }, ["SIGKILL"], ({ child }, [signal]) => child.kill(signal)),
  "Backend.Backend.spawn": row(
    { command: optionsOf("Backend.Command") },
    [{ name: "x", modules: [] }],
    ({ backend }, [command]) => backend.spawn(command),
  ),

  "Barrier.Barrier.waitWith": row(
    { action: effect },
    [Effect.void],
    ({ barrier }, [action]) => barrier.waitWith(action),
  ),
  "Barrier.make": row(
    { options: optionsOf("Barrier.Options") },
    [{ parties: 1 }],
    (_, [options]) => Barrier.make(options),
  ),
  "Barrier.isBarrier": guard(Barrier.isBarrier),

  "Client.connect": row(
    { options: optionsOf("Client.Options") },
    [{ address: { path: "/nowhere" } }],
    (_, [options]) => Client.connect(options),
  ),

  "CommandExecutor.layer": row(
    { options: optionsOf("CommandExecutor.Options") },
    [{}],
    (_, [options]) =>
      Effect.scoped(Command.start(Command.make("true"))).pipe(
        Effect.provide(CommandExecutor.layer(options)),
        // The platform prefixes the operation.
        Effect.mapError(({ _tag, description = "" }) => Object.assign(new Error(description), { _tag })),
      ),
  ),
  "CommandExecutor.signalOf": row(
    { exitCode: any },
    [-9],
    (_, [code]) => Effect.sync(() => CommandExecutor.signalOf(code)),
  ),

  ...methods("Condition.Condition", "condition", {
    waitWithin: [{ duration }, [0]],
    waitFor: [{ predicate: effect.filter((value) => !isFunction(value)) }, [Effect.succeed(true)]],
    notify: [{ count: countOrInfinite }, [1]],
  }),
  "Condition.make": row({ options: optionsOf("Condition.Options") }, [{}], (_, [options]) => Condition.make(options)),
  "Condition.isCondition": guard(Condition.isCondition),

  "Event.make": row({ options: optionsOf("Lock.CarrierOptions") }, [{}], (_, [options]) => Event.make(options)),
  "Event.isEvent": guard((value) => Lock.isLock(value)),

  "Listener.Listener.serve": row(
    { handler: func },
    [() => Effect.void],
    ({ listener }, [handler]) => listener.serve(handler),
  ),
  "Group.all": row(
    { members, options: optionsOf("Group.Options") },
    [[Effect.void], {}],
    (_, [members, options]) => Group.all(members, options),
  ),
  "Group.any": row(
    { members, options: optionsOf("Group.Options") },
    [[Effect.void], {}],
    (_, [members, options]) => Group.any(members, options),
  ),
  "Group.first": row(
    { members, n: count, options: optionsOf("Group.Options") },
    [[Effect.void], 1, {}],
    (_, [members, n, options]) => Group.first(members, n, options),
  ),
  "Group.until": row(
    { members, predicate: func, options: optionsOf("Group.Options") },
    [[Effect.void], () => true, {}],
    (_, [members, predicate, options]) => Group.until(members, predicate, options),
  ),
  "Group.partial": row(
    { members, options: optionsOf("Group.PartialOptions") },
    [[Effect.void], { deadline: 1 }],
    (_, [members, options]) => Group.partial(members, options),
  ),
  "Listener.make": row({ options: optionsOf("Listener.Options") }, [{}], (_, [options]) => Listener.make(options)),
  "Listener.isListener": guard(Listener.isListener),

  ...methods("Lock.Lock", "lock", {
    withLock: [{ effect, options: optionsOf("Lock.WithOptions") }, [Effect.void, {}]],
  }),
  "Lock.make": row({ options: optionsOf("Lock.CarrierOptions") }, [{}], (_, [options]) => Lock.make(options)),
  "Lock.isLock": guard(Lock.isLock),

  "Main.runMain": row(
    { program: effect, options: optionsOf("Main.Options") },
    [Effect.void, {}],
    (_, [program, options]) => runMain(program, options),
    true,
  ),

  ...methods("Manager.DictOperations", "dict", {
    get: [{ key: any }, ["a"]],
    getOrElse: [{ key: any, otherwise: any }, ["a", 1]],
    getMany: [{ keys: iterable }, [["a"]]],
    has: [{ key: any }, ["a"]],
    set: [{ key: any, value: any }, ["a", 1]],
    setDefault: [{ key: any, value: any }, ["a", 1]],
    update: [{ entries: pairs }, [[["a", 1]]]],
    delete: [{ key: any }, ["b"]],
    pop: [{ key: any }, ["b"]],
    compareAndSet: [{ key: any, expected: any, value: any }, ["a", 1, 1]],
    modify: [{ key: any, ...modified }, ["a", change2]],
  }),
  ...methods("Manager.Namespace", "namespace", {
    get: [names, ["a"]],
    has: [names, ["a"]],
    set: [{ ...names, value: any }, ["a", 1]],
    assign: [{ attributes: record }, [{ a: 1 }]],
    delete: [names, ["b"]],
    compareAndSet: [{ ...names, expected: any, value: any }, ["a", 1, 1]],
    modify: [{ ...names, ...modified }, ["a", change2]],
  }),
  ...methods("Manager.List", "list", {
    at: [index, [0]],
    set: [{ index: element, item: any }, [0, 1]],
    push: [{ items: any }, []],
    extend: [{ items: iterable }, [[]]],
    unshift: [{ items: any }, []],
    insert: [{ ...index, item: any }, [0, 1]],
    pop: [index, [9]],
    splice: [{ start: integer, deleted: countOrInfinite, items: any }, [0, 0]],
    remove: [{ item: any }, [99]],
    fill: [{ item: any, ...part }, [1, 0, 0]],
    sort: [{ options: [...all(isRecord), { descending: 1 }, { descending: null }] }, [{}]],
    includes: [{ item: any }, [1]],
    indexOf: [{ item: any, from: integer }, [1, 0]],
    lastIndexOf: [{ item: any }, [1]],
    count: [{ item: any }, [1]],
    join: [{ separator: text }, [","]],
    slice: [part, [0, 1]],
    compareAndSet: [{ index: element, expected: any, item: any }, [0, 1, 1]],
    modify: [{ index: element, ...modified }, [0, change2]],
    modifyAll: [modified, [change2]],
  }),
  ...methods("Manager.Manager", "manager", {
    dict: [{ entries: pairs }, [[]]],
    list: [{ items: iterable }, [[]]],
    namespace: [{ attributes: record }, [{}]],
    value: [{ value: any }, [1]],
    array: [{ numbers: bytes }, [new Float64Array(1)]],
    queue: [{ options: optionsOf("Queue.Options") }, [{}]],
    lifoQueue: [{ options: optionsOf("Queue.Options") }, [{}]],
    priorityQueue: [{ options: optionsOf("Queue.Options") }, [{}]],
    semaphore: [{ permits: count }, [1]],
    boundedSemaphore: [{ permits: count }, [1]],
    condition: [{ lock }, []],
    barrier: [{ parties: positive, action: task }, [1]],
    sharedMemory: [{ size: positive }, [8]],
    shareableList: [{ values: [...iterable, [{}], [fn]] }, [[]]],
    pool: [{
      options: [
        ...all(isRecord),
        ...positive.map((size) => ({ size })),
        ...positiveOrInfinite.map((n) => ({ maxTasksPerChild: n })),
      ],
    }, [{ size: 1 }]],
    create: [{ type: task, args: any }, ({ type }) => [type]],
    publish: [{ name, object: all(() => false) }, ({ dict }) => ["x", dict]],
    find: [{ name }, ["x"]],
  }),
  ...methods("Manager.SharedPool", "sharedPool", {
    apply: [modified, [square, 1]],
    map: [{ task, items: iterable, options: chunks }, [square, [1], {}]],
    starmap: [{ task, items: [...iterable, [1], [null]], options: chunks }, [add, [[1, 2]], {}]],
    mapUnordered: [{ task, items: iterable, options: chunks }, [square, [1], {}]],
    stream: [modified, [countTo, 1]],
  }),
  ...methods("Manager.Numbers", "managedArray", {
    at: [index, [0]],
    set: [{ index: element, value: whole }, [0, 1]],
    setAll: [
      { values: [...all((value) => Array.isArray(value) || value instanceof Uint8Array), ["x"]], offset: count },
      [[1], 0],
    ],
    fill: [{ value: whole, ...part }, [1, 0, 0]],
    add: [{ index: element, amount: whole }, [0, 0]],
    compareAndSet: [{ index: element, expected: whole, value: whole }, [0, 1, 1]],
    slice: [part, [0, 1]],
    modifyAll: [modified, [change2]],
  }),
  ...methods("Manager.Value", "managedValue", {
    set: [{ value: any }, [1]],
    getAndSet: [{ value: any }, [1]],
    compareAndSet: [{ expected: any, value: any }, [1, 1]],
    add: [{ amount: numeric }, [0]],
    modify: [modified, [change2]],
  }),
  "Manager.make": row({ options: optionsOf("Manager.Options") }, [{}], (_, [options]) => Manager.make(options)),
  "Manager.serve": row({ options: optionsOf("Manager.ServeOptions") }, [{}], (_, [options]) => Manager.serve(options)),
  "Manager.connect": row(
    { options: optionsOf("Manager.ConnectOptions") },
    [{}],
    (_, [options]) => Manager.connect(options),
  ),
  "Manager.type": row(
    { meta: all(() => false), name, make: func, options: optionsOf("Manager.TypeOptions") },
    [meta("file:///types.ts"), "T", Strange, {}],
    (_, args) => Manager.type(...args as [Loose, Loose, Loose, Loose]),
    true,
  ),
  "Manager.retain": row({ proxy: all(() => false) }, ({ dict }) => [dict], (_, [proxy]) => Manager.retain(proxy)),
  "Manager.lease": row(
    { proxy: all(() => false), duration: positiveDuration },
    ({ dict }) => [dict, 1],
    (_, [proxy, duration]) => Manager.lease(proxy, duration),
  ),
  "Manager.getValue": row({ proxy: all(() => false) }, ({ dict }) => [dict], (_, [proxy]) => Manager.getValue(proxy)),
  "Manager.inspect": row({ proxy: all(() => false) }, ({ dict }) => [dict], (_, [proxy]) => Manager.inspect(proxy)),
  "Manager.isProxy": guard(Manager.isProxy),

  ...methods("Pipe.Connection", "connection", {
    send: [{ value: any }, [1]],
    sendBytes: [{ buffer, offset: count, size: count }, [new Uint8Array(1), 0, 0]],
    recvBytes: [{ maxLength: countOrInfinite }, [1]],
    recvBytesInto: [{ buffer, offset: count }, [new Uint8Array(1), 0]],
    poll: [{ timeout: duration }, [0]],
  }),
  "NatsBackend.make": row(
    { options: optionsOf("NatsBackend.Options") },
    [{ servers: "nats://127.0.0.1:1", connectTimeout: 1 }],
    (_, [options]) => NatsBackend.make(options),
  ),
  "NatsBackend.layer": row(
    { options: optionsOf("NatsBackend.Options") },
    [{ servers: "nats://127.0.0.1:1", connectTimeout: 1 }],
    (_, [options]) => Layer.build(NatsBackend.layer(options)),
  ),
  "NatsPool.make": row(
    { options: optionsOf("NatsPool.Options") },
    [{ servers: "nats://127.0.0.1:1", name: "x", connectTimeout: 1 }],
    (_, [options]) => NatsPool.make(options),
  ),
  ...methods("NatsPool.NatsPool", "natsPool", {
    submit: [modified, [square, 1]],
    submitWith: [withOptions("NatsPool.SubmitOptions"), [square, [1], {}]],
    attach: [{ id: word, task }, ["x", square]],
    retryDead: [{ id: word }, ["x"]],
  }),
  "NatsShared.make": row(
    { options: optionsOf("NatsShared.Options") },
    [{ servers: "nats://127.0.0.1:1", name: "x", connectTimeout: 1 }],
    (_, [options]) => NatsShared.make(options),
  ),
  ...methods("NatsShared.NatsShared", "natsShared", {
    queue: [{ name: word, options: optionsOf("NatsShared.QueueOptions") }, ["x", {}]],
    lock: [{ name: word, options: optionsOf("NatsShared.LeaseOptions") }, ["x", {}]],
    semaphore: [{ name: word, options: optionsOf("NatsShared.SemaphoreOptions") }, ["x", {}]],
    event: [{ name: word }, ["x"]],
    dict: [{ name: word }, ["x"]],
  }),
  ...methods("NatsShared.Dict", "natsDict", { change: [{ key: any, change }, ["a", () => 1]] }),
  "agent.serve": row(
    { options: optionsOf("agent.Options") },
    [{ servers: "nats://127.0.0.1:1", connectTimeout: 1 }],
    (_, [options]) => Agent.serve(options),
  ),
  "Pipe.make": row({ options: optionsOf("Pipe.Options") }, [{}], (_, [options]) => Pipe.make(options)),
  "Pipe.scoped": row(
    { connection: all(() => false) },
    ({ connection }) => [connection],
    (_, [connection]) => Pipe.scoped(connection),
  ),
  "Pipe.schema": row(
    { receive: schema, send: schema },
    [Schema.Number, Schema.Number],
    ({ connection }, [receive, send]) => Pipe.schema(receive, send)(connection),
    true,
  ),
  "Pipe.isConnection": guard(Pipe.isConnection),

  ...methods("Pool.Pool", "pool", {
    apply: [modified, [square, 1]],
    broadcast: [modified, [square, 1]],
    reduce: [{ task, items: iterable, options: optionsOf("Pool.MapOptions") }, [add, [1, 2], {}]],
    mapReduce: [{ map: task, reduce: task, items: iterable, options: optionsOf("Pool.MapOptions") }, [
      square,
      add,
      [1, 2],
      {},
    ]],
    mapSettled: [{ task, items: iterable, options: optionsOf("Pool.MapOptions") }, [square, [1], {}]],
    map: [{ task, items: iterable, options: optionsOf("Pool.MapOptions") }, [square, [1], {}]],
    starmap: [{ task, items: [...iterable, [1], [null], "ab"], options: optionsOf("Pool.MapOptions") }, [
      add,
      [[1, 2]],
      {},
    ]],
    stream: [modified, [countTo, 1]],
    mapUnordered: [{ task, items: iterable, options: optionsOf("Pool.MapOptions") }, [square, [1], {}]],
    submit: [modified, [square, 1]],
    applyWith: [withOptions("Pool.ApplyOptions"), [square, [1], {}]],
    submitWith: [withOptions("Pool.SubmitOptions"), [square, [1], {}]],
  }),
  "Pool.Pool.mapStream": row(
    { task, options: optionsOf("Pool.MapStreamOptions") },
    [square, {}],
    ({ pool }, [task, options]) => pool.mapStream(task, options)(Stream.make(1)),
  ),
  "Pool.Pool.watch": row(
    { interval: positiveDuration },
    [1],
    ({ pool }, [interval]) => Stream.take(pool.watch(interval), 1),
  ),
  "Pool.Pool.mapStreamSettled": row(
    { task, options: optionsOf("Pool.MapStreamOptions") },
    [square, {}],
    ({ pool }, [task, options]) => pool.mapStreamSettled(task, options)(Stream.make(1)),
  ),
  "Pool.initializer": row(
    modified,
    [square, 1],
    (_, [task, ...args]) => Pool.make({ size: 1, initializer: Pool.initializer(task, ...args) }),
  ),
  "Pool.wait": row(
    { submissions: [...iterable, [1], [null], "ab"], options: optionsOf("Pool.WaitOptions") },
    [[], {}],
    (_, [submissions, options]) => Pool.wait(submissions, options),
  ),
  "Pool.asCompleted": row(
    { submissions: [...iterable, [1], [null], "ab"] },
    [[]],
    (_, [submissions]) => Pool.asCompleted(submissions),
  ),
  "Pool.Tag": row({ id: name }, ["x"], (_, [id]) => Pool.Tag(id), true),
  "Pool.layer": row(
    { tag: any, options: optionsOf("Pool.Options") },
    [Thumbnails, { size: 1 }],
    (_, [tag, options]) => Effect.provide(tag as typeof Thumbnails, Pool.layer(tag as typeof Thumbnails, options)),
  ),
  "Pool.make": row({ options: optionsOf("Pool.Options") }, [{ size: 1 }], (_, [options]) => Pool.make(options)),

  "ProgressBar.show": row(
    { progress: all(() => false), options: optionsOf("ProgressBar.Options") },
    ({ progress }) => [progress, {}],
    (_, [progress, options]) => ProgressBar.show(progress, options),
  ),

  "Process.setAuthKey": row(
    { key: [...bytes, new Uint8Array(0)] },
    [new Uint8Array(1)],
    (_, [key]) => Process.setAuthKey(key),
  ),
  ...methods("Process.Process", "process", { signal: [{ signal }, ["SIGTERM"]] }),
  ...methods("Process.Handle", "process.handle", { signal: [{ signal }, ["SIGTERM"]] }),
  "Process.spawn": row(modified, [square, 1], (_, [task, ...args]) => Process.spawn(task, ...args)),
  "Process.spawnWith": row(
    withOptions("Process.Options"),
    [square, [1], {}],
    (_, [task, args, options]) => Process.spawnWith(task, args, options),
  ),
  "Process.runWith": row(
    withOptions("Process.Options"),
    [square, [1], {}],
    (_, [task, args, options]) => Process.runWith(task, args, options),
  ),
  "Process.streamWith": row(
    withOptions("Process.Options"),
    [countTo, [1], {}],
    (_, [task, args, options]) => Process.streamWith(task, args, options),
  ),
  "Process.run": row(modified, [square, 1], (_, [task, ...args]) => Process.run(task, ...args)),
  "Process.stream": row(modified, [countTo, 1], (_, [task, ...args]) => Process.stream(task, ...args)),

  ...methods("Queue.Enqueue", "queue", {
    put: [{ item: any }, [1]],
    putAll: [{ items: iterable }, [[1]]],
    tryPut: [{ item: any }, [1]],
  }),
  ...methods("Queue.Dequeue", "queue", { takeUpTo: [{ count: positive }, [1]], taskDone: [{ count: positive }, [1]] }),
  "Queue.Dequeue.toStreamWith": row(
    { options: optionsOf("Queue.StreamOptions") },
    [{}],
    ({ queue }, [options]) => queue.toStreamWith(options),
  ),
  "Queue.make": row({ options: optionsOf("Queue.Options") }, [{}], (_, [options]) => Queue.make(options)),
  "Queue.lifo": row({ options: optionsOf("Queue.Options") }, [{}], (_, [options]) => Queue.lifo(options)),
  "Queue.priority": row(
    { options: optionsOf("Queue.PriorityOptions") },
    [{}],
    (_, [options]) => Queue.priority(options),
  ),
  "Queue.fromStream": row(
    { stream, options: optionsOf("Queue.Options") },
    [Stream.empty, {}],
    (_, [stream, options]) => Queue.fromStream(stream, options),
  ),
  "Queue.isQueue": guard(Queue.isQueue),

  ...methods("RLock.RLock", "rlock", {
    withLock: [{ effect, options: optionsOf("Lock.WithOptions") }, [Effect.void, {}]],
  }),
  "RLock.make": row({ options: optionsOf("Lock.CarrierOptions") }, [{}], (_, [options]) => RLock.make(options)),
  "RLock.isRLock": guard(RLock.isRLock),
  ...methods("ReadWriteLock.Side", "readWriteLock.read", {
    withLock: [{ effect, options: optionsOf("Lock.WithOptions") }, [Effect.void, {}]],
  }),
  "ReadWriteLock.make": row(
    { options: optionsOf("Lock.CarrierOptions") },
    [{}],
    (_, [options]) => ReadWriteLock.make(options),
  ),
  "ReadWriteLock.isReadWriteLock": guard(ReadWriteLock.isReadWriteLock),

  ...methods("Semaphore.Semaphore", "semaphore", {
    take: [{ permits: positive }, [1]],
    tryTake: [{ permits: positive }, [1]],
    release: [{ permits: positive }, [1]],
    acquire: [{ permits: positive }, [1]],
    withPermits: [{ effect, permits: positive }, [Effect.void, 1]],
  }),
  ...methods("Semaphore.MemorySemaphore", "semaphore", {
    unsafeTryTake: [{ permits: positive }, [1]],
    unsafeRelease: [{ permits: positive }, [1]],
  }, true),
  "Semaphore.make": row({ options: optionsOf("Semaphore.Options") }, [{}], (_, [options]) => Semaphore.make(options)),
  "Semaphore.bounded": row(
    { options: optionsOf("Semaphore.Options") },
    [{}],
    (_, [options]) => Semaphore.bounded(options),
  ),
  "Semaphore.isSemaphore": guard(Semaphore.isSemaphore),

  ...methods("ShareableList.Raw", "shareableList.raw", { get: [{ at: element }, [0]] }, true),
  ...methods("ShareableList.ShareableList", "shareableList", {
    get: [{ at: element }, [0]],
    set: [{ at: element, value: [{}, fn, Symbol("s"), 2n ** 64n] }, [0, 1]],
    update: [{ at: element, change: [...change, () => ({})] }, [0, () => 1]],
    modify: [{ at: element, change: [...change, () => 5, () => [1, fn]] }, [0, () => [1, 1]]],
    includes: [{ value: any }, [1]],
    count: [{ value: any }, [1]],
    indexOf: [{ value: any }, [1]],
    capacity: [{ at: element }, [0]],
  }),
  "ShareableList.make": row({ values: [...iterable, [{}], [fn]], options: optionsOf("ShareableList.Options") }, [
    [1],
    {},
  ], (_, [values, options]) => ShareableList.make(values, options)),
  "ShareableList.attach": row(
    { name: [...name, "a/b", "..", "x".repeat(300)] },
    ["x"],
    (_, [name]) => ShareableList.attach(name),
  ),
  "ShareableList.isShareableList": guard(ShareableList.isShareableList),

  ...methods("SharedMemory.SharedMemory", "memory", {
    array: [{ View: all(() => false), offset: [...count, 3], length: [...count, 1000] }, [Int32Array, 0, 1]],
  }, true),
  "SharedMemory.make": row(
    { options: optionsOf("SharedMemory.Options") },
    [{ size: 8 }],
    (_, [options]) => SharedMemory.make(options),
  ),
  "SharedMemory.create": row(
    { options: optionsOf("SharedMemory.CreateOptions") },
    [{ size: 8 }],
    (_, [options]) => SharedMemory.create(options),
  ),
  "SharedMemory.attach": row(
    { name: [...name, "a/b", "..", "x".repeat(300)] },
    ["x"],
    (_, [name]) => SharedMemory.attach(name),
  ),
  "SharedMemory.isSharedMemory": guard(SharedMemory.isSharedMemory),
  ...methods("SharedMemoryManager.SharedMemoryManager", "memoryManager", {
    memory: [{ options: optionsOf("SharedMemory.CreateOptions") }, [{ size: 8 }]],
    list: [{ values: [...iterable, [{}]], options: optionsOf("ShareableList.Options") }, [[1], {}]],
    release: [{ object: all(() => false) }, ({ memory }) => [memory]],
  }),
  "SharedMemoryManager.isSharedMemoryManager": guard(SharedMemoryManager.isSharedMemoryManager),

  "PlatformWorker.layer": row(
    { spawn: func, options: optionsOf("PlatformWorker.Options") },
    [() => doubles, {}],
    (_, [spawn, options]) => startWorker(PlatformWorker.layer(spawn, options)),
  ),
  "PlatformWorker.layerManager": row(
    { options: optionsOf("PlatformWorker.Options") },
    [{}],
    (_, [options]) => startWorker(Layer.merge(PlatformWorker.layerManager(options), spawner)),
  ),
  "PlatformWorker.layerPlatform": row(
    { options: optionsOf("PlatformWorker.Options") },
    [{}],
    (_, [options]) =>
      startWorker(Layer.merge(
        Layer.provideMerge(Worker.layerManager, PlatformWorker.layerPlatform(options)),
        spawner,
      )),
  ),
  "PlatformWorker.runner": row(
    { meta: all(() => false), name, layer },
    [meta("file:///tasks.ts"), "t", Layer.empty],
    (_, args) => PlatformWorker.runner(...args as [Loose, Loose, Loose]),
    true,
  ),
  "PlatformWorker.workerErrorOf": row(
    { failure: any },
    [1],
    (_, [failure]) => Effect.sync(() => PlatformWorker.workerErrorOf(failure)),
  ),

  "Rpc.layerClient": row(
    { connection: all(() => false) },
    ({ connection }) => [connection],
    (_, [connection]) => Rpc.layerClient(connection),
    true,
  ),
  "Rpc.layerServer": row(
    { connections: stream },
    ({ connection }) => [connection],
    (_, [connections]) => Rpc.layerServer(connections),
    true,
  ),
  "Rpc.layerProcess": row(
    { server: task, options: optionsOf("Process.Options") },
    [served, {}],
    (_, [server, options]) => Layer.build(Rpc.layerProcess(server, options)),
  ),
  "Rpc.server": row(
    { meta: all(() => false), name, layer },
    [meta("file:///tasks.ts"), "t", Layer.empty],
    (_, args) => Rpc.server(...args as [Loose, Loose, Loose]),
    true,
  ),

  "SubprocessBackend.make": row(
    { options: optionsOf("SubprocessBackend.Options") },
    [{}],
    (_, [options]) =>
      Effect.flatMap(SubprocessBackend.make(options), (backend) => backend.spawn({ name: "x", modules: [] })),
  ),
  "SubprocessBackend.layer": row(
    { options: optionsOf("SubprocessBackend.Options") },
    [{}],
    (_, [options]) => Effect.provide(Process.run(square, 1), SubprocessBackend.layer(options)),
  ),
  "Telemetry.sum": row({ processes: list }, [[]], (_, [processes]) => Telemetry.sum(processes), true),
  "Timeline.make": row({ options: optionsOf("Timeline.Options") }, [{}], (_, [options]) => Timeline.make(options)),
  "TestBackend.make": row(
    { options: optionsOf("TestBackend.Options") },
    [{}],
    (_, [options]) => scripted(TestBackend.make(options)),
  ),
  "TestBackend.layer": row(
    { options: optionsOf("TestBackend.Options") },
    [{}],
    (_, [options]) => Effect.provide(Process.run(square, 1), TestBackend.layer(options)),
  ),
  "TestBackend.kill": row({ signal }, ["SIGKILL"], (_, [signal]) => scripted(acting(TestBackend.kill(signal)))),
  "TestBackend.exit": row(
    { code: all((value) => value === 0 || value === 1) },
    [1],
    (_, [code]) => scripted(acting(TestBackend.exit(code))),
  ),
  "TestBackend.crash": row({ message: text }, ["x"], (_, [message]) => scripted(acting(TestBackend.crash(message)))),
  "TestBackend.delay": row({ duration }, [1], (_, [duration]) => scripted(acting(TestBackend.delay(duration)))),
  "WorkerBackend.make": row(
    { options: optionsOf("WorkerBackend.Options") },
    [{}],
    (_, [options]) =>
      Effect.flatMap(WorkerBackend.make(options), (backend) => backend.spawn({ name: "x", modules: [] })),
  ),
  "WorkerBackend.layer": row(
    { options: optionsOf("WorkerBackend.Options") },
    [{}],
    (_, [options]) => Effect.provide(Process.run(square, 1), WorkerBackend.layer(options)),
  ),

  "Task.make": row(
    { meta: all(() => false), name, handler: func, options: optionsOf("Task.Options") },
    [meta("file:///tasks.ts"), "t", fn, {}],
    (_, args) => Task.make(...args as [Loose, Loose, Loose, Loose]),
    true,
  ),
  "Task.makeAll": row(
    {
      meta: all(() => false),
      handlers: [...all(isRecord), { t: 1 }, { "": fn }],
      options: optionsOf("Task.SharedOptions"),
    },
    [meta("file:///tasks.ts"), { t: fn }, {}],
    (_, args) => Task.makeAll(...args as [Loose, Loose, Loose]),
    true,
  ),
  "Task.portable": row(
    { meta: all(() => false), name, ref: all(() => false), schema },
    [meta("file:///tasks.ts"), "t", FiberRef.unsafeMake(0), Schema.Number],
    (_, args) => Task.portable(...args as [Loose, Loose, Loose, Loose]),
    true,
  ),
  "Task.fromClass": row(
    { meta: all(() => false), Class: task },
    [
      meta("file:///tasks.ts"),
      class Runs {
        run() {}
      },
    ],
    (_, [meta, Class]) => Task.fromClass(meta, Class),
    true,
  ),
  "Task.move": row(
    { content: all((value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer) },
    [new Uint8Array(1)],
    (_, [content]) => Task.move(content as Loose),
    true,
  ),
  "Task.isTask": guard(Task.isTask),

  ...numbers("Value", {}, []),
  "Supervisor.make": row(
    { children: supervised, options: optionsOf("Supervisor.Options") },
    [[{ name: "a", run: Effect.void, restart: "temporary" }], {}],
    (_, [children, options]) => Supervisor.make(children, options),
  ),
  "Supervisor.Supervisor.restart": row(
    { name: [...all(() => false)] },
    ["a"],
    (_, [name]) =>
      Effect.flatMap(
        Supervisor.make([{ name: "a", run: Effect.never }]),
        (supervisor) => supervisor.restart(name),
      ),
  ),
  "Value.make": row(
    { type: all(() => false), initial: i32, options: optionsOf("Value.Options") },
    ["i32", 0, {}],
    (_, args) => Value.make(...args as [Loose, Loose, Loose]),
  ),
  ...methods("Value.Struct", "struct", {
    set: [{ values: [...record, {}, { x: "1" }, { x: 1, y: 2 }] }, [{ x: 1 }]],
    update: [{ change: [...change, () => 5, () => ({ x: "1" })] }, [() => ({ x: 1 })]],
    modify: [{ change: [...change, () => 5, () => [1, 5]] }, [() => [1, { x: 1 }]]],
  }),
  ...methods("Value.Bytes", "bytes", {
    set: [{ bytes: [...bytes, new Uint8Array(1000)] }, [new Uint8Array(1)]],
    update: [{ change: [...change, () => 5] }, [() => new Uint8Array(1)]],
    modify: [{ change: [...change, () => 5, () => [1, 5]] }, [() => [1, new Uint8Array(1)]]],
  }),
  "Value.struct": row(
    {
      fields: [...record, { x: "i31" }, { x: null }],
      initial: [...record, { y: 1 }, { x: "1" }],
      options: optionsOf("Value.Options"),
    },
    [{ x: "i32" }, {}, {}],
    (_, args) => Value.struct(...args as [Loose, Loose, Loose]),
  ),
  "Value.bytes": row(
    { capacity: count, initial: [...bytes, new Uint8Array(99)], options: optionsOf("Value.Options") },
    [8, new Uint8Array(1), {}],
    (_, args) => Value.bytes(...args as [Loose, Loose, Loose]),
  ),
  "Value.isValue": guard(Value.isValue),

  "Wait.wait": row(
    { objects: [...iterable, ...waitable.map((value) => [value])], options: optionsOf("Wait.Options") },
    ({ queue }) => [[queue], { timeout: 0 }],
    (_, [objects, options]) => wait(objects, options),
  ),
};
