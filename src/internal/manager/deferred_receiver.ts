/**
 * The receiver of a call that cannot be opened yet. Messages that arrive in the meantime are delivered, in order, once the call
 * is opened.
 *
 * @module
 */
import type { Receiver } from "../rpc/link.ts";
import type { Incoming } from "../codec/message.ts";

/** A receiver whose call is opened later. */
export class DeferredReceiver implements Receiver {
  #receiver: Receiver | undefined;
  readonly #undelivered: Array<(receiver: Receiver) => void> = [];

  /** Passes everything that has arrived, and everything that follows, to `receiver`. */
  open(receiver: Receiver): void {
    this.#receiver = receiver;
    for (const deliver of this.#undelivered.splice(0)) deliver(receiver);
  }

  readonly data = (message: Incoming): void => this.#deliver((receiver) => receiver.data?.(message));
  readonly credit = (count: number): void => this.#deliver((receiver) => receiver.credit?.(count));
  readonly cancel = (): void => this.#deliver((receiver) => receiver.cancel?.());
  readonly closed: Receiver["closed"] = (reason) => this.#deliver((receiver) => receiver.closed(reason));

  #deliver(deliver: (receiver: Receiver) => void): void {
    if (this.#receiver === undefined) this.#undelivered.push(deliver);
    else deliver(this.#receiver);
  }
}
