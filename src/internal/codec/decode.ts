/**
 * Decodes bytes to values. The format is described in `codec.ts`. One class in one file, for the same reason as `encode.ts`.
 *
 * @module
 */
import { DecodeError } from "./errors.ts";
import type { Hook } from "./hook.ts";
import { ByteReader } from "./reader.ts";
import { explain, isStackOverflow } from "./refusal.ts";
import * as Tag from "./tags.ts";

interface Shape {
  readonly bytes: Uint8Array;
  readonly keys: ReadonlyArray<string>;
  /** Whether the indices would make V8 allocate far more slots than there are values. */
  readonly isSparse: boolean;
  /** Whether plain assignment does not suffice: the shape is sparse, or a key is `__proto__`. */
  readonly isOdd: boolean;
}

/** Placeholder for a value that is not complete yet. */
const unfinished: unique symbol = Symbol();

/** The largest index of an array. */
const FAR = 0xfffffffe;

/** Shapes of earlier messages, by a hash of their bytes. Decoding the keys is the main cost of a small message. */
const shapeCache: Array<Shape | undefined> = new Array(256).fill(undefined);

const isIndex = (key: string): boolean => String(Number(key) >>> 0) === key;

const isSparse = (largest: number, count: number): boolean => largest > 32 + 8 * count;

/** Makes V8 store the elements in a dictionary; a flat store would be as large as the largest index. */
const scatter = (target: Record<number, unknown>): void => {
  target[FAR] = undefined;
  delete target[FAR];
};

const setOwn = (target: object, key: string, value: unknown, enumerable: boolean): void => {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
};

const makeShape = (keys: ReadonlyArray<string>, bytes: Uint8Array): Shape => {
  const indices = keys.filter(isIndex).map(Number);
  const largest = indices.reduce((a, b) => Math.max(a, b), 0);
  const sparse = isSparse(largest, indices.length);
  return { bytes, keys, isSparse: sparse, isOdd: sparse || keys.includes("__proto__") };
};

/** Creates an empty error of a kind, without the cost of a stack trace, which would be replaced anyway. */
const makeError = (kind: number, [name, message]: ReadonlyArray<string | undefined>): Error | undefined => {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return kind === Tag.DOM_EXCEPTION ? new DOMException(message, name) : Tag.errors[kind]?.make();
  } finally {
    Error.stackTraceLimit = limit;
  }
};

/** Decodes one message. */
export class Decoder<Link> extends ByteReader {
  private depth = 0;
  private reserved = 0;
  private names: ReadonlyArray<string> = [];
  private readonly references: Array<unknown> = [];
  private readonly shapes: Array<Shape> = [];
  /** Index of the first attachment of the part that is being read. */
  private firstAttachment = 0;
  /** Number of attachments that were read. */
  private attachmentsRead = 0;

  constructor(
    bytes: Uint8Array,
    private readonly attachments: ReadonlyArray<Uint8Array>,
    private readonly hooks: ReadonlyArray<Hook<Link>>,
    private readonly link: Link,
  ) {
    super(bytes);
    this.at = 1;
  }

  /** Reads the value. Throws only a `DecodeError`. */
  message(): unknown {
    try {
      if (this.bytes[0] !== Tag.PLAIN) {
        const start = this.tableStart();
        this.names = this.table();
        this.end = start;
        this.at = 1;
      }
      const value = this.value();
      if (this.at !== this.end) throw this.wrong("bytes are left over");
      return value;
    } catch (error) {
      throw this.explained(error);
    }
  }

  /** Returns the names of the hooks that the message needs. Throws only a `DecodeError`. */
  hookNames(): ReadonlyArray<string> {
    try {
      return this.bytes[0] === Tag.PLAIN ? [] : this.table();
    } catch (error) {
      throw this.explained(error);
    }
  }

  private explained(error: unknown): DecodeError {
    if (error instanceof DecodeError) return error;
    const reason = isStackOverflow(error) ? "nested too deeply for the stack that is left" : explain(error);
    return this.wrong(reason, error);
  }

  private table(): ReadonlyArray<string> {
    this.at = this.tableStart();
    this.end = this.bytes.length - 4;
    const names = Array.from({ length: this.count(1) }, () => this.text());
    if (this.at !== this.end) {
      throw this.wrong("bytes are left over after the names of the hooks");
    }
    return names;
  }

