/**
 * The entry module of a worker. The first message brings the port that carries the link and the name of a lock, which the
 * worker holds for life: whoever waits for that lock learns of its death, however it dies.
 *
 * @module
 */
import { locks } from "./locks.ts";
import { settleMain } from "./modules.ts";
import { port, type Posted } from "../transport/transport.ts";
import { adopt } from "../os/worker_mappings.ts";
import { serve } from "./serve.ts";

/** The first message to a worker. */
export interface Start {
  readonly port: MessagePort;
  /** How much was posted by the port, on each side. */
  readonly posted: Posted;
  readonly lock: string;
  /** Shared memory for its exit code, which has to be there when its lock is released. */
  readonly exitCode: Uint8Array;
  /** Where it notes what has to be freed when it has ended. */
  readonly mappings: SharedArrayBuffer;
  /** The module by which Deno has found the configuration of the program. */
  readonly main: string;
}

/** What a worker tells its host, apart from the link: that it holds the lock, by the name that nobody else in it knows. */
export interface Notice {
  readonly token: string;
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Start>) => void) | null;
  postMessage(notice: Notice): void;
  close(): void;
};

scope.onmessage = ({ data: { exitCode, mappings, lock, main, port: channel, posted } }) => {
  scope.onmessage = null;
  adopt(mappings);
  settleMain(main);
  locks.request(lock, () => {
    scope.postMessage({ token: lock });
    return new Promise(() => {});
  });
  let left = false;
  const transport = port(channel, "child", posted);
  const server = serve({
    transport,
    port: transport,
    exit: (code) => {
      // What the library makes of an exit of the user's does not change its code.
      if (left) return;
      exitCode[0] = code;
      transport.close();
      scope.close();
    },
  });
  // In a worker Deno.exit returns, ends the worker in its next turn, and tells nobody the code.
  const exit = Deno.exit as (code?: number) => void;
  Deno.exit = (code?: number): never => {
    left = true;
    exitCode[0] = code ?? Deno.exitCode;
    server.mute();
    transport.close();
    exit(code);
    throw new Error("Deno.exit has ended this worker");
  };
};
