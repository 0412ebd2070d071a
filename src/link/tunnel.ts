/**
 * Links between processes that are no neighbours: siblings, a process and its grandchild.
 *
 * Such a link begins as a tunnel, a call that those in between pass on without looking into it. When it has carried a while, and
 * the two can share memory, it goes on in two rings beside the tunnel as any link does (see `ring.ts`), and nobody is in between
 * any more. The tunnel stays open: its end is the news of a death.
 *
 * Memory is shared only by processes that talk with their own parents through memory: then what has come from there can be looked
 * at first (see `ways.ts`).
 *
 * Free of Effect.
 *
 * @module
 */
import { join } from "../region/registry.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../wire/frames.ts";
import { type Calls, CANCELLED, DONE, type Line } from "./line.ts";
import { type Channel, Link, type Receiver } from "./link.ts";
import type { Offer } from "./ring.ts";
import { Changeable, type WatchedTransport } from "./transport.ts";

/** What the two sides tell each other. */
interface Notice {
  /** First of all: the largest message that its own link takes, and its operating system process. */
  readonly hello?: { readonly limit: number; readonly pid: number };
  /** Memory through which the link can go on. */
  readonly ring?: Offer;
  /** It cannot be used, now or at all. */
  readonly declined?: true;
}

/** After so many uses a link is much used; and after twice as many, and so on, if it could not go on in memory yet. */
const BUSY = 64;
/** The last time that it tries. */
const LAST_TRY = 8192;

/** Up to so many bytes are taken at once. */
const SMALL = 64 * 1024;

/** What a process has to say about its place. */
export interface Place {
  /** The link over which the tunnel goes. */
  readonly next: Link;
  /** Whether this process talks with its parent through memory, if it has one. */
  readonly near: () => boolean;
}

/** Bytes in the messages of a call. */
class Tunnel implements WatchedTransport {
  readonly eager = true;
  readonly news: { told: number; heard: number } = { told: 0, heard: 0 };
  #line!: Line;
  /** Ends the call from this side. */
  #hangUp!: () => void;
  #take: (chunk: Uint8Array) => void = () => {};
  #finish: (reason?: Error) => void = () => {};
  #leave = (): void => {};
  #ended = false;

  /** Says over which call it goes, and how this side ends that. */
  over(line: Line, hangUp: () => void): this {
    this.#line = line;
    this.#hangUp = hangUp;
    return this;
  }

  /** What is written is in the outbox of the next link at once, so that nothing overtakes it that is sent there later. */
  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void): void => {
    const last = chunks.length - 1;
    const long = last > 0 || chunks[0].length > SMALL;
    const outlive = (): void => {
      handed?.();
      if (long) done();
    };
    const wish = long || handed !== undefined ? outlive : undefined;
    chunks.forEach((chunk, i) => this.#line.data((writer) => void writer.bytes(chunk), i === last ? wish : undefined));
    if (!long) done();
  };

  readonly flush = (): void => this.#line.flush();

  readonly start = (data: (chunk: Uint8Array) => void, end: (reason?: Error) => void): void => {
    this.#take = data;
    this.#finish = end;
    // Whoever is in between hears of a shared buffer before this, and tells the other side before he passes this on.
    this.#leave = join(() => {
      this.news.told++;
      this.#line.credit(1);
    }, false).leave;
  };

  /** Something has come. */
  data(chunk: Uint8Array): void {
    if (!this.#ended) this.#take(chunk);
  }

  /** The other side has told its neighbours of so many buffers. */
  credit(count: number): void {
    this.news.heard += count;
    this.data(nothing);
  }

  /** The call has ended. */
  end(reason?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#leave();
    this.#finish(reason);
  }

  readonly close = (): void => this.lost();

  readonly lost = (reason?: Error): void => {
    if (this.#ended) return;
    this.#hangUp();
    this.end(reason);
  };

  readonly drained = (done: () => void): void => done();
}

const nothing = new Uint8Array(0);

const greet = (link: Link, { next }: Place): void =>
  link.notify({ hello: { limit: next.maxMessageSize, pid: Deno.pid } } satisfies Notice);

/** The other side keeps to what its link takes, of which this one learns a little later. */
const incoming = (next: Link): number => Math.max(MAX_MESSAGE_SIZE, next.maxMessageSize);

/** Keeps to what the links take that the two sides know of. */
const heed = (link: Link, { next }: Place, { limit }: NonNullable<Notice["hello"]>): void =>
  link.limit(Math.min(next.maxMessageSize, limit), incoming(next));

/** The caller's side. `open` begins the call. */
export const dig = (place: Place, open: (calls: Calls & { readonly closed: () => void }) => Channel): Link => {
  const tunnel = new Tunnel();
  const end = (): void => tunnel.end();
  const line = open({
    data: ({ bytes }) => tunnel.data(bytes),
    credit: (count) => tunnel.credit(count),
    exit: end,
    closed: end,
  });
  tunnel.over(line, () => line.cancel());
  const transport = new Changeable(tunnel);
  const link = new Link(transport, { side: "parent", maxMessageSize: place.next.maxMessageSize });
  let pid: number | undefined;
  let uses = BUSY;
  const later = (): void => {
    uses *= 2;
    if (uses <= LAST_TRY) transport.onUse(uses, () => void change());
  };
  const change = async (): Promise<void> => {
    const { preferred } = await import("../region/region.ts");
    const kind = pid === Deno.pid ? "buffer" : preferred();
    if (pid === undefined || !place.near()) return later();
    if (kind === "buffer" && pid !== Deno.pid) return;
    const { offer } = await import("./ring.ts");
    const ring = link.closed === undefined ? offer(transport, kind, true) : undefined;
    if (ring !== undefined) link.notify({ ring } satisfies Notice);
  };
  link.onNotice = (data) => {
    const { declined, hello } = data as Notice;
    if (hello !== undefined) {
      pid = hello.pid;
      heed(link, place, hello);
    }
    if (declined === true) {
      transport.detour?.end();
      later();
    }
  };
  transport.onUse(uses, () => void change());
  greet(link, place);
  return link;
};

/** The side that is called. `receive` answers what is called over the link. */
export const meet = (
  place: Place,
  channel: Channel,
  receive: (channel: Channel, message: Incoming) => Receiver,
): Receiver => {
  const tunnel = new Tunnel().over(channel, () => channel.exit((writer) => void writer.byte(CANCELLED)));
  const transport = new Changeable(tunnel);
  const link = new Link(transport, { side: "child", maxMessageSize: incoming(place.next), onOpen: receive });
  const change = async (ring: Offer): Promise<void> => {
    const { acceptRing } = await import("./ring.ts");
    if (link.closed !== undefined) return;
    if (!place.near() || !acceptRing(transport, ring, true)) link.notify({ declined: true } satisfies Notice);
  };
  link.onNotice = (data) => {
    const { hello, ring } = data as Notice;
    if (hello !== undefined) heed(link, place, hello);
    if (ring !== undefined) void change(ring);
  };
  greet(link, place);
  return {
    data: ({ bytes }) => tunnel.data(bytes),
    credit: (count) => tunnel.credit(count),
    cancel: () => {
      tunnel.end();
      channel.exit((writer) => void writer.byte(DONE));
    },
    closed: () => tunnel.end(),
  };
};
