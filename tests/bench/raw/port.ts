/**
 * Two threads and one bare `MessagePort`. One side posts messages, the other answers the last of them. Prints such
 * turns per second.
 *
 *     deno run -A port.ts MESSAGES number|list|BYTES     a list is one of 1024 numbers
 */
import { rate } from "./rate.ts";

/** The name of the other thread, which runs this module too. */
const OTHER = "other";

const main = (): Promise<void> => {
  const [messages, kind] = [Number(Deno.args[0]), Deno.args[1]];
  const value = kind === "number"
    ? 1
    : kind === "list"
    ? Array.from({ length: 1024 }, () => 1)
    : new Uint8Array(Number(kind));
  const worker = new Worker(import.meta.url, { type: "module", name: OTHER });
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(messages, [port2]);
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      port1.onmessage = () => resolve();
      for (let left = messages; left > 0; left--) port1.postMessage(value);
    });
  return rate(turn).then(console.log);
};

if (self.name !== OTHER) {
  await main();
  Deno.exit();
} else {
  const scope = self as unknown as { onmessage: (event: MessageEvent<number>) => void };
  scope.onmessage = ({ data: messages, ports: [port] }) => {
    let left = messages;
    port.onmessage = () => {
      if (--left > 0) return;
      left = messages;
      port.postMessage(1);
    };
  };
}
