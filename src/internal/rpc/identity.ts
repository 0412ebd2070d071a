/**
 * The identity of this process. Free of Effect.
 *
 * @module
 */

import { type Host, settleHost, settleSources, type Sources } from "../os/place.ts";

/** The identity of a process. */
export interface Identity {
  /** `MainProcess`, or the name with which the process was started. */
  readonly name: string;
  /** Whether the process is a daemon, which is ended rather than joined when its scope closes. */
  readonly daemon: boolean;
  /** The process that started this one; `undefined` in the main process. */
  readonly parent: { readonly pid: number; readonly name: string } | undefined;
  /** `"main"`, or the name of the backend that runs the process, such as `"subprocess"`. */
  readonly backend: string;
}

/**
 * The first message of a parent to its child over their link. The parent sends another one when it puts the child to another use.
 * None of its content is on the command line, where every user could read it.
 */
export interface Introduction extends Identity {
  readonly parent: { readonly pid: number; readonly name: string };
  /** The process that the system knows as the parent of the child, if it is not the parent: the one with which the child ends. */
  readonly guardPid?: number;
  /** The host of the child. */
  readonly host: Host;
  /** The place of the modules of the child, and of its children. */
  readonly sources?: Sources;
  /** The address of the child; see `router.ts`. */
  readonly address: string;
  /** The secret of the family. */
  readonly authKey: Uint8Array;
  /** The limit for both directions, in bytes. */
  readonly maxMessageSize: number;
  /** Options of the backend that also apply to the children of this child. */
  readonly nested?: Nested;
  /** URLs of modules that the child loads in advance. It answers with a {@link Readiness}. */
  readonly preload?: ReadonlyArray<string>;
}

/**
 * Options that a backend passes on to the backends of its children. Other options reach those through the system, or not at all.
 */
export interface Nested {
  readonly v8Flags?: ReadonlyArray<string>;
  readonly denoFlags?: ReadonlyArray<string>;
  readonly maxMessageSize?: number;
  /** The telemetry that a child reports about the Effects that it runs. */
  readonly observe?: ObservedKinds;
}

/** Kinds of telemetry. */
export interface ObservedKinds {
  readonly logs: boolean;
  readonly spans: boolean;
  readonly metrics: boolean;
}

/** An introduction. The first one is complete; a later one contains only the changes. */
export type Notice = Partial<Introduction>;

/** A message of a child to its parent that is not an answer. */
export interface ChildNotice {
  /** The child serves its link. */
  readonly serving?: true;
  readonly ready?: Readiness;
  /** The uncaught error that is about to end the child. */
  readonly crashed?: string;
  /** Telemetry: a `Report`. */
  readonly report?: unknown;
}

/** A child's answer to `preload`. */
export interface Readiness {
  /** Modules that could not be loaded, each with its error. */
  readonly failures: ReadonlyArray<{ readonly url: string; readonly error: unknown }>;
}

interface State {
  self: Identity;
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

/** Applies an introduction. Called in a child for each introduction by its parent. */
export const introduce = (notice: Notice): void => {
  const { name, daemon, parent, backend } = { ...state.self, ...notice };
  state.self = { name, daemon, parent, backend };
  state.authKey = notice.authKey ?? state.authKey;
  state.nested = notice.nested ?? state.nested;
  if (notice.sources !== undefined) settleSources(notice.sources);
  if (notice.host !== undefined) settleHost(notice.host);
};

/** The options that the parent's backend has passed on to the backend of this process. */
export const nested = (): Nested => state.nested;

/** The identity of this process. */
export const self = (): Identity => state.self;

/** The secret of the family: random in the main process, and inherited by all other processes. */
export const authKey = (): Uint8Array => state.authKey ??= crypto.getRandomValues(new Uint8Array(32));

/** Replaces the secret for this process and for the children that it starts from now on. */
export const setAuthKey = (bytes: Uint8Array): void => {
  state.authKey = bytes.slice();
};
