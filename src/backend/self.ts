/**
 * What this process knows of itself. Free of Effect.
 *
 * @module
 */

/** Who this process is. */
export interface Self {
  /** Its label: `MainProcess`, or the name it was started with. */
  readonly name: string;
  /** The process that started it; `undefined` in the main process. */
  readonly parent: { readonly pid: number; readonly name: string } | undefined;
  /** The backend that it runs on: `"main"`, `"subprocess"`, `"worker"`. */
  readonly backend: string;
}

const key = Symbol.for("~multiprocessing/self");
const shared = globalThis as { [key]?: Self };

/** Called once, by the entry module of a child. */
export const describeSelf = (self: Self): void => {
  shared[key] = { name: self.name, parent: self.parent, backend: self.backend };
};

/** The description of this process. */
export const self = (): Self => shared[key] ?? { name: "MainProcess", parent: undefined, backend: "main" };
