/**
 * Watchers of a managed object receive each change, in order. A watcher that falls behind by more than {@link MAX_BEHIND}
 * changes receives the whole object in place of the changes that it has missed, so that no writer waits for a watcher.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import * as Stream from "effect/Stream";

/** The number of changes that are kept for a slow watcher. */
export const MAX_BEHIND = 1024;

interface Watcher<Change> {
  changes: Array<Change>;
  wake: (() => void) | undefined;
}

/** The watchers of one object. */
export class Watchers<Change> {
  readonly #all = new Set<Watcher<Change>>();
  readonly #snapshot: () => Change;
  readonly #maxBehind: number;

  /** `snapshot` gives the whole object. */
  constructor(snapshot: () => Change, maxBehind: number = MAX_BEHIND) {
    this.#snapshot = snapshot;
    this.#maxBehind = maxBehind;
  }

  /** The number of watchers. */
  get size(): number {
    return this.#all.size;
  }

  /** Publishes a change that was just made. */
  publish(change: () => Change): void {
    if (this.#all.size === 0) return;
    const published = change();
    for (const watcher of this.#all) {
      if (watcher.changes.length < this.#maxBehind) watcher.changes.push(published);
      else watcher.changes = [this.#snapshot()];
      const { wake } = watcher;
      watcher.wake = undefined;
      wake?.();
    }
  }

  /** The whole object, followed by each change. */
  readonly stream: Stream.Stream<Change> = Stream.unwrapScoped(Effect.map(
    Effect.acquireRelease(
      Effect.sync((): Watcher<Change> => {
        const watcher = { changes: [this.#snapshot()], wake: undefined };
        this.#all.add(watcher);
        return watcher;
      }),
      (watcher) => Effect.sync(() => this.#all.delete(watcher)),
    ),
    (watcher) => Stream.repeatEffectChunkOption(this.#next(watcher)),
  ));

  #next(watcher: Watcher<Change>): Effect.Effect<Chunk.Chunk<Change>, Option.Option<never>> {
    const take = Effect.sync(() => {
      const { changes } = watcher;
      watcher.changes = [];
      return Chunk.unsafeFromArray(changes);
    });
    const wait = Effect.async<void>((resume) => {
      if (watcher.changes.length > 0) return resume(Effect.void);
      watcher.wake = () => resume(Effect.void);
      return Effect.sync(() => watcher.wake = undefined);
    });
    return Effect.zipRight(wait, take);
  }
}
