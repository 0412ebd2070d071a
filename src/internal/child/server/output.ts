/**
 * Pending output of a child. The end of the child would cut off writes that a task has begun and not awaited. Synchronous
 * writes, such as those of `console`, are complete when they return.
 *
 * @module
 */
import { after } from "../../os/timer.ts";

/** Number of chunks that were accepted and not yet written. */
let pending = 0;
/** Whether anything was ever written asynchronously. */
let used = false;
let settled = (): void => {};

const ended = (count: number): void => {
  pending -= count;
  if (pending === 0) settled();
};

/** A stream that counts its accepted chunks. */
const counted = (writer: WritableStreamDefaultWriter<Uint8Array>): WritableStream<Uint8Array> => {
  let queued = 0;
  const drop = (): void => {
    ended(queued);
    queued = 0;
  };
  return new WritableStream({
    write: async (chunk) => {
      try {
        await writer.write(chunk);
      } catch (error) {
        // The stream is broken, and drops its queue.
        drop();
        throw error;
      }
      if (queued === 0) return;
      queued--;
      ended(1);
    },
    close: () => writer.close(),
    abort: async (reason) => {
      drop();
      await writer.abort(reason);
    },
  }, {
    highWaterMark: 1,
    size: () => {
      queued++;
      pending++;
      return 1;
    },
  });
};

/** Counts the writes to the standard streams of this process from now on. */
export const watch = (): void => {
  for (const out of [Deno.stdout, Deno.stderr]) {
    const prototype: object = Object.getPrototypeOf(out);
    const write = out.write.bind(out);
    let writable: WritableStream<Uint8Array> | undefined;
    Object.defineProperties(out, {
      writable: {
        get: () => {
          used = true;
          return writable ??= counted(
            (Reflect.get(prototype, "writable", out) as WritableStream<Uint8Array>).getWriter(),
          );
        },
        configurable: true,
      },
      write: {
        value: async (bytes: Uint8Array): Promise<number> => {
          used = true;
          pending++;
          try {
            return await write(bytes);
          } finally {
            ended(1);
          }
        },
        configurable: true,
        writable: true,
      },
    });
  }
};

/** Calls `done` when all output is written, or after `limit` milliseconds: the output may never be read. */
export const flushed = (limit: number, done: () => void): void => {
  if (!used) return done();
  let turn: ReturnType<typeof setTimeout> | undefined;
  const finish = (): void => {
    stop();
    clearTimeout(turn);
    settled = () => {};
    done();
  };
  const stop = after(limit, finish);
  // A pipe writes its next chunk when the last one is written. If there is none after one turn, nothing is left.
  settled = () => {
    clearTimeout(turn);
    turn = setTimeout(() => pending === 0 && finish());
  };
  if (pending === 0) settled();
};
