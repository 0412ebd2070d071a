/**
 * Objects that this process has received and whose host does not know it yet.
 *
 * @module
 */

const pending = new Set<object>();
const waiting = new Set<{ readonly objects: Set<object>; readonly done: () => void }>();

/** Notes that an object was received here, until {@link hasAttached}. */
export const attaching = (object: object): void => void pending.add(object);

/**
 * Runs `done` once the host of every object received here so far knows of it. Until then the process that keeps the message in
 * which an object moved must not hear that the message was received: it gives the object back if this process dies.
 */
export const attached = (done: () => void): void => {
  if (pending.size === 0) done();
  else waiting.add({ objects: new Set(pending), done });
};

/** Notes that the host of an object knows of this process. */
export const hasAttached = (object: object): void => {
  if (!pending.delete(object)) return;
  for (const entry of waiting) {
    if (!entry.objects.delete(object) || entry.objects.size > 0) continue;
    waiting.delete(entry);
    entry.done();
  }
};
