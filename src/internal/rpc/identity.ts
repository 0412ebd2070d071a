/**
 * What this process knows of itself. Free of Effect.
 *
 * @module
 */

/** Who this process is. */
export interface Self {
  /** Its label: `MainProcess`, or the name it was started with. */
  readonly name: string;
  /** Whether it is a daemon: ended, not joined, when its scope closes. */
  readonly daemon: boolean;
  /** The process that started it; `undefined` in the main process. */
  readonly parent: { readonly pid: number; readonly name: string } | undefined;
  /** The backend that it runs on: `"main"`, `"subprocess"`, `"worker"`. */
  readonly backend: string;
}

/**
 * What a parent tells its child over their link, first of all and again when it puts it to another use. Nothing of it is on
 * the command line, where anybody could read it.
 */
export interface Introduction extends Self {
  readonly parent: { readonly pid: number; readonly name: string };
  /** Where it stands in the family; see `router.ts`. */
  readonly address: string;
  /** The secret of this family of processes. */
  readonly authKey: Uint8Array;
  /** Of both directions, in bytes. */
  readonly maxMessageSize: number;
  /** Options of the backend that hold for the children of this child as well. */
  readonly nested?: Nested;
  /** URLs of modules to load now, to be quick later, and to answer with a {@link Readiness}. */
  readonly preload?: ReadonlyArray<string>;
}

/** Options that a backend passes on to the backends of its children; others reach them through the system, or not at all. */
export interface Nested {
  readonly v8Flags?: ReadonlyArray<string>;
  readonly denoFlags?: ReadonlyArray<string>;
  readonly maxMessageSize?: number;
  /** What a child reports of the Effects that it runs. */
  readonly observe?: Observe;
}

/** Kinds of telemetry. */
export interface Observe {
  readonly logs: boolean;
  readonly spans: boolean;
  readonly metrics: boolean;
}

/** The first introduction is whole; a later one says only what has changed. */
export type Notice = Partial<Introduction>;

/** What a child says to its parent, apart from answers. */
export interface Message {
  /** It has come as far as serving its link. */
  readonly serving?: true;
  readonly ready?: Readiness;
  /** An error that nobody caught is about to end it. */
  readonly crashed?: string;
  /** Telemetry: a `Report`. */
  readonly report?: unknown;
}

/** A child's answer to `preload`. */
export interface Readiness {
  /** Modules that could not be loaded, and why. */
  readonly failures: ReadonlyArray<{ readonly url: string; readonly error: unknown }>;
}

interface State {
  self: Self;
  authKey: Uint8Array | undefined;
  nested: Nested;
}

const key = Symbol.for("~multiprocessing/self");
const shared = globalThis as { [key]?: State };
const state: State = shared[key] ??= {
  self: { name: "MainProcess", daemon: false, parent: undefined, backend: "main" },
  authKey: undefined,
  nested: {},
};

/** Called in a child when its parent has told it who it is. */
export const introduce = (notice: Notice): void => {
  const { name, daemon, parent, backend } = { ...state.self, ...notice };
  state.self = { name, daemon, parent, backend };
  state.authKey = notice.authKey ?? state.authKey;
  state.nested = notice.nested ?? state.nested;
};

/** What the backend of this process's parent has passed on to the backend of this process. */
export const nested = (): Nested => state.nested;

/** The description of this process. */
export const self = (): Self => state.self;

/** The secret of this family of processes: random in the main process, inherited by the others. */
export const authKey = (): Uint8Array => state.authKey ??= crypto.getRandomValues(new Uint8Array(32));

/** Replaces the secret, for this process and the children that it starts from now on. */
export const setAuthKey = (bytes: Uint8Array): void => {
  state.authKey = bytes.slice();
};
