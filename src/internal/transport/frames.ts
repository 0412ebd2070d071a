/**
 * Messages to frames and back: one ordered byte stream carries many channels.
 *
 * A frame is a 9 byte header and a body, little endian:
 *
 * | bytes | field | meaning |
 * | --- | --- | --- |
 * | 0-3 | length | of the body, at most {@link FRAGMENT} |
 * | 4 | kind | what the link makes of it (0-31), plus `TABLE` or `PART` |
 * | 5-8 | channel | which conversation it belongs to |
 *
 * A message that fits goes as one frame. Any other message (long, or with attachments) goes as a `TABLE` frame, whose
 * body is a count (u32) and so many sizes (f64), followed by `PART` frames that fill those segments in order: the body
 * first, then each attachment. Attachments are sent from the memory they live in and received into a buffer of their
 * own, so user code and the wire share no copy.
 *
 * - Small frames that are sent while the transport is busy, or in the same turn, leave in one write.
 * - Long messages leave in fragments, in turn, so that none stalls another or the small ones.
 * - Messages of one channel never overtake each other.
 * - A message over the limit is refused before a byte of it is sent; a frame that breaks these rules is a
 *   {@link ProtocolError}, found before anything is allocated for it.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";
/** Bytes of a frame's header. */
export const HEADER = 9;

/** The longest body of one frame, in bytes: what a small message waits for at most. */
export const FRAGMENT = 256 * 1024;

/** Added to the kind of a frame that announces the segments of a message. */
export const TABLE = 0x40;
/** Added to the kind of a frame that carries a piece of one. */
export const PART = 0x80;
/** What remains is the kind. */
export const KIND = 0x1f;

/** The peer sent bytes that are no frames. The link is closed, since what follows cannot be understood. */
export class ProtocolError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ProtocolError";
}

/** What carries the bytes: a socket, a pair of ports. */
export interface Transport {
  /**
   * Sends the chunks in order and calls `done` when they may be written to again and more may be sent: they outlive this process
   * then. One that is `eager` says that with `handed`.
   */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void) => void;
  /** Begins to deliver: `data` gets buffers that it may keep, unless they are `lent`; `end` is called once, with the reason if there is one. */
  readonly start: (
    data: (chunk: Uint8Array, lent?: boolean) => void,
    end: (reason?: Error) => void,
  ) => void;
  /** Whether what is written is collected with other things, so that it is not to be collected before. */
  readonly eager?: boolean;
  /** Hands over what is collected there. */
  readonly flush?: () => void;
  /** Ends the transport on this side; bytes that were given to `write` before are still delivered. */
  readonly close: () => void;
}

/** The two ends of a link. */
export type Side = "parent" | "child";
