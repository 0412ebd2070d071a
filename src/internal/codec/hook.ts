/**
 * How a class of values that the codec does not know crosses.
 *
 * @module
 */

/** Replaces the values of a class by data on one side and rebuilds them on the other. */
export interface Hook<Link = unknown> {
  /** Names the hook on the wire: both sides have one of this name. */
  readonly name: string;

  /** Whether this hook takes the value. It is asked about objects that are neither plain, nor arrays, nor exact builtins. */
  is(value: object): boolean;

  /**
   * The data that stands for the value: anything the codec encodes, hooked values included, but not the value itself again.
   *
   * `onSend` registers what is to happen when the message is handed to a link: nothing may happen before, because the message may never be sent.
   * To refuse a value, throw `new EncodeError(reason)`.
   */
  encode(value: object, onSend: (action: (link: Link) => void) => void): unknown;

  /** Rebuilds the value. The data came from another process: whatever this throws is reported as a `DecodeError`. */
  decode(data: unknown, link: Link): unknown;
}
