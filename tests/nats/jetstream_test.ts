/** JetStream by its messages, without a server. */
import { headers, type Msg, type NatsConnection } from "@nats-io/nats-core";
import { JetStream } from "../../src/internal/nats/jetstream.ts";
import type { Server } from "../../src/internal/nats/server.ts";
import { assertEquals } from "../support/assert.ts";

/** A server that answers questions by their subject. */
const serverOf = (answer: (subject: string) => Partial<Msg>): Server => {
  let deliver = (_message: Msg): void => {};
  const connection = {
    subscribe: (_subject: string, { callback }: { callback: (error: null, message: Msg) => void }) => {
      deliver = (message) => callback(null, message);
      return { unsubscribe: () => {} };
    },
    publish: (subject: string, _data: Uint8Array, { reply }: { reply: string }) =>
      queueMicrotask(() => deliver({ data: new Uint8Array(), ...answer(subject), subject: reply } as Msg)),
    status: async function* () {},
  } as unknown as NatsConnection;
  return { connection, onReconnected: () => () => {} } as unknown as Server;
};

Deno.test("JetStream: that a message is not there, only the leader of the stream says", async () => {
  const asked: Array<string> = [];
  const found = { message: { seq: 7, subject: "a", time: "2026-01-01T00:00:00Z", data: btoa("content") } };
  const server = serverOf((subject) => {
    asked.push(subject);
    return subject.startsWith("$JS.API.DIRECT.")
      ? { headers: headers(404, "Message Not Found") }
      : { data: new TextEncoder().encode(JSON.stringify(found)) };
  });
  const js = new JetStream(server, "inbox");
  const stored = await js.last("stream", "a");
  assertEquals(asked, ["$JS.API.DIRECT.GET.stream", "$JS.API.STREAM.MSG.GET.stream"]);
  assertEquals([stored?.sequence, new TextDecoder().decode(stored?.data)], [7, "content"]);
  js.close();
});

Deno.test("JetStream: the leader of the stream says which message is the next one, since another server may lack it", async () => {
  const asked: Array<string> = [];
  const js = new JetStream(
    serverOf((subject) => {
      asked.push(subject);
      const error = { err_code: 10037, description: "no message found" };
      return { data: new TextEncoder().encode(JSON.stringify({ error })) };
    }),
    "inbox",
  );
  assertEquals(await js.next("stream", "a", 7), undefined);
  assertEquals(asked, ["$JS.API.STREAM.MSG.GET.stream"]);
  js.close();
});
