/** The durable work of an agent by its messages, without a server. */
import type { JetStream } from "../../src/internal/nats/jetstream.ts";
import { Unanswered } from "../../src/internal/nats/jetstream.ts";
import { type Settings, Work } from "../../src/internal/nats/durable/work.ts";
import { assertEquals } from "../support/assert.ts";

/** What an agent asks a server, whose first answer is `first`, and the agent's looks for pools. */
const agentOf = (first: Promise<unknown>) => {
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
      return asked.length === 1 ? await first : { streams: [], total: 0 };
    },
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
    const agent = agentOf(first.promise);
    const looks = agent.work.look();
    agent[reason]();
    first.reject(new Unanswered("there is no leader"));
    await looks;
    assertEquals(agent.asked, ["INFO", "INFO", "STREAM.LIST"]);
    await agent.work.close();
  });
}
