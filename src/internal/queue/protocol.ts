/**
 * What is said between a queue and those who use it.
 *
 * | operation | its message | answers, before the exit |
 * | --- | --- | --- |
 * | `PUT` | a first message of those below | `GRANT`, `REFUSE`, `CLOSING` |
 * | `GET` | n = how many at most, b = whether to wait, n = consumer | packets, lent until `credit` says how many are wanted and the last `credit` that they were taken, or `cancel` that they were not |
 * | `STREAM` | n = consumer; then those below | `WHERE` once, then `BATCH` or `ALONE` for each `PULL` |
 * | `INFO` | | its numbers, as f64s, in the exit |
 * | `CLOSE`, `SHUTDOWN` | | |
 * | `TASK_DONE` | n = how many | |
 * | `JOIN`, `READY` | | the exit comes when it is so |
 *
 * Who puts has to be granted room first, and sends what was granted: that is the moment at which an item is put. Messages to
 * the queue on a `PUT` begin with a byte:
 *
 * | byte | then | |
 * | --- | --- | --- |
 * | `ITEMS` | packets | takes up so many of the granted places |
 * | `LONG` | packets | the same, to be answered by a `VERDICT`: a long message may be overtaken on its way by short ones |
 * | `WANT` | n = number, n = items, n = bytes, b = whether to wait | wants room for these |
 * | `UNWANT` | n = number | does not want it any more |
 * | `RETURN` | n = places | does not need them |
 *
 * A stream reads ahead. What it was sent stays the queue's until the stream hands it on, which it says in a word of memory that
 * both share: how many items it has taken, and how many it may take, both modulo 2 ** 16. The stream counts up the first by a
 * compare and swap, and only then hands on; the queue lowers the second by a compare and swap to take back what is left. So each
 * item is either the stream's or the queue's at every instant, whoever dies. Messages to the queue on a `STREAM` begin with a byte:
 *
 * | byte | then | |
 * | --- | --- | --- |
 * | `PULL` | n = items | wants so many at most: it has none left, and forgets what was taken back |
 * | `NOTE` | | has taken some |
 * | `STOP` | | wants no more, and keeps the line for what it has not reported done |
 *
 * A queue that redelivers keeps what was taken until it is reported done, on the line on which it was lent (`GET` or `STREAM`):
 *
 * | byte | then | |
 * | --- | --- | --- |
 * | `REPORT` | n = number of the item on this line, from 0 | is done with it |
 *
 * `cancel` and the end of the line give back what was not reported. A consumer is a process, by a random number: it is told the
 * end of a closed queue though it has not reported all itself.
 *
 * @module
 */
export const PUT = 1;
export const GET = 2;
export const INFO = 3;
export const CLOSE = 4;
export const SHUTDOWN = 5;
export const TASK_DONE = 6;
export const JOIN = 7;
export const READY = 8;
export const STREAM = 9;

export const ITEMS = 0;
export const WANT = 1;
export const UNWANT = 2;
export const RETURN = 3;
export const LONG = 4;

export const PULL = 0;
export const NOTE = 1;
export const STOP = 2;
export const REPORT = 3;

/** Where the shared word is. */
export const WHERE = 0;
/** Packets. */
export const BATCH = 1;
/** Something moves with the next item: it is to be got alone. */
export const ALONE = 2;
/** What an exit would be: there will be no more. */
export const ENDING = 3;

/** This process, as one that takes: told from others. */
export const consumer: number = Math.floor(Math.random() * 2 ** 40) + 1;

/** n = the number of the want, or 0 for places beyond what was wanted; n = places. */
export const GRANT = 0;
/** n = the number of the want: there is no room now. */
export const REFUSE = 1;
/** No more puts: what was not sent will not be. */
export const CLOSING = 2;
/** b = whether it is in, text = why not: of each item for queues that look into them, and of a `LONG` message. */
export const VERDICT = 3;

/** Exits, besides those of the router. */
export const CLOSED = 8;
export const SHUT_DOWN = 9;
export const EMPTY = 10;
export const TOO_OFTEN = 11;
/** Nothing is lent ahead here: items are to be got one by one. */
export const APART = 12;

/** An item up to this size may take a place that was granted beyond what was wanted, in bytes. */
export const SMALL: number = 16 * 1024;

/** Numbers in the exit of `INFO`, in this order. */
export interface Info {
  /** Items that are there to be taken. */
  readonly size: number;
  /** Bytes that they take up. */
  readonly bytes: number;
  /** Gets that wait. */
  readonly takers: number;
  /** Puts that wait for room. */
  readonly putters: number;
  /** Items that were put and not yet reported done. */
  readonly unfinished: number;
  /** 1 if a put would have to wait. */
  readonly full: number;
  /** 0 while it is open, 1 when it is closed, 2 when it was shut down. */
  readonly state: number;
  /** 1 if nothing will come any more. */
  readonly ended: number;
}
