/**
 * The workers of a durable pool, as its calls see them: each stands for some places on agents that are not known one by one. Its tasks go to
 * the server, and nothing but the end of the pool over its link.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as FiberId from "effect/FiberId";
import type { Backend, Child, ExitStatus } from "../../../Backend.ts";
import { TypeId } from "../../child/backend.ts";
import { subprocess } from "../../child/capabilities.ts";
import { writeExit } from "../../codec/exits.ts";
import { MAX_MESSAGE_SIZE } from "../../codec/message.ts";
import { foreign } from "../../objects/handles.ts";
import { lateStream } from "../../os/late_stream.ts";
import { Link } from "../../rpc/link.ts";
import { pair } from "../../transport/local.ts";

const nothing = lateStream(({ empty }) => empty);

const makePlace = (name: string): { readonly child: Child; readonly release: Effect.Effect<void> } => {
  const [here, there] = pair();
  const exited = Deferred.unsafeMake<ExitStatus>(FiberId.none);
  let status: ExitStatus | undefined;
  const link = new Link(here, { side: "parent", maxMessageSize: MAX_MESSAGE_SIZE });
  link.hooks = foreign;
  const end = (): boolean => {
    if (status !== undefined) return false;
    status = { _tag: "Exited", code: 0 };
    other.destroy();
    Deferred.unsafeDone(exited, Effect.succeed(status));
    return true;
  };
  const other = new Link(there, {
    side: "child",
    maxMessageSize: MAX_MESSAGE_SIZE,
    // It has no memory of its own to tell.
    onOpen: (channel) => {
      channel.exit((writer) => writeExit(writer, { _tag: "Failure", cause: { _tag: "Empty" } }, []));
      return { closed: () => {} };
    },
    onClosed: () => end(),
  });
  const child: Child = {
    name,
    pid: Deno.pid,
    host: "the agents",
    link,
    exited: Deferred.await(exited),
    ready: Effect.succeed({ failures: [] }),
    serves: Effect.succeed(true),
    serving: () => true,
    status: () => status,
    kill: () => Effect.sync(end),
    stdout: nothing,
    stderr: nothing,
  };
  return { child, release: Effect.sync(() => void end()) };
};

/** A link to nobody, for decoding what comes from elsewhere. */
export const detached = (): Link => {
  const [here] = pair();
  const link = new Link(here, { side: "parent", maxMessageSize: MAX_MESSAGE_SIZE });
  link.hooks = foreign;
  return link;
};

/** The backend of the workers of a durable pool. */
export const places: Backend = {
  [TypeId]: TypeId,
  name: "nats",
  capabilities: subprocess,
  spawn: ({ name }) =>
    Effect.map(
      Effect.acquireRelease(Effect.sync(() => makePlace(name)), ({ release }) => release),
      ({ child }) => child,
    ),
};
