import { type Channel, exportId, Link, LinkClosed, type Options, type Receiver } from "../../src/internal/rpc/link.ts";
import * as Codec from "../../src/internal/codec/codec.ts";
import { HEADER, type Transport } from "../../src/internal/transport/frames.ts";
import { type Incoming, MessageTooLarge } from "../../src/internal/codec/message.ts";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "../support/assert.ts";

/** Two ends of a transport in memory. The test, or the end of the turn, delivers the bytes. */
class Pair {
  readonly parent: End;
  readonly child: End;
  constructor() {
    this.parent = new End();
    this.child = new End();
    this.parent.peer = this.child;
    this.child.peer = this.parent;
  }

  /** Delivers all bytes, including the answers to them. */
  async settle(): Promise<void> {
    do await Promise.resolve(); while (this.parent.deliver() || this.child.deliver());
  }
}

class End implements Transport {
  peer!: End;
  closed = false;
  #inbound: Array<Uint8Array | "end"> = [];
  #done: Array<() => void> = [];
  #data: (chunk: Uint8Array) => void = () => {};
  #end: (reason?: Error) => void = () => {};

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
    assert(!this.closed, "a write after close");
    for (const chunk of chunks) this.peer.#inbound.push(chunk.slice());
    this.#done.push(done);
  };

  readonly start = (data: (chunk: Uint8Array) => void, end: (reason?: Error) => void): void => {
    this.#data = data;
    this.#end = end;
  };

  readonly close = (): void => {
    if (this.closed) return;
    this.closed = true;
    this.peer.#inbound.push("end");
  };

  /** Delivers the bytes for this end, and lets the end write again. */
  deliver(): boolean {
    const inbound = this.#inbound;
    const done = this.#done;
    this.#inbound = [];
    this.#done = [];
    for (const item of inbound) {
      if (item !== "end") this.#data(item);
      else {
        // Like a socket: the end of one direction ends both.
        this.close();
        this.#end();
      }
    }
    for (const resume of done) resume();
    return inbound.length > 0 || done.length > 0;
  }

  /** Breaks the transport. */
  fail(reason: Error): void {
    this.closed = true;
    this.#end(reason);
  }

  /** Delivers bytes that no link sent. */
  inject(bytes: Uint8Array): void {
    this.#data(bytes);
  }
}

/** A receiver that records its calls. */
const recorder = (log: Array<unknown>): Receiver => ({
  data: (message) => log.push(["data", text(message)]),
  credit: (count) => log.push(["credit", count]),
  begun: () => log.push("begun"),
  exit: (message) => log.push(["exit", text(message)]),
  cancel: () => log.push("cancel"),
  closed: (reason) => {
    assertInstanceOf(reason, LinkClosed);
    log.push("closed");
  },
});

const text = ({ bytes }: Incoming): string => new TextDecoder().decode(bytes);

const say = (words: string) => (writer: Codec.Writer): undefined =>
  writer.bytes(new TextEncoder().encode(words)) as undefined;

interface Talk {
  readonly pair: Pair;
  readonly parent: Link;
  readonly child: Link;
  /** The channels that were opened in the child, each with its recorded calls. */
  readonly opened: Array<{ readonly channel: Channel; readonly first: string; readonly log: Array<unknown> }>;
  readonly ends: Array<string>;
}

const talk = (options: Partial<Options> = {}): Talk => {
  const pair = new Pair();
  const opened: Talk["opened"] = [];
  const ends: Array<string> = [];
  const parent = new Link(pair.parent, {
    side: "parent",
    maxMessageSize: 1_000_000,
    onClosed: (reason) => ends.push(`parent: ${reason.message}`),
  });
  const child = new Link(pair.child, {
    side: "child",
    maxMessageSize: 1_000_000,
    onOpen: (channel, message) => {
      const log: Array<unknown> = [];
      opened.push({ channel, first: text(message), log });
      return recorder(log);
    },
    onClosed: (reason) => ends.push(`child: ${reason.message}`),
    ...options,
  });
  return { pair, parent, child, opened, ends };
};

const check = (title: string, body: () => void | Promise<void>): void =>
  Deno.test({ name: `link: ${title}`, sanitizeOps: true, sanitizeResources: true, fn: body });