  private tableStart(): number {
    const { bytes } = this;
    if (bytes[0] !== Tag.HOOKED) {
      throw new DecodeError("it is not a message of this codec", 0);
    }
    const start = bytes.length < 6 ? 0 : this.data().getUint32(bytes.length - 4, true);
    if (start < 2 || start > bytes.length - 5) {
      throw new DecodeError("the names of the hooks are missing", bytes.length);
    }
    return start;
  }

  private enter(): void {
    if (++this.depth > Tag.MAX_DEPTH) {
      throw this.wrong(`nested too deeply (more than ${Tag.MAX_DEPTH} levels)`);
    }
  }

  /** Reserves the next number for a value that is still being read. */
  private expect(): number {
    return this.references.push(unfinished) - 1;
  }

  private value(): unknown {
    const tag = this.bytes[this.at++];
    if (tag < Tag.TEXT) return tag;
    if (tag < Tag.LIST) return this.latin1(tag & 31);
    if (tag < Tag.RECORD) return this.list(tag & 15);
    if (tag < Tag.UNDEFINED) return this.record(this.shapes[tag & 15]);
    if (tag >= Tag.NEGATIVE) return tag - 256;
    switch (tag) {
      case Tag.UNDEFINED:
        return undefined;
      case Tag.NULL:
        return null;
      case Tag.FALSE:
        return false;
      case Tag.TRUE:
        return true;
      case Tag.INT16:
        return this.int16();
      case Tag.INT32:
        return this.int32();
      case Tag.FLOAT64:
        return this.data().getFloat64(this.take(8), true);
      case Tag.BIGINT64:
        return this.data().getBigInt64(this.take(8), true);
      case Tag.BIGINT:
        return this.bigint();
      case Tag.LATIN1:
      case Tag.UTF8:
      case Tag.UTF16:
        return this.longText(tag);
      case Tag.ARRAY:
        return this.list(this.count(1));
      case Tag.KEYED_ARRAY:
        return this.keyed();
      case Tag.NUMBERS:
        return this.numbers();
      case Tag.SHAPE:
        return this.record(this.shape());
      case Tag.RECORD32:
        return this.record(this.shapes[this.varint()]);
      case Tag.REFERENCE:
        return this.reference();
      case Tag.MAP:
        return this.map();
      case Tag.SET:
        return this.set();
      case Tag.DATE:
        return this.keep(new Date(this.data().getFloat64(this.take(8), true)));
      case Tag.REGEXP:
        return this.keep(new RegExp(this.text(), this.text()));
      case Tag.BOXED:
        return this.boxed();
      case Tag.ERROR:
        return this.error();
      case Tag.BUFFER:
      case Tag.ATTACHED:
      case Tag.RESIZABLE:
        return this.buffer(tag);
      case Tag.TYPED:
        return this.typed();
      case Tag.VIEW:
        return this.window();
      case Tag.HOOK:
        return this.hooked();
      case Tag.PARTS:
        return this.parts();
      default:
        throw this.wrong(`unknown tag ${tag}`);
    }
  }

  private keep<A>(value: A): A {
    this.references.push(value);
    return value;
  }

  private list(length: number): Array<unknown> {
    this.fits(length, 1);
    const value: Array<unknown> = [];
    this.references.push(value);
    this.enter();
    for (let i = 0; i < length; i++) value.push(this.value());
    this.depth--;
    return value;
  }

  private parts(): Array<unknown> {
    if (this.at !== 2) throw this.wrong("parts stand within a value");
    const all: Array<unknown> = [];
    for (let left = this.count(1); left > 0; left--) {
      this.references.length = this.shapes.length = 0;
      this.firstAttachment = this.attachmentsRead;
      const part = this.value();
      if (!Array.isArray(part)) throw this.wrong("a part is no array");
      for (const item of part) all.push(item);
    }
    return all;
  }

