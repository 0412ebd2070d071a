/**
 * The ways by which bytes come into this process through shared memory, and in which order they are looked at.
 *
 * Bytes of two ways have no order of their own. Where processes that are no neighbours share memory, what somebody has written
 * may be there before the news of it, which goes another way: so before anything that has come is handled, all is handled that
 * was there before. Free of Effect.
 *
 * @module
 */

/** A way into this process. */
export interface Way {
  /** Whether it comes from a process that is neither parent nor child. */
  readonly direct: boolean;
  /** Handles what has come. */
  readonly pull: () => void;
}

interface State {
  readonly ways: Set<Way>;
  direct: number;
  looking: boolean;
}

// One for the process, though this module may have been loaded twice.
const key = Symbol.for("~multiprocessing/ways");
const shared = globalThis as { [key]?: State };
const state: State = shared[key] ??= { ways: new Set(), direct: 0, looking: false };

/** Something may come by it from now on. Returns what takes it back. */
export const enter = (way: Way): () => void => {
  state.ways.add(way);
  if (way.direct) state.direct++;
  return () => {
    if (state.ways.delete(way) && way.direct) state.direct--;
  };
};

/** Handles what has come by other ways than this. Where all come from neighbours, their order is right as it is. */
export const lookAround = (from?: Way): void => {
  if (state.direct === 0 || state.looking) return;
  state.looking = true;
  try {
    for (const way of [...state.ways]) if (way !== from) way.pull();
  } finally {
    state.looking = false;
  }
};

/** How many processes that are no neighbours share memory with this one for it. */
export const directWays = (): number => state.direct;
