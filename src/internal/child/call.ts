/**
 * The parent's side of a request: encodes the arguments, and decodes the Exit.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Fiber from "effect/Fiber";
import type * as Stream from "effect/Stream";
import type { CallError, Child } from "../../Backend.ts";
import { handles, load, loaded } from "../objects/handles.ts";
import { handleHooks } from "../objects/stream_hook.ts";
import type { Channel, Link, Receiver } from "../rpc/link.ts";
import { consume, Mailbox } from "../rpc/streams.ts";
import type { Any } from "../../Task.ts";
import { lookup } from "./tasks.ts";
import { toCause } from "../codec/cause.ts";
import * as Codec from "../codec/codec.ts";
import { hooks as effectHooks } from "../codec/effect.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { bodyOf, type CauseData, type ExitData, readExit } from "../codec/exits.ts";
import { ProtocolError } from "../transport/frames.ts";
import { type Incoming, MessageTooLarge, sizeOf } from "../codec/message.ts";
import { ProcessDied, SpawnError, TaskError } from "./errors.ts";
import * as Portable from "./portable.ts";
import * as Request from "./request.ts";
import type { AnySchema } from "./schemas.ts";
import { own } from "./modules.ts";

/** Hooks for the arguments of a request. */
export type Hooks = ReadonlyArray<Codec.Hook<Link>>;

/** The hooks of a parent's link. */
export const hooks: Hooks = [...handleHooks("parent"), handles, ...effectHooks];

/** The module for Schemas, which is loaded with the first task that has some. */
const schemas = Effect.promise((): Promise<typeof import("./schemas.ts")> => import(own("./schemas.ts", import.meta)));

type List = ReadonlyArray<unknown>;

/**
 * A request whose arguments are encoded. It can be sent over any link.
 *
 * It is a class for the reason that `FifoEntry` in `../objects/fifo.ts` is one.
 */
export class Prepared {
  readonly task: Any;
  readonly mode: number;
  /** Whether each item of a list gives an Exit of its own. */
  readonly settled: boolean;
  readonly encoded: Codec.Encoded<Link>;
  readonly success: AnySchema | undefined;
  readonly error: AnySchema | undefined;
  readonly trace: Request.Trace | undefined;
  /** The encoded values of portable FiberRefs. */
  readonly carried: Uint8Array | undefined;
  /** How long its arguments took to be encoded, in milliseconds. */
  readonly encoding: number;

  constructor(frame: Frame, encoded: Codec.Encoded<Link>, encoding: number) {
    this.task = frame.task;
    this.mode = frame.mode;
    this.settled = frame.settled;
    this.encoded = encoded;
    this.success = frame.success;
    this.error = frame.error;
    this.trace = frame.trace;
    this.carried = frame.carried;
    this.encoding = encoding;
  }
}

/** The items of a list, encoded, which are sent in parts whose sizes are chosen later. */
export interface PreparedList {
  /** Number of items that stay together. */
  readonly granularity: number;
  /** Number of bytes of the items from `first` to `end`, as for `part`. */
  readonly bytes: (first: number, end: number) => number;
  /** The request with the items from `first` to `end`. Both are multiples of the granularity, or the length of the list. */
  readonly part: (first: number, end: number) => Prepared;
}

/** Encodes a chunk of items. An error has the place of the item in the whole list, in which `first` is the place of the chunk. */
const shifted = <A>(mode: number, first: number, encode: () => A): A => {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    const place = mode === Request.MAP_REDUCE ? /^items\[2\]\[(\d+)\]/ : /^items\[(\d+)\]/;
    const path = error.path.replace(place, (_, index) => `items[${Number(index) + first}]`);
    throw path === error.path ? error : new EncodeError(error.reason, { path, cause: error.cause });
  }
};

/** Everything of a request except its arguments. */
type Frame = Omit<Prepared, "encoded" | "encoding">;

/**
 * Does everything that precedes encoding in the caller's fiber, and passes on the arguments and the rest of the request. The result is an
 * Exit unless Schemas or portable FiberRefs have to be encoded.
 */
