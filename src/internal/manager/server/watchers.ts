/**
 * Who watches an object hears of each change, in its order. One who falls behind by more than {@link BEHIND} changes is given
 * the whole again in place of what he has missed: nobody who changes waits for one who watches.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import * as Stream from "effect/Stream";

/** Changes that are kept for one who is slow. */
export const BEHIND = 1024;

interface Watcher<Change> {
  changes: Array<Change>;
  wake: (() => void) | undefined;
}

/** All who watch one object. */
export class Watchers<Change> {
  readonly #all = new Set<Watcher<Change>>();
  readonly #whole: () => Change;
  readonly #behind: number;

  /** `whole` is the object as it is. */
  constructor(whole: () => Change, behind: number = BEHIND) {
    this.#whole = whole;
    this.#behind = behind;
  }

  /** How many watch. */
  get size(): number {
    return this.#all.size;
  }

  /** Tells all of a change that was just made. */
  tell(change: () => Change): void {
    if (this.#all.size === 0) return;
    const one = change();
    for (const watcher of this.#all) {
      if (watcher.changes.length < this.#behind) watcher.changes.push(one);
      else watcher.changes = [this.#whole()];
      const { wake } = watcher;
      watcher.wake = undefined;
      wake?.();
    }
  }

  /** The object as it is, and then each change. */
  readonly stream: Stream.Stream<Change> = Stream.unwrapScoped(Effect.map(
    Effect.acquireRelease(
      Effect.sync((): Watcher<Change> => {
        const watcher = { changes: [this.#whole()], wake: undefined };
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
