/** The durable work of an agent by its messages, without a server. */
import { PROTOCOL } from "../../src/internal/nats/durable/messages.ts";
import { type JetStream, Unanswered } from "../../src/internal/nats/jetstream.ts";
import { type Settings, Work } from "../../src/internal/nats/durable/work.ts";
import { assertEquals } from "../support/assert.ts";

/** An agent, what it asks its server, and what it hears. */
const agentOf = (answer: (name: string, count: number) => unknown) => {
  const asked: Array<string> = [];
  let announced = (): void => {};
  let reconnected = (): void => {};
  const server = {
    connected: false,
    connection: { subscribe: () => ({ unsubscribe: () => {} }) },
    subscribe: (_subject: string, heard: () => void) => {
      announced = heard;
      return () => {};
    },
    onReconnected: (heard: () => void) => {
      reconnected = heard;
      return () => {};
    },
  };
  const js = {
    server,
    api: async (name: string) => {
      asked.push(name);
      return await answer(name, asked.length);
    },
    next: () => Promise.resolve(undefined),
    persist: <A>(operation: (repeated: boolean) => Promise<A>) => operation(false),
    close: () => {},
  } as unknown as JetStream;
  const settings = { space: "tests", slots: 1, labels: [], inbox: "inbox", log: () => {}, taken: () => 0 };
  const work = new Work(js, settings as unknown as Settings);
  return { asked, work, announced: () => announced(), reconnected: () => reconnected() };
};

const reasons = [["announced", "a pool is announced"], ["reconnected", "the connection is made anew"]] as const;

for (const [reason, title] of reasons) {
  Deno.test(`an agent looks for pools again if ${title} during a look that has no answer`, async () => {
    const first = Promise.withResolvers<unknown>();
    const agent = agentOf((_, count) => count === 1 ? first.promise : { streams: [], total: 0 });
    const looks = agent.work.look();
    agent[reason]();
    first.reject(new Unanswered("there is no leader"));
    await looks;
    assertEquals(agent.asked, ["INFO", "INFO", "STREAM.LIST"]);
    await agent.work.close();
  });
}

/** Runs a program whose clock stands still until the program sets it. */
const withClock = async (run: (set: (millis: number) => void) => Promise<void>): Promise<void> => {
  const now = performance.now;
  let time = 0;
  performance.now = () => time;
  try {
    await run((millis) => time = millis);
  } finally {
    performance.now = now;
  }
};

Deno.test("an agent mends the streams of a pool soon after a server of a cluster has gone or has come back", () =>
  withClock(async (set) => {
    let cluster = { leader: "a", replicas: [{ name: "b", offline: false }, { name: "c", offline: false }] };
    const stream = {
      config: { name: "mp+tests+tasks+jobs", description: JSON.stringify({ protocol: PROTOCOL, labels: [] }) },
    };
    const consumer = { config: { ack_wait: 1e9 }, delivered: { stream_seq: 0 }, ack_floor: { stream_seq: 0 } };
    const agent = agentOf((name) => {
      if (name === "STREAM.LIST") return { streams: [{ ...stream, cluster }], total: 1 };
      return name.startsWith("CONSUMER.") ? consumer : { state: { messages: 0 } };
    });
    /** Whether a look at this time mends. */
    const mends = async (millis: number): Promise<boolean> => {
      set(millis);
      const before = agent.asked.length;
      await agent.work.look();
      return agent.asked.slice(before).includes("STREAM.INFO.mp+tests+parts+jobs");
    };
    const first = [await mends(0), await mends(59_000)];
    const quiet = [await mends(61_000), await mends(65_000)];
    cluster = { leader: "b", replicas: [{ name: "a", offline: true }, { name: "c", offline: false }] };
    const gone = [await mends(70_000), await mends(75_000)];
    const long = [await mends(131_000), await mends(191_000), await mends(195_000)];
    cluster = { leader: "b", replicas: [{ name: "a", offline: false }, { name: "c", offline: false }] };
    const back = [await mends(200_000)];
    assertEquals({ first, quiet, gone, long, back }, {
      first: [true, true],
      quiet: [false, false],
      gone: [true, true],
      long: [false, true, false],
      back: [true],
    });
    await agent.work.close();
  }));
