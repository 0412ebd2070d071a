/**
 * The encoding of messages as frames. One ordered byte stream carries many channels.
 *
 * A frame is a 9 byte header and a body, little endian:
 *
 * | bytes | field | meaning |
 * | --- | --- | --- |
 * | 0-3 | length | the length of the body, at most {@link FRAGMENT} unless it is a part of a segment |
 * | 4 | kind | a kind of message that the link defines (0-31), plus `TABLE` or `PART` |
 * | 5-8 | channel | the channel of the message |
 *
 * A message that fits is sent as one frame. A message that is too long for one frame, or has attachments, is sent as a `TABLE`
 * frame, whose body is a count (u32) and that number of sizes (f64), followed by `PART` frames that fill the segments of these
 * sizes in order: the body first, then each attachment. Attachments are sent from the memory they live in and received into a
 * buffer of their own, so user code and the wire share no copy.
 *
 * - Small frames that are sent while the transport is busy, or in the same turn, leave in one write.
 * - Long messages are sent in fragments that take turns, so that no long message delays another one, or the small ones. A transport
 *   that hands memory over takes each segment as one fragment, which the receiver uses without a copy.
 * - Messages of one channel never overtake each other.
 * - A message over the limit is refused before a byte of it is sent. A frame that breaks these rules is a {@link ProtocolError},
 *   which is raised before any memory is allocated for the frame.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";
/** The length of a frame's header in bytes. */
export const HEADER = 9;

/** The maximum length of a frame's body in bytes, unless it is a fragment of a long message. */
export const FRAGMENT = 256 * 1024;

/** The maximum length of a fragment, in bytes. It bounds the delay of a small message behind it. */
export const LARGEST_FRAGMENT = 1024 * 1024;

/** The maximum length of a fragment on a transport that takes it `whole`, in bytes. */
export const LONGEST = 0xffff_ffff;

/** Added to the kind of a frame that announces the segments of a message. */
export const TABLE = 0x40;
/** Added to the kind of a frame that carries a part of a segment. */
export const PART = 0x80;
/** The mask for the kind without these flags. */
export const KIND = 0x1f;

/** The peer has violated the protocol. The link is closed, because the bytes that follow cannot be interpreted. */
export class ProtocolError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ProtocolError";
}

/** The carrier of the bytes of a link, for example a socket or a pair of ports. */
export interface Transport {
  /**
   * Sends the chunks in order. Calls `done` when their memory may be reused and more may be sent; the bytes then outlive this
   * process. An `eager` transport calls `handed` when the bytes outlive this process. If the last chunk is `owned`, a transport that is
   * `whole` may take its buffer, which is then detached.
   */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void, owned?: boolean) => void;
  /**
   * Begins to deliver. `data` receives buffers that it may keep, unless they are `lent`. `end` is called once, with the reason if
   * there is one. A transport over a socket reads on when the Promise that `data` returns is resolved, and may read into the memory
   * that `space` gives, instead of into memory of its own.
   */
  readonly start: (
    data: (chunk: Uint8Array, lent?: boolean) => void | Promise<void>,
    end: (reason?: Error) => void,
    space?: () => Uint8Array | undefined,
  ) => void;
  /** Whether the transport collects writes itself, so that the outbox does not wait for more messages before it writes. */
  readonly eager?: boolean;
  /** Whether the transport hands chunks over as they are, so that a long one costs no more than a short one. */
  readonly whole?: boolean;
  /** Sends the writes that the transport has collected. */
  readonly flush?: () => void;
  /** Ends the transport on this side. Bytes that were passed to `write` before are still delivered. */
  readonly close: () => void;
}

/** The two ends of a link. */
export type LinkSide = "parent" | "child";
