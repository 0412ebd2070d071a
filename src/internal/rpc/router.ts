/**
 * Calls to hosted objects from any process of the family.
 *
 * Processes form a tree. An address is the path down from its root: `""` is the main process, and `"2.1"` is the first child of
 * its second child. A call is a channel. A call to a neighbour, which is the parent or a child, uses the link to that neighbour.
 * A call to any other process uses a separate link, on which the two processes agree through those in between (see `direct.ts`).
 * The number of a child is never used again, so an address never denotes another process.
 *
 * - Messages that two calls of one process send to one object arrive in the order of sending, on every path.
 * - No process of the family can learn of a message to a neighbour before the object has received the message. News of a message
 *   to any other process can overtake the message. A sender that must know of its arrival waits for an answer (see {@link far}).
 * - A call ends with {@link GONE} if the object or its process no longer exists.
 * - A call that is not answered when its caller dies is cancelled.
 *
 * Free of Effect, because a process may forward calls to objects that it does not use itself.
 *
 * @module
 */
import { ProtocolError } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { type Calls, forward, GONE, type Hosted, type Line, resend } from "./call.ts";
import { loop, soon } from "./loopback.ts";
import { type Channel, type Fill, LAST, type Link, LinkClosed, type Receiver } from "./link.ts";
import { type FamilyPosition, meet, reach, receiveParcel } from "./direct.ts";
import type { Parcel, PortTransport } from "../transport/transport.ts";

export { CANCELLED, DONE, GONE, readTooLarge, TOO_LARGE, tooLarge } from "./call.ts";
export type { Calls, Hosted, Line } from "./call.ts";
export { ways } from "./direct.ts";
export { written } from "./loopback.ts";

/** The first byte of a message that opens a call. Requests for tasks begin with other bytes. */
export const OBJECT = 3;

/** The location of an object. */
export interface Target {
  /** The address of the object's process. */
  readonly address: string;
  /** The number of the object in that process. */
  readonly object: number;
}

/** The number of the object with which every process agrees on links to itself. */
const MEETING = 0;

interface State {
  address: string;
  parent: Link | undefined;
  readonly children: Map<number, Link>;
  /** The ports of the neighbours that are threads of the same operating-system process. */
  readonly ports: Map<Link, PortTransport>;
  /** Links to processes that are not neighbours, by address. */
  readonly direct: Map<string, Link>;
  readonly objects: Map<number, Hosted>;
  child: number;
  object: number;
}

// One state for the isolate, even if this module is loaded twice.
const key = Symbol.for("~multiprocessing/router");
const shared = globalThis as { [key]?: State };
const state: State = shared[key] ??= {
  address: "",
  parent: undefined,
  children: new Map(),
  ports: new Map(),
  direct: new Map(),
  objects: new Map(),
  child: 0,
  object: 0,
};

/** The address of this process. */
export const address = (): string => state.address;

/** Called in a child once its parent has sent its address. `port` is the port of a worker to its parent. */
export const settle = (address: string, parent: Link, port?: PortTransport): void => {
  state.address = address;
  state.parent = parent;
  if (port !== undefined) join(parent, port);
};

/** Registers a new child, and returns its address. */
export const adopt = (link: Link, port?: PortTransport): string => {
  const number = ++state.child;
  state.children.set(number, link);
  link.onClosed(() => state.children.delete(number));
  if (port !== undefined) join(link, port);
  return state.address === "" ? `${number}` : `${state.address}.${number}`;
};

const join = (link: Link, port: PortTransport): void => {
  state.ports.set(link, port);
  link.onClosed(() => state.ports.delete(link));
  port.onParcel = (parcel) => {
    if (parcel.address === state.address) receiveParcel(parcel);
    else if (!hand(parcel)) parcel.port.close();
  };
};

/** Hands a port to another process, by ports on the whole path. Returns `false` if the next process has no port. */
const hand = (parcel: Parcel): boolean => {
  const next = towards(parcel.address);
  const port = next && state.ports.get(next);
  port?.hand(parcel);
  return port !== undefined;
};

/** Registers an object, and returns its number. */
export const host = (object: Hosted): number => {
  state.objects.set(++state.object, object);
  return state.object;
};

/** The object of a target, if this process hosts it. */
export const local = ({ address, object }: Target): Hosted | undefined =>
  address === state.address ? state.objects.get(object) : undefined;

/** Removes an object. The object ends its open calls itself. */
export const retire = (object: number): void => {
  state.objects.delete(object);
};

/** The number of objects that this process hosts. */
export const hosting = (): number => state.objects.size;

/** The open link to the next process on the path to an address, if there is one. */
const towards = (address: string): Link | undefined => {
  const prefix = state.address === "" ? "" : `${state.address}.`;
  const link = address.length > prefix.length && address.startsWith(prefix)
    ? state.children.get(parseInt(address.slice(prefix.length), 10))
    : state.parent;
  return link?.closed === undefined ? link : undefined;
};

/** Whether the process of a target is neither this process nor its parent nor one of its children. */
export const far = ({ address }: Target): boolean => {
  const own = state.address;
  if (address === own) return false;
  const [upper, lower] = address.length < own.length ? [address, own] : [own, address];
  return lower.lastIndexOf(".") !== (upper === "" ? -1 : upper.length) || !lower.startsWith(upper);
};

/** The link for all calls to the process of a target, if that process can be reached. */
const linkTo = (target: Target): Link | undefined => {
  const { address } = target;
  const next = towards(address);
  if (next === undefined || !far(target)) return next;
  const known = state.direct.get(address);
  if (known !== undefined) return known;
  const link = reach(
    place(next),
    (fill, calls) => next.open(opening({ address, object: MEETING }, 0, fill), calls),
  );
  state.direct.set(address, link);
  link.onClosed(() => state.direct.delete(address));
  return link;
};

