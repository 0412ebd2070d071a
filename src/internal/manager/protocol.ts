/**
 * The protocol between a manager's server and the processes that use it.
 *
 * A server is one object of its process, and receives the calls of all objects that it keeps. `object` is the number of an
 * object, as a varint; the other contents are encoded by the codec.
 *
 * | operation | message | sent to the caller before the exit |
 * | --- | --- | --- |
 * | `CALL` | object, `[method, ...args]` | |
 * | `CREATE` | `[url, type, ...args]`; the url is `""` for types of the library | the new object's handle |
 * | `CALL_KEPT` | object, `[method, ...args]` | the handle of the result, which becomes an object |
 * | `RETAIN` | object | its handle |
 * | `STREAM` | object, `[method, ...args]` | elements, against credit |
 * | `TAKE` | object, `[method, ...args]` | the value that was taken out; it is put back unless the caller confirms it with `finish` |
 * | `ATTACH` | object, `[client, pid]` | messages of a lock or another object of that kind; see `sync/messages/protocol.ts` |
 * | `QUEUE` | object, b = operation of the queue, its message | messages of the queue |
 *
 * `CREATE`, `CALL_KEPT` and `RETAIN` hold an object: the call stays open for as long as the caller needs the object, and ends
 * with the caller. An object is freed with its last hold. In the same way, `ATTACH` holds a lock.
 *
 * The server itself is object 0.
 *
 * @module
 */
import { ATTACH as ATTACH_TO } from "../sync/messages/protocol.ts";

export const CALL = 1;
export const CREATE = 2;
export const CALL_KEPT = 3;
export const RETAIN = 4;
export const STREAM = 5;
export const ATTACH = ATTACH_TO;
/** A call of a queue at the server, by another program. */
export const QUEUE = 7;
export const TAKE = 8;

/** Exits, in addition to those of the router. A value follows. */
export const VALUE = 8;
/** The exit of an Effect that has not succeeded. */
export const EXIT = 9;
/** `[name, error]`: a plain function has thrown. */
export const THREW = 10;
/** `[reason, message]`: a `ManagerError`. */
export const REFUSED = 11;
/** `[reason, path]`: the result cannot be encoded. */
export const UNENCODABLE = 12;
/** The object does not exist any more. */
export const FREED = 13;
/** The connection to another program broke: the call may have completed. */
export const LOST = 16;
/** The call was not sent: there is no connection to the other program. */
export const UNSENT = 17;
/** The program has too many open calls. */
export const OVERLOADED = 18;

/** The URL that stands for the library's own types. */
export const BUILTIN = "";
