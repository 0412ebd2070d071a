/**
 * Buffers that move with a message instead of being copied: their memory then belongs to the message, and a transport that can hand memory
 * over does so.
 *
 * @module
 */
import type { Extras } from "./codec.ts";

/** Buffers that are to move. */
const marked = new WeakSet<ArrayBufferLike>();

/** Marks a buffer to move with the next message that moves its buffers. */
export const mark = (buffer: ArrayBuffer): void => void marked.add(buffer);

/** Whether a buffer is to move. */
export const isMarked = (buffer: ArrayBuffer): boolean => marked.has(buffer);

/** Takes the memory of a buffer away from its owner; `undefined` for memory of WebAssembly, which cannot be taken. */
const detach = (buffer: ArrayBuffer): ArrayBuffer | undefined => {
  marked.delete(buffer);
  try {
    return buffer.transferToFixedLength();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
};

/**
 * Takes the memory of all buffers of these messages that are to move: their owner can no longer use it. Messages that were encoded for one
 * call are passed together, because none may be sent if one of them cannot be encoded.
 */
export const take = <E extends Extras<never>>(messages: ReadonlyArray<E>): ReadonlyArray<E> => {
  if (messages.every(({ moving }) => moving === undefined)) return messages;
  // A view of a buffer that was taken has lost its place.
  const uses = new Map<ArrayBufferLike, number>();
  const places = messages.map(({ attachments }) =>
    attachments.map(({ buffer, byteOffset, length }) => {
      uses.set(buffer, (uses.get(buffer) ?? 0) + 1);
      return { buffer, byteOffset, length };
    })
  );
  const taken = new Map<ArrayBufferLike, ArrayBuffer>();
  for (const buffer of new Set(messages.flatMap(({ moving }) => [...moving ?? []]))) {
    const memory = detach(buffer);
    if (memory !== undefined) taken.set(buffer, memory);
  }
  return messages.map((message, i) => {
    const owned = new Set<Uint8Array>();
    const attachments = message.attachments.map((part, j) => {
      const { buffer, byteOffset, length } = places[i][j];
      const memory = taken.get(buffer);
      if (memory === undefined) return part;
      const own = new Uint8Array(memory, byteOffset, length);
      // Memory that several attachments share, or of which only a part is sent, is copied.
      if (uses.get(buffer) === 1 && length === memory.byteLength) owned.add(own);
      return own;
    });
    return { ...message, attachments, owned, moving: undefined };
  });
};
