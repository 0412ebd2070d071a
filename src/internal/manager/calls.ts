/**
 * The caller's side of the protocol of a manager's server.
 *
 * An interrupted call is interrupted at the server, and its end is awaited. A method of a single step may have completed when
 * the interruption arrives. A value that is taken out is only lent until its taker has it; an interruption puts it back. A
 * server that does not reply within {@link PATIENCE} milliseconds, because it is stopped or busy, is not awaited any longer.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Unreachable } from "../objects/errors.ts";
import { waitThenCommit } from "../objects/interruption.ts";
import { hooks, load, loaded, type ObjectHook } from "../objects/handles.ts";
import { retainEnds } from "../pipe/in_transit.ts";
import type { Fill } from "../rpc/link.ts";
import { call, CANCELLED, type Line, readTooLarge, type Target, TOO_LARGE } from "../rpc/router.ts";
import { consume, Mailbox } from "../rpc/streams.ts";
import { type Checks, invalidArgument, wrong } from "../os/arguments.ts";
import { after } from "../os/timer.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./errors.ts";
import * as P from "./protocol.ts";

/** The reference to a managed object that its handle contains. */
export interface ObjectRef {
  /** The address of the server's process. */
  readonly address: string;
  /** The number of the server in that process. */
  readonly server: number;
  /** The name of that process. */
  readonly host: string;
  /** The number of the object at the server. */
  readonly number: number;
  /** The name of the object's type. */
  readonly type: string;
  /** Whether the server belongs to another program. Then only its own objects can be sent to it as handles. */
  readonly foreign?: true;
}

type Hooks = ReadonlyArray<ObjectHook>;

const registry: { foreignHooks: (ref: ObjectRef) => Hooks } = { foreignHooks: () => hooks };

/** Registers the hooks for calls to other programs. They depend on the proxies of all types, which depend on this module. */
export const registerForeignHooks = (foreignHooks: (ref: ObjectRef) => Hooks): void => {
  registry.foreignHooks = foreignHooks;
};

const hooksOf = (ref: ObjectRef): Hooks => ref.foreign === true ? registry.foreignHooks(ref) : hooks;

/** Why the use of a managed object may fail, apart from the failures of its methods. */
export type ManagerFailure = Unreachable | Disconnected | ManagerError | EncodeError | DecodeError | MessageTooLarge;

type Arguments = ReadonlyArray<unknown>;

/** How long an interrupted caller waits for the end of its call, in milliseconds. */
const PATIENCE = 5000;

/** The content of a call: a function that writes it, and one to run once the call has ended. */
interface Content {
  readonly fill: Fill;
  readonly ended: () => void;
}

/**
 * Encodes a call, of an object if a number is given. Ends of pipes that move with the call are kept until it has ended: an end
 * that the server has not taken over by then is closed.
 */
const contentOf = (ref: ObjectRef, args: Arguments, number?: number): Content => {
  let letGo: (() => void) | undefined;
  return {
    fill: (writer) => {
      if (number !== undefined) writer.varint(number);
      const start = writer.position;
      const extras = Codec.encodeInto(writer, args, { hooks: hooksOf(ref), root: "call" });
      if (extras === undefined || extras.onSend.length === 0) return extras;
      const packet = { bytes: writer.buffer.slice(start, writer.position), attachments: extras.attachments };
      return { ...extras, onSend: [() => letGo = retainEnds(packet), ...extras.onSend] };
    },
    ended: () => letGo?.(),
  };
};

const methodCall = (ref: ObjectRef, method: string, args: Arguments): Content =>
  contentOf(ref, [method, ...args], ref.number);

const decode = (ref: ObjectRef, { attachments, bytes }: Incoming): unknown =>
  Codec.decode(bytes, { attachments, hooks: hooksOf(ref), link: undefined });

/** Decodes, and passes the value to `use`. A `DecodeError` is a failure. */
const decodeWith = <A, E>(
  ref: ObjectRef,
  message: Incoming,
  use: (value: unknown) => Effect.Effect<A, E>,
): Effect.Effect<A, E | DecodeError> => {
  let value: unknown;
  try {
    value = decode(ref, message);
  } catch (error) {
    return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
  }
  return use(value);
};

const unreachable = ({ host, type }: ObjectRef): Unreachable => new Unreachable(type, host);

