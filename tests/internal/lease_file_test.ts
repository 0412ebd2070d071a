/** Leases by a file: what a stream takes while the queue revokes it. */
import { FileBorrower, FileLender } from "../../src/internal/queue/lease_file.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import { testFunction } from "../support/tier.ts";
import type { Told } from "./lease_worker.ts";

testFunction("items are taken up to the limit, which is lowered to what was taken", () => {
  const lender = FileLender.make()!;
  const borrower = FileBorrower.open(lender.address)!;
  assertEquals(borrower.claim(1), 0);
  lender.lend(10);
  assertEquals([borrower.claim(3), borrower.claim(2)], [3, 2]);
  assertEquals(lender.takenSince(0), 5);
  lender.revoke(0, 7);
  assertEquals([borrower.claim(5), borrower.claim(1)], [2, 0]);
  lender.lend(1);
  lender.revoke(7, 0);
  assertEquals([borrower.claim(1), lender.takenSince(7), lender.inDoubt(7)], [0, 0, 0]);
  // The numbers go around.
  for (let i = 0; i < 70_000; i += 1000) {
    lender.lend(1000);
    assertEquals(borrower.claim(2000), 1000);
  }
  assertEquals(lender.takenSince(7), 70_000 % 65_536);
  borrower.close();
  lender.close();
});

testFunction("the file is opened only with its token, and its name goes when the stream is heard", () => {
  const lender = FileLender.make()!;
  const { path, token } = lender.address;
  assertEquals(FileBorrower.open({ path, token: token.map((byte) => byte ^ 1) }), undefined);
  assertEquals(FileBorrower.open({ path: `${path}-missing`, token }), undefined);
  assertEquals(Deno.statSync(path.slice(0, path.lastIndexOf("/"))).mode! & 0o777, 0o700);
  const borrower = FileBorrower.open(lender.address)!;
  lender.heard();
  assertEquals(FileBorrower.open(lender.address), undefined);
  lender.lend(1);
  assertEquals(borrower.claim(1), 1);
  borrower.close();
  lender.close();
});

testFunction("what is taken while it is revoked is in doubt until the stream tells of it", () => {
  for (const succeeds of [true, false]) {
    const lender = FileLender.make()!;
    const stream = Deno.openSync(lender.address.path, { read: true, write: true });
    const { seekSync } = Deno.FsFile.prototype;
    const write = (word: number): void => {
      seekSync.call(stream, 4, Deno.SeekMode.Start);
      stream.writeSync(new Uint8Array(Uint32Array.of(word).buffer));
    };
    lender.lend(5);
    write(1 << 16 | 1);
    // The queue has read the word, and writes the lower limit next.
    let seeks = 0;
    Deno.FsFile.prototype.seekSync = function (...position) {
      if (++seeks === 2) write(2 << 16 | 3);
      return seekSync.apply(this, position);
    };
    try {
      lender.revoke(0, 0);
    } finally {
      Deno.FsFile.prototype.seekSync = seekSync;
    }
    assertEquals([lender.takenSince(0), lender.inDoubt(0)], [1, 3]);
    // This message was sent before.
    lender.heard(1 << 16 | 1);
    assertEquals([lender.takenSince(0), lender.inDoubt(0)], [1, 3]);
    const word = succeeds ? 2 << 16 | 3 : 3 << 16 | 1;
    write(word);
    lender.heard(word);
    assertEquals([lender.takenSince(0), lender.inDoubt(0)], [succeeds ? 3 : 1, 0]);
    stream.close();
    lender.close();
  }
});

testFunction(
  "each item is taken once, or comes back, although they are revoked while a stream takes them (storm)",
  async () => {
    const lender = FileLender.make()!;
    const worker = new Worker(new URL("lease_worker.ts", import.meta.url), { type: "module" });
    const count = rounds(20_000, 300_000);
    const seen = new Uint8Array(count);
    /** Items that no stream has, and the queue may lend. */
    const stored = Array.from({ length: count }, (_, i) => i);
    let ahead: Array<number> = [];
    let base = 0;
    let counted = 0;
    let told = 0;
    let doubts = 0;
    const look = (): void => {
      const taken = Math.min(ahead.length, lender.takenSince(base));
      base = base + taken & 0xffff;
      counted += taken;
      ahead = ahead.slice(taken);
    };
    const takeBack = (): void => {
      lender.revoke(base, 0);
      look();
      const stay = Math.min(ahead.length, lender.inDoubt(base));
      if (stay > 0) doubts++;
      stored.push(...ahead.slice(stay));
      ahead = ahead.slice(0, stay);
    };
    const ended = Promise.withResolvers<void>();
    worker.onmessage = ({ data }: MessageEvent<Told | "ended">) => {
      if (data === "ended") return ended.resolve();
      for (const item of data.taken) {
        assertEquals(seen[item]++, 0, `item ${item} was taken twice`);
        told++;
      }
      lender.heard(data.pull ? undefined : data.word);
      if (!data.pull) return look();
      takeBack();
      assertEquals(ahead.length, 0);
      if (stored.length === 0) return worker.postMessage("end");
      ahead = stored.splice(-Math.min(stored.length, 1 + below(60)));
      lender.lend(ahead.length);
      worker.postMessage(ahead);
      // While the stream takes them, at a moment that differs from batch to batch.
      for (let wait = below(400); wait > 0; wait--) lender.takenSince(base);
      if (below(3) > 0) takeBack();
    };
    worker.postMessage({ address: lender.address });
    await ended.promise;
    worker.terminate();
    assertEquals([told, counted], [count, count]);
    assert(seen.every((times) => times === 1));
    lender.close();
    if (doubts === 0) console.warn("no claim met a revocation");
  },
);
