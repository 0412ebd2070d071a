/**
 * Two processes and one bare socket: the limit of `Deno.Conn`. One side sends a block of bytes in pieces, the other
 * answers with a byte. Prints the number of blocks per second.
 *
 *     deno run -A conn.ts unix|tcp BLOCK PIECE            with BLOCK 0: one byte there and back, on a new connection each time
 *     deno run -A conn.ts unix|tcp BLOCK PIECE fresh      each piece is received into memory of its own
 */
import { rate } from "./rate.ts";

const [family, block, piece, into, at] = [
  Deno.args[0],
  Number(Deno.args[1]),
  Number(Deno.args[2]),
  Deno.args[3] ?? "same",
  Deno.args[4],
];
const buffer = new Uint8Array(Math.max(1, piece));
const byte = new Uint8Array(1);

/** False at the end of the connection. */
const move = async (conn: Deno.Conn, how: "read" | "write", bytes: number): Promise<boolean> => {
  for (let left = bytes; left > 0;) {
    const moved = await conn[how](buffer.subarray(0, left));
    if (moved === null) return false;
    left -= moved;
  }
  return true;
};

/** Reads a block, each piece of it into new memory. */
const receive = async (conn: Deno.Conn): Promise<boolean> => {
  for (let left = block; left > 0; left -= piece) {
    const target = new Uint8Array(piece);
    for (let at = 0; at < piece;) {
      const count = await conn.read(target.subarray(at));
      if (count === null) return false;
      at += count;
    }
  }
  return true;
};

const answer = async (conn: Deno.Conn): Promise<void> => {
  while (into === "fresh" ? await receive(conn) : await move(conn, "read", Math.max(1, block))) await conn.write(byte);
  conn.close();
};

if (at === undefined) {
  const path = `${Deno.makeTempDirSync()}/socket`;
  const listener = family === "unix"
    ? Deno.listen({ transport: "unix", path })
    : Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = family === "unix" ? { transport: "unix", path } : listener.addr;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, family, `${block}`, `${piece}`, into, JSON.stringify(address)],
  }).spawn();
  const turn = async (conn: Deno.Conn): Promise<void> => {
    await move(conn, "write", Math.max(1, block));
    await conn.read(byte);
  };
  if (block > 0) {
    const conn = await listener.accept();
    console.log(await rate(() => turn(conn)));
  } else {
    console.log(
      await rate(async () => {
        using conn = await listener.accept();
        await turn(conn);
      }),
    );
  }
  child.kill("SIGKILL");
  if (family === "unix") Deno.removeSync(path.slice(0, -"/socket".length), { recursive: true });
  Deno.exit();
}
do await answer(await Deno.connect(JSON.parse(at))); while (block === 0);