  private numbers(): Array<number> {
    const form = this.byte();
    const length = this.varint();
    const { width } = Tag.views[form] ?? { width: 1 };
    let at = this.take(length * width);
    const view = this.data();
    const value: Array<number> = this.keep([]);
    if (form === Tag.INT8_FORM) {
      for (let i = 0; i < length; i++) value.push(view.getInt8(at++));
    } else if (form === Tag.INT16_FORM) {
      for (let i = 0; i < length; i++, at += 2) value.push(view.getInt16(at, true));
    } else if (form === Tag.INT32_FORM) {
      for (let i = 0; i < length; i++, at += 4) value.push(view.getInt32(at, true));
    } else if (form === Tag.FLOAT64_FORM) {
      for (let i = 0; i < length; i++, at += 8) value.push(view.getFloat64(at, true));
    } else {
      throw this.wrong(`unknown form of numbers ${form}`);
    }
    return value;
  }

  private keyed(): Array<unknown> {
    const length = this.varint();
    const count = this.count(2);
    if (length > 0xffffffff) throw this.wrong("an array is too long");
    const value: Array<unknown> = this.keep([]);
    if (isSparse(length, count)) scatter(value);
    value.length = length;
    this.enter();
    for (let i = 0; i < count; i++) {
      const key = this.value();
      if (
        typeof key === "number"
          ? key >>> 0 !== key || key >= length
          : typeof key !== "string" || key === "length" || isIndex(key)
      ) {
        throw this.wrong("an array has no such key");
      }
      setOwn(value, String(key), this.value(), true);
    }
    this.depth--;
    return value;
  }

  private shape(): Shape {
    const length = this.byte();
    const start = this.at;
    if (length === 0) return this.define(makeShape(this.keys(), this.bytes));
    this.take(length);
    const { bytes } = this;
    let hash = length;
    for (let i = start; i < this.at; i++) hash = (hash * 31 + bytes[i]) | 0;
    const slot = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & 255;
    const cached = shapeCache[slot];
    if (cached !== undefined && this.isAt(start, cached.bytes)) {
      return this.define(cached);
    }
    this.at = start;
    const keys = this.keys();
    if (this.at !== start + length) {
      throw this.wrong("a shape has another length than it claims");
    }
    return this.define(shapeCache[slot] = makeShape(keys, bytes.slice(start, this.at)));
  }

  private isAt(start: number, known: Uint8Array): boolean {
    if (known.length !== this.at - start) return false;
    for (let i = 0; i < known.length; i++) {
      if (known[i] !== this.bytes[start + i]) return false;
    }
    return true;
  }

  private keys(): ReadonlyArray<string> {
    const count = this.count(1);
    const keys: Array<string> = [];
    for (let i = 0; i < count; i++) keys.push(this.text());
    return keys;
  }

  private define(shape: Shape): Shape {
    this.shapes.push(shape);
    return shape;
  }

  private record(shape: Shape | undefined): object {
    const value: Record<string, unknown> = {};
    this.references.push(value);
    if (shape === undefined || shape.isOdd) return this.fields(shape, value);
    const { keys } = shape;
    this.enter();
    for (let i = 0; i < keys.length; i++) value[keys[i]] = this.value();
    this.depth--;
    return value;
  }

  /** Reads the properties of any object, whatever their keys. */
  private fields(shape: Shape | undefined, target: object): object {
    if (shape === undefined) throw this.wrong("a shape is missing");
    if (shape.isSparse) scatter(target as Record<number, unknown>);
    this.enter();
    for (const key of shape.keys) setOwn(target, key, this.value(), true);
    this.depth--;
    return target;
  }

  private reference(): unknown {
    const id = this.varint();
    if (id >= this.references.length) {
      throw this.wrong(`there is no value ${id} to refer to`);
    }
    const value = this.references[id];
    if (value === unfinished) {
      throw this.wrong(`value ${id} refers to itself, and it is rebuilt from its parts`);
    }
    return value;
  }

  private map(): Map<unknown, unknown> {
    const size = this.count(2);
    const value = this.keep(new Map<unknown, unknown>());
    this.enter();
    for (let i = 0; i < size; i++) value.set(this.value(), this.value());
    this.depth--;
    return value;
  }

  private set(): Set<unknown> {
    const size = this.count(1);
    const value = this.keep(new Set<unknown>());
    this.enter();
    for (let i = 0; i < size; i++) value.add(this.value());
    this.depth--;
    return value;
  }

