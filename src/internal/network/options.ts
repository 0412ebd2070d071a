/**
 * Checks of the options of listeners and clients.
 *
 * @module
 */
import * as Redacted from "effect/Redacted";
import { type Checks, must, name, optional, options, positiveOrInfinite, text, texts } from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";

/** The default limit of one message, in bytes. */
export const MAX_MESSAGE_SIZE: number = 64 * 1024 * 1024;
/** The default limit of unread bytes. */
export const MAX_BYTES: number = 8 * 1024 * 1024;

/** The key's length and the address are checked where they are used. */
const common: Checks = {
  authKey: optional(
    must(
      (value) => value === false || value instanceof Uint8Array || Redacted.isRedacted(value),
      "a Uint8Array, or false for none",
      "encode texts with TextEncoder",
    ),
  ),
  maxMessageSize: optional(positiveOrInfinite),
  maxBytes: optional(positiveOrInfinite),
};

const certificate = options({ cert: text, key: text });

/** Checks of a listener's options. */
export const listenChecks: Checks = {
  ...common,
  tls: optional(certificate),
  handshakeTimeout: optional(positiveDuration),
  maxConnections: optional(positiveOrInfinite),
  maxHandshakes: optional(positiveOrInfinite),
  backlog: optional(positiveOrInfinite),
};

const trust = options({ caCerts: optional(texts), hostname: optional(name) });

/** Checks of a client's options. */
export const connectChecks: Checks = {
  ...common,
  tls: (value) => value === undefined || typeof value === "boolean" ? undefined : trust(value),
  timeout: optional(positiveDuration),
};
