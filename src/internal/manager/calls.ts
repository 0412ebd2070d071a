/**
 * The caller's side of what is said to a manager's server.
 *
 * A call that is interrupted is interrupted at the server, and waited for. What is done there in one step may have been done when
 * the interruption comes; what is taken out is only lent until the taker has it, and goes back. A server that does not answer within
 * five seconds, since it is stopped or busy for ever, is not waited for any longer.
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
import type { Fill, Link } from "../rpc/link.ts";
import { call, CANCELLED, type Line, readTooLarge, TOO_LARGE } from "../rpc/router.ts";
import { consume, Mailbox } from "../rpc/streams.ts";
import { type Checks, invalidArgument, wrong } from "../os/arguments.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./errors.ts";
import * as P from "./protocol.ts";

/** Where an object is. */
export interface Place {
  /** The address of the server's process. */
  readonly address: string;
  /** The server's number there. */
  readonly gate: number;
  /** Name of the server's process. */
  readonly host: string;
  /** The object's number at the server. */
  readonly number: number;
  /** Name of its type. */
  readonly type: string;
  /** Whether its server is another program's: then nothing of this family can be sent to it but its own objects. */
  readonly stranger?: true;
}

type Hooks = ReadonlyArray<ObjectHook>;

const vocabulary: { abroad: (place: Place) => Hooks } = { abroad: () => hooks };

/** Says how objects travel to other programs, which is known where all types are. */
export const speak = (abroad: (place: Place) => Hooks): void => {
  vocabulary.abroad = abroad;
};

const hooksOf = (place: Place): Hooks => place.stranger === true ? vocabulary.abroad(place) : hooks;

/** Why a use of a managed object may fail, apart from what its methods fail with. */
export type Failure = Unreachable | Disconnected | ManagerError | EncodeError | DecodeError | MessageTooLarge;

type List = ReadonlyArray<unknown>;

/** How long somebody who was interrupted waits for what became of his call, in milliseconds: no server in order takes that long. */
const PATIENCE = 5000;

/** The content of a call: how the content is written, and what to do once the call has ended. */
interface Content {
  readonly fill: Fill;
  readonly ended: () => void;
}

/**
 * Encodes a call, of an object if a number is given. What moves with it is kept until the call has ended: an end of a pipe that
 * the server has not taken over by then is closed, whatever the reason.
 */
const message = (place: Place, content: List, number?: number): Content => {
  let letGo: (() => void) | undefined;
  return {
    fill: (writer) => {
      if (number !== undefined) writer.varint(number);
      const start = writer.position;
      const extras = Codec.encodeInto<Link>(writer, content, { hooks: hooksOf(place) as never, root: "call" });
      if (extras === undefined || extras.onSend.length === 0) return extras;
      const packet = { bytes: writer.buffer.slice(start, writer.position), attachments: extras.attachments };
      return { ...extras, onSend: [() => letGo = retainEnds(packet), ...extras.onSend] };
    },
    ended: () => letGo?.(),
  };
};

const decode = (place: Place, { attachments, bytes }: Incoming, at: number): unknown =>
  Codec.decode(bytes.subarray(at), { attachments, hooks: hooksOf(place), link: undefined });

const unreachable = ({ host, type }: Place): Unreachable => new Unreachable(type, host);

/** What an exit says. Throws a `DecodeError`. */
const read = (place: Place, incoming: Incoming): Effect.Effect<unknown, unknown> => {
  switch (incoming.bytes[0]) {
    case P.VALUE:
      return Exit.succeed(decode(place, incoming, 1));
    case P.EXIT:
      return decode(place, incoming, 1) as Exit.Exit<unknown, unknown>;
    case P.THREW: {
      const [method, error] = decode(place, incoming, 1) as [string, unknown];
      return Exit.fail(new RemoteError(method, error));
    }
    case P.REFUSED: {
      const [reason, text] = decode(place, incoming, 1) as [ManagerErrorReason, string];
      return Exit.fail(new ManagerError(reason, text));
    }
    case P.UNENCODABLE: {
      const [reason, path] = decode(place, incoming, 1) as [string, string];
      return Exit.fail(new EncodeError(reason, { path }));
    }
    case P.LOST:
      return Exit.fail(new Disconnected(place.host, "unknown"));
    case P.UNSENT:
      return Exit.fail(new Disconnected(place.host, "no"));
    case P.OVERLOADED:
      return Exit.fail(new ManagerError("Overloaded", `Cannot call ${place.host}: too many calls are under way`));
    case TOO_LARGE:
      return Exit.fail(readTooLarge(incoming));
    case CANCELLED:
      return Exit.interrupt(FiberId.none);
    default:
      return Exit.fail(unreachable(place));
  }
};

