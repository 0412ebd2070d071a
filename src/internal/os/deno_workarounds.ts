/**
 * Workarounds for behaviours of Deno 2.9.6 and of its Node layer. `tests/internal/deno_workarounds_test.ts` has a test of
 * each behaviour, which fails when Deno changes it. This module does not import Effect.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";

/**
 * Sends a signal to a process of `node:child_process`.
 *
 * In Deno 2.9, `kill` sends only the first signal, and reports that signal as the cause of the end of the process. The fields
 * `killed` and `signalCode` cause these two behaviours, so this function resets them.
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
 * Keeps a Node socket readable after a write has failed. A write fails if the peer has ended or no longer reads, but data
 * that the peer has sent may still be unread. The socket would destroy itself and lose that data, so the failure is hidden
 * from it: the callback of the write is never called, and `failed` is called instead.
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
 * Replaces `Deno.exit` in a worker, so that it first calls `leaving` with the exit code. In Deno 2.9, `Deno.exit` ends a
 * worker without an event at its host, which learns neither of the end nor of the code. `Deno.exit` may also return before
 * the worker ends.
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
 * Prevents the default of an event, and calls `unhandled` if no later listener also prevents it. An event does not show
 * whether `preventDefault` was called a second time, so this function replaces that method of the event.
 */
export const preventUnlessHandled = (event: Event, unhandled: () => void): void => {
  event.preventDefault();
  let handled = false;
  Object.defineProperty(event, "preventDefault", { value: () => void (handled = true) });
  queueMicrotask(() => {
    if (!handled) unhandled();
  });
};

/**
 * Calls `run` after a number of milliseconds. Returns a function that prevents it. The first `setTimeout` of a process makes Deno 2.9
 * load the timers of its Node layer, which takes 9 ms.
 */
export const afterWithoutNode = (millis: number, run: () => void): () => void => {
  const signal = AbortSignal.timeout(millis);
  signal.addEventListener("abort", run);
  return () => signal.removeEventListener("abort", run);
};

/** A value that a piece of code has in common with everything that begins there. The methods are those of Node's `AsyncLocalStorage`. */
export interface ContextVariable {
  run<A>(value: unknown, code: () => A): A;
  getStore(): unknown;
}

/** The part of Deno on which its `AsyncLocalStorage` is built. */
interface Core {
  readonly AsyncVariable?: new () => { enter(value: unknown): unknown; get(): unknown };
  readonly setAsyncContext?: (context: unknown) => void;
}

/**
 * An `AsyncLocalStorage` without Node: the first use of any module of Node takes Deno 10 ms and more. The result is `undefined` if this
 * Deno does not have the same parts.
 */
export const contextVariable = (): ContextVariable | undefined => {
  const { internal } = Deno as unknown as { readonly internal?: symbol };
  if (typeof internal !== "symbol") return undefined;
  const { core } = (Deno as unknown as Record<symbol, { readonly core?: Core } | undefined>)[internal] ?? {};
  const { AsyncVariable, setAsyncContext } = core ?? {};
  if (typeof AsyncVariable !== "function" || typeof setAsyncContext !== "function") return undefined;
  const variable = new AsyncVariable();
  return {
    run: (value, code) => {
      const before = variable.enter(value);
      try {
        return code();
      } finally {
        setAsyncContext(before);
      }
    },
    getStore: () => variable.get(),
  };
};

// Deno has no error class for each of these failures, so only the message identifies them.

/** Whether a dynamic import has failed because the module may not be read. */
export const isUnreadableModule = (message: string): boolean => /^Requires (read|import) access/.test(message);

/** Whether a dynamic import has failed because the module does not exist. */
export const isMissingModule = (message: string): boolean => /^Module not found|^Import .* failed/.test(message);

/** Whether an operation has failed because a permission is missing. `node:child_process` throws a plain Error then. */
export const isPermissionMessage = (message: string): boolean => /Requires .* access/.test(message);

/** Whether the name of a host cannot be resolved. */
export const isUnknownHost = (message: string): boolean => message.includes("lookup address");
