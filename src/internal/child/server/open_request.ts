/**
 * A request in the child that runs it.
 *
 * @module
 */
import type { Channel } from "../../rpc/link.ts";
import type { Request } from "../request.ts";

/** A request that has not been answered. */
export interface OpenRequest {
  readonly channel: Channel;
  readonly request: Request;
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** When the work began; see `performance.now`. */
  since: number | undefined;
  cancelled: boolean;
  /** Stops the work, if it can be stopped. */
  onCancel: (() => void) | undefined;
  onCredit: ((count: number) => void) | undefined;
  /** Credit that was received before {@link onCredit} was set. */
  credit: number;
}

/** The state of a list of calls when the first Effect was returned. */
export interface BatchProgress {
  readonly results: Array<unknown>;
  /** The value that the handler has returned for the next item. */
  readonly next: unknown;
}
