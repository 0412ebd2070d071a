/**
 * Calls to objects that live in one process of the family, from any other.
 *
 * Processes form a tree, and an address is the way down from its root: `""` is the main process, `"2.1"` the first child of
 * its second child. A call is a channel: over the link to a neighbour, parent or child, and otherwise over a link of its own to
 * that process, on which the two agree through those in between (see `direct.ts`). Numbers of
 * children are not used twice, so an address never comes to mean another process.
 *
 * - What two calls of one process send to one object arrives in that order, whatever lies between.
 * - Nobody can learn through the family of a message to a neighbour before the object has received it. On the way to others a
 *   message may be overtaken by the news of it: who needs to know that it has arrived ({@link far}) waits for an answer.
 * - An object that is no more, or whose process is no more, ends the call with {@link GONE}.
 * - A call that is not answered when its caller dies is cancelled.
 *
 * Free of Effect: a process may have to pass on what it does not use itself.
 *
 * @module
 */
import * as Codec from "../codec/codec.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { again, type Calls, GONE, type Line, passOn } from "./relay.ts";
import { type Channel, type Fill, LAST, type Link, LinkClosed, type Receiver } from "./link.ts";
import { meet, type Place, reach, receiveParcel } from "./direct.ts";
import type { Parcel, PortTransport } from "../transport/transport.ts";

export { CANCELLED, DONE, GONE, readTooLarge, TOO_LARGE, tooLarge } from "./relay.ts";
export type { Calls, Line } from "./relay.ts";
export { ways } from "./direct.ts";

/** The first byte of a message that opens a call; requests for tasks begin with another. */
export const OBJECT = 3;

/** Where an object is. */
export interface Target {
  /** The address of its process. */
  readonly address: string;
  /** Its number there. */
  readonly object: number;
}

/** What an object does about a call. */
export interface Hosted {
  readonly open: (operation: number, line: Line, message: Incoming, local: boolean) => Receiver;
}

/** The object of every process that agrees on links to it. */
const MEETING = 0;

interface State {
  address: string;
  parent: Link | undefined;
  readonly children: Map<number, Link>;
  /** Of the neighbours, those that are threads of the same process. */
  readonly ports: Map<Link, PortTransport>;
  /** Links to processes that are no neighbours, by their addresses. */
  readonly direct: Map<string, Link>;
  readonly objects: Map<number, Hosted>;
  child: number;
  object: number;
}

// One for the process, though this module may have been loaded twice.
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

/** Called in a child, once its parent has told it where it stands. A worker names the port by which it talks with its parent. */
export const settle = (address: string, parent: Link, port?: PortTransport): void => {
  state.address = address;
  state.parent = parent;
  if (port !== undefined) join(parent, port);
};

/** Gives a new child its address. */
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

/** Hands a port to another process, by ports all the way. */
const hand = (parcel: Parcel): boolean => {
  const next = towards(parcel.address);
  const port = next && state.ports.get(next);
  port?.hand(parcel);
  return port !== undefined;
};

/** Makes an object known by a number. */
export const host = (object: Hosted): number => {
  state.objects.set(++state.object, object);
  return state.object;
};

/** An object of this process, if the target is one. */
export const local = ({ address, object }: Target): Hosted | undefined =>
  address === state.address ? state.objects.get(object) : undefined;

/** Forgets an object. Its open calls are its own to end. */
export const retire = (object: number): void => {
  state.objects.delete(object);
};

/** Objects that this process hosts. */
export const hosting = (): number => state.objects.size;

/** The link towards an address, if there is one. */
const towards = (address: string): Link | undefined => {
  const prefix = state.address === "" ? "" : `${state.address}.`;
  const link = address.length > prefix.length && address.startsWith(prefix)
    ? state.children.get(parseInt(address.slice(prefix.length), 10))
    : state.parent;
  return link?.closed === undefined ? link : undefined;
};

/** Whether a process is neither this one nor its parent nor a child of it. */
export const far = ({ address }: Target): boolean => {
  const own = state.address;
  if (address === own) return false;
  const [upper, lower] = address.length < own.length ? [address, own] : [own, address];
  return lower.lastIndexOf(".") !== (upper === "" ? -1 : upper.length) || !lower.startsWith(upper);
};

/** The link to a process, if there is one, over which all is called in it. */
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

/** The link over which a message to an object leaves: `undefined` if it does not leave this process, or finds nobody. */
export const linkOf = (target: Target): Link | undefined =>
  target.address === state.address ? undefined : linkTo(target);

