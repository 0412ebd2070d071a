/**
 * The layout of a request's message, and the descriptions of tasks that precede it.
 *
 * | bytes | field |
 * | --- | --- |
 * | 0 | the mode (`CALL` and the others below), plus `QUEUED`, `SETTLED`, `CARRYING`, `ONCE` and `TRACED` |
 * | 1-4 | number of the task, as defined over this link |
 * | 5-53 | if `TRACED`: trace id (32 hex digits), span id (16), `1` or `0` for sampled |
 * | next | if `CARRYING`: length in 4 bytes, then the values of portable FiberRefs, encoded |
 * | next | if `QUEUED`: the ticket in 4 bytes, 0 if there is none; see `tickets.ts` |
 * | rest | the arguments, encoded |
 *
 * @module
 */
import type { Writer } from "../codec/codec.ts";
import type { ExitData } from "../codec/exits.ts";

/** One call with a list of arguments. */
export const CALL = 0;
/** One call for each item; the result is the list of results. */
export const MAP = 1;
/** One call for each list of arguments; the result is the list of results. */
export const STARMAP = 2;
/** Offers a ring for tickets: the token of its memory follows. The exit is whether the child uses it. It names no task. */
export const RING = 0x0c;
/** Asks for the memory of the process, in bytes. It names no task. */
export const PROBE = 4;
/** The items are combined from left to right, each call having the result so far and the next item; the result is the last one. */
export const REDUCE = 5;
/**
 * {@link MAP}, whose results another task combines as with {@link REDUCE}. The arguments are the URL and the name of that task, and the
 * items.
 */
export const MAP_REDUCE = 6;
/** {@link MAP} whose result is a {@link Part} if an item fails: no later item is run, and the results before it are kept. */
export const MAP_UNTIL = 7;
/** The request begins when all earlier ones with this flag have been answered, and their answers have left. */
export const QUEUED = 0x10;
/** {@link QUEUED}, and the answers of all earlier requests with this flag have arrived. Written as {@link ONCE}, which excludes it. */
export const FRESH = 0x50;
/** Every item of a list is run, and the result is the list of their exits. */
export const SETTLED = 0x08;
/** The process was started for this request and ends with it. */
export const ONCE = 0x40;
/** Number of words by which a child and its parent agree on tickets. Fewer requests than this may wait with one at a time. */
export const PLACES = 64;
const TRACED = 0x80;
const CARRYING = 0x20;
const MODE = 0x07;

/** The result of {@link MAP_UNTIL} if an item has failed. */
export interface Part {
  /** The results of the items before it. */
  readonly results: ReadonlyArray<unknown>;
  /** Its exit. */
  readonly exit: ExitData;
}

/** The caller's span. */
export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** The task that a number stands for. */
export interface TaskRef {
  readonly url: string;
  readonly name: string;
}

const HEX = /^[0-9a-f]+$/;

const putUint32 = (buffer: Uint8Array, at: number, value: number): number => {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
  return at + 4;
};

const getUint32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;

/** Writes everything except the arguments. */
export const write = (
  writer: Writer,
  flags: number,
  task: number,
  trace: Trace | undefined,
  carried: Uint8Array | undefined,
  ticket: number = 0,
): void => {
  const traced = trace !== undefined && trace.traceId.length === 32 && trace.spanId.length === 16 &&
    HEX.test(trace.traceId) && HEX.test(trace.spanId);
  writer.reserve(62 + (carried?.length ?? 0));
  const { buffer } = writer;
  let at = writer.position;
  buffer[at++] = flags | (traced ? TRACED : 0) | (carried === undefined ? 0 : CARRYING);
  at = putUint32(buffer, at, task);
  if (traced) {
    const text = trace.traceId + trace.spanId + (trace.sampled ? "1" : "0");
    for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
  }
  if (carried !== undefined) {
    at = putUint32(buffer, at, carried.length);
    buffer.set(carried, at);
    at += carried.length;
  }
  if ((flags & QUEUED) !== 0) at = putUint32(buffer, at, ticket);
  writer.position = at;
};

/** A decoded request. */
export interface Request {
  readonly mode: number;
  readonly queued: boolean;
  /** Whether the answers of all earlier queued requests have arrived. */
  readonly fresh: boolean;
  readonly settled: boolean;
  readonly once: boolean;
  /** Its ticket; 0 if there is none. */
  readonly ticket: number;
  readonly task: number;
  readonly trace: Trace | undefined;
  /** The encoded values of portable FiberRefs. */
  readonly carried: Uint8Array | undefined;
  /** The encoded arguments. */
  readonly payload: Uint8Array;
}

/** Reads a request; `undefined` if it is malformed. */
export const read = (bytes: Uint8Array): Request | undefined => {
  const traced = (bytes[0] & TRACED) !== 0;
  let start = traced ? 54 : 5;
  if (bytes.length < start) return undefined;
  let carried: Uint8Array | undefined;
  if ((bytes[0] & CARRYING) !== 0) {
    if (bytes.length < start + 4) return undefined;
    const end = start + 4 + getUint32(bytes, start);
    if (bytes.length < end) return undefined;
    carried = bytes.subarray(start + 4, end);
    start = end;
  }
  let ticket = 0;
  if ((bytes[0] & QUEUED) !== 0) {
    if (bytes.length < start + 4) return undefined;
    ticket = getUint32(bytes, start);
    start += 4;
  }
  let trace: Trace | undefined;
  if (traced) {
    const text = String.fromCharCode(...bytes.subarray(5, 54));
    trace = { traceId: text.slice(0, 32), spanId: text.slice(32, 48), sampled: text[48] === "1" };
  }
  return {
    mode: bytes[0] & MODE,
    queued: (bytes[0] & QUEUED) !== 0,
    fresh: (bytes[0] & FRESH) === FRESH,
    settled: (bytes[0] & SETTLED) !== 0,
    once: (bytes[0] & FRESH) === ONCE,
    ticket,
    task: getUint32(bytes, 1),
    trace,
    carried,
    payload: bytes.subarray(start),
  };
};
