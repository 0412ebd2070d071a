/**
 * Behaviour of Deno (2.9.6) and of its Node layer that the library works around. `tests/internal/deno_workarounds_test.ts` has a
 * test of each behaviour, which fails when Deno changes it. Free of Effect.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";

/**
 * Sends a signal to a process of `node:child_process`.
 *
 * In Deno 2.9, `kill` sends only the first signal, and reports it as the one that has ended the process. The fields `killed` and
 * `signalCode` hold both, and are reset here.
 */
export const signalTo = (process: ChildProcess, name: Deno.Signal): boolean => {
  const state = process as { killed: boolean; signalCode: string | null };
  state.killed = false;
  const sent = process.kill(name as NodeJS.Signals);
  state.signalCode = null;
  return sent;
};

/** The methods of a Node stream by which it writes to the system. */
export interface Writing {
  _write?(...args: ReadonlyArray<unknown>): unknown;
  _writev?(...args: ReadonlyArray<unknown>): unknown;
}

/**
 * Keeps a Node socket readable after a write has failed. A failed write means that the peer has ended or reads no more; what the
 * peer has sent before is still to be read. The socket would destroy itself and lose it, so it never learns of the failure:
 * the write gets no answer, and `failed` is called.
 */
export const keepReadable = (socket: Writing, failed: (error: Error) => void): void => {
  for (const method of ["_write", "_writev"] as const) {
    const write = socket[method];
    if (write === undefined) continue;
    socket[method] = (...args) => {
      const done = args.at(-1) as (error?: Error | null) => void;
      const answer = (error?: Error | null): void => error === undefined || error === null ? done() : failed(error);
      return write.call(socket, ...args.slice(0, -1), answer);
    };
  }
};

/**
 * Replaces `Deno.exit` in a worker; `leaving` is called with the exit code. In a worker of Deno 2.9, `Deno.exit` ends the
 * worker without an event at its host, which learns neither of the end nor of the code; it may return before.
 */
export const replaceExit = (leaving: (code: number) => void): void => {
  const exit = Deno.exit as (code?: number) => void;
  Deno.exit = (code?: number): never => {
    leaving(code ?? Deno.exitCode);
    exit(code);
    throw new Error("Deno.exit has ended this worker");
  };
};

/**
 * Prevents the default of an event, and calls `unhandled` if no later listener prevents it as well. An event cannot tell two
 * calls of `preventDefault` apart, so the method is replaced on the event.
 */
export const preventUnlessHandled = (event: Event, unhandled: () => void): void => {
  event.preventDefault();
  let handled = false;
  Object.defineProperty(event, "preventDefault", { value: () => void (handled = true) });
  queueMicrotask(() => {
    if (!handled) unhandled();
  });
};

// Deno reports these failures as errors of no class of their own: only the message tells them.

/** Whether a dynamic import has failed because the module may not be read. */
export const isUnreadableModule = (message: string): boolean => /^Requires (read|import) access/.test(message);

/** Whether a dynamic import has failed because there is no such module. */
export const isMissingModule = (message: string): boolean => /^Module not found|^Import .* failed/.test(message);

/** Whether an operation has failed for want of a permission. `node:child_process` throws it as a plain Error. */
export const isPermissionMessage = (message: string): boolean => /Requires .* access/.test(message);

/** Whether the name of a host cannot be resolved. */
export const isUnknownHost = (message: string): boolean => message.includes("lookup address");
