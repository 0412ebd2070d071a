/**
 * Shared buffers, known by name to all isolates of one process: the main thread and its workers.
 *
 * Isolates learn of a buffer through the ports between them. Each isolate announces a buffer to its neighbours before any
 * message that names the buffer, and forwards the announcements that it receives. On every path, the buffer therefore
 * arrives before its name. This module does not import Effect.
 *
 * @module
 */

/** The announcement of a buffer, or of its end. */
export interface Announcement {
  readonly buffer: string;
  readonly memory: SharedArrayBuffer | undefined;
}

type Tell = (announcement: Announcement) => void;

interface State {
  readonly buffers: Map<string, { readonly memory: SharedArrayBuffer; readonly from: Tell | undefined }>;
  readonly neighbours: Set<Tell>;
  readonly listeners: Set<(buffer: string) => void>;
}

// One state for the isolate, even if this module is loaded twice.
const key = Symbol.for("~multiprocessing/registry");
const shared = globalThis as { [key]?: State };
const state: State = shared[key] ??= { buffers: new Map(), neighbours: new Set(), listeners: new Set() };

const learn = (announcement: Announcement, from: Tell | undefined): void => {
  const { buffer, memory } = announcement;
  // An announcement can arrive on several paths, also that of a buffer of this isolate. The end of one path ends only the buffers that
  // were learned by it, so the first path counts. A name is never used again.
  if (memory !== undefined) {
    if (state.buffers.has(buffer)) return;
    state.buffers.set(buffer, { memory, from });
  } else {
    if (!state.buffers.delete(buffer)) return;
    for (const listener of state.listeners) listener(buffer);
  }
  for (const tell of state.neighbours) if (tell !== from) tell(announcement);
};

/** Announces a buffer to all isolates. */
export const publish = (buffer: string, memory: SharedArrayBuffer): void => learn({ buffer, memory }, undefined);

/** Withdraws a buffer. Isolates that use it keep it. */
export const withdraw = (buffer: string): void => learn({ buffer, memory: undefined }, undefined);

/** Finds a buffer by name. */
export const find = (buffer: string): SharedArrayBuffer | undefined => state.buffers.get(buffer)?.memory;

/** Registers a listener for withdrawn buffers. */
export const onWithdrawn = (listener: (buffer: string) => void): void => void state.listeners.add(listener);

/** Whether a message of a port is an announcement. */
export const isAnnouncement = (message: unknown): message is Announcement =>
  typeof message === "object" && message !== null && "buffer" in message && "memory" in message;

/** A neighbouring isolate. */
export interface Neighbour {
  /** Handles an announcement of the neighbour. */
  readonly receive: (announcement: Announcement) => void;
  /** Withdraws the selected buffers among those that the neighbour has announced. Later announcements are not affected. */
  readonly withdraw: (which: (buffer: string) => boolean) => void;
  /** Ends the connection to the neighbour. */
  readonly leave: () => void;
}

/**
 * Adds a neighbour, to which all known and all later buffers are announced. When a `child` leaves, the isolates behind it
 * have ended as well, and their buffers are withdrawn. An isolate that loses its parent ends soon, so it withdraws nothing.
 */
export const join = (tell: Tell, child: boolean): Neighbour => {
  state.neighbours.add(tell);
  for (const [buffer, { memory }] of state.buffers) tell({ buffer, memory });
  const forget = (which: (buffer: string) => boolean): void => {
    for (const [buffer, { from }] of state.buffers) if (from === tell && which(buffer)) withdraw(buffer);
  };
  return {
    receive: (announcement) => learn(announcement, tell),
    withdraw: forget,
    leave: () => {
      if (state.neighbours.delete(tell) && child) forget(() => true);
    },
  };
};
