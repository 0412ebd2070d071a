/** The listener for a child: it accepts the connection with the token, and no other. */
import * as OneTimeListener from "../../src/internal/transport/one_time_listener.ts";
import { assert, assertEquals, assertRejects } from "../support/assert.ts";

const connect = ({ at }: OneTimeListener.Invitation): Promise<Deno.Conn> =>
  "unix" in at
    ? Deno.connect({ transport: "unix", path: at.unix }) as unknown as Promise<Deno.Conn>
    : Deno.connect({ hostname: "127.0.0.1", port: at.port });

const listen = (): OneTimeListener.OneTimeListener => {
  const listener = OneTimeListener.listen();
  assert(listener !== undefined);
  return listener;
};

/** Reads to the end of file, which may be the end of the connection. */
const ended = async (connection: Deno.Conn): Promise<void> => {
  try {
    assertEquals(await connection.read(new Uint8Array(1)), null);
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe);
  }
  connection.close();
};

Deno.test("a listener accepts the first connection with the token, whatever others have sent, and closes", async () => {
  const listener = listen();
  const silent = await connect(listener.invitation);
  const wrong = await connect(listener.invitation);
  await wrong.write(new Uint8Array(16));
  await ended(wrong);
  const short = await connect(listener.invitation);
  await short.write(listener.invitation.token.subarray(0, 8));
  const inside = await OneTimeListener.connect(listener.invitation);
  const accepted = await listener.connection;
  await accepted.write(Uint8Array.of(7));
  const byte = new Uint8Array(1);
  await inside.read(byte);
  assertEquals(byte[0], 7);
  await ended(silent);
  await ended(short);
  await assertRejects(() => OneTimeListener.connect(listener.invitation));
  inside.close();
  accepted.close();
  listener.close();
});

Deno.test("a listener that is closed closes every connection that has not sent the token", async () => {
  const listener = listen();
  const waiting = await connect(listener.invitation);
  const half = await connect(listener.invitation);
  await half.write(listener.invitation.token.subarray(0, 15));
  listener.close();
  await assertRejects(() => listener.connection, Error, "closed");
  await ended(waiting);
  await ended(half);
  if ("unix" in listener.invitation.at) {
    const { unix } = listener.invitation.at;
    await assertRejects(() => Deno.stat(unix.slice(0, unix.lastIndexOf("/"))), Deno.errors.NotFound);
  }
});

Deno.test("a listener drops the oldest of many connections that send nothing, and still accepts the right one", async () => {
  const listener = listen();
  const many: Array<Deno.Conn> = [];
  for (let i = 0; i < 40; i++) many.push(await connect(listener.invitation));
  await ended(many[0]);
  const inside = await OneTimeListener.connect(listener.invitation);
  (await listener.connection).close();
  inside.close();
  for (const connection of many.slice(1)) await ended(connection);
});
