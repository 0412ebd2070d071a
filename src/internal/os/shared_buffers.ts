/**
 * Shared buffers, known by a name to all isolates of one operating system process: its main thread and its workers, which
 * can only be told of a buffer through the ports between them.
 *
 * Each isolate tells its neighbours of a buffer before any message that speaks of it, and passes on what it is told, so that on
 * every way through the family the buffer comes before its name. Free of Effect.
 *
 * @module
 */

/** What one isolate tells the other: there is this buffer, or it is no more. */
export interface Announcement {
  readonly buffer: string;
  readonly memory: SharedArrayBuffer | undefined;
}

type Tell = (announcement: Announcement) => void;

interface State {
  readonly buffers: Map<string, { readonly memory: SharedArrayBuffer; readonly from: Tell | undefined }>;
  readonly neighbours: Set<Tell>;
  readonly mourners: Set<(buffer: string) => void>;
}

// One for the isolate, though this module may have been loaded twice.
const key = Symbol.for("~multiprocessing/registry");
const shared = globalThis as { [key]?: State };
const state: State = shared[key] ??= { buffers: new Map(), neighbours: new Set(), mourners: new Set() };

const learn = (announcement: Announcement, from: Tell | undefined): void => {
  const { buffer, memory } = announcement;
  if (state.buffers.get(buffer)?.memory === memory) return;
  if (memory !== undefined) state.buffers.set(buffer, { memory, from });
  else if (state.buffers.delete(buffer)) { for (const mourn of state.mourners) mourn(buffer); }
  for (const tell of state.neighbours) if (tell !== from) tell(announcement);
};

/** Makes a buffer known to the family. */
export const publish = (buffer: string, memory: SharedArrayBuffer): void => learn({ buffer, memory }, undefined);

/** Takes it back. Who has it keeps it. */
export const withdraw = (buffer: string): void => learn({ buffer, memory: undefined }, undefined);

/** The buffer of that name. */
export const find = (buffer: string): SharedArrayBuffer | undefined => state.buffers.get(buffer)?.memory;

/** Tells, from now on, which buffers are no more. */
export const onWithdrawn = (mourn: (buffer: string) => void): void => void state.mourners.add(mourn);

/** Whether something that came through a port is announcement. */
export const isAnnouncement = (message: unknown): message is Announcement =>
  typeof message === "object" && message !== null && "buffer" in message && "memory" in message;

/** An isolate next to this one. */
export interface Neighbour {
  /** It has announcement. */
  readonly hear: (announcement: Announcement) => void;
  /** Of what came from there, these are no more: what is still on its way may be others. */
  readonly withdraw: (which: (buffer: string) => boolean) => void;
  /** The way there has ended. */
  readonly leave: () => void;
}

/**
 * Adds a neighbour, which is told all that is known, and from now on all that comes. With a `child` those behind it end as well:
 * what came from there is no more. Who loses its parent is about to end itself.
 */
export const join = (tell: Tell, child: boolean): Neighbour => {
  state.neighbours.add(tell);
  for (const [buffer, { memory }] of state.buffers) tell({ buffer, memory });
  const forget = (which: (buffer: string) => boolean): void => {
    for (const [buffer, { from }] of state.buffers) if (from === tell && which(buffer)) withdraw(buffer);
  };
  return {
    hear: (announcement) => learn(announcement, tell),
    withdraw: forget,
    leave: () => {
      if (state.neighbours.delete(tell) && child) forget(() => true);
    },
  };
};