const arrange = <A>(
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  task: Any,
  mode: number,
  args: List,
  settled: boolean,
  use: (args: List, frame: Frame) => A,
): Effect.Effect<A, EncodeError> => {
  const definition = lookup(task.url, task.name);
  const options = definition?.options;
  if (definition?.dehydrate !== undefined) args = args.map(definition.dehydrate);
  const payload = options?.payload;
  const span = fiber.currentSpan;
  const trace = span?._tag === "Span" && span.sampled
    ? { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
    : undefined;
  const encodeWith = (args: List, values?: Portable.Carried): Effect.Effect<A, EncodeError> => {
    try {
      return Exit.succeed(use(args, {
        task,
        mode,
        settled,
        success: options?.success as AnySchema | undefined,
        error: options?.error as AnySchema | undefined,
        trace,
        carried: values && Codec.encode(values, { root: "the portable FiberRefs" }).bytes,
      }));
    } catch (error) {
      return error instanceof EncodeError ? Exit.fail(error) : Exit.die(error);
    }
  };
  const collecting = Portable.collect(fiber);
  const finish = (args: List): Effect.Effect<A, EncodeError> =>
    collecting === undefined ? encodeWith(args) : Effect.flatMap(collecting, (values) => encodeWith(args, values));
  if (payload === undefined) return finish(args);
  return Effect.flatMap(schemas, ({ encodeArguments }) => {
    if (mode === Request.CALL) return Effect.flatMap(encodeArguments(task, payload, args), finish);
    const items = Effect.forEach(args, (item) => {
      const list = mode === Request.STARMAP ? item as List : mode === Request.REDUCE ? [item, item] : [item];
      return encodeArguments(task, payload, list);
    });
    return Effect.flatMap(items, (items) => finish(mode === Request.STARMAP ? items : items.map(([item]) => item)));
  });
};

/** Encodes a call, whose buffers that are to move are not taken yet. */
const encoded = (args: List, frame: Frame, first: number, by: Hooks): Prepared => {
  const begun = performance.now();
  const root = frame.mode === Request.CALL ? "args" : "items";
  const encoded = shifted(frame.mode, first, () => Codec.encode(args, { hooks: by, root }));
  return new Prepared(frame, encoded, performance.now() - begun);
};

/** {@link encoded} for several calls, each with `size` items of one list. */
const allEncoded = (calls: ReadonlyArray<List>, frame: Frame, size: number, by: Hooks): ReadonlyArray<Prepared> => {
  const begun = performance.now();
  const all = calls.map((args, i) =>
    shifted(frame.mode, i * size, () => Codec.encode(args, { hooks: by, root: "items" }))
  );
  const each = (performance.now() - begun) / calls.length;
  return all.map((encoded) => new Prepared(frame, encoded, each));
};

/** Takes the buffers of encoded calls that are to move. */
const taken = (calls: ReadonlyArray<Prepared>): ReadonlyArray<Prepared> => {
  const messages = calls.map(({ encoded }) => encoded);
  const own = Codec.take(messages);
  return own === messages ? calls : calls.map((call, i) => ({ ...call, encoded: own[i] }));
};

/** Encodes a call in the caller's fiber, so that an argument that cannot be sent fails there, before anything was sent. */
export const prepare = (
  task: Any,
  mode: number,
  args: List,
  first: number = 0,
  settled: boolean = false,
  by: Hooks = hooks,
): Effect.Effect<Prepared, EncodeError> =>
  Effect.withFiberRuntime((fiber) => prepareIn(fiber, task, mode, args, first, settled, by));

/** {@link prepare}, in a step of the caller's fiber. The result is an Exit unless Schemas or portable FiberRefs have to be encoded. */
export const prepareIn = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  task: Any,
  mode: number,
  args: List,
  first: number = 0,
  settled: boolean = false,
  by: Hooks = hooks,
): Effect.Effect<Prepared, EncodeError> =>
  arrange(fiber, task, mode, args, settled, (args, frame) => {
    const call = encoded(args, frame, first, by);
    return call.encoded.moving === undefined ? call : taken([call])[0];
  });

