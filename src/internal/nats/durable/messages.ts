/**
 * The messages of a durable pool: a head in JSON, the bytes of a request or of an answer, and its attachments.
 *
 * | bytes | field |
 * | --- | --- |
 * | 4 | length of the head |
 * | | the head |
 * | 4 | number of attachments |
 * | 8 each | lengths of the bytes and of the attachments |
 * | | the bytes, the attachments |
 *
 * @module
 */
import type { ExitStatus, Permissions } from "../../../Backend.ts";
import type { Incoming } from "../../codec/message.ts";
import { decodeRecord, encode, type SourceList } from "../protocol.ts";

/** A message whose body was stored in parts before it. */
interface Large {
  readonly parts?: { readonly run: string; readonly count: number } | undefined;
}

/** The head of a task. Its body is the request for a child. */
export interface Task extends Large {
  readonly id: string;
  /** The program that is told the result. */
  readonly caller: string;
  /** Hash of the {@link Program}. */
  readonly program: string;
  readonly url: string;
  readonly name: string;
  /** How often the task is run again after its process was killed. */
  readonly retries: number;
  /** How long it may run, in milliseconds. */
  readonly timeout?: number | undefined;
  /** Whether there may be a result of this id already. */
  readonly check?: true | undefined;
}

/** How a child died while it ran a task. */
export interface Death {
  readonly process: string;
  readonly pid: number;
  readonly host: string;
  readonly status: ExitStatus;
  readonly started: "yes" | "no" | "unknown";
}

/**
 * The head of a result. The body of an `exit` is the answer of a child.
 *
 * - `cancelled`: its caller has taken the task back.
 * - `timeout`: it ran for longer than its time limit.
 * - `failed`: it could not be run, for the reason in `message`.
 * - `dead`: its process was killed too often. Not a result, but a dead letter, whose body is the task.
 */
export interface Outcome extends Large {
  readonly id: string;
  readonly kind: "exit" | "cancelled" | "timeout" | "failed" | "dead";
  readonly host: string;
  /** The child that has answered. */
  readonly process?: string | undefined;
  readonly pid?: number | undefined;
  readonly message?: string | undefined;
  readonly deaths?: ReadonlyArray<Death> | undefined;
  /** How often the task was given to an agent. */
  readonly deliveries?: number | undefined;
}

/** What the children that run a task are started with. */
export interface Program {
  readonly library: string;
  readonly main: string;
  readonly modules: ReadonlyArray<string>;
  readonly sources: SourceList | undefined;
  /** Permissions that a child must get. */
  readonly permissions: Permissions | undefined;
  /** Without `permissions`: those that it gets if the agent has them. */
  readonly inherited: Permissions;
  readonly env: Readonly<Record<string, string>>;
  readonly v8Flags: ReadonlyArray<string>;
}

/** A pool, as the description of its stream says. */
export interface Description {
  readonly protocol: number;
  /** Labels that an agent of the pool must have. */
  readonly labels: ReadonlyArray<string>;
}

/** The version of the messages. Agents leave pools of other versions alone. */
export const PROTOCOL = 1;

/** A message that was read. */
export interface Message<Head> extends Incoming {
  readonly head: Head;
}

/** Writes a message. */
export const pack = (head: object, { attachments, bytes }: Incoming): Uint8Array<ArrayBuffer> => {
  const text = encode(head);
  const blocks = [bytes, ...attachments];
  const start = 8 + text.length + 8 * blocks.length;
  const packed = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, start));
  const view = new DataView(packed.buffer);
  view.setUint32(0, text.length);
  packed.set(text, 4);
  let at = 4 + text.length;
  view.setUint32(at, attachments.length);
  at += 4;
  for (const { length } of blocks) {
    view.setFloat64(at, length);
    at += 8;
  }
  for (const block of blocks) {
    packed.set(block, at);
    at += block.length;
  }
  return packed;
};

/** A body without content. */
export const nothing: Incoming = { bytes: new Uint8Array(), attachments: [] };

/** Reads a message. Throws a `SyntaxError` if it is none. */
export const unpack = <Head>(packed: Uint8Array): Message<Head> => {
  try {
    return read(packed);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new SyntaxError(`A message is cut off: ${error.message}`);
  }
};

const read = <Head>(packed: Uint8Array): Message<Head> => {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const length = view.getUint32(0);
  const head = decodeRecord<Head & object>(packed.subarray(4, 4 + length));
  let at = 4 + length;
  const count = view.getUint32(at) + 1;
  at += 4;
  if (count * 8 > packed.length) throw new RangeError("A message has fewer attachments than it says");
  const sizes = Array.from({ length: count }, (_, i) => view.getFloat64(at + 8 * i));
  at += 8 * count;
  const [bytes, ...attachments] = sizes.map((size) => {
    // An attachment becomes the buffer of a value.
    const block = packed.slice(at, at + size);
    at += size;
    return block;
  });
  return { head, bytes, attachments };
};
