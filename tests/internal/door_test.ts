/** The listener for a child: it accepts the connection with the token, and no other. */
import * as Door from "../../src/internal/transport/accept.ts";
import { assert, assertEquals, assertRejects } from "../support/assert.ts";

const connect = ({ at }: Door.Invitation): Promise<Deno.Conn> =>
  "unix" in at
    ? Deno.connect({ transport: "unix", path: at.unix }) as unknown as Promise<Deno.Conn>
    : Deno.connect({ hostname: "127.0.0.1", port: at.port });

const open = (): Door.Door => {
  const door = Door.open();
  assert(door !== undefined);
  return door;
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

Deno.test("a door lets in the first that shows the token, whoever else has knocked, and is gone then", async () => {
  const door = open();
  const silent = await connect(door.invitation);
  const wrong = await connect(door.invitation);
  await wrong.write(new Uint8Array(16));
  await ended(wrong);
  const short = await connect(door.invitation);
  await short.write(door.invitation.token.subarray(0, 8));
  const inside = await Door.enter(door.invitation);
  const visitor = await door.visitor;
  await visitor.write(Uint8Array.of(7));
  const byte = new Uint8Array(1);
  await inside.read(byte);
  assertEquals(byte[0], 7);
  await ended(silent);
  await ended(short);
  await assertRejects(() => Door.enter(door.invitation));
  inside.close();
  visitor.close();
  door.close();
});

Deno.test("a door that is closed turns away everybody who has not shown the token", async () => {
  const door = open();
  const waiting = await connect(door.invitation);
  const half = await connect(door.invitation);
  await half.write(door.invitation.token.subarray(0, 15));
  door.close();
  await assertRejects(() => door.visitor, Error, "closed");
  await ended(waiting);
  await ended(half);
  if ("unix" in door.invitation.at) {
    const { unix } = door.invitation.at;
    await assertRejects(() => Deno.stat(unix.slice(0, unix.lastIndexOf("/"))), Deno.errors.NotFound);
  }
});

Deno.test("a door drops the oldest of many that show nothing, and still lets the right one in", async () => {
  const door = open();
  const many: Array<Deno.Conn> = [];
  for (let i = 0; i < 40; i++) many.push(await connect(door.invitation));
  await ended(many[0]);
  const inside = await Door.enter(door.invitation);
  (await door.visitor).close();
  inside.close();
  for (const connection of many.slice(1)) await ended(connection);
});
