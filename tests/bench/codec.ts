/** The codec's rows: a value to bytes and back, against pickle (protocol 5) and `structuredClone`. */

import { decode, encode } from "../../src/internal/codec/codec.ts";
import { bench, perCall, python } from "./harness.ts";

const record = (id: number): unknown => ({
  id,
  name: "item",
  ok: true,
  tags: ["a", "b"],
});

const row = (name: string, value: unknown, bound: string): void =>
  bench({
    name: `codec.${name}`,
    unit: "us",
    better: "lower",
    bound,
    run: () =>
      Promise.resolve(perCall(() => {
        const { bytes, attachments } = encode(value, { hooks: [] });
        // Attachments are views of the caller's memory. Without a copy they would cost nothing, which no link can
        // achieve.
        const received = attachments.map((attachment) => attachment.slice());
        return decode(bytes, {
          attachments: received,
          hooks: [],
          link: undefined,
        });
      })),
    peers: {
      python,
      clone: () => Promise.resolve(perCall(() => structuredClone(value))),
    },
  });

row("int", 1, "encode's own buffer for the bytes");
row("object", record(1), "encode's own buffer for the bytes");
row(
  "array",
  Array.from({ length: 10_000 }, (_, i) => i),
  "reading the numbers, half; packing them, a third",
);
row(
  "bytes1MB",
  new Uint8Array(1024 * 1024),
  "the copy that stands for the link",
);
row(
  "records",
  Array.from({ length: 1000 }, (_, i) => record(i)),
  "encode, two thirds of it",
);