/** The link for messages to an object; `undefined` if this process hosts the object or cannot reach it. */
export const linkOf = (target: Target): Link | undefined =>
  target.address === state.address ? undefined : linkTo(target);

const place = (next: Link): FamilyPosition => ({ address: state.address, next, hand });

/** Sends pending messages now, instead of at the end of the turn, because this process is about to end. */
export const flush = (): void => {
  for (const link of state.direct.values()) link.flush();
};

/** The number of open links that this process has begun to processes that are not neighbours. */
export const reaching = (): number => state.direct.size;

/** Runs `done` once all messages to processes that are not neighbours have left. */
export const flushed = (done: () => void): void => {
  let open = 1;
  const one = (): void => {
    if (--open === 0) done();
  };
  for (const link of state.direct.values()) {
    open++;
    link.flush();
    link.flushed(one);
  }
  one();
};

/**
 * The bytes that open a call, without those of the address: kind, length of the address (16 bits), object (32 bits), operation.
 */
const HEAD = 8;

const latin1 = new TextDecoder("latin1");

const opening = ({ address, object }: Target, operation: number, fill: Fill | undefined): Fill => (writer) => {
  writer.reserve(HEAD + address.length);
  const { buffer } = writer;
  let at = writer.position;
  buffer[at++] = OBJECT;
  buffer[at++] = address.length;
  buffer[at++] = address.length >>> 8;
  for (let i = 0; i < address.length; i++) buffer[at++] = address.charCodeAt(i);
  buffer[at++] = object;
  buffer[at++] = object >>> 8;
  buffer[at++] = object >>> 16;
  buffer[at++] = object >>> 24;
  buffer[at++] = operation;
  writer.position = at;
  return fill?.(writer);
};

const status = (value: number): Fill => (writer) => void writer.byte(value);

/**
 * Ends a call with {@link GONE} if its messages are malformed. The link stays open, because it may carry calls of other callers.
 */
const guard = (line: Channel, receiver: () => Receiver): Receiver => {
  const attempt = <A>(action: () => A): A | undefined => {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      line.exit(status(GONE));
      return undefined;
    }
  };
  const answer = attempt(receiver);
  if (answer === undefined) return deaf;
  return {
    data: (message) => {
      if (answer.data !== undefined && attempt(() => [answer.data!(message)]) === undefined) {
        answer.closed(unreadable());
      }
    },
    credit: (count) => {
      if (count === LAST) line.forget();
      answer.credit?.(count);
    },
    cancel: () => answer.cancel?.(),
    closed: (reason) => answer.closed(reason),
  };
};

const unreadable = (): LinkClosed => new LinkClosed("the caller cannot be understood");

/**
 * Calls an object in any process. Throws the error of `fill`, or `MessageTooLarge`; in both cases nothing is sent. The receiver's
 * `exit` is called once, with {@link GONE} if the object cannot be reached. No callback of the receiver is called before this
 * function returns.
 */
export const call = (target: Target, operation: number, fill: Fill | undefined, receiver: Calls): Line => {
  if (target.address === state.address) {
    const hosted = state.objects.get(target.object);
    return hosted === undefined ? nowhere(receiver) : loop(hosted, operation, fill, receiver);
  }
  const link = linkTo(target);
  if (link === undefined) return nowhere(receiver);
  return link.open(opening(target, operation, fill), { ...receiver, closed: () => receiver.exit(gone) });
};

const gone: Incoming = { bytes: new Uint8Array([GONE]), attachments: [] };

const silent: Line = {
  data: () => {},
  credit: () => {},
  finish: () => {},
  exit: () => {},
  cancel: () => {},
  flush: () => {},
};

const nowhere = (receiver: Calls): Line => {
  soon(() => receiver.exit(gone));
  return silent;
};

const deaf: Receiver = { closed: () => {} };

/** Serves a call that arrives over a link, or forwards it. Throws `ProtocolError` if the message is not a call. */
export const receive = (channel: Channel, { attachments, bytes }: Incoming): Receiver => {
  const length = bytes[1] | bytes[2] << 8;
  const start = length + HEAD;
  if (bytes[0] !== OBJECT || bytes.length < start) {
    throw new ProtocolError("Cannot read from the peer: it opened a channel that it may not open");
  }
  const address = latin1.decode(bytes.subarray(3, 3 + length));
  if (address !== state.address) {
    const onward = towards(address);
    if (onward !== undefined && onward !== channel.link) return forwardOver(onward, channel, { attachments, bytes });
    channel.exit(status(GONE));
    return deaf;
  }
  const at = 3 + length;
  const object = (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
  if (object === MEETING) {
    const message = { bytes: bytes.subarray(start), attachments };
    return guard(channel, () => meet(place(channel.link), channel, message, receive));
  }
  const hosted = state.objects.get(object);
  if (hosted === undefined) {
    channel.exit(status(GONE));
    return deaf;
  }
  const message = { bytes: bytes.subarray(start), attachments };
  return guard(channel, () => hosted.open(bytes[at + 4], channel, message, false));
};

const forwardOver = (next: Link, channel: Channel, message: Incoming): Receiver => {
  const passing = forward(channel, GONE, (receiver) => next.open(resend(message), receiver));
  return {
    ...passing,
    credit: (count) => {
      if (count === LAST) channel.forget();
      passing.credit?.(count);
    },
  };
};
