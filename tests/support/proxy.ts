/**
 * A network in between: a port of the loopback interface whose connections are passed on to another one, with a delay, or
 * held up as by a network that drops everything.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { random } from "./chance.ts";

/** A network. */
export interface Proxy {
  /** The address by which the server is reached through the network. */
  readonly url: string;
  /** Bytes do not pass any more, and neither side hears of it. */
  readonly cut: Effect.Effect<void>;
  /** Bytes pass again, those that were held up first. */
  readonly heal: Effect.Effect<void>;
}

/** How much later a part arrives that was lost and sent again, in milliseconds: the first time-out of TCP. */
const AGAIN = 200;

/**
 * Passes connections on to the server at `url`; each part takes `delay` milliseconds. The fraction `loss` of the parts is lost once:
 * they, and all that follow them, arrive later. That is what a program sees of a lost packet.
 */
export const proxy = (url: string, delay: number = 0, loss: number = 0): Effect.Effect<Proxy, never, Scope.Scope> => {
  const port = Number(new URL(url).port);
  const start = Effect.sync(() => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections = new Set<Deno.Conn>();
    const timers = new Set<ReturnType<typeof setTimeout>>();
    let open = Promise.withResolvers<void>();
    open.resolve();
    const close = (...ends: ReadonlyArray<Deno.Conn>): void => {
      for (const end of ends) if (connections.delete(end)) end.close();
    };
    const writeAll = async (to: Deno.Conn, bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
    };
    const wait = (): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          timers.delete(timer);
          resolve();
        }, delay + (random() < loss ? AGAIN : 0));
        timers.add(timer);
      });
    const pass = async (from: Deno.Conn, to: Deno.Conn): Promise<void> => {
      let writing = Promise.resolve();
      try {
        while (true) {
          const buffer = new Uint8Array(65_536);
          const count = await from.read(buffer);
          if (count === null) break;
          const due = delay === 0 ? undefined : wait();
          writing = writing.then(() => due).then(() => open.promise).then(() =>
            writeAll(to, buffer.subarray(0, count))
          );
          writing.catch(() => close(from, to));
          if (delay === 0) await writing;
        }
        await writing;
      } catch {
        // One side has closed the connection.
      }
      close(from, to);
    };
    const accepting = (async () => {
      for await (const client of listener) {
        connections.add(client);
        try {
          const server = await Deno.connect({ hostname: "127.0.0.1", port });
          connections.add(server);
          void pass(client, server);
          void pass(server, client);
        } catch {
          close(client);
        }
      }
    })();
    return {
      network: {
        url: `nats://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
        cut: Effect.sync(() => {
          open = Promise.withResolvers();
        }),
        heal: Effect.sync(() => open.resolve()),
      },
      stop: async () => {
        listener.close();
        open.resolve();
        for (const timer of timers) clearTimeout(timer);
        close(...connections);
        await accepting;
      },
    };
  });
  return Effect.map(Effect.acquireRelease(start, ({ stop }) => Effect.promise(stop)), ({ network }) => network);
};
