/**
 * Links between processes that are no neighbours: siblings, a process and its grandchild.
 *
 * They are agreed upon in a call, which those in between pass on. The first way that is possible is taken:
 *
 * 1. between workers of one process, a pair of ports, of which one is handed to the caller from worker to worker;
 * 2. a socket at which the called one waits, or else the caller; see `door.ts`;
 * 3. a tunnel: the call itself, through those in between.
 *
 * ```text
 *   caller                                        called
 *     hello ─────────────────────────────────────▶
 *           ◀───────────────────── hello {port} | hello {door} | hello {}
 *     port: it has come already, and is used
 *     door: connects, and ends the call
 *     otherwise, or if it may not connect:
 *     {door} ────────────────────────────────────▶  connects, and the caller ends the call
 *           ◀───────────────────── {tunnel}         if it may not
 *     {tunnel} ──────────────────────────────────▶  if the caller has no door either
 * ```
 *
 * The call stays open beside a pair of ports, since its end is the news of a death, and is the tunnel in the last case. What is
 * sent before there is a way waits.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Codec from "../codec/codec.ts";
import { ProtocolError } from "../transport/frames.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../codec/message.ts";
import { Connection, type Socket } from "../transport/connection.ts";
import * as Door from "../transport/accept.ts";
import { type Calls, CANCELLED, DONE, type Line } from "./relay.ts";
import { type Channel, type Fill, LAST, Link, type Receiver } from "./link.ts";
import { type Parcel, port, type PortTransport, posted, type WatchedTransport } from "../transport/transport.ts";
import { Tunnel } from "./tunnel.ts";
import { Undecided } from "./undecided.ts";

/** What the two sides tell each other. */
interface Notice {
  /** First of all: the largest message that the own link takes, and where the process is. */
  readonly hello?: { readonly limit: number; readonly pid: number; readonly address: string };
  /** A port was handed over under this name. */
  readonly port?: string;
  /** Where the other side can connect. */
  readonly door?: Door.Invitation;
  /** There is no other way. */
  readonly tunnel?: true;
}

/** What a process has to say about its place. */
export interface Place {
  /** Its address. */
  readonly address: string;
  /** The link over which the call goes. */
  readonly next: Link;
  /** Hands a port to another process; `false` if there is no way of ports to it. */
  readonly hand: (parcel: Parcel) => boolean;
}

/** Ports that have come, by name, until the notice that speaks of them. */
const parcels = new Map<string, Parcel>();

/** A port has come for this process. */
export const receiveParcel = (parcel: Parcel): void => void parcels.set(parcel.name, parcel);

const fill = (notice: Notice): Fill => (writer) => void Codec.encodeInto(writer, notice);

const read = (bytes: Uint8Array): Notice => {
  try {
    return Codec.decode(bytes, { attachments: [], link: undefined }) as Notice;
  } catch (error) {
    throw new ProtocolError("Cannot read from the peer: malformed notice", { cause: error });
  }
};

const hello = ({ address, next }: Place): Notice["hello"] & object => ({
  limit: next.maxMessageSize,
  pid: Deno.pid,
  address,
});

/** The other side keeps to what its link takes, of which this one learns a little later. */
const incoming = (next: Link): number => Math.max(MAX_MESSAGE_SIZE, next.maxMessageSize);

/** Keeps to what the links take that the two sides know of. */
const heed = (link: Link, { next }: Place, { limit }: Notice["hello"] & object): void =>
  link.limit(Math.min(next.maxMessageSize, limit), incoming(next));

/** A way between two processes that are no neighbours. */
export type Way = "port" | "socket" | "tunnel";

/** Ways that were taken to or from this process, and lead somewhere. */
const taken: { readonly [way in Way]: Set<Link> } = { port: new Set(), socket: new Set(), tunnel: new Set() };

/** How many links of each kind this process has to those that are no neighbours. */
export const ways = (): { readonly [way in Way]: number } => ({
  port: taken.port.size,
  socket: taken.socket.size,
  tunnel: taken.tunnel.size,
});

/** One side of the agreement. */
class Agreement {
  readonly transport: Undecided = new Undecided();
  link!: Link;
  #line!: Line;
  /** Ends the call from this side, if it has not ended. */
  hangUp!: () => void;
  #door: Door.Door | undefined;
  #port: PortTransport | undefined;
  #tunnel: Tunnel | undefined;

