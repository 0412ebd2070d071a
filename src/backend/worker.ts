/**
 * The entry module of a worker. The first message brings the port that carries the link and the name of a lock, which the
 * worker holds for life: whoever waits for that lock learns of its death, however it dies.
 *
 * @module
 */
import { locks } from "./locks.ts";
import { port } from "../link/transport.ts";
import { serve } from "./serve.ts";

/** The first message to a worker. */
export interface Start {
  readonly port: MessagePort;
  readonly lock: string;
  /** URLs of the modules whose tasks it may be asked to run. */
  readonly modules: ReadonlyArray<string>;
}

/** What a worker tells its host, apart from the link. */
export interface Notice {
  /** The name of the lock, which nobody else in the worker knows. */
  readonly token: string;
  /** It is about to end with this code; otherwise it has taken the lock. */
  readonly exit?: number;
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Start>) => void) | null;
  postMessage(notice: Notice): void;
  close(): void;
};

scope.onmessage = ({ data }) => {
  scope.onmessage = null;
  const token = data.lock;
  locks.request(token, () => {
    scope.postMessage({ token });
    return new Promise(() => {});
  });
  // In a worker Deno.exit ends the worker and tells nobody the code, of which a process would keep 8 bits.
  const exit = Deno.exit;
  Deno.exit = (code?: number): never => {
    scope.postMessage({ token, exit: (code ?? Deno.exitCode) & 0xff });
    return exit(code);
  };
  serve({
    transport: port(data.port),
    imports: Object.fromEntries(data.modules.map((url) => [url, () => import(url)])),
    exit: (code) => {
      scope.postMessage({ token, exit: code });
      scope.close();
    },
  });
};
