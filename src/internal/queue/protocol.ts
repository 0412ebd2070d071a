/**
 * The messages between a queue and its users.
 *
 * | operation | first message | replies before the exit |
 * | --- | --- | --- |
 * | `PUT` | one of the messages below | `GRANT`, `REFUSE`, `CLOSING`, `RESULT` |
 * | `GET` | n = items at most, b = whether to wait, n = consumer | packets, lent until the caller commits or cancels |
 * | `STREAM` | n = consumer | `WORD` or `FILE_AT`, then `BATCH`, `GET_NEXT` or `END` for each `PULL` |
 * | `INFO` | | the numbers of {@link QueueInfo} as f64, in the exit |
 * | `CLOSE`, `SHUTDOWN` | | |
 * | `TASK_DONE` | n = number of tasks | |
 * | `JOIN`, `READY` | | the exit comes when the condition holds |
 *
 * In this table, n is a varint (seven bits in each byte), and b is a byte.
 *
 * **`PUT`.** A producer is granted room before it sends items. An item is put when the queue receives it. Messages to the queue:
 *
 * | byte | then | meaning |
 * | --- | --- | --- |
 * | `ITEMS` | packets | these items use granted places |
 * | `CONFIRMED_ITEMS` | packets | the same; the queue confirms the message with one `RESULT`. A process that forwards messages may
 * let short ones overtake a long one, so an item of a long message is put only when the queue has it |
 * | `WANT` | n = id, n = items, n = bytes, b = whether to wait | requests room |
 * | `WITHDRAW` | n = id | withdraws a request |
 * | `RETURN` | n = places | gives places back |
 *
 * **`GET`.** The caller commits in two steps: a credit of the number of items that it wants, after which these items are lost with
 * the caller's process, and the last credit, which says that it has them. A `cancel` gives everything back.
 *
 * **`STREAM`.** A stream reads ahead. An item that was sent ahead stays in the queue until the stream takes it, by a word of
 * memory, or a file, that both share; see `lease.ts`. Messages to the queue:
 *
 * | byte | then | meaning |
 * | --- | --- | --- |
 * | `PULL` | n = number, n = items, n = chunk | the stream has nothing left, wants up to that number of items, and takes up to a chunk of them together |
 * | `STAND` | n = number, n = items | the stream has taken all, does not wait, and likes to be sent up to that number of items as soon as there are some; a `PULL` of the same number says that it waits for them now |
 * | `REST` | | the stream waits no longer: it keeps what it has, but nothing is kept for it |
 * | `TAKEN` | n = word, of a file | the stream has taken some, or has learnt that what it wanted to take was revoked |
 * | `FILE` | | the stream cannot map the memory of the word, and asks for a file |
 * | `STOP` | | the stream wants no more, and keeps the call open for its reports |
 *
 * **Redelivery.** A queue that redelivers keeps a taken item until it is reported done, on the call by which it was lent (`GET` or
 * `STREAM`), by `REPORT` (n = number of the item on this call, from 0). `cancel` and the end of the call give back all unreported
 * items. A consumer is a process, which a random number identifies: a closed queue ends for a consumer that has not reported its
 * own items yet.
 *
 * @module
 */

/** Operations. */
export const PUT = 1;
export const GET = 2;
export const INFO = 3;
export const CLOSE = 4;
export const SHUTDOWN = 5;
export const TASK_DONE = 6;
export const JOIN = 7;
export const READY = 8;
export const STREAM = 9;

/** Messages to the queue on a `PUT`. */
export const ITEMS = 0;
export const WANT = 1;
export const WITHDRAW = 2;
export const RETURN = 3;
export const CONFIRMED_ITEMS = 4;

/** Messages to the queue on a `STREAM`; `REPORT` also on a `GET`. */
export const PULL = 0;
export const TAKEN = 1;
export const STOP = 2;
export const REPORT = 3;
export const REST = 4;
export const STAND = 5;
export const FILE = 6;

/** To a stream: the location of the shared word. */
export const WORD = 0;
/** To a stream: n = number of the pull, packets. */
export const BATCH = 1;
/** To a stream: n = number of the pull; a handle moves with the next item, which has to be taken by a `GET`. */
export const GET_NEXT = 2;
/** To a stream: there will be no more items. The content of an exit follows. */
export const END = 3;
/** To a stream: the {@link FileAddress} of the file. */
export const FILE_AT = 4;

/** To a producer: n = id of the request, or 0 for places that were not requested; n = places. */
export const GRANT = 0;
/** To a producer: n = id of the request, which does not wait: there is no room now. */
export const REFUSE = 1;
/** To a producer: the queue accepts only items for which places were granted and that are on their way. */
export const CLOSING = 2;
/** To a producer: b = whether the item was accepted, text = why not. For each item of an ordered queue, and for each `CONFIRMED_ITEMS`. */
export const RESULT = 3;

/** Exits, besides those of the router. */
export const CLOSED = 8;
export const SHUT_DOWN = 9;
/** Of a `GET` that does not wait: there is no item. */
export const EMPTY = 10;
/** Of `TASK_DONE`: more tasks than are unfinished. */
export const TOO_OFTEN = 11;
/** Of a `STREAM`: this queue lends nothing ahead, so each item has to be taken by a `GET`. */
export const NO_READ_AHEAD = 12;

/** The number of this process as a consumer. */
export const consumer: number = Math.floor(Math.random() * 2 ** 40) + 1;

/** The largest item that may use a place which was granted without a request, in bytes. */
export const SMALL: number = 16 * 1024;

/** The largest number of items that are sent together. */
export const LIST = 1024;

/** Lists of one operation that may be on their way at a time. */
export const WINDOW = 4;

/** The numbers in the exit of `INFO`, in this order. */
export interface QueueInfo {
  /** Items that can be taken. */
  readonly size: number;
  /** Bytes that the items take up. */
  readonly bytes: number;
  /** Gets that wait. */
  readonly takers: number;
  /** Puts that wait for room. */
  readonly putters: number;
  /** Items that were put and not reported done. */
  readonly unfinished: number;
  /** 1 if a put would have to wait. */
  readonly full: number;
  /** 0: open, 1: closed, 2: shut down. */
  readonly state: number;
  /** 1 if no item will come any more. */
  readonly ended: number;
}
