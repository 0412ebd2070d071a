/**
 * The stream's side of the lease in `lease_file_test.ts`, in a thread of its own: takes items of each batch, one or a few at a time,
 * and tells of them as a stream does.
 */
import { type FileAddress, FileBorrower } from "../../src/internal/queue/lease_file.ts";

/** Messages to the queue: what was taken since the last one, and the word; `pull` if nothing is left. */
export interface Told {
  readonly taken: ReadonlyArray<number>;
  readonly word: number;
  readonly pull: boolean;
}

declare const self: Worker;

let borrower: FileBorrower;
/** The batch that arrived last replaces what was left of an earlier one. */
let buffer: Array<number> = [];
let claims = 0;

/** Takes what is left, a few at a time, and tells of it in between. */
const work = (): void => {
  while (buffer.length > 0) {
    const taken: Array<number> = [];
    for (let turn = 0; turn < 8 && buffer.length > 0; turn++) {
      const most = Math.min(buffer.length, 1 + claims++ % 3);
      const count = borrower.claim(most);
      taken.push(...buffer.splice(0, count));
      // The rest was revoked.
      if (count < most) buffer = [];
    }
    self.postMessage({ taken, word: borrower.word, pull: buffer.length === 0 } satisfies Told);
  }
};

self.onmessage = ({ data }: MessageEvent<{ readonly address: FileAddress } | ReadonlyArray<number> | "end">) => {
  if (data === "end") {
    borrower.close();
    self.postMessage("ended");
  } else if ("address" in data) {
    borrower = FileBorrower.open(data.address)!;
    self.postMessage({ taken: [], word: borrower.word, pull: true } satisfies Told);
  } else {
    buffer = [...data];
    work();
  }
};