  private boxed(): unknown {
    const value = this.value();
    if (value === null || value === undefined || typeof value === "object") {
      throw this.wrong("a primitive is expected");
    }
    return this.keep(Object(value));
  }

  private error(): Error {
    const kind = this.byte();
    const flags = this.byte();
    const id = this.expect();
    this.enter();
    const texts: Array<string | undefined> = [];
    for (let i = 0; i < Tag.ERROR_TEXTS; i++) {
      texts.push(flags & (1 << i) ? this.text() : undefined);
    }
    const value = makeError(kind, texts);
    if (value === undefined) throw this.wrong(`unknown kind of error ${kind}`);
    this.references[id] = value;
    texts.forEach((text, i) => {
      const key = Tag.errorParts[i];
      if (text !== undefined || key === "stack") {
        setOwn(value, key, text, false);
      }
    });
    for (let i = Tag.ERROR_TEXTS; i < Tag.errorParts.length; i++) {
      if (flags & (1 << i)) {
        setOwn(value, Tag.errorParts[i], this.value(), false);
      }
    }
    const tag = this.byte();
    if (tag === Tag.SHAPE) this.fields(this.shape(), value);
    else if (tag === Tag.RECORD32) this.fields(this.shapes[this.varint()], value);
    else this.fields(tag < Tag.UNDEFINED ? this.shapes[tag - Tag.RECORD] : undefined, value);
    this.depth--;
    return value;
  }

  private buffer(tag: number): ArrayBuffer {
    if (tag !== Tag.RESIZABLE) return this.keep(this.contents(tag));
    const maxByteLength = this.varint();
    const contents = this.contents(this.byte());
    this.reserved += maxByteLength - contents.byteLength;
    if (maxByteLength < contents.byteLength || this.reserved > Tag.MAX_RESERVED_BYTES) {
      throw this.wrong(`a buffer of ${contents.byteLength} bytes claims to grow to ${maxByteLength}`);
    }
    const value = new ArrayBuffer(contents.byteLength, { maxByteLength });
    new Uint8Array(value).set(new Uint8Array(contents));
    return this.keep(value);
  }

  private contents(tag: number): ArrayBuffer {
    if (tag === Tag.BUFFER) {
      const start = this.take(this.count(1));
      return this.bytes.slice(start, this.at).buffer;
    }
    if (tag !== Tag.ATTACHED) throw this.wrong("a buffer is expected");
    const index = this.firstAttachment + this.varint();
    const attachment = this.attachments[index];
    if (attachment === undefined) {
      throw this.wrong(`attachment ${index} is missing`);
    }
    this.attachmentsRead = Math.max(this.attachmentsRead, index + 1);
    const { buffer } = attachment;
    return buffer instanceof ArrayBuffer &&
        buffer.byteLength === attachment.length
      ? buffer
      : attachment.slice().buffer;
  }

  private typed(): ArrayBufferView {
    const kind = this.kindOfView();
    const id = this.expect();
    const value = new kind.View(this.buffer(this.byte()));
    this.references[id] = value;
    return value;
  }

  private window(): ArrayBufferView {
    const kind = this.kindOfView();
    const buffer = this.reference();
    if (!(buffer instanceof ArrayBuffer)) {
      throw this.wrong("a view refers to a value that is not a buffer");
    }
    return this.keep(new kind.View(buffer, this.varint(), this.varint()));
  }

  private kindOfView(): typeof Tag.views[number] {
    const kind = this.byte();
    if (kind >= Tag.views.length) {
      throw this.wrong(`this runtime has no kind of view ${kind}`);
    }
    return Tag.views[kind];
  }

  private hooked(): unknown {
    const name = this.names[this.varint()];
    if (name === undefined) throw this.wrong("the name of a hook is missing");
    const hook = this.hooks.find((hook) => hook.name === name);
    if (hook === undefined) {
      throw this.wrong(`the hook ${JSON.stringify(name)} is needed, but not installed`);
    }
    const id = this.expect();
    this.enter();
    const data = this.value();
    this.depth--;
    try {
      return this.references[id] = hook.decode(data, this.link);
    } catch (error) {
      const reason = `the hook ${JSON.stringify(name)} cannot rebuild its value: ${explain(error)}`;
      throw new DecodeError(reason, this.at, { cause: error });
    }
  }
}
