/**
 * The elements of an object as they were when it was asked, a message at a time.
 *
 * @module
 */
import * as Stream from "effect/Stream";

/** Elements of a snapshot, which is taken when the stream is run. */
export const elements = <A>(snapshot: () => ReadonlyArray<A>): Stream.Stream<A> =>
  Stream.suspend(() => Stream.fromIterable(snapshot()));