check("a request is opened, begun, answered and over", async () => {
  const { child, opened, pair, parent } = talk();
  const log: Array<unknown> = [];
  parent.open(say("question"), recorder(log));
  assertEquals(parent.size, 1);
  await pair.settle();
  assertEquals(opened.map(({ first }) => first), ["question"]);
  const { channel } = opened[0];
  channel.begun();
  channel.data(say("so far"));
  channel.exit(say("answer"));
  await pair.settle();
  assertEquals(log, ["begun", ["data", "so far"], ["exit", "answer"]]);
  assertEquals([parent.size, child.size], [0, 0]);
});

check("channels are separate, and each keeps its order", async () => {
  const { opened, pair, parent } = talk();
  const logs = [[], []] as ReadonlyArray<Array<unknown>>;
  const channels = logs.map((log, i) => parent.open(say(`open ${i}`), recorder(log)));
  for (let i = 0; i < 3; i++) for (const channel of channels) channel.data(say(`${i}`));
  await pair.settle();
  for (const { log } of opened) assertEquals(log, [["data", "0"], ["data", "1"], ["data", "2"]]);
  opened[1].channel.exit(say("done"));
  await pair.settle();
  assertEquals(logs, [[], [["exit", "done"]]]);
});

check("a handler may answer at once, while the channel is being opened", async () => {
  const { child, pair, parent } = talk({
    onOpen: (channel) => {
      channel.exit(say("at once"));
      return recorder([]);
    },
  });
  const log: Array<unknown> = [];
  parent.open(say("question"), recorder(log));
  await pair.settle();
  assertEquals(log, [["exit", "at once"]]);
  assertEquals([parent.size, child.size], [0, 0]);
});

check("credit and cancel reach the other side, in either direction", async () => {
  const { opened, pair, parent } = talk();
  const log: Array<unknown> = [];
  const channel = parent.open(say("stream"), recorder(log));
  channel.credit(8);
  channel.cancel();
  await pair.settle();
  assertEquals(opened[0].log, [["credit", 8], "cancel"]);
  opened[0].channel.credit(0xffff_ffff);
  opened[0].channel.cancel();
  await pair.settle();
  assertEquals(log, [["credit", 0xffff_ffff], "cancel"]);
});

check("a cancel that crosses the exit is nobody's business any more", async () => {
  const { opened, pair, parent } = talk();
  const log: Array<unknown> = [];
  const channel = parent.open(say("question"), recorder(log));
  await pair.settle();
  opened[0].channel.exit(say("answer"));
  channel.cancel();
  channel.credit(1);
  await pair.settle();
  assertEquals(opened[0].log, []);
  assertEquals(log, [["exit", "answer"]]);
});

check("a name is announced once, before it is used", async () => {
  const defined: Array<unknown> = [];
  const { child, pair, parent } = talk({
    onDefine: (id, { bytes }) => defined.push([id, Codec.decode(bytes, { link: undefined })]),
  });
  assertEquals(parent.define("a", () => ["module", "a"]), 0);
  assertEquals(parent.define("b", () => ["module", "b"]), 1);
  assertEquals(parent.define("a", () => assert(false, "described twice")), 0);
  await pair.settle();
  assertEquals(defined, [[0, ["module", "a"]], [1, ["module", "b"]]]);
  assertEquals(child.closed, undefined);
});

check("a message that is refused opens nothing, and the link stays usable", async () => {
  const { opened, pair, parent } = talk();
  const log: Array<unknown> = [];
  assertThrows(() => parent.open(say("x".repeat(1_000_001)), recorder(log)), MessageTooLarge);
  assertThrows(
    () =>
      parent.open(() => {
        throw new RangeError("no");
      }, recorder(log)),
    RangeError,
  );
  assertEquals(parent.size, 0);
  const channel = parent.open(say("fine"), recorder(log));
  assertThrows(() => channel.data(say("x".repeat(1_000_001))), MessageTooLarge);
  channel.data(say("fine as well"));
  await pair.settle();
  assertEquals(opened.map(({ first }) => first), ["fine"]);
  assertEquals(opened[0].log, [["data", "fine as well"]]);
  assertThrows(() => opened[0].channel.exit(say("x".repeat(1_000_001))), MessageTooLarge);
  opened[0].channel.exit(say("fine"));
  await pair.settle();
  assertEquals(log, [["exit", "fine"]]);
});

