/**
 * The hook for Streams. A Stream in a message stays in its process, and runs there when the other side pulls. It can be run once, and
 * ends with the request in whose message it was sent.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import type * as Stream from "effect/Stream";
import { loaded } from "./handles.ts";
import { fromCause, toCause } from "../codec/cause.ts";
import * as Codec from "../codec/codec.ts";
import { EncodeError } from "../codec/errors.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { type ExitData, readExit, sendFailure, writeExit } from "../codec/exits.ts";
import { isInstance } from "../codec/foreign.ts";
import { isStream } from "../codec/programs.ts";
import { type Channel, exportId, type Link, type Receiver } from "../rpc/link.ts";
import type { LinkSide } from "../transport/frames.ts";
import { consume, Credit, Mailbox, produce } from "../rpc/streams.ts";

const streams = (side: LinkSide): Codec.Hook<Link> => ({
  name: "stream",
  is: isStream,
  encode: (value, onSend) => {
    const id = exportId(side);
    onSend((link) => link.offer(id, (channel) => producer(value as Stream.Stream<unknown, unknown>, channel)));
    return id;
  },
  decode: (id, link) => {
    const mailbox = new Mailbox<unknown, unknown>({
      data: (message) =>
        loaded(
          [message],
          () =>
            Effect.sync(() =>
              Codec.decode(message.bytes, {
                attachments: message.attachments,
                hooks: link.hooks,
                link,
              }) as ReadonlyArray<
                unknown
              >
            ),
        ),
      exit: (message) =>
        loaded([{ bytes: message.bytes.subarray(1), attachments: message.attachments }], () => {
          const exit = readExit(message, link.hooks, link);
          if (exit._tag === "Failure") return Effect.failCause(toCause(exit.cause, "a stream of the other process"));
          if (exit._tag === "TooLarge") return Effect.die(new MessageTooLarge(exit.size, exit.limit));
          return exit._tag === "Unencodable"
            ? Effect.die(new EncodeError(exit.reason, { path: exit.path }))
            : Effect.void;
        }),
      closed: Effect.interrupt,
    });
    const channel = link.accept(id as number, mailbox);
    let used = false;
    return consume(mailbox, () => {
      if (used) throw new TypeError("Cannot run a stream of another process twice: share it, or collect it first");
      used = true;
      return channel;
    });
  },
});

/** Runs the Stream when the other side gives credit. */
const producer = (stream: Stream.Stream<unknown, unknown>, channel: Channel): Receiver => {
  const { link } = channel;
  const credit = new Credit();
  let fiber: Fiber.RuntimeFiber<void, unknown> | undefined;
  const end = (exit: ExitData): void => {
    sendFailure((lenient) => channel.exit((writer) => writeExit(writer, exit, link.hooks, lenient)));
  };
  const start = (): Fiber.RuntimeFiber<void, unknown> => {
    const running = Effect.runFork(produce(stream, channel, credit, (elements) =>
      Effect.try({
        try: () => Codec.encode(elements, { hooks: link.hooks, root: "element" }),
        catch: (error) => error,
      })));
    running.addObserver((exit) => {
      if (Exit.isSuccess(exit)) return end({ _tag: "Success", value: undefined });
      const failure = Option.getOrUndefined(Cause.failureOption(exit.cause));
      if (isInstance(failure, MessageTooLarge)) {
        return end({ _tag: "TooLarge", size: failure.size, limit: failure.limit });
      }
      if (isInstance(failure, EncodeError)) {
        return end({ _tag: "Unencodable", path: failure.path, reason: failure.reason });
      }
      end({ _tag: "Failure", cause: fromCause(exit.cause) });
    });
    return running;
  };
  const stop = (): void => {
    if (fiber === undefined) end({ _tag: "Failure", cause: { _tag: "Interrupt" } });
    else fiber.unsafeInterruptAsFork(FiberId.none);
  };
  return {
    credit: (count) => {
      credit.add(count);
      fiber ??= start();
    },
    cancel: stop,
    closed: () => fiber?.unsafeInterruptAsFork(FiberId.none),
  };
};

/** The hooks for one side of a link. */
export const handleHooks = (side: LinkSide): ReadonlyArray<Codec.Hook<Link>> => [streams(side)];
