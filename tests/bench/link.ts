/** The link's rows: a subprocess's link, without tasks and without Effect, against `multiprocessing.Pipe`. */

import { fileURLToPath } from "node:url";
import { type Channel, Link } from "../../src/internal/rpc/link.ts";
import { Connection } from "../../src/internal/transport/connection.ts";
import { listen } from "../../src/internal/transport/one_time_listener.ts";
import { decode, encodeInto } from "../../src/internal/codec/codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../../src/internal/codec/message.ts";
import { bench, perTurn, python, timed, warm } from "./harness.ts";
import type { Opening } from "./link_peer.ts";

const KB = 1024;
const MB = 1024 * KB;

/** Starts a child as `SubprocessBackend` does, but with a module that answers on the link instead of running tasks. */
const withLink = async (measure: (link: Link) => Promise<number>): Promise<number> => {
  const listener = listen()!;
  const { at, token } = listener.invitation;
  const peer = fileURLToPath(new URL("link_peer.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", peer, "unix" in at ? at.unix : "", JSON.stringify([...token])],
    stdin: "null",
  }).spawn();
  const link = new Link(new Connection(listener.connection), { side: "parent", maxMessageSize: MAX_MESSAGE_SIZE });
  try {
    return await measure(link);
  } finally {
    link.close();
    await child.status;
  }
};

/** Opens a channel, and returns the value with which the other side ends it. */
const open = (
  link: Link,
  opening: Opening,
  credit?: (channel: Channel, count: number) => void,
): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const channel: Channel = link.open((writer) => encodeInto(writer, opening), {
      credit: (count) => credit?.(channel, count),
      exit: ({ bytes, attachments }: Incoming) => resolve(decode(bytes, { attachments, link })),
      closed: reject,
    });
  });

/** One way: sends the value `count` times, as far as credit and the outbox allow, until all are acknowledged. */
const send = (link: Link, value: unknown, count: number, window: number): Promise<unknown> => {
  let left = count;
  let credit = 0;
  let waiting = false;
  const go = (channel: Channel): void => {
    while (left > 0 && credit > 0 && link.writable) {
      channel.data((writer) => encodeInto(writer, value));
      left--;
      credit--;
    }
    if (left === 0 || credit === 0 || waiting) return;
    waiting = true;
    link.onWritable(() => {
      waiting = false;
      go(channel);
    });
  };
  return open(link, { count, window }, (channel, more) => {
    credit += more;
    go(channel);
  });
};

bench({
  name: "link.rtt",
  unit: "us",
  better: "lower",
  bound: "two turns of Deno's event loop: the bare socket takes 93 % of it",
  run: () =>
    withLink((link) =>
      perTurn(async (calls) => {
        for (let call = 0; call < calls; call++) await open(link, 1);
      })
    ),
  peers: { python },
});

const throughput = (name: string, value: unknown, bound: string): void =>
  bench({
    name: `link.throughput.${name}`,
    unit: "messages/s",
    better: "higher",
    bound,
    run: () =>
      withLink((link) => warm(async () => 20_000 / (await timed(() => send(link, value, 20_000, 4096)) / 1000))),
    peers: { python },
  });

throughput("int", 1, "waiting for the child, which decodes");
throughput(
  "object",
  { id: 1, name: "item", ok: true, tags: ["a", "b"] },
  "waiting for the child, half; encode, a quarter",
);
throughput("1KB", new Uint8Array(KB), "waiting for the child, which makes a buffer for each");

const bytes = (name: string, size: number, bound: string): void =>
  bench({
    name: `link.bytes.${name}`,
    unit: "MB/s",
    better: "higher",
    bound,
    run: () => {
      const value = new Uint8Array(size);
      const total = 128 * MB;
      return withLink((link) =>
        warm(async () => total / MB / (await timed(() => send(link, value, total / size, 8)) / 1000))
      );
    },
    peers: { python },
  });

bytes("1MB", MB, "Deno's socket: bare writes are no faster");
bytes("16MB", 16 * MB, "Deno's socket, and first use of the receiver's memory");