/** Opens a channel whose message offers another channel, like a stream in the arguments. */
const offering = (
  parent: Link,
  offered: Array<unknown>,
  log: Array<unknown>,
): { readonly id: number; readonly channel: () => Channel } => {
  const id = exportId("parent");
  let own: Channel | undefined;
  parent.open((writer) => {
    say(`offer ${id}`)(writer);
    return {
      attachments: [],
      onSend: [(link) =>
        link.offer(id, (channel) => {
          own = channel;
          return recorder(offered);
        })],
    };
  }, recorder(log));
  return { id, channel: () => own! };
};

check("an offered channel is joined by the other side, and carries data and its exit", async () => {
  const { child, pair, parent } = talk();
  const offered: Array<unknown> = [];
  const joined: Array<unknown> = [];
  const { channel, id } = offering(parent, offered, []);
  await pair.settle();
  child.accept(id, recorder(joined)).credit(2);
  await pair.settle();
  assertEquals(offered, [["credit", 2]]);
  channel().data(say("element"));
  channel().exit(say("end"));
  await pair.settle();
  assertEquals(joined, [["data", "element"], ["exit", "end"]]);
});

check("an offer is withdrawn when the request that made it ends", async () => {
  const { child, opened, pair, parent } = talk();
  const offered: Array<unknown> = [];
  const joined: Array<unknown> = [];
  const { id } = offering(parent, offered, []);
  await pair.settle();
  child.accept(id, recorder(joined));
  opened[0].channel.exit(say("answer"));
  await pair.settle();
  assertEquals(offered, ["cancel"]);
  assertEquals(parent.size, 0);
});

check("an offer that the dead link could not make is closed at once", () => {
  const { pair, parent } = talk();
  pair.parent.fail(new Error("broken"));
  const offered: Array<unknown> = [];
  const log: Array<unknown> = [];
  offering(parent, offered, log);
  assertEquals(offered, ["closed"]);
  assertEquals(log, ["closed"]);
});

for (
  const [title, end] of [
    ["the other side closes it", ({ child }: Talk) => child.close()],
    ["the other side destroys it", ({ child }: Talk) => child.destroy()],
    ["this side destroys it", ({ parent }: Talk) => parent.destroy()],
    ["the transport breaks", ({ pair }: Talk) => {
      pair.parent.fail(new Error("broken"));
      pair.child.fail(new Error("broken"));
    }],
  ] as const
) {
  check(`every receiver is told once when ${title}, in whatever state its channel is`, async () => {
    const conversation = talk();
    const { child, ends, opened, pair, parent } = conversation;
    const logs: ReadonlyArray<Array<unknown>> = [[], [], [], [], []];
    const [unread, begun, streaming, cancelled, answered] = logs;
    parent.open(say("begun"), recorder(begun));
    parent.open(say("streaming"), recorder(streaming)).credit(2);
    const channel = parent.open(say("cancelled"), recorder(cancelled));
    parent.open(say("answered"), recorder(answered));
    const offered: Array<unknown> = [];
    offering(parent, offered, []);
    await pair.settle();
    opened[0].channel.begun();
    opened[1].channel.data(say("1"));
    opened[3].channel.exit(say("answer"));
    channel.cancel();
    await pair.settle();
    parent.open(say("unread"), recorder(unread));
    const watched: Array<unknown> = [];
    parent.onClosed((reason) => watched.push(reason));
    const forget = parent.onClosed(() => watched.push("not wanted any more"));
    forget();
    end(conversation);
    await pair.settle();
    end(conversation);
    await pair.settle();
    assertEquals(unread, ["closed"]);
    assertEquals(begun, ["begun", "closed"]);
    assertEquals(streaming, [["data", "1"], "closed"]);
    assertEquals(cancelled, ["closed"]);
    assertEquals(answered, [["exit", "answer"]]);
    assertEquals(offered, ["closed"]);
    for (const { first, log } of opened) {
      assertEquals(log.filter((entry) => entry === "closed").length, first === "answered" ? 0 : 1, first);
    }
    assertEquals(watched, [parent.closed]);
    assertEquals([parent.size, child.size], [0, 0]);
    assertEquals(ends.length, 2);
  });
}

