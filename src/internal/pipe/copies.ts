/**
 * Memory for the copies of long messages that a pipe keeps until they are received. Free of Effect.
 *
 * Fresh memory costs several times as much as the copy itself, because the system supplies and clears it page by page. A copy
 * that was received is therefore used again for the next message of the same size. Unused memory is held weakly, so the garbage
 * collector frees it like any other.
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

/** Copies a part of a message. */
export const copy = (part: Uint8Array): Uint8Array => {
  const found = unused?.deref();
  const at = found === undefined ? -1 : found.parts.findLastIndex((other) => other.length === part.length);
  if (found === undefined || at === -1) return part.slice();
  const [target] = found.parts.splice(at, 1);
  found.bytes -= target.length;
  target.set(part);
  return target;
};

/** Takes back what {@link copy} has returned. Nothing may use it any more. */
export const giveBack = (part: Uint8Array): void => {
  let found = unused?.deref();
  if (found === undefined) unused = new WeakRef(found = { parts: [], bytes: 0 });
  if (found.bytes + part.length > MAX_UNUSED) return;
  found.parts.push(part as Uint8Array<ArrayBuffer>);
  found.bytes += part.length;
};
