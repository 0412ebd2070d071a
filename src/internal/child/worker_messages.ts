/**
 * Messages between a worker and its host, apart from their link.
 *
 * @module
 */
import type { Posted } from "../transport/transport.ts";

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
