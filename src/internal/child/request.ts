/**
 * The layout of a request's message, and the descriptions of tasks that precede it.
 *
 * | bytes | field |
 * | --- | --- |
 * | 0 | the mode (`CALL`, `MAP`, `STARMAP`), plus `ONCE` and `TRACED` |
 * | 1-4 | number of the task, as defined over this link |
 * | 5-53 | if `TRACED`: trace id (32 hex digits), span id (16), `1` or `0` for sampled |
 * | rest | the arguments, encoded |
 *
 * @module
 */
import type { Writer } from "../codec/codec.ts";

/** One call with a list of arguments. */
export const CALL = 0;
/** One call for each item; the result is the list of results. */
export const MAP = 1;
/** One call for each list of arguments; the result is the list of results. */
export const STARMAP = 2;
/** The process was started for this request and ends with it. */
export const ONCE = 0x40;
const TRACED = 0x80;
const MODE = 0x0f;

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

/** Writes everything except the arguments. */
export const write = (writer: Writer, flags: number, task: number, trace: Trace | undefined): void => {
  const traced = trace !== undefined && trace.traceId.length === 32 && trace.spanId.length === 16 &&
    HEX.test(trace.traceId) && HEX.test(trace.spanId);
  writer.reserve(54);
  const { buffer } = writer;
  let at = writer.position;
  buffer[at++] = traced ? flags | TRACED : flags;
  buffer[at++] = task;
  buffer[at++] = task >>> 8;
  buffer[at++] = task >>> 16;
  buffer[at++] = task >>> 24;
  if (traced) {
    const text = trace.traceId + trace.spanId + (trace.sampled ? "1" : "0");
    for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
  }
  writer.position = at;
};

/** A decoded request. */
export interface Request {
  readonly mode: number;
  readonly once: boolean;
  readonly task: number;
  readonly trace: Trace | undefined;
  /** The encoded arguments. */
  readonly payload: Uint8Array;
}

/** Reads a request; `undefined` if it is malformed. */
export const read = (bytes: Uint8Array): Request | undefined => {
  const traced = (bytes[0] & TRACED) !== 0;
  const start = traced ? 54 : 5;
  if (bytes.length < start) return undefined;
  let trace: Trace | undefined;
  if (traced) {
    const text = String.fromCharCode(...bytes.subarray(5, 54));
    trace = { traceId: text.slice(0, 32), spanId: text.slice(32, 48), sampled: text[48] === "1" };
  }
  return {
    mode: bytes[0] & MODE,
    once: (bytes[0] & ONCE) !== 0,
    task: (bytes[1] | bytes[2] << 8 | bytes[3] << 16 | bytes[4] << 24) >>> 0,
    trace,
    payload: bytes.subarray(start),
  };
};
