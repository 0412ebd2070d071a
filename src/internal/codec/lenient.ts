/**
 * Encodes failures: each value that cannot be sent is replaced by a description, and all other values are sent unchanged. A
 * caller that handles failures by their `_tag` must receive them, even if one field holds a `Response` or a function.
 *
 * - A value that cannot be sent becomes a string, `[Response: cannot be sent: an instance of class Response would lose its class]`.
 * - A property whose getter throws becomes `[cannot be read: ...]`; a `name`, `stack` or `_tag` that throws is left out.
 * - An instance of a class that has a `_tag` becomes a plain object of its fields.
 * - A string that is too large is truncated; any other value that is too large is described.
 *
 * @module
 */
import type { Writer } from "./bytes.ts";
import { EncodeFailure, Encoder, type Shape } from "./encode.ts";
import { EncodeError } from "./errors.ts";
import * as Foreign from "./foreign.ts";
import type { Hook } from "./hook.ts";
import * as Path from "./refusal.ts";
import * as Tag from "./tags.ts";

/** Maximum length of a name or reason in a description, in UTF-16 units. */
const MAX_WORDS = 200;

/** Maximum length of a truncated string: in UTF-16 units, and as a part of the limit of the message. */
const KEPT_TEXT = 1000;
const KEPT_PART = 1 / 16;

/** Bytes that are reserved for the names of the hooks, which follow the value. */
const HOOK_NAMES = 64;

/** Levels of arrays, below the outermost, that a hook puts around the parts of a value. */
const HOOK_STRUCTURE = 2;

/** The mark of a Cause, from which a hook rebuilds an Exit. */
const CauseTypeId = Symbol.for("effect/Cause");

/** Levels that are reserved for the data of a hook, whose own structure must not be replaced. */
const HOOK_LEVELS = 8;

const tooLarge = "the message would be larger than the limit";

const cut = (text: string, length: number): string => text.length > length ? `${text.slice(0, length)}…` : text;

/** Names the type or class of a value. */
const kindOf = (value: unknown): string => {
  if (typeof value === "function") {
    const name = Foreign.read(value, "name");
    return typeof name === "string" && name !== "" ? `Function ${name}` : "Function";
  }
  if (typeof value !== "object" || value === null) return typeof value === "symbol" ? String(value) : typeof value;
  try {
    return Path.named(Object.getPrototypeOf(value)) ?? "Object";
  } catch {
    return "Object";
  }
};

/** Returns the replacement of a value. Omits the advice after the reason, which is for the sender and not for the receiver. */
const describe = (value: unknown, reason: string, limit: number): string => {
  const why = cut(reason.split(";")[0], MAX_WORDS);
  if (typeof value === "string") {
    const kept = value.slice(0, Math.min(KEPT_TEXT, limit * KEPT_PART));
    return `${kept}… [a text of ${value.length} units: ${why}]`;
  }
  return `[${cut(kindOf(value), MAX_WORDS)}: cannot be sent: ${why}]`;
};

/** The state of an encoder before a value. */
interface Mark {
  readonly position: number;
  readonly depth: number;
  readonly reserved: number;
  readonly objects: number;
  readonly shapes: number;
  readonly attachments: number;
  readonly actions: number;
  readonly hookNames: number;
  readonly open: number;
}

const truncate = (list: Array<unknown> | undefined, length: number): void => {
  if (list !== undefined) list.length = length;
};

/** Encodes one message of at most `limit` bytes. */
export class LenientEncoder<Link = unknown> extends Encoder<Link> {
  readonly #start: number;
  readonly #limit: number;
  /** All numbered objects, in order. */
  readonly #objects: Array<object> = [];
  readonly #shapes: Array<Shape> = [];
  /** Values on which a hook's `decode` relies. If one of them cannot be sent, the whole hooked value is replaced. */
  readonly #structure = new Set<unknown>();
  #attached = 0;
  #counted = 0;

  constructor(writer: Writer, hooks: ReadonlyArray<Hook<Link>>, limit: number) {
    super(writer, hooks);
    this.#start = writer.position;
    this.#limit = limit - HOOK_NAMES;
    this.many = new Map();
    // Makes the encoder read records key by key, so that a getter that throws costs only its own field.
    this.isPolluted = true;
  }