/** Encodes several calls like {@link prepare}: each with `size` items of one list, and the last one with the rest. */
export const prepareAll = (
  task: Any,
  mode: number,
  calls: ReadonlyArray<List>,
  size: number,
  settled: boolean,
  by: Hooks = hooks,
): Effect.Effect<ReadonlyArray<Prepared>, EncodeError> => {
  const definition = lookup(task.url, task.name);
  const isPlain = definition?.dehydrate === undefined && definition?.options.payload === undefined;
  const prepared = isPlain
    // Nothing but the encoding differs from call to call.
    ? Effect.withFiberRuntime<ReadonlyArray<Prepared>, EncodeError>((fiber) =>
      arrange(fiber, task, mode, [], settled, (_, frame) => allEncoded(calls, frame, size, by))
    )
    : Effect.forEach(
      calls,
      (args, i) =>
        Effect.withFiberRuntime<Prepared, EncodeError>((fiber) =>
          arrange(fiber, task, mode, args, settled, (args, frame) => encoded(args, frame, i * size, by))
        ),
    );
  return Effect.map(prepared, taken);
};

/** A call whose memory stays with it when it is sent, because it is sent several times. */
export const kept = (call: Prepared): Prepared =>
  call.encoded.owned === undefined ? call : { ...call, encoded: { ...call.encoded, owned: undefined } };

/** What is needed to decode the answer to a call of a task that was sent by another program. */
export const expected = (task: Any): Prepared => {
  const options = lookup(task.url, task.name)?.options;
  return {
    task,
    mode: Request.CALL,
    settled: false,
    encoded: Codec.encode([]),
    success: options?.success as AnySchema | undefined,
    error: options?.error as AnySchema | undefined,
    trace: undefined,
    carried: undefined,
    encoding: 0,
  };
};

/** Number of bytes that items which stay together may have, if they are like the first one. */
const GROUP_BYTES = 16 * 1024;

/**
 * Encodes a list of calls in the caller's fiber, so that an item that cannot be sent fails there, before anything was sent, and a change
 * of the list comes too late. Only binary content that is not copied is read when it is sent: see `ATTACHMENT_BYTES`.
 *
 * Up to `granularity` items are encoded together and stay together: fewer if they are large. An object to which several items refer is
 * encoded once for each such group.
 */
export const prepareList = (
  task: Any,
  mode: number,
  items: List,
  granularity: number,
  settled: boolean,
  by: Hooks = hooks,
): Effect.Effect<PreparedList, EncodeError> =>
  Effect.withFiberRuntime((fiber) =>
    arrange(fiber, task, mode, items, settled, (items, frame): PreparedList => {
      if (ArrayBuffer.isView(items)) {
        // Numbers can always be sent; a copy of them is as good as their encoding.
        // The `slice` of a `Buffer` would not copy.
        const copy = Uint8Array.prototype.slice.call(items);
        return {
          granularity: 1,
          bytes: (first, end) => (end - first) * copy.BYTES_PER_ELEMENT,
          part: (first, end) => {
            const begun = performance.now();
            const encoded = Codec.encode<Link>(copy.subarray(first, end));
            return new Prepared(frame, encoded, performance.now() - begun);
          },
        };
      }
      const begun = performance.now();
      const list = new Codec.EncodedList<Link>(by);
      if (items.length > 0 && granularity > 1) {
        const size = sizeOf(shifted(mode, 0, () => Codec.encode([items[0]], { hooks: by, root: "items" })));
        granularity = Math.max(1, Math.min(granularity, Math.floor(GROUP_BYTES / size)));
      }
      for (let first = 0; first < items.length; first += granularity) {
        shifted(mode, first, () => list.add(items.slice(first, first + granularity), "items"));
      }
      list.take();
      const each = (performance.now() - begun) / items.length;
      const group = (at: number): number => Math.ceil(at / granularity);
      return {
        granularity,
        bytes: (first, end) => list.size(group(first), group(end)),
        part: (first, end) => {
          const encoded = list.join(group(first), group(end));
          return new Prepared(frame, encoded, (end - first) * each);
        },
      };
    })
  );