/** The result of a call, once the kinds of its handles are loaded. */
export const readReply = (ref: ObjectRef, reply: Incoming): Effect.Effect<unknown, unknown> => {
  const { attachments, bytes } = reply;
  const content = (use: (value: unknown) => Effect.Effect<unknown, unknown>) => {
    const body = { bytes: bytes.subarray(1), attachments };
    return loaded([body], () => decodeWith(ref, body, use));
  };
  switch (bytes[0]) {
    case P.VALUE:
      return content(Effect.succeed);
    case P.EXIT:
      return content((exit) => exit as Exit.Exit<unknown, unknown>);
    case P.THREW:
      return content((thrown) => {
        const [method, error] = thrown as [string, unknown];
        return Effect.fail(new RemoteError(method, error));
      });
    case P.REFUSED:
      return content((refused) => {
        const [reason, message] = refused as [ManagerErrorReason, string];
        return Effect.fail(new ManagerError(reason, message));
      });
    case P.UNENCODABLE:
      return content((refused) => {
        const [reason, path] = refused as [string, string];
        return Effect.fail(new EncodeError(reason, { path }));
      });
    case P.LOST:
      return Effect.fail(new Disconnected(ref.host, "unknown"));
    case P.UNSENT:
      return Effect.fail(new Disconnected(ref.host, "no"));
    case P.OVERLOADED:
      return Effect.fail(
        new ManagerError("Overloaded", `Cannot call ${ref.host}: this program has too many open calls`),
      );
    case TOO_LARGE:
      return Effect.fail(readTooLarge(reply));
    case CANCELLED:
      return Exit.interrupt(FiberId.none);
    default:
      return Effect.fail(unreachable(ref));
  }
};

/** The failure of a call that could not be encoded, so that nothing was sent. Anything else is a defect. */
const unsent = (error: unknown): Effect.Effect<never, EncodeError | MessageTooLarge> => {
  if (error instanceof MessageTooLarge) return Effect.fail(error);
  if (!(error instanceof EncodeError)) return Effect.die(error);
  const path = error.path.replace(/^call\[(\d+)\]/, (_, index) => `args[${Number(index) - 1}]`);
  return Effect.fail(new EncodeError(error.reason, { path, cause: error.cause }));
};

/** The target of calls to the server of an object. */
export const serverOf = ({ address, server }: ObjectRef): Target => ({ address, object: server });

const invalidArguments = (message: string): ManagerError => new ManagerError("InvalidArguments", message);

