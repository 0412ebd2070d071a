/**
 * Memory that is used again: for the copies of long messages that a pipe keeps until they are received, and for long messages
 * whose content is copied into memory of the user. Free of Effect.
 *
 * Fresh memory costs several times as much as the copy itself, because the system supplies and clears it page by page, and the
 * garbage collector runs each time that some 64 MB were allocated. Unused memory is held weakly, so the garbage collector frees it
 * like any other.
 *
 * @module
 */

/** The most unused memory, in bytes. */
const MAX_UNUSED = 16 * 1024 * 1024;

interface Unused {
  readonly parts: Array<Uint8Array<ArrayBuffer>>;
  bytes: number;
}

/** Of all pipes of this process. */
let unused: WeakRef<Unused> | undefined;

/** Unused memory of this length, with any content. `undefined` if there is none. */
export const recycled = (length: number): Uint8Array<ArrayBuffer> | undefined => {
  const found = unused?.deref();
  const at = found === undefined ? -1 : found.parts.findLastIndex((other) => other.length === length);
  if (found === undefined || at === -1) return undefined;
  const [part] = found.parts.splice(at, 1);
  found.bytes -= length;
  return part;
};

/** Copies a part of a message, into unused memory if there is some. */
export const copy = (part: Uint8Array): Uint8Array => {
  const target = recycled(part.length);
  if (target === undefined) return part.slice();
  target.set(part);
  return target;
};

/** Takes memory back that nothing may use any more. */
export const recycle = (part: Uint8Array): void => {
  // A part of a larger buffer is not alone in it.
  if (part.length !== part.buffer.byteLength || !(part.buffer instanceof ArrayBuffer)) return;
  let found = unused?.deref();
  if (found === undefined) unused = new WeakRef(found = { parts: [], bytes: 0 });
  if (found.bytes + part.length > MAX_UNUSED) return;
  found.parts.push(part as Uint8Array<ArrayBuffer>);
  found.bytes += part.length;
};
