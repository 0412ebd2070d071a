/**
 * The protocol of `@effect/rpc` over connections: each message is one value.
 *
 * @module
 */
import * as RpcClient from "@effect/rpc/RpcClient";
import { RpcClientError } from "@effect/rpc/RpcClientError";
import type { FromClientEncoded, FromServerEncoded } from "@effect/rpc/RpcMessage";
import * as RpcServer from "@effect/rpc/RpcServer";
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Mailbox from "effect/Mailbox";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Connection } from "../../Pipe.ts";

/** One end of the connection between a client and a server. */
export type ServiceConnection = Connection<unknown>;

const clientError = (message: string, cause: unknown): RpcClientError =>
  new RpcClientError({ reason: "Protocol", message, cause });

const say = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);

/**
 * The client's side. When the connection has ended, `why` gives the reason, or `undefined` for that of the connection.
 */
export const makeClient = (
  connection: ServiceConnection,
  why: Effect.Effect<unknown>,
): Effect.Effect<RpcClient.Protocol["Type"], never, Scope.Scope> =>
  RpcClient.Protocol.make((write) => {
    let ended: RpcClientError | undefined;
    // A chunk waits until the reader of its stream has room for it, and other messages do not wait for that reader. The
    // server sends no more of the stream before the chunk is acknowledged.
    const dispatch = (message: FromServerEncoded): Effect.Effect<unknown> =>
      message._tag === "Chunk" ? Effect.fork(write(message)) : write(message);
    const receive = Effect.forever(
      Effect.flatMap(connection.recv, (message) => dispatch(message as FromServerEncoded)),
    ).pipe(
      Effect.catchAllCause((cause) => Effect.map(why, (reason) => reason ?? Cause.squash(cause))),
      Effect.flatMap((cause) => {
        ended = clientError(`The server no longer answers: ${say(cause)}`, cause);
        return write({ _tag: "ClientProtocolError", error: ended });
      }),
    );
    return Effect.as(Effect.forkScoped(Effect.interruptible(receive)), {
      send: (request: FromClientEncoded) =>
        Effect.suspend(() =>
          ended !== undefined
            ? Effect.fail(ended)
            : Effect.catchAll(connection.send(request), (error) =>
              error._tag === "BrokenPipe"
                // `receive` is about to fail each open request with the reason.
                ? Effect.void
                : Effect.fail(clientError(say(error), error)))
        ),
      supportsAck: true,
      supportsTransferables: false,
    });
  });

/** Errors of a connection that has ended: by its client, here, or with its pipe. */
const ends = new Set(["EndOfFile", "PipeError", "Unreachable"]);

/** Whether a value has the shape of a client's message: an object with a tag. */
const isMessage = (message: unknown): message is FromClientEncoded =>
  typeof message === "object" && message !== null && typeof (message as { readonly _tag?: unknown })._tag === "string";

/** The server's side. `done` is completed when the Stream and all its connections have ended. */
export const makeServer = (
  connections: Stream.Stream<ServiceConnection>,
  done: Deferred.Deferred<void>,
): Effect.Effect<RpcServer.Protocol["Type"], never, Scope.Scope> =>
  Effect.flatMap(Mailbox.make<number>(), (disconnects) =>
    RpcServer.Protocol.make((write) => {
      const clients = new Map<number, ServiceConnection>();
      let count = 0;
      const serve = (connection: ServiceConnection): Effect.Effect<void> =>
        Effect.suspend(() => {
          const id = count++;
          clients.set(id, connection);
          const receive = Effect.flatMap(connection.recv, (message) =>
            isMessage(message)
              ? Effect.suspend(() => write(id, message))
              : Effect.dieMessage("a client has sent a message that does not belong to @effect/rpc"));
          return Effect.forever(receive).pipe(
            Effect.catchAll((error) =>
              ends.has(error._tag) ? Effect.void : Effect.die(error)
            ),
            Effect.catchAllDefect((defect) =>
              Effect.logWarning(`The connection of a client of @effect/rpc was closed: ${say(defect)}`)
            ),
            Effect.ensuring(Effect.suspend(() => {
              clients.delete(id);
              return Effect.zipRight(connection.close, disconnects.offer(id));
            })),
          );
        });
      const serveAll = connections.pipe(
        Stream.mapEffect(serve, { concurrency: "unbounded", unordered: true }),
        Stream.runDrain,
        Effect.zipRight(Deferred.succeed(done, undefined)),
      );
      return Effect.as(Effect.forkScoped(Effect.interruptible(serveAll)), {
        disconnects,
        send: (id: number, response: FromServerEncoded) =>
          // Interruptible, because a client may be stopped, and the server is uninterruptible while it answers.
          Effect.catchAllCause(Effect.interruptible(clients.get(id)?.send(response) ?? Effect.void), (cause) => {
            const error = Option.getOrUndefined(Cause.failureOption(cause));
            if (error?._tag === "EncodeError" || error?._tag === "MessageTooLarge") {
              // The server turns the defect into the result of the request.
              return Effect.die(error);
            }
            // The client has disconnected, or does not wait for the result of a request that it has interrupted.
            return error !== undefined || Cause.isInterruptedOnly(cause)
              ? Effect.void
              : Effect.failCause(cause as Cause.Cause<never>);
          }),
        end: (id: number) => clients.get(id)?.close ?? Effect.void,
        clientIds: Effect.sync(() => new Set(clients.keys())),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true,
      });
    }));
