/**
 * The entry module of a subprocess: preloaded before the user's module, serves the link to its parent, and ends the
 * process itself, so that the user's module is never run as the main one.
 *
 * @module
 */
import type { Guard } from "../os/orphan.ts";
import { dieWithParent } from "../os/parent.ts";
import { Server } from "./serve.ts";
import { toParent } from "./connect_back.ts";

/** By when a signal has ended the process if it does, in milliseconds. */
const SIGNALLED = 100;

/** Serves the parent for the rest of this process's life. */
export const serve = async (guard: Guard): Promise<never> => {
  dieWithParent(guard);
  let terminated = false;
  const terminate = (): void => {
    terminated = true;
    server.shutdown(1);
  };
  const uncaught = (event: ErrorEvent | PromiseRejectionEvent): void => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    // Those who listen after this may still deal with it: they say so as they would say it to Deno.
    let handled = false;
    Object.defineProperty(event, "preventDefault", { value: () => void (handled = true) });
    queueMicrotask(() => {
      if (!handled) server.crash(event instanceof ErrorEvent ? event.error : event.reason);
    });
  };
  const server = new Server({
    transport: await toParent(),
    onParent: (pid) => {
      // It may have died before the guard was up.
      if (Deno.ppid !== pid) Deno.exit(1);
    },
    onLoaded: () => {
      // The same listener is added once, behind those of the user's module, which may have dealt with the error.
      globalThis.addEventListener("error", uncaught);
      globalThis.addEventListener("unhandledrejection", uncaught);
    },
    onEffects: () => Deno.addSignalListener("SIGTERM", terminate),
    exit: (code) => {
      if (!terminated) Deno.exit(code);
      // Finalizers have run; the parent is to see the signal that ended this process.
      Deno.removeSignalListener("SIGTERM", terminate);
      Deno.kill(Deno.pid, "SIGTERM");
      // Still here after that: the user's code listens to the signal as well.
      setTimeout(() => Deno.exit(code), SIGNALLED);
    },
  });
  // Ctrl-C reaches the whole foreground group: the parent decides what it means for its children.
  Deno.addSignalListener("SIGINT", () => {});
  return new Promise(() => {});
};
