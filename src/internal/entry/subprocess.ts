/**
 * The entry module of a subprocess. Deno preloads it before the main module. It serves the link to the parent and ends the
 * process itself, so the main module never runs.
 *
 * @module
 */
import { preventUnlessHandled } from "../os/deno_workarounds.ts";
import type { OrphanGuard } from "../os/orphan.ts";
import { dieWithParent } from "../os/parent.ts";
import { ChildServer } from "../child/server/serve.ts";
import { toParent } from "../child/server/connect_back.ts";
import { own } from "../child/modules.ts";

/** Maximum time that a signal may take to end the process, in milliseconds. */
const SIGNALLED = 100;

/** Serves the parent until the process ends. */
export const serve = async (guard: OrphanGuard): Promise<never> => {
  dieWithParent(guard);
  let terminated = false;
  const terminate = (): void => {
    terminated = true;
    server.shutdown(1);
  };
  const uncaught = (event: ErrorEvent | PromiseRejectionEvent): void => {
    if (event.defaultPrevented) return;
    preventUnlessHandled(event, () => server.crash(event instanceof ErrorEvent ? event.error : event.reason));
  };
  const server = new ChildServer({
    transport: await toParent(),
    loadKinds: () => import(own("../kinds.ts", import.meta)),
    onParent: (pid) => {
      // The parent may have died before the guard was installed.
      if (Deno.ppid !== pid) Deno.exit(1);
    },
    onLoaded: () => {
      // Added after the listeners of the user's module, which may handle the error. Adding it again has no effect.
      globalThis.addEventListener("error", uncaught);
      globalThis.addEventListener("unhandledrejection", uncaught);
    },
    onEffects: () => Deno.addSignalListener("SIGTERM", terminate),
    exit: (code) => {
      if (!terminated) Deno.exit(code);
      // The finalizers have run. The exit status must be the signal.
      Deno.removeSignalListener("SIGTERM", terminate);
      Deno.kill(Deno.pid, "SIGTERM");
      // The signal does not end the process if the user's code listens to it.
      setTimeout(() => Deno.exit(code), SIGNALLED);
    },
  });
  // Ctrl-C signals all processes of the foreground group. The parent decides how its children react.
  Deno.addSignalListener("SIGINT", () => {});
  return new Promise(() => {});
};