/** What an exit of the server says. */
export const answer = (place: Place, incoming: Incoming): Effect.Effect<unknown, unknown> => {
  const { attachments, bytes } = incoming;
  return loaded([{ bytes: bytes.subarray(1), attachments }], () => {
    try {
      return read(place, incoming);
    } catch (error) {
      return error instanceof DecodeError ? Exit.fail(error) : Exit.die(error);
    }
  });
};

/** What cannot be sent is the caller's failure; nothing was sent. */
const unsent = (error: unknown): Effect.Effect<never, EncodeError | MessageTooLarge> => {
  if (error instanceof MessageTooLarge) return Effect.fail(error);
  if (!(error instanceof EncodeError)) return Effect.die(error);
  const path = error.path.replace(/^call\[(\d+)\]/, (_, index) => `args[${Number(index) - 1}]`);
  return Effect.fail(new EncodeError(error.reason, { path, cause: error.cause }));
};

/** Where its calls go. */
export const target = ({ address, gate }: Place) => ({ address, object: gate });

const refused = (message: string): ManagerError => new ManagerError("InvalidArguments", message);

/** Calls something with arguments that make sense: others are refused here, with what `fail` makes of it, and nothing is sent. */
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

/** The same with a `ManagerError`. */
export const checked = <A, E, R>(
  operation: string,
  values: object,
  checks: Checks,
  use: () => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | ManagerError, R> => checkedAs(refused, operation, values, checks, use);

/** The same for what is read as a Stream. */
export const checkedStream = <A, E>(
  operation: string,
  values: object,
  checks: Checks,
  use: () => Stream.Stream<A, E>,
): Stream.Stream<A, E | ManagerError> => {
  const complaint = wrong(values, checks);
  return complaint === undefined ? use() : Stream.fail(refused(invalidArgument(operation, complaint)));
};

/** Calls a method. *Interruption:* interrupts it there, and waits for what became of it. */
export const ask = <A, E = never>(place: Place, method: string, ...args: List): Effect.Effect<A, E | Failure> =>
  Effect.uninterruptibleMask((restore) => {
    let exit: Effect.Effect<unknown, unknown> | undefined;
    let wake: (() => void) | undefined;
    const content = message(place, [method, ...args], place.number);
    let line: Line;
    try {
      line = call(target(place), P.CALL, content.fill, {
        exit: (incoming) => {
          content.ended();
          exit = answer(place, incoming);
          wake?.();
        },
      });
    } catch (error) {
      return unsent(error);
    }
    const arrived = Effect.async<void>((resume) => {
      if (exit !== undefined) return resume(Effect.void);
      wake = () => resume(Effect.void);
    });
    return Effect.matchCauseEffect(restore(arrived), {
      onSuccess: () => exit!,
      onFailure: (interruption) => {
        if (exit !== undefined) return exit;
        line.cancel();
        const over = Effect.async<void>((resume) => {
          const timer = setTimeout(() => resume(Effect.void), PATIENCE);
          wake = () => {
            clearTimeout(timer);
            resume(Effect.void);
          };
        });
        return Effect.zipRight(
          over,
          Effect.suspend(() =>
            exit === undefined ? Effect.failCause(interruption) : Effect.catchAllCause(
              exit,
              (cause) => Effect.failCause(Cause.isInterruptedOnly(cause) ? interruption : cause),
            )
          ),
        );
      },
    });
  }) as Effect.Effect<A, E | Failure>;

/** Opens a call that lends something, and hands it to `use` with what ends the call. *Interruption:* gives it back. */
const lent = <A>(
  place: Place,
  operation: number,
  content: Content,
  use: (value: unknown, finish: (handed?: () => void) => void) => Effect.Effect<A>,
): Effect.Effect<A, unknown> =>
  Effect.suspend(() => {
    let line: Line | undefined;
    return waitThenCommit<unknown, unknown, A, never>((done) => {
      try {
        line = call(target(place), operation, content.fill, {
          data: (incoming) => {
            content.ended();
            const opened = (): void => {
              try {
                done(Effect.succeed(decode(place, incoming, 0)));
              } catch (error) {
                done(error instanceof DecodeError ? Effect.fail(error) : Effect.die(error));
              }
            };
            const loading = load(incoming);
            if (loading === undefined) opened();
            else loading.then(opened);
          },
          exit: (incoming) => {
            content.ended();
            done(answer(place, incoming));
          },
        });
      } catch (error) {
        done(unsent(error));
      }
      return () => line?.cancel();
    }, (value) => use(value, (handed) => line?.finish(handed)));
  });

/** Takes something out. *Interruption:* takes nothing. */
export const take = <A>(place: Place, method: string, ...args: List): Effect.Effect<A, Failure> =>
  lent(place, P.TAKE, message(place, [method, ...args], place.number), (value, finish) =>
    // What this process tells of the value from now on must not outlive it alone: the server would give the value to others.
    Effect.async<A>((resume) => finish(() => resume(Effect.succeed(value as A))))) as Effect.Effect<A, Failure>;

/** Opens a hold for the scope, and gives what was sent for it. */
const hold = (place: Place, operation: number, content: Content): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.flatMap(
    Effect.scope,
    (scope) =>
      lent(
        place,
        operation,
        content,
        (value, finish) => Effect.as(Scope.addFinalizer(scope, Effect.sync(() => finish())), value),
      ),
  );

/** Has an object made, and holds it for the scope. */
export const create = <A, E = never>(
  server: Place,
  url: string,
  type: string,
  ...args: List
): Effect.Effect<A, E | Failure, Scope.Scope> =>
  hold(server, P.CREATE, message(server, [url, type, ...args])) as Effect.Effect<
    A,
    E | Failure,
    Scope.Scope
  >;

/** Calls a method whose result stays at the server, and holds that for the scope. */
export const kept = <A, E = never>(
  place: Place,
  method: string,
  ...args: List
): Effect.Effect<A, E | Failure, Scope.Scope> =>
  hold(place, P.CALL_KEPT, message(place, [method, ...args], place.number)) as Effect.Effect<
    A,
    E | Failure,
    Scope.Scope
  >;

/** Holds an object for the scope. */
export const retain = (place: Place): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.asVoid(
    hold(place, P.RETAIN, { fill: (writer) => void writer.varint(place.number), ended: () => {} }),
  ) as Effect.Effect<
    void,
    Failure,
    Scope.Scope
  >;

/** Calls a method whose result is a Stream. It is run there when it is run here, and no further than is read here. */
export const stream = <A, E = never>(place: Place, method: string, ...args: List): Stream.Stream<A, E | Failure> =>
  Stream.suspend(() => {
    const content = message(place, [method, ...args], place.number);
    const mailbox: Mailbox<unknown, unknown> = new Mailbox<unknown, unknown>({
      data: (incoming) =>
        loaded([incoming], () => {
          try {
            return Effect.succeed(decode(place, incoming, 0) as List);
          } catch (error) {
            return error instanceof DecodeError ? Effect.fail(error) : Effect.die(error);
          }
        }),
      exit: (incoming) => answer(place, incoming),
      closed: Effect.fail(unreachable(place)),
    });
    return consume(mailbox, () => {
      try {
        return call(target(place), P.STREAM, content.fill, {
          data: mailbox.data,
          exit: (incoming) => {
            content.ended();
            mailbox.exit(incoming);
          },
        });
      } catch (error) {
        mailbox.end = unsent(error);
        return { credit: () => {}, cancel: () => {} };
      }
    });
  }) as Stream.Stream<A, E | Failure>;
