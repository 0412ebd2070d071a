/**
 * Support for classes of values that the codec does not know.
 *
 * @module
 */

/** A pair of functions: the sender replaces each value of a class by data, and the receiver rebuilds it. */
export interface Hook<Link = unknown> {
  /** The name of the hook in messages. Both sides must have a hook of this name. */
  readonly name: string;

  /** Whether this hook encodes the value. Called only for objects that are neither plain, nor arrays, nor exact builtins. */
  is(value: object): boolean;

  /**
   * Returns the data that stands for the value: anything that the codec encodes, including other hooked values, but not the
   * value itself.
   *
   * `onSend` registers an action that runs when the message is handed to a link. No side effect may happen before, because
   * the message may never be sent.
   * To refuse a value, throw `new EncodeError(reason)`.
   */
  encode(value: object, onSend: (action: (link: Link) => void) => void): unknown;

  /** Rebuilds the value. The data came from another process, so any exception is reported as a `DecodeError`. */
  decode(data: unknown, link: Link): unknown;
}
