/**
 * A worker without the library: adds to the buffer that it receives, and reports its content when it is asked again.
 */
const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<SharedArrayBuffer | string>) => void) | null;
  postMessage(message: number): void;
};

let words: Int32Array = new Int32Array();

scope.onmessage = ({ data }) => {
  if (typeof data !== "string") {
    words = new Int32Array(data);
    for (let i = 0; i < 10_000; i++) Atomics.add(words, 1, 1);
  }
  scope.postMessage(Atomics.load(words, 1));
};
