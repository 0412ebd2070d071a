/**
 * The entry module of a worker. The first message brings the port of the link and the name of a lock, which the worker holds
 * for life: its host waits for that lock to learn of the worker's end, whatever the reason.
 *
 * @module
 */
import { locks } from "./locks.ts";
import { settleMain } from "./modules.ts";
import { port, type Posted } from "../transport/transport.ts";
import { adopt } from "../os/worker_mappings.ts";
import { Server } from "./serve.ts";

/** The first message to a worker. */
export interface Start {
  readonly port: MessagePort;
  /** Counts of the messages that each side has posted. */
  readonly posted: Posted;
  readonly lock: string;
  /** Shared memory for its exit code, which is read when its lock is released. */
  readonly exitCode: Uint8Array;
  /** Table of its mapped memory, which its host frees when it has ended. */
  readonly mappings: SharedArrayBuffer;
  /** The main module of the program, by which Deno has found the configuration. */
  readonly main: string;
}

/** Tells the host that the worker holds its lock. No other code in the worker knows the name of the lock. */
export interface LockNotice {
  readonly token: string;
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Start>) => void) | null;
  postMessage(notice: LockNotice): void;
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
  const server = new Server({
    transport,
    port: transport,
    exit: (code) => {
      // The shutdown that follows an exit of the user's code does not change the exit code.
      if (left) return;
      exitCode[0] = code;
      transport.close();
      scope.close();
    },
  });
  // In a worker, Deno.exit returns, ends the worker in its next turn, and does not report the code.
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