/** The sender of an answer. */
export type Sender = Pick<Child, "name" | "pid" | "host" | "link">;

/** The place of a failure, as `Cause.pretty` shows it. */
const where = (child: Sender, task: Any): string =>
  `task ${task.name} in ${child.name} (pid ${child.pid}${
    child.host === undefined ? "" : ` on ${child.host}`
  }, ${task.url})`;

/** Writes a request for the task with this number. */
export const fill =
  (prepared: Prepared, task: number, flags: number, last: boolean = false, ticket: number = 0) =>
  (writer: Codec.Writer): Codec.Extras<Link> | undefined => {
    const mode = prepared.mode | (prepared.settled ? Request.SETTLED : 0);
    Request.write(writer, mode | flags, task, prepared.trace, prepared.carried, ticket);
    return Codec.append(writer, prepared.encoded, last);
  };

const describe = (task: Any) => (): unknown => [task.url, task.name];

/** The error for a caller whose child has ended without an answer. */
export const died = (
  child: Child,
  task: string,
  started: () => ProcessDied["started"],
): Effect.Effect<never, ProcessDied | SpawnError> =>
  Effect.flatMap(Effect.zipRight(child.serves, child.exited), (status) => {
    const reason = child.link.closed?.cause;
    const cause = reason instanceof ProtocolError ? reason : undefined;
    return Effect.fail(
      new ProcessDied({
        process: child.name,
        pid: child.pid,
        host: child.host,
        task,
        status,
        started: started(),
        cause,
      }),
    );
  });

/** The place of a request among those that its child runs one after the other. */
export interface Place {
  /** Whether it is sent before all earlier ones have been answered. */
  readonly ahead: boolean;
  /** Its ticket, by which the parent can take it back; 0 if there is none. */
  readonly ticket: number;
  /** Whether the child, which has ended, has certainly not begun it. */
  unbegun(): boolean;
}

/** A request that was sent. */
export interface OpenCall {
  /** Asks the child to stop. The answer still comes, with the outcome. */
  cancel(): void;
  /** Forgets a request that was taken back: there is no answer. */
  forget(): void;
  /** Whether the child has reported that it runs an Effect or a Stream, which can be interrupted. */
  readonly interruptible: boolean;
  /** Set when the answer has arrived. */
  readonly report: Report | undefined;
}

/** What is known of a request besides its outcome. */
export class Report {
  /** How long the work took in the child, in milliseconds, if the child has reported it. */
  work: number | undefined = undefined;
  /** How long the answer took to be decoded, in milliseconds, apart from Schemas. */
  decoding = 0;
  /** When that was done; see `performance.now`, which takes a quarter of a microsecond. */
  decodedAt: number | undefined = undefined;
  /** Number of bytes of the request and its answer. */
  readonly bytes: number;
  /** Number of bytes that a message may have. */
  readonly maxBytes: number;
  /** Whether it is not known to have succeeded. Then the child begins no request that was sent ahead with a ticket. */
  failed = true;
  /** The results of the items before the one that has failed, if these were asked for. */
  before: ReadonlyArray<unknown> | undefined = undefined;

