/**
 * The entry module of a worker. The first message contains the port of the link and the name of a lock. The worker holds the
 * lock until it ends, and its host waits for the lock to learn of that end, whatever the reason.
 *
 * @module
 */
import { replaceExit } from "../os/deno_workarounds.ts";
import { locks } from "../child/locks.ts";
import { own, settleMain } from "../child/modules.ts";
import { port } from "../transport/transport.ts";
import { adopt } from "../os/worker_mappings.ts";
import { ChildServer } from "../child/server/serve.ts";
import type { LockNotice, Start } from "../child/worker_messages.ts";

const scope = globalThis as typeof globalThis & {
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
  const server = new ChildServer({
    transport,
    port: transport,
    loadKinds: () => import(own("../kinds.ts", import.meta)),
    exit: (code) => {
      // The shutdown that follows an exit of the user's code does not change the exit code.
      if (left) return;
      exitCode[0] = code;
      transport.close();
      scope.close();
    },
  });
  replaceExit((code) => {
    left = true;
    exitCode[0] = code;
    server.mute();
    transport.close();
  });
};
