/**
 * Links between processes that are not neighbours, such as siblings, or a process and its grandchild.
 *
 * Both processes agree on a link in a call, which the processes in between forward. They take the first way that is possible:
 *
 * 1. between workers of one process, a pair of ports, one of which is handed to the caller from worker to worker;
 * 2. a socket on which the callee accepts or, failing that, the caller; see `../transport/one_time_listener.ts`;
 * 3. a tunnel: the call itself, through the processes in between.
 *
 * ```text
 *   caller                                        callee
 *     hello ─────────────────────────────────────▶
 *           ◀───────────────────── hello {port} | hello {invitation} | hello {}
 *     port: it has arrived already, and is used
 *     invitation: the caller connects, and ends the call
 *     otherwise, or if the caller may not connect:
 *     {invitation} ──────────────────────────────▶  the callee connects, and the caller ends the call
 *           ◀───────────────────── {tunnel}         if the callee may not connect
 *     {tunnel} ──────────────────────────────────▶  if the caller may not listen either
 * ```
 *
 * Beside a pair of ports the call stays open, because its end reports a death. In a tunnel the call carries the link. Messages
 * that are sent before a way is chosen wait for it.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Codec from "../codec/codec.ts";
import { ProtocolError } from "../transport/frames.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../codec/message.ts";
import { Connection, type Socket } from "../transport/connection.ts";
import * as OneTimeListener from "../transport/one_time_listener.ts";
import { type Calls, CANCELLED, DONE, type Line } from "./call.ts";
import { type Channel, type Fill, LAST, Link, type Receiver } from "./link.ts";
import { type Parcel, port, type PortTransport, posted, type WatchedTransport } from "../transport/transport.ts";
import { host } from "../os/place.ts";
import { Tunnel } from "./tunnel.ts";
import { Undecided } from "./undecided.ts";

/** A message between the two sides of an agreement. */
interface Notice {
  /** The first notice of each side: the message limit of its link, its host and process id, and its address. */
  readonly hello?: {
    readonly limit: number;
    readonly host: string;
    readonly pid: number;
    readonly address: string;
  };
  /** The name of the port that the callee has handed over. */
  readonly port?: string;
  /** The invitation to the listener of this side. */
  readonly invitation?: OneTimeListener.Invitation;
  /** No other way is possible. */
  readonly tunnel?: true;
}

/** The position of this process in the family, from which it agrees on a link. */
export interface FamilyPosition {
  /** The address of this process. */
  readonly address: string;
  /** The link that carries the call. */
  readonly next: Link;
  /** Hands a port to another process. Returns `false` if no port leads towards that process. */
  readonly hand: (parcel: Parcel) => boolean;
}

/** Ports that have arrived, by name, until the notice that names them arrives. */
const parcels = new Map<string, Parcel>();

/** Receives a port for this process. */
export const receiveParcel = (parcel: Parcel): void => void parcels.set(parcel.name, parcel);

const fill = (notice: Notice): Fill => (writer) => void Codec.encodeInto(writer, notice);

const read = (bytes: Uint8Array): Notice => {
  try {
    return Codec.decode(bytes, { attachments: [], link: undefined }) as Notice;
  } catch (error) {
    throw new ProtocolError("Cannot read from the peer: malformed notice", { cause: error });
  }
};

const hello = ({ address, next }: FamilyPosition): Notice["hello"] & object => ({
  limit: next.maxMessageSize,
  host: host().id,
  pid: Deno.pid,
  address,
});

/** The limit for received messages. The other side obeys the limit of its own link, which this side learns a little later. */
const incoming = (next: Link): number => Math.max(MAX_MESSAGE_SIZE, next.maxMessageSize);

/** Limits sent messages to the smaller of both sides' limits. */
const heed = (link: Link, { next }: FamilyPosition, { limit }: Notice["hello"] & object): void =>
  link.limit(Math.min(next.maxMessageSize, limit), incoming(next));

/** The kind of link between two processes that are not neighbours. */
export type Way = "port" | "socket" | "tunnel";

/** The open links of this process to processes that are not neighbours, by way. */
const taken: { readonly [way in Way]: Set<Link> } = { port: new Set(), socket: new Set(), tunnel: new Set() };

/** The number of open links to processes that are not neighbours, by way. */
export const ways = (): { readonly [way in Way]: number } => ({
  port: taken.port.size,
  socket: taken.socket.size,
  tunnel: taken.tunnel.size,
});

/** One side of the agreement on a link. */
class Agreement {
  readonly transport: Undecided = new Undecided();
  link!: Link;
  #line!: Line;
  /** Ends the call from this side, unless it has ended. */
  hangUp!: () => void;
  #listener: OneTimeListener.OneTimeListener | undefined;
  #port: PortTransport | undefined;
  #tunnel: Tunnel | undefined;

  over(line: Line, hangUp: () => void): void {
    this.#line = line;
    this.hangUp = hangUp;
  }

  say(notice: Notice): void {
    this.#line.data(fill(notice));
  }

  /** Listens and returns the invitation, if this process may listen. `met` runs once the other side has connected. */
  listen(met: () => void = () => {}): OneTimeListener.Invitation | undefined {
    const listener = this.#listener = OneTimeListener.listen();
    listener?.connection.then((socket) => {
      this.#use(socket);
      met();
    }, () => {});
    return listener?.invitation;
  }

  /** Connects to the listener of the other side. Resolves with `false` if that is not possible. */
  async connect(invitation: OneTimeListener.Invitation): Promise<boolean> {
    if (!OneTimeListener.mayConnect(invitation)) return false;
    let socket: Socket;
    try {
      socket = await OneTimeListener.connect(invitation);
    } catch {
      return false;
    }
    this.#use(socket);
    return true;
  }

