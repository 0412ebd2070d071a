/**
 * A transport whose carrier is not chosen yet: writes wait for the choice. Free of Effect.
 *
 * @module
 */
import type { WatchedTransport } from "../transport/transport.ts";

/** A transport that delegates to another one, once that is chosen. */
export class Undecided implements WatchedTransport {
  #chosen: WatchedTransport | undefined;
  #written: Parameters<WatchedTransport["write"]> | undefined;
  #started: Parameters<WatchedTransport["start"]> | undefined;
  #closing = false;
  #ended = false;
  #watchers: Array<() => void> = [];

  get eager(): boolean {
    return this.#chosen?.eager === true;
  }

  get whole(): boolean {
    return this.#chosen?.whole === true;
  }

  /** Whether a transport can still be chosen. */
  get open(): boolean {
    return this.#chosen === undefined && !this.#ended;
  }

  /** Delegates to `transport` from now on. If the choice is no longer open, ends `transport`. */
  choose(transport: WatchedTransport): void {
    if (!this.open) return transport.lost();
    this.#chosen = transport;
    if (this.#started !== undefined) transport.start(...this.#started);
    if (this.#written !== undefined) transport.write(...this.#written);
    if (this.#closing) transport.close();
    for (const done of this.#watchers) transport.drained(done);
  }

  readonly write = (...written: Parameters<WatchedTransport["write"]>): void => {
    if (this.#chosen === undefined) this.#written = written;
    else this.#chosen.write(...written);
  };

  readonly start = (...started: Parameters<WatchedTransport["start"]>): void => {
    if (this.#chosen === undefined) this.#started = started;
    else this.#chosen.start(...started);
  };

  readonly flush = (): void => this.#chosen?.flush?.();

  readonly close = (): void => {
    if (this.#chosen !== undefined) return this.#chosen.close();
    this.#closing = true;
    if (this.#written === undefined) this.lost();
  };

  readonly lost = (reason?: Error): void => {
    if (this.#chosen !== undefined) return this.#chosen.lost(reason);
    if (this.#ended) return;
    this.#ended = true;
    this.#started?.[1](reason);
    for (const done of this.#watchers) done();
  };

  readonly drained = (done: () => void): void => {
    if (this.#chosen !== undefined) this.#chosen.drained(done);
    else if (this.#ended) done();
    else this.#watchers.push(done);
  };
}
