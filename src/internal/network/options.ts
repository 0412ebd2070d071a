/**
 * Options that both sides of a connection have, and what they can be.
 *
 * @module
 */
import * as Redacted from "effect/Redacted";
import { type Checks, must, name, optional, options, positiveOrInfinite, text, texts } from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";

export const MAX_MESSAGE_SIZE: number = 64 * 1024 * 1024;
export const MAX_BYTES: number = 8 * 1024 * 1024;

/** What is known of a key; the address is checked where it is used, which says more. */
const common: Checks = {
  authKey: optional(
    must(
      (value) => value === false || value instanceof Uint8Array || Redacted.isRedacted(value),
      "a Uint8Array, or false to do without",
      "encode texts with TextEncoder",
    ),
  ),
  maxMessageSize: optional(positiveOrInfinite),
  maxBytes: optional(positiveOrInfinite),
};

const certificate = options({ cert: text, key: text });

/** Of what listens. */
export const listenChecks: Checks = {
  ...common,
  tls: optional(certificate),
  handshakeTimeout: optional(positiveDuration),
  maxConnections: optional(positiveOrInfinite),
  maxHandshakes: optional(positiveOrInfinite),
  backlog: optional(positiveOrInfinite),
};

const trust = options({ caCerts: optional(texts), hostname: optional(name) });

/** Of what connects. */
export const connectChecks: Checks = {
  ...common,
  tls: (value) => value === undefined || typeof value === "boolean" ? undefined : trust(value),
  timeout: optional(positiveDuration),
};
