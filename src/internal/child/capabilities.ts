/**
 * Capabilities of the backends, apart from them so that they are known without loading a backend.
 *
 * @module
 */
import type { Capabilities } from "../../Backend.ts";

export const subprocess: Capabilities = { killBusy: true, signals: true, permissions: true, stdio: true };

/** A worker that never turns its event loop cannot be stopped by this Deno: its thread runs on. */
export const worker: Capabilities = { killBusy: false, signals: false, permissions: false, stdio: false };