const place = (next: Link): Place => ({ address: state.address, next, hand });

/** Hands over now what else would leave with this turn: this process is about to end. */
export const flush = (): void => {
  for (const link of state.direct.values()) link.flush();
};

/** How many processes that are no neighbours were called from here, and live. */
export const reaching = (): number => state.direct.size;

/** Calls back when all has left that was sent to processes that are no neighbours. */
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

/** Bytes that open a call besides the address: kind, length of the address (16 bits), object (32 bits), operation. */
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

/** A caller that cannot be understood is no reason to end the link, which may carry the calls of others. */
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
 * Calls an object, wherever it is. Throws what `fill` throws, or `MessageTooLarge`, and has then sent nothing. The
 * receiver's `exit` is called once, `closed` is not: an object that cannot be reached is {@link GONE}. Nothing is called before
 * this returns.
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

/** A call has come over a link: for this process, or to be passed on. Throws `ProtocolError` if it is none. */
export const receive = (channel: Channel, { attachments, bytes }: Incoming): Receiver => {
  const length = bytes[1] | bytes[2] << 8;
  const start = length + HEAD;
  if (bytes[0] !== OBJECT || bytes.length < start) {
    throw new ProtocolError("Cannot read from the peer: it opened a channel that it may not open");
  }
  const address = latin1.decode(bytes.subarray(3, 3 + length));
  if (address !== state.address) {
    const onward = towards(address);
    if (onward !== undefined && onward !== channel.link) return relay(channel, onward, { attachments, bytes });
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

const relay = (channel: Channel, next: Link, message: Incoming): Receiver => {
  const passing = passOn(channel, GONE, (receiver) => next.open(again(message), receiver));
  return {
    ...passing,
    credit: (count) => {
      if (count === LAST) channel.forget();
      passing.credit?.(count);
    },
  };
};

/** So many turns of the microtasks in a row, and then one of the event loop, which others wait for. */
const TURNS = 512;

let turns = 0;
let due: Array<() => void> = [];

/** What is due is done in order, after whatever runs now. */
const soon = (action: () => void): void => {
  if (due.push(action) > 1) return;
  if (++turns % TURNS === 0) setTimeout(settleAll, 0);
  else queueMicrotask(settleAll);
};

const settleAll = (): void => {
  const actions = due;
  due = [];
  for (const action of actions) action();
};

/** A call within this process: the same bytes, without a link, a little later. */
const loop = (hosted: Hosted, operation: number, fill: Fill | undefined, receiver: Calls): Line => {
  let ended = false;
  const later = (deliver: () => void): void =>
    soon(() => {
      if (!ended) deliver();
    });
  const there: Line = {
    data: (fill, handed) => {
      const message = written(fill);
      later(() => receiver.data?.(message));
      if (handed !== undefined) soon(handed);
    },
    credit: (count) => later(() => receiver.credit?.(count)),
    finish: () => {},
    exit: (fill) => {
      const message = written(fill);
      later(() => {
        ended = true;
        receiver.exit(message);
      });
    },
    cancel: () => {},
    flush: () => {},
  };
  const message = written(fill);
  let answer: Receiver | undefined;
  later(() => {
    answer = hosted.open(operation, there, message, true);
  });
  return {
    data: (fill, handed) => {
      const message = written(fill);
      later(() => answer?.data?.(message));
      if (handed !== undefined) soon(handed);
    },
    credit: (count, handed) => {
      later(() => answer?.credit?.(count));
      if (handed !== undefined) soon(handed);
    },
    finish: (handed) => {
      later(() => {
        ended = true;
        answer?.credit?.(LAST);
      });
      if (handed !== undefined) soon(handed);
    },
    exit: () => {},
    cancel: () => later(() => answer?.cancel?.()),
    flush: () => {},
  };
};

/** A message as its receiver would see it. */
export const written = (fill: Fill | undefined): Incoming => {
  const writer = new Codec.Writer(64);
  const extras = fill?.(writer);
  // There is no link that could tell of the receiver's death: both are this process.
  extras?.onSend.forEach((action) => (action as (link: Link | undefined) => void)(undefined));
  return {
    bytes: writer.buffer.subarray(0, writer.position),
    // Attachments are the sender's own memory, which he may change when this has been sent.
    attachments: extras === undefined ? [] : extras.attachments.map((part) => part.slice()),
  };
};