  over(line: Line, hangUp: () => void): void {
    this.#line = line;
    this.hangUp = hangUp;
  }

  say(notice: Notice): void {
    this.#line.data(fill(notice));
  }

  /** Opens a door for the other side. `met` is called when it has come in. */
  open(met: () => void = () => {}): Door.Invitation | undefined {
    const door = this.#door = Door.open();
    door?.visitor.then((socket) => {
      this.#use(socket);
      met();
    }, () => {});
    return door?.invitation;
  }

  /** Goes where the other side waits; whether this process has got there. */
  async enter(invitation: Door.Invitation): Promise<boolean> {
    if (!Door.mayEnter(invitation)) return false;
    let socket: Socket;
    try {
      socket = await Door.enter(invitation);
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
    this.#door?.close();
    this.#tunnel = new Tunnel(this.#line, this.hangUp);
    this.#choose("tunnel", this.#tunnel);
  }

  /** A message of the call: bytes of the tunnel once there is one. */
  data(bytes: Uint8Array, notice: (notice: Notice) => void): void {
    if (this.#tunnel !== undefined) this.#tunnel.data(bytes);
    else notice(read(bytes));
  }

  /** The call has ended: the other side has died, or has gone another way. */
  ended(): void {
    if (this.#tunnel !== undefined) return this.#tunnel.end();
    const port = this.#port;
    if (port !== undefined) return port.drained(() => port.lost());
    if (!this.transport.open) return;
    this.#door?.close();
    this.transport.lost();
  }

  /** The other side has connected, and needs the call no more: it will be seen at the door. */
  finished(): void {
    if (this.#tunnel !== undefined) this.#tunnel.end();
  }
}

/** The caller's side. `open` begins the call. */
export const reach = (
  place: Place,
  open: (fill: Fill, calls: Calls & { readonly closed: () => void }) => Channel,
): Link => {
  const agreement = new Agreement();
  let over = false;
  const end = (): void => {
    over = true;
    agreement.ended();
  };
  const finish = (): void => {
    if (over) return;
    over = true;
    line.finish();
  };
  const answered = async ({ door, hello, port, tunnel }: Notice): Promise<void> => {
    if (hello !== undefined) heed(link, place, hello);
    if (port !== undefined) {
      const parcel = parcels.get(port);
      parcels.delete(port);
      if (parcel !== undefined) return agreement.takePort(parcel, "parent");
    }
    if (tunnel === true) return agreement.tunnel();
    if (door !== undefined && await agreement.enter(door)) return finish();
    if (!agreement.transport.open) return;
    const own = agreement.open(finish);
    agreement.say(own === undefined ? { tunnel: true } : { door: own });
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

/** The side that is called. `receive` answers what is called over the link. */
export const meet = (
  place: Place,
  channel: Channel,
  message: Incoming,
  receive: (channel: Channel, message: Incoming) => Receiver,
): Receiver => {
  const agreement = new Agreement();
  const { hello: greeting } = read(message.bytes);
  if (greeting === undefined) throw new ProtocolError("Cannot read from the peer: it does not say who it is");
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
  const handPort = (): string | undefined => {
    if (greeting.pid !== Deno.pid) return undefined;
    const name = `${place.address} ${++names}`;
    const { port1, port2 } = new MessageChannel();
    const counts = posted();
    if (!place.hand({ address: greeting.address, name, port: port2, posted: counts })) return undefined;
    agreement.takePort({ port: port1, posted: counts }, "child");
    return name;
  };
  const port = handPort();
  const door = port === undefined && greeting.pid !== Deno.pid ? agreement.open() : undefined;
  agreement.say({
    hello: hello(place),
    ...(port === undefined ? {} : { port }),
    ...(door === undefined ? {} : { door }),
  });
  const answered = async ({ door, tunnel }: Notice): Promise<void> => {
    if (door !== undefined && await agreement.enter(door)) return;
    if (door !== undefined && agreement.transport.open) agreement.say({ tunnel: true });
    if (door !== undefined || tunnel === true) agreement.tunnel();
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