  protected override value(value: unknown): void {
    const mark = this.#mark();
    try {
      // Encoding a string that cannot fit would take as much memory as the string, only to drop it.
      if (typeof value === "string" && this.#size() + value.length > this.#limit) throw new EncodeError(tooLarge);
      super.value(value);
      if (this.#size() > this.#limit) throw new EncodeError(tooLarge);
    } catch (error) {
      this.#rollback(mark);
      if (this.#structure.has(value)) throw error;
      const text = describe(value, EncodeFailure.from(error).reason, this.#limit);
      // If the description does not fit either, the containing value is replaced.
      if (this.#size() + 3 * text.length > this.#limit) throw new EncodeError(tooLarge);
      this.writer.text(text);
    }
  }

  protected override refuse(value: object): void {
    const tag = Foreign.read(value, "_tag");
    if (typeof tag !== "string" || Path.effectRefusal(value) !== undefined) return super.refuse(value);
    const fields: Record<string, unknown> = Object.create(null);
    fields._tag = tag;
    for (const key of Object.keys(value)) fields[key] = this.read(value, key);
    this.fields(fields);
  }

  protected override read(value: object, key: string): unknown {
    try {
      return super.read(value, key);
    } catch (error) {
      return `[cannot be read: ${cut(Foreign.summary(error), MAX_WORDS)}]`;
    }
  }

  protected override part(value: Error, key: string): unknown {
    return key === "name" || key === "stack" || key === "_tag" ? Foreign.read(value, key) : this.read(value, key);
  }

  protected override hooked(hook: Hook<Link>, value: object): void {
    if (this.depth > Tag.MAX_DEPTH - HOOK_LEVELS) throw new EncodeError("it is nested too deeply");
    super.hooked(hook, value);
  }

  protected override hookData(data: unknown): void {
    this.#protect(data, HOOK_STRUCTURE);
    super.hookData(data);
  }

  /** Records the arrays, errors and causes that a hook has put around the parts of a value, but not these parts. */
  #protect(data: unknown, levels: number): void {
    if (Array.isArray(data)) {
      this.#structure.add(data);
      if (levels > 0) { for (const item of data) this.#protect(item, levels - 1); }
    } else if (typeof data === "object" && data !== null) {
      if (Foreign.isInstance(data, Error) || Foreign.has(data, CauseTypeId)) this.#structure.add(data);
    }
  }

  protected override identify(value: object): number {
    const id = super.identify(value);
    if (id === -1) this.#objects.push(value);
    return id;
  }

  protected override shape(keys: ReadonlyArray<string>): Shape {
    const before = this.shapeCount;
    const shape = super.shape(keys);
    if (this.shapeCount > before) this.#shapes.push(shape);
    return shape;
  }

  #size(): number {
    const { attachments } = this;
    while (attachments !== undefined && this.#counted < attachments.length) {
      this.#attached += attachments[this.#counted++].byteLength;
    }
    return this.writer.position - this.#start + this.#attached;
  }

  #mark(): Mark {
    return {
      position: this.writer.position,
      depth: this.depth,
      reserved: this.reserved,
      objects: this.#objects.length,
      shapes: this.#shapes.length,
      attachments: this.attachments?.length ?? 0,
      actions: this.actions?.length ?? 0,
      hookNames: this.hookNames?.length ?? 0,
      open: this.open?.length ?? 0,
    };
  }

  #rollback(mark: Mark): void {
    this.writer.position = mark.position;
    this.depth = mark.depth;
    this.reserved = mark.reserved;
    while (this.#counted > mark.attachments) this.#attached -= this.attachments![--this.#counted].byteLength;
    truncate(this.attachments, mark.attachments);
    truncate(this.actions, mark.actions);
    truncate(this.hookNames, mark.hookNames);
    truncate(this.open, mark.open);
    while (this.#objects.length > mark.objects) this.many!.delete(this.#objects.pop()!);
    while (this.#shapes.length > mark.shapes) {
      const { keys, next } = this.#shapes.pop()!;
      const first = keys.length === 0 ? "" : keys[0];
      if (next === undefined) this.shapes!.delete(first);
      else this.shapes!.set(first, next);
      this.shapeCount--;
      this.lastShape = undefined;
    }
  }
}
