/**
 * What is said between a manager's server and those who use it.
 *
 * A server is one object of its process, its gate: every call of every object that it keeps goes there. `object` is a varint, the
 * rest a message of the codec.
 *
 * | operation | its message | answers, before the exit |
 * | --- | --- | --- |
 * | `CALL` | object, `[method, ...args]` | |
 * | `CREATE` | `[url, type, ...args]`; url is `""` for types of the library | what was made |
 * | `CALL_KEPT` | object, `[method, ...args]` | what the method returned, kept as an object |
 * | `RETAIN` | object | itself |
 * | `STREAM` | object, `[method, ...args]` | elements, against credit |
 * | `TAKE` | object, `[method, ...args]` | what was taken out: it goes back if the call ends otherwise than by the taker's last word |
 * | `ATTACH` | object, what its kind understands | what its kind says |
 *
 * `CREATE`, `CALL_KEPT` and `RETAIN` are holds: they stay open for as long as their caller needs the object, and end with him. An
 * object goes when its last hold does. `ATTACH` is a hold on what a lock gives, in the same way.
 *
 * The object 0 is the server itself.
 *
 * @module
 */
import type { BrokenReason } from "../sync/errors.ts";

export const CALL = 1;
export const CREATE = 2;
export const CALL_KEPT = 3;
export const RETAIN = 4;
export const STREAM = 5;
export const ATTACH = 6;

/** Exits, besides those of the router. The value follows. */
export const VALUE = 8;
/** The exit of an Effect that did not succeed. */
export const EXIT = 9;
/** `[name, error]`: what a plain function threw. */
export const THREW = 10;
/** `[reason, message]`, a `ManagerError`. */
export const REFUSED = 11;
/** `[reason, path]`: the result cannot be sent. */
export const UNENCODABLE = 12;
/** There is no such object any more. */
export const FREED = 13;

/** The library's own types have no module. */
export const BUILTIN = "";

/** On an `ATTACH` to a lock, from its holder: `[what, ...]`. */
export const WAIT = 1;
export const UNWAIT = 2;
export const NOTIFY = 3;

/** On an `ATTACH` to a lock, to its holder, or who wants to be. */
export const GRANTED = 1;
/** Not now; to somebody who does not wait. An exit. */
export const BUSY = 14;
/** A barrier that is broken. An exit; b = which of the reasons. */
export const BROKEN = 15;
export const REASONS: ReadonlyArray<BrokenReason> = ["Aborted", "Reset", "Interrupted", "ActionFailed", "PartyDied"];

/** On a gate: a call of a queue that lives at the server. Object, b = the queue's operation, its message. */
export const QUEUE = 7;

/** On a gate: takes something out. */
export const TAKE = 8;

/** Exits of a connection to another program: the call was on its way, or done, when it broke. */
export const LOST = 16;
/** The call was not sent: there is no connection. */
export const UNSENT = 17;
/** There are more calls under way than one program may have. */
export const OVERLOADED = 18;