  constructor(bytes: number, maxBytes: number) {
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/**
 * Sends a prepared request and calls `done` once: with the Exit, or with an Effect that decodes it. With a `place`, the child runs one such
 * request after the other. A `last` request is not sent again, unless the child has not begun it.
 */
export const start = (
  child: Child,
  prepared: Prepared,
  once: boolean,
  last: boolean,
  done: (exit: Effect.Effect<unknown, unknown>) => void,
  place?: Place,
): OpenCall => new SentCall(child, prepared, once, last, done, place);

/** One class for all that a request needs: many small objects for each would cost the garbage collector more than this one. */
class SentCall implements OpenCall, Receiver {
  readonly #child: Child;
  readonly #prepared: Prepared;
  readonly #once: boolean;
  readonly #done: (exit: Effect.Effect<unknown, unknown>) => void;
  readonly #place: Place | undefined;
  #channel: Channel | undefined;
  interruptible = false;
  report: Report | undefined = undefined;

  constructor(
    child: Child,
    prepared: Prepared,
    once: boolean,
    last: boolean,
    done: (exit: Effect.Effect<unknown, unknown>) => void,
    place: Place | undefined,
  ) {
    this.#child = child;
    this.#prepared = prepared;
    this.#once = once;
    this.#done = done;
    this.#place = place;
    const { link } = child;
    const { task } = prepared;
    try {
      const id = link.define(`${task.url} ${task.name}`, describe(task));
      const flags = (once ? Request.ONCE : 0) |
        (place === undefined ? 0 : place.ahead ? Request.QUEUED : Request.FRESH);
      // A request with a ticket is sent again if the child has ended before it began.
      const isLast = last && (place === undefined || !place.ahead && place.ticket === 0);
      this.#channel = link.open(fill(prepared, id, flags, isLast, place?.ticket), this);
    } catch (error) {
      done(error instanceof MessageTooLarge ? Exit.fail(error) : Exit.die(error));
    }
  }

  cancel(): void {
    this.#channel?.cancel();
  }

  forget(): void {
    this.#channel?.forget();
  }

  /** @internal */
  begun(): void {
    this.interruptible = true;
  }

  /** @internal */
  exit(message: Incoming): void {
    const body = bodyOf(message);
    const loading = load(body);
    if (loading === undefined) this.#read(message, body);
    else loading.then(() => this.#read(message, body));
  }

  /** @internal */
  closed(): void {
    // The state changes as soon as the caller is told.
    const started = this.#place?.unbegun() === true ? "no" : this.interruptible ? "yes" : "unknown";
    this.#done(died(this.#child, this.#prepared.task.name, () => started));
  }

  #read(message: Incoming, body: Incoming): void {
    const { link } = this.#child;
    // Objects that move with the answer are taken over before the link ends.
    const report = this.report = new Report(sizeOf(this.#prepared.encoded) + sizeOf(message), link.maxMessageSize);
    const begun = performance.now();
    const reply = readReply(this.#child, this.#prepared, message, report, body);
    const end = report.decodedAt = performance.now();
    report.decoding = end - begun;
    this.#done(reply);
    // The child waits for this before it ends.
    if (this.#once) link.close();
  }
}

/** How the owner of a child takes part in a stream that the child runs. */
export interface StreamOwner {
  /** Called when the reader stops early. */
  readonly stopping: () => void;
  /** Receives the function that ends the stream for its reader when the owner takes the child back. */
  readonly onRevoked?: (revoke: (cause: Cause.Cause<unknown>) => void) => void;
}

/** Runs a task that returns a Stream. */
export const stream = (
  child: Child,
  prepared: Prepared,
  once: boolean,
  { onRevoked, stopping }: StreamOwner,
): Stream.Stream<unknown, unknown> => {
  const { link } = child;
  const { task } = prepared;
  const mailbox: Mailbox<unknown, unknown> = new Mailbox<unknown, unknown>({
    data: (message) =>
      loaded([message], () => {
        try {
          const elements = Codec.decode(message.bytes, { attachments: message.attachments, hooks: link.hooks, link });
          return decodeSuccess(prepared, elements as ReadonlyArray<unknown>, true) as Effect.Effect<
            ReadonlyArray<unknown>,
            unknown
          >;
        } catch (error) {
          return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
        }
      }),
    exit: (message) =>
      loaded(
        [bodyOf(message)],
        () => Effect.asVoid(readReply(child, { ...prepared, success: undefined }, message)),
      ),
    closed: died(child, task.name, () => "yes"),
  });
  onRevoked?.((cause) => mailbox.cut(Effect.failCause(cause)));
  return consume(mailbox, () => {
    const id = link.define(`${task.url} ${task.name}`, describe(task));
    return link.open(fill(prepared, id, once ? Request.ONCE : 0), {
      data: mailbox.data,
      exit: (message) => {
        if (once) link.close();
        mailbox.exit(message);
      },
      closed: mailbox.closed,
    });
  }, stopping);
};

/** Decodes an answer. */
export const readReply = (
  child: Sender,
  prepared: Prepared,
  message: Incoming,
  report?: Report,
  body?: Incoming,
): Effect.Effect<unknown, unknown> => {
  let exit: ExitData;
  try {
    exit = readExit(message, child.link.hooks, child.link, body);
  } catch (error) {
    return error instanceof DecodeError ? Exit.fail(error) : Exit.die(error);
  }
  const { mode, settled } = prepared;
  if (exit._tag !== "Success") return interpret(child, prepared, exit, false);
  if (report !== undefined) {
    report.work = exit.millis;
    report.failed = mode === Request.MAP_UNTIL && !settled && !Array.isArray(exit.value);
  }
  if (!settled) {
    if (mode !== Request.MAP_UNTIL) {
      return interpret(child, prepared, exit, mode === Request.MAP || mode === Request.STARMAP);
    }
    if (Array.isArray(exit.value)) return interpret(child, prepared, exit, true);
    const part = exit.value as Request.Part;
    const fail = (results: unknown): Effect.Effect<unknown, unknown> => {
      if (report !== undefined) report.before = results as ReadonlyArray<unknown>;
      return interpret(child, prepared, part.exit, false);
    };
    // Without Schemas, the reply is an Exit, for which no fiber is needed.
    return prepared.success === undefined
      ? fail(part.results)
      : Effect.flatMap(decodeSuccess(prepared, part.results, true), fail);
  }
  const exits = (exit.value as ReadonlyArray<ExitData>).map((exit) => interpret(child, prepared, exit, false));
  return exits.every(Exit.isExit) ? Exit.succeed(exits) : Effect.forEach(exits, Effect.exit);
};

/** The outcome that an exit stands for; `many` if its value is a list of results. */
const interpret = (
  child: Sender,
  prepared: Prepared,
  exit: ExitData,
  many: boolean,
): Effect.Effect<unknown, unknown> => {
  switch (exit._tag) {
    case "Success":
      return prepared.success === undefined ? Exit.succeed(exit.value) : decodeSuccess(prepared, exit.value, many);
    case "Failure":
      return decodeFailure(child, prepared, exit.cause);
    case "Unencodable":
      return Exit.fail(new EncodeError(exit.reason, { path: exit.path }));
    case "TooLarge":
      return Exit.fail(new MessageTooLarge(exit.size, exit.limit));
    case "Refused":
      return Exit.fail(
        new TaskError({ reason: exit.reason, task: prepared.task.name, message: exit.message, cause: exit.cause }),
      );
  }
};

const decodeSuccess = (prepared: Prepared, value: unknown, many: boolean): Effect.Effect<unknown, unknown> => {
  const { success, task } = prepared;
  if (success === undefined) return Exit.succeed(value);
  return Effect.flatMap(schemas, (module) => module.decodeSuccess(task, success, value, many));
};

const decodeFailure = (child: Sender, prepared: Prepared, data: CauseData): Effect.Effect<never, unknown> => {
  const { error, task } = prepared;
  const place = where(child, task);
  if (error === undefined) return Exit.failCause(toCause(data, place));
  return Effect.flatMap(schemas, (module) => Exit.failCause(toCause(module.decodeFailures(task, error, data), place)));
};

/** Whether an error comes from the library, not from the task. */
export const isCallError = (error: unknown): error is CallError =>
  error instanceof EncodeError || error instanceof DecodeError || error instanceof MessageTooLarge ||
  error instanceof TaskError || error instanceof SpawnError || error instanceof ProcessDied;