  #use(socket: Socket): void {
    this.#choose("socket", new Connection(Promise.resolve(socket)));
  }

  #choose(way: Way, transport: WatchedTransport): void {
    const { link } = this;
    this.transport.choose(transport);
    if (link.closed !== undefined) return;
    taken[way].add(link);
    link.onClosed(() => taken[way].delete(link));
  }

  takePort({ port: own, posted }: Pick<Parcel, "port" | "posted">, side: "parent" | "child"): void {
    this.#port = port(own, side, posted);
    this.#choose("port", this.#port);
  }

  tunnel(): void {
    this.#listener?.close();
    this.#tunnel = new Tunnel(this.#line, this.hangUp);
    this.#choose("tunnel", this.#tunnel);
  }

  /** Receives a message of the call: bytes of the tunnel if there is one, and otherwise a notice. */
  data(bytes: Uint8Array, notice: (notice: Notice) => void): void {
    if (this.#tunnel !== undefined) this.#tunnel.data(bytes);
    else notice(read(bytes));
  }

  /** Handles the end of the call: the other side has died, or has connected another way. */
  ended(): void {
    if (this.#tunnel !== undefined) return this.#tunnel.end();
    const port = this.#port;
    if (port !== undefined) return port.drained(() => port.lost());
    if (!this.transport.open) return;
    this.#listener?.close();
    this.transport.lost();
  }

  /** Handles the end of the call by a caller that has connected: its connection arrives at the listener. */
  finished(): void {
    if (this.#tunnel !== undefined) this.#tunnel.end();
  }
}

/** Agrees on a link, on the caller's side. `open` begins the call. */
export const reach = (
  place: FamilyPosition,
  open: (fill: Fill, calls: Calls & { readonly closed: () => void }) => Channel,
): Link => {
  const agreement = new Agreement();
  let over = false;
  /** Whether the other process is on another host, which has no way here but a tunnel. */
  let far = false;
  const end = (): void => {
    over = true;
    agreement.ended();
  };
  const finish = (): void => {
    if (over) return;
    over = true;
    line.finish();
  };
  const answered = async ({ hello, invitation, port, tunnel }: Notice): Promise<void> => {
    if (hello !== undefined) {
      heed(link, place, hello);
      far = hello.host !== host().id;
    }
    if (port !== undefined) {
      const parcel = parcels.get(port);
      parcels.delete(port);
      if (parcel !== undefined) return agreement.takePort(parcel, "parent");
    }
    if (tunnel === true) return agreement.tunnel();
    if (invitation !== undefined && await agreement.connect(invitation)) return finish();
    if (!agreement.transport.open) return;
    const own = far ? undefined : agreement.listen(finish);
    agreement.say(own === undefined ? { tunnel: true } : { invitation: own });
    if (own === undefined) agreement.tunnel();
  };
  const line = open(fill({ hello: hello(place) }), {
    data: ({ bytes }) => agreement.data(bytes, (notice) => void answered(notice)),
    exit: end,
    closed: end,
  });
  agreement.over(line, () => {
    if (over) return;
    over = true;
    line.cancel();
  });
  const link = agreement.link = new Link(agreement.transport, {
    side: "parent",
    maxMessageSize: place.next.maxMessageSize,
    onClosed: () => agreement.hangUp(),
  });
  return link;
};

let names = 0;

/** Agrees on a link, on the callee's side. `receive` handles the channels that the caller opens over the link. */
export const meet = (
  place: FamilyPosition,
  channel: Channel,
  message: Incoming,
  receive: (channel: Channel, message: Incoming) => Receiver,
): Receiver => {
  const agreement = new Agreement();
  const { hello: greeting } = read(message.bytes);
  if (greeting === undefined) throw new ProtocolError("Cannot read from the peer: it does not introduce itself");
  let over = false;
  const exit = (status: number): void => {
    if (over) return;
    over = true;
    channel.exit((writer) => void writer.byte(status));
  };
  agreement.over(channel, () => exit(CANCELLED));
  const link = agreement.link = new Link(agreement.transport, {
    side: "child",
    maxMessageSize: incoming(place.next),
    onOpen: receive,
    onClosed: () => agreement.hangUp(),
  });
  heed(link, place, greeting);
  const sameHost = greeting.host === host().id;
  const sameProcess = sameHost && greeting.pid === Deno.pid;
  const handPort = (): string | undefined => {
    if (!sameProcess) return undefined;
    const name = `${place.address} ${++names}`;
    const { port1, port2 } = new MessageChannel();
    const counts = posted();
    if (!place.hand({ address: greeting.address, name, port: port2, posted: counts })) return undefined;
    agreement.takePort({ port: port1, posted: counts }, "child");
    return name;
  };
  const port = handPort();
  const invitation = port === undefined && sameHost && !sameProcess ? agreement.listen() : undefined;
  agreement.say({
    hello: hello(place),
    ...(port === undefined ? {} : { port }),
    ...(invitation === undefined ? {} : { invitation }),
  });
  const answered = async ({ invitation, tunnel }: Notice): Promise<void> => {
    if (invitation !== undefined && await agreement.connect(invitation)) return;
    if (invitation !== undefined && agreement.transport.open) agreement.say({ tunnel: true });
    if (invitation !== undefined || tunnel === true) agreement.tunnel();
  };
  return {
    data: ({ bytes }) => agreement.data(bytes, (notice) => void answered(notice)),
    credit: (count) => {
      if (count !== LAST) return;
      over = true;
      agreement.finished();
    },
    cancel: () => {
      agreement.ended();
      exit(DONE);
    },
    closed: () => {
      over = true;
      agreement.ended();
    },
  };
};
