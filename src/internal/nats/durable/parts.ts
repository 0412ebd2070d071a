/**
 * Contents that are larger than a message: they are stored in parts, under subjects that end with the number of the part.
 *
 * @module
 */
import type { Incoming } from "../../codec/message.ts";
import { each } from "../each.ts";
import type { JetStream } from "../jetstream.ts";
import { randomName } from "../protocol.ts";
import { type Message, nothing, pack, unpack } from "../packing.ts";

/** The largest message in bytes, if the server allows it. */
const LARGEST = 900 * 1024;

/** Number of bytes of a message that its headers and its subject may take. */
const OVERHEAD = 4096;

/** The largest content of a message, in bytes. */
export const limitOf = ({ server }: JetStream): number => Math.min(LARGEST, server.maxPayload - OVERHEAD);

/** Stores a content under the subjects `SUBJECT.0` and so on, and returns the number of its parts. */
export const storeParts = async (js: JetStream, subject: string, content: Uint8Array): Promise<number> => {
  const limit = limitOf(js);
  const count = Math.ceil(content.length / limit);
  await each(count, async (index) => {
    const part = content.subarray(index * limit, (index + 1) * limit);
    await js.persist(() => js.store(`${subject}.${index}`, part));
  });
  return count;
};

/** Loads a content; `undefined` if one of its parts is gone. */
export const loadParts = async (
  js: JetStream,
  stream: string,
  subject: string,
  count: number,
): Promise<Uint8Array | undefined> => {
  const parts = new Array<Uint8Array>(count);
  let complete = true;
  await each(count, async (index) => {
    const part = complete ? await js.persist(() => js.last(stream, `${subject}.${index}`)) : undefined;
    if (part === undefined) complete = false;
    else parts[index] = part.data;
  });
  if (!complete) return undefined;
  const content = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return content;
};

/** Writes a message. One that is too large is stored in parts first, below the subject; what is written then names them. */
export const packLarge = async (
  js: JetStream,
  subject: string,
  head: object,
  body: Incoming,
): Promise<{ readonly packed: Uint8Array; readonly run: string | undefined }> => {
  const packed = pack(head, body);
  if (packed.length <= limitOf(js)) return { packed, run: undefined };
  const run = randomName();
  const count = await storeParts(js, `${subject}.${run}`, packed);
  return { packed: pack({ ...head, parts: { run, count } }, nothing), run };
};

/** Reads a message, whose parts are below the subject; `undefined` if they are gone. */
export const unpackLarge = async <
  Head extends { readonly parts?: { readonly run: string; readonly count: number } | undefined },
>(
  js: JetStream,
  stream: string,
  subject: string,
  message: Message<Head>,
): Promise<Message<Head> | undefined> => {
  const { parts } = message.head;
  if (parts === undefined) return message;
  const content = await loadParts(js, stream, `${subject}.${parts.run}`, parts.count);
  return content === undefined ? undefined : unpack<Head>(content);
};
