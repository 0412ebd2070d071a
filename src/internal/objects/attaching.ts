/**
 * Objects that this process has taken over, and whose hosts have not confirmed that yet. Free of Effect.
 *
 * @module
 */

const pending = new Set<object>();

const waiting = new Set<{ readonly objects: Set<object>; readonly done: () => void }>();

/** An object was taken over. */
export const beginAttach = (object: object): void => void pending.add(object);

/** The host of the object has confirmed, or is gone. */
export const endAttach = (object: object): void => {
  if (!pending.delete(object)) return;
  for (const waiter of waiting) {
    if (!waiter.objects.delete(object) || waiter.objects.size > 0) continue;
    waiting.delete(waiter);
    waiter.done();
  }
};

/**
 * Runs `done` once the host of every object that was taken over so far has confirmed. The place that retains moving objects may be
 * told that they were received only then: otherwise it could end an object before its new owner is known.
 */
export const whenAttached = (done: () => void): void => {
  if (pending.size === 0) done();
  else waiting.add({ objects: new Set(pending), done });
};