/** Runs `use` if the arguments are valid. Otherwise fails with `fail(message)`, and sends nothing. */
export const checkedAs = <F, A, E, R>(
  fail: (message: string) => F,
  operation: string,
  values: object,
  checks: Checks,
  use: () => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | F, R> => {
  const complaint = wrong(values, checks);
  return complaint === undefined ? use() : Effect.fail(fail(invalidArgument(operation, complaint)));
};

/** Like {@link checkedAs}, with a `ManagerError`. */
export const checked = <A, E, R>(
  operation: string,
  values: object,
  checks: Checks,
  use: () => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | ManagerError, R> => checkedAs(invalidArguments, operation, values, checks, use);

/** Like {@link checked}, for a Stream. */
export const checkedStream = <A, E>(
  operation: string,
  values: object,
  checks: Checks,
  use: () => Stream.Stream<A, E>,
): Stream.Stream<A, E | ManagerError> => {
  const complaint = wrong(values, checks);
  return complaint === undefined ? use() : Stream.fail(invalidArguments(invalidArgument(operation, complaint)));
};

/** Calls a method. *Interruption:* interrupts the method, and waits for the end of the call. */
export const ask = <A, E = never>(
  ref: ObjectRef,
  method: string,
  ...args: Arguments
): Effect.Effect<A, E | ManagerFailure> =>
  waitThenCommit<Effect.Effect<unknown, unknown>, unknown, unknown, unknown>((answer) => {
    const content = methodCall(ref, method, args);
    let result: Effect.Effect<unknown, unknown> | undefined;
    let wake: (() => void) | undefined;
    let line: Line;
    try {
      line = call(serverOf(ref), P.CALL, content.fill, {
        exit: (reply) => {
          content.ended();
          result = readReply(ref, reply);
          if (wake === undefined) answer(Effect.succeed(result));
          else wake();
        },
      });
    } catch (error) {
      answer(unsent(error));
      return () => {};
    }
    const ended = Effect.async<void>((resume) => {
      if (result !== undefined) return resume(Effect.void);
      const stop = after(PATIENCE, () => resume(Effect.void));
      wake = () => {
        stop();
        resume(Effect.void);
      };
    });
    // A failure of the method is reported in place of the interruption.
    const failure = Effect.suspend(() =>
      Effect.catchAllCause(
        result ?? Effect.void,
        (cause) => Cause.isInterruptedOnly(cause) ? Effect.void : Effect.failCause(cause),
      )
    );
    return () => {
      if (result === undefined) line.cancel();
      return Effect.zipRight(ended, failure);
    };
  }, (result) => result) as Effect.Effect<A, E | ManagerFailure>;

/**
 * Opens a call whose reply is lent, and passes the reply to `commit` with a function that ends the call. *Interruption:* gives
 * the reply back.
 */
const borrow = <A>(
  ref: ObjectRef,
  operation: number,
  content: Content,
  commit: (value: unknown, finish: (handed?: () => void) => void) => Effect.Effect<A>,
): Effect.Effect<A, unknown> =>
  Effect.suspend(() => {
    let line: Line | undefined;
    return waitThenCommit<unknown, unknown, A, never>((answer) => {
      try {
        line = call(serverOf(ref), operation, content.fill, {
          data: (message) => {
            content.ended();
            const opened = (): void => answer(decodeWith(ref, message, Effect.succeed));
            const loading = load(message);
            if (loading === undefined) opened();
            else loading.then(opened);
          },
          exit: (reply) => {
            content.ended();
            answer(readReply(ref, reply));
          },
        });
      } catch (error) {
        answer(unsent(error));
      }
      return () => line?.cancel();
    }, (value) => commit(value, (handed) => line?.finish(handed)));
  });

/** Calls a method that takes a value out. *Interruption:* puts the value back. */
export const take = <A>(ref: ObjectRef, method: string, ...args: Arguments): Effect.Effect<A, ManagerFailure> =>
  borrow(ref, P.TAKE, methodCall(ref, method, args), (value, finish) =>
    // The confirmation must leave this process before the value is used: if the process died first, the server would put the value
    // back, although other processes may have learned of it.
    Effect.async<A>((resume) => finish(() => resume(Effect.succeed(value as A))))) as Effect.Effect<A, ManagerFailure>;

/** Opens a call that holds an object for the scope. Returns the object's handle. */
const hold = (ref: ObjectRef, operation: number, content: Content): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.flatMap(
    Effect.scope,
    (scope) =>
      borrow(
        ref,
        operation,
        content,
        (handle, finish) => Effect.as(Scope.addFinalizer(scope, Effect.sync(() => finish())), handle),
      ),
  );

/** Makes an object, and holds it for the scope. */
export const create = <A, E = never>(
  manager: ObjectRef,
  url: string,
  type: string,
  ...args: Arguments
): Effect.Effect<A, E | ManagerFailure, Scope.Scope> =>
  hold(manager, P.CREATE, contentOf(manager, [url, type, ...args])) as Effect.Effect<
    A,
    E | ManagerFailure,
    Scope.Scope
  >;

/** Calls a method whose result stays at the server, and holds the result for the scope. */
export const askKept = <A, E = never>(
  ref: ObjectRef,
  method: string,
  ...args: Arguments
): Effect.Effect<A, E | ManagerFailure, Scope.Scope> =>
  hold(ref, P.CALL_KEPT, methodCall(ref, method, args)) as Effect.Effect<A, E | ManagerFailure, Scope.Scope>;

/** Holds an object for the scope. */
export const retain = (ref: ObjectRef): Effect.Effect<void, ManagerFailure, Scope.Scope> =>
  Effect.asVoid(
    hold(ref, P.RETAIN, { fill: (writer) => void writer.varint(ref.number), ended: () => {} }),
  ) as Effect.Effect<void, ManagerFailure, Scope.Scope>;

/** Calls a method whose result is a Stream. The Stream runs at the server while it is read here, with bounded read-ahead. */
export const askStream = <A, E = never>(
  ref: ObjectRef,
  method: string,
  ...args: Arguments
): Stream.Stream<A, E | ManagerFailure> =>
  Stream.suspend(() => {
    const content = methodCall(ref, method, args);
    const mailbox: Mailbox<unknown, unknown> = new Mailbox<unknown, unknown>({
      data: (message) =>
        loaded([message], () => decodeWith(ref, message, (batch) => Effect.succeed(batch as Arguments))),
      exit: (reply) => readReply(ref, reply),
      closed: Effect.fail(unreachable(ref)),
    });
    return consume(mailbox, () => {
      try {
        return call(serverOf(ref), P.STREAM, content.fill, {
          data: mailbox.data,
          exit: (reply) => {
            content.ended();
            mailbox.exit(reply);
          },
        });
      } catch (error) {
        mailbox.end = unsent(error);
        return { credit: () => {}, cancel: () => {} };
      }
    });
  }) as Stream.Stream<A, E | ManagerFailure>;