check("closing waits for what was sent", async () => {
  const { opened, pair, parent } = talk();
  parent.open(say("x".repeat(900_000)), recorder([]));
  parent.close();
  parent.close();
  assert(parent.closing);
  await pair.settle();
  assertEquals(opened.map(({ first }) => first.length), [900_000]);
  assertEquals(opened[0].log, ["closed"]);
});

check("a dead link accepts everything and tells at once", () => {
  const { pair, parent } = talk();
  pair.parent.fail(new Error("broken"));
  const log: Array<unknown> = [];
  const channel = parent.open(say("late"), recorder(log));
  assertEquals(log, ["closed"]);
  channel.data(say("late"));
  channel.cancel();
  channel.credit(1);
  channel.exit(say("late"));
  let told = 0;
  parent.onClosed(() => told++);
  parent.flushed(() => told++);
  parent.close();
  parent.destroy();
  assertEquals(told, 2);
  assertEquals(parent.closed?.message, "broken");
});

check(
  "a receiver that opens a channel when it is told of the end is told of that one as well, and so are the others",
  async () => {
    const { child, pair, parent } = talk();
    const log: Array<unknown> = [];
    const reached: Array<unknown> = [];
    parent.open(say("first"), {
      closed: () => {
        // A receiver may do anything, such as open the next channel.
        parent.open(say("from within"), recorder(reached));
      },
    });
    parent.open(say("second"), recorder(log));
    await pair.settle();
    child.close();
    await pair.settle();
    assertEquals(log, ["closed"]);
    assertEquals(reached, ["closed"]);
  },
);

/** A frame as a peer could write it. */
const frame = (kind: number, channel: number, ...body: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(HEADER + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length, true);
  view.setUint8(4, kind);
  view.setUint32(5, channel, true);
  bytes.set(body, HEADER);
  return bytes;
};

const [OPEN, DATA, CREDIT, EXIT, CANCEL, DEFINE, BEGUN] = [1, 2, 3, 4, 5, 6, 7];

for (
  const [title, bytes] of [
    ["opens a channel at a side that serves nobody", frame(OPEN, 5)],
    ["defines a name at a side that serves nobody", frame(DEFINE, 0)],
    ["sends an unknown kind of message", frame(31, 4)],
    ["sends kind 0", frame(0, 4)],
    ["sends a frame that is too long", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0)],
    ["sends a fragment of nothing", frame(0x81, 4, 1)],
  ] as const
) {
  check(`a peer that ${title} is cut off, and waiting callers are told why`, async () => {
    const { ends, pair, parent } = talk();
    const log: Array<unknown> = [];
    parent.open(say("question"), recorder(log));
    await pair.settle();
    pair.parent.inject(bytes);
    assertEquals(log, ["closed"]);
    assertEquals(parent.closed?.cause instanceof Error && parent.closed.cause.name, "ProtocolError");
    await pair.settle();
    assertEquals(ends.length, 2);
    // Later messages are ignored.
    pair.parent.inject(bytes);
    assertEquals(log, ["closed"]);
  });
}

for (
  const [title, bytes] of [
    ["opens a channel twice", [frame(OPEN, 4), frame(OPEN, 4)]],
    ["opens a channel with a number of this side", [frame(OPEN, 5)]],
    ["gives malformed credit", [frame(OPEN, 4), frame(CREDIT, 4, 1, 2, 3)]],
  ] as const
) {
  check(`a serving side cuts off a peer that ${title}`, () => {
    const { child, pair } = talk({
      onDefine: (_, { bytes }) => Codec.decode(bytes, { link: undefined }),
    });
    for (const part of bytes) pair.child.inject(part);
    assertEquals(child.closed?.cause instanceof Error && child.closed.cause.name, "ProtocolError");
  });
}

check("a serving side cuts off a peer whose definition is garbage", () => {
  const { child, pair } = talk({ onDefine: (_, { bytes }) => Codec.decode(bytes, { link: undefined }) });
  pair.child.inject(frame(DEFINE, 0, 0xff, 0xff));
  assertInstanceOf(child.closed, LinkClosed);
});

check("messages for channels that are over, or never were, are ignored", () => {
  const { child, pair } = talk();
  for (const kind of [DATA, EXIT, CANCEL, BEGUN]) pair.child.inject(frame(kind, 400));
  pair.child.inject(frame(CREDIT, 400, 1, 0, 0, 0));
  assertEquals(child.closed, undefined);
});
