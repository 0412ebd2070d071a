/**
 * The memory of a worker, which it is asked for over its link.
 *
 * @module
 */
import { PROBE } from "../child/request.ts";
import { readExit } from "../codec/exits.ts";
import type { Link } from "../rpc/link.ts";

/**
 * Asks a worker for its memory, in bytes: the resident memory of a process, the heap of a thread. A worker that ends before it has
 * answered never calls back.
 */
export const memoryOf = (link: Link, done: (bytes: number) => void): void => {
  link.open((writer) => {
    writer.reserve(1);
    writer.buffer[writer.position++] = PROBE;
    return undefined;
  }, {
    exit: (message) => {
      const exit = readExit(message, [], link);
      if (exit._tag === "Success") done(exit.value as number);
    },
    closed: () => {},
  });
};
