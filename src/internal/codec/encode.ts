/**
 * Encodes values to bytes. The format is described in `codec.ts`.
 *
 * The encodings of all kinds of values call each other and share the state of one message, so they are methods of one class in one
 * file.
 *
 * @module
 */
import { NOT_NUMBERS, packedForm, type Writer } from "./bytes.ts";
import { EncodeError } from "./errors.ts";
import { isInstance } from "./foreign.ts";
import type { Hook } from "./hook.ts";
import { isMarked } from "./moves.ts";
import * as Path from "./refusal.ts";
import * as Tag from "./tags.ts";

/** Up to this number of objects, a search through an array is faster than a `Map`. */
const FEW_OBJECTS = 8;

/**
 * Longest array that is searched for named properties. The search takes 27 ns per element, more than the rest of the
 * encoding.
 */
const MAX_NAMED_LENGTH = 32;

/** Shortest array that is packed; packing fewer numbers saves no space. */
const MIN_NUMBERS = 8;

/** Maximum number of shapes with the same first key that are compared before a shape is written again. */
const MAX_CANDIDATES = 32;

/** The keys of records of one kind, and the number by which a message refers to the shape. */
export interface Shape {
  readonly id: number;
  readonly keys: ReadonlyArray<string>;
  readonly next: Shape | undefined;
}

/** Collects the path of a failure while the stack unwinds, so that a success pays nothing for the path. */
export class EncodeFailure {
  readonly steps: Array<string> = [];
  constructor(readonly reason: string, readonly cause: unknown) {}

  static from(error: unknown): EncodeFailure {
    if (isInstance(error, EncodeFailure)) return error;
    if (isInstance(error, EncodeError)) {
      return new EncodeFailure(error.reason, error.cause);
    }
    if (Path.isStackOverflow(error)) return new EncodeFailure(tooDeep, undefined);
    return new EncodeFailure(`reading it threw ${Path.explain(error)}`, error);
  }

  at(step: string): EncodeFailure {
    this.steps.push(step);
    return this;
  }
}

const tooDeep = `it is nested too deeply (more than ${Tag.MAX_DEPTH} levels); send it as a flat list`;
const changed = () => new EncodeError("it changed while it was read");

/** Whether `Object.prototype` has enumerable keys, in which case `for in` lists more than own keys. */
const isPolluted = (): boolean => {
  for (const key in Object.prototype) return key !== undefined;
  return false;
};

const hasHole = (array: ReadonlyArray<unknown>): boolean => {
  for (let i = 0; i < array.length; i++) {
    if (array[i] === undefined && !Object.hasOwn(array, i)) return true;
  }
  return false;
};

const hasSameKeys = (value: object, keys: ReadonlyArray<string>): boolean => {
  let i = 0;
  for (const key in value) if (keys[i++] !== key) return false;
  return i === keys.length;
};

const equalKeys = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

const isIndex = (key: string): boolean => {
  const index = Number(key) >>> 0;
  return index !== 0xffffffff && String(index) === key;
};

/** Ends a message that begins at `start` with the names of its hooks. */
export const writeNames = (writer: Writer, start: number, names: ReadonlyArray<string>): void => {
  const table = writer.position - start;
  writer.buffer[start] = Tag.HOOKED;
  writer.varint(names.length);
  for (const name of names) writer.text(name);
  writer.reserve(4);
  writer.view.setUint32(writer.position, table, true);
  writer.position += 4;
};

type Builtin = (encoder: Encoder<never>, value: object) => void;

/**
 * Encodings by prototype, of objects that are neither plain nor arrays. An instance of a subclass of a view or an error is
 * written as its nearest builtin.
 */
const builtins = new Map<object, Builtin>([
  [Map.prototype, (encoder, value) => encoder.map(value as Map<unknown, unknown>)],
  [Set.prototype, (encoder, value) => encoder.set(value as Set<unknown>)],
  [Date.prototype, (encoder, value) => encoder.date(value as Date)],
  [RegExp.prototype, (encoder, value) => encoder.regexp(value as RegExp)],
  [ArrayBuffer.prototype, (encoder, value) => encoder.buffer(value as ArrayBuffer)],
  [Number.prototype, (encoder, value) => encoder.boxed(Number.prototype.valueOf.call(value))],
  [String.prototype, (encoder, value) => encoder.boxed(String.prototype.valueOf.call(value))],
  [Boolean.prototype, (encoder, value) => encoder.boxed(Boolean.prototype.valueOf.call(value))],
  [BigInt.prototype, (encoder, value) => encoder.boxed(BigInt.prototype.valueOf.call(value))],
  [DOMException.prototype, (encoder, value) => encoder.error(value as Error, Tag.DOM_EXCEPTION)],
]);
Tag.views.forEach(({ View }, kind) =>
  builtins.set(View.prototype, (encoder, value) => encoder.view(value as ArrayBufferView, kind))
);
Tag.errors.forEach(({ prototype }, kind) =>
  builtins.set(prototype, (encoder, value) => encoder.error(value as Error, kind))
);

const nearest = (value: object): Builtin | undefined => {
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    const builtin = builtins.get(at);
    if (builtin !== undefined) return builtin;
  }
};

/** Encodes one message. Cannot be used again after a failure. */
export class Encoder<Link = unknown> {
  attachments: Array<Uint8Array> | undefined;
  actions: Array<(link: Link) => void> | undefined;
  hookNames: Array<string> | undefined;
  /** Buffers that are to move with the message. */
  moving: Set<ArrayBuffer> | undefined;
  protected isPolluted = isPolluted();
  protected depth = 0;
  protected reserved = 0;
  protected few: Array<object> | undefined;
  protected many: Map<object, number> | undefined;
  protected shapeCount = 0;
  protected lastShape: Shape | undefined;
  protected shapes: Map<string, Shape> | undefined;
  /** Hooked values whose data is being written; none may contain itself. */
  protected open: Array<object> | undefined;

  constructor(protected readonly writer: Writer, private readonly hooks: ReadonlyArray<Hook<Link>>) {}

  /** Writes the value. Throws only an `EncodeError`, whose path starts with `root`. */
  message(value: unknown, root: string): void {
    const { writer } = this;
    const start = writer.position;
    try {
      writer.byte(Tag.PLAIN);
      this.value(value);
      if (this.hookNames !== undefined) writeNames(writer, start, this.hookNames);
    } catch (error) {
      throw this.failed(error, start, root);
    }
  }

  /**
   * Writes one of the arrays of a list of parts, as {@link message} writes a message. The parts of one list have common names of hooks, and
   * a common reserve: `previous` is the encoder of the part before this one.
   */
  listPart(value: ReadonlyArray<unknown>, root: string, previous: Encoder<Link> | undefined): void {
    const start = this.writer.position;
    this.hookNames = previous?.hookNames;
    this.reserved = previous?.reserved ?? 0;
    try {
      this.value(value);
    } catch (error) {
      throw this.failed(error, start, root);
    }
  }

  private failed(error: unknown, start: number, root: string): EncodeError {
    this.writer.position = start;
    const failure = EncodeFailure.from(error);
    return new EncodeError(failure.reason, { path: Path.join(root, failure.steps), cause: failure.cause });
  }

  protected value(value: unknown): void {
    const { writer } = this;
    writer.reserve(16);
    switch (typeof value) {
      case "number":
        return writer.number(value);
      case "string":
        return writer.text(value);
      case "boolean":
        writer.buffer[writer.position++] = value ? Tag.TRUE : Tag.FALSE;
        return;
      case "undefined":
        writer.buffer[writer.position++] = Tag.UNDEFINED;
        return;
      case "bigint":
        return writer.bigint(value);
      case "object":
        if (value !== null) return this.object(value);
        writer.buffer[writer.position++] = Tag.NULL;
        return;
      default:
        throw new EncodeError(Path.refusal(value));
    }
  }

  private object(value: object): void {
    const id = this.identify(value);
    if (id !== -1) {
      if (this.open?.includes(value)) {
        throw new EncodeError(
          "it contains itself, which is not possible for a value that a hook rebuilds; break the cycle",
        );
      }
      this.writer.byte(Tag.REFERENCE);
      this.writer.varint(id);
      return;
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return this.record(value as Record<string, unknown>);
    }
    if (prototype === Array.prototype && Array.isArray(value)) {
      return this.array(value);
    }
    const builtin = builtins.get(prototype);
    if (builtin !== undefined) return builtin(this, value);
    for (const hook of this.hooks) {
      if (hook.is(value)) return this.hooked(hook, value);
    }
    const base = ArrayBuffer.isView(value) || value instanceof Error ? nearest(value) : undefined;
    if (base === undefined) return this.refuse(value);
    base(this, value);
  }

  /** Handles an object for which there is no encoding. */
  protected refuse(value: object): void {
    throw new EncodeError(Path.refusal(value));
  }

  /** Reads a property of an object that may have accessors. */
  protected read(value: object, key: string): unknown {
    return (value as Record<string, unknown>)[key];
  }

  /** Reads one of the {@linkcode Tag.errorParts}. */
  protected part(value: Error, key: string): unknown {
    return Reflect.get(value, key);
  }

  /** Returns the number of an object that was written before. Otherwise gives it the next number, and returns -1. */
  protected identify(value: object): number {
    if (this.many !== undefined) {
      const id = this.many.get(value);
      if (id !== undefined) return id;
      this.many.set(value, this.many.size);
      return -1;
    }
    const few = this.few ??= [];
    for (let i = 0; i < few.length; i++) if (few[i] === value) return i;
    few.push(value);
    if (few.length > FEW_OBJECTS) {
      this.many = new Map(few.map((object, i) => [object, i]));
    }
    return -1;
  }

  private enter(): void {
    if (++this.depth > Tag.MAX_DEPTH) throw new EncodeError(tooDeep);
  }

  private array(value: ReadonlyArray<unknown>): void {
    const { length } = value;
    if (length <= MAX_NAMED_LENGTH && Object.keys(value).length !== length) {
      return this.keyed(value);
    }
    if (length >= MIN_NUMBERS && typeof value[0] === "number") {
      const form = packedForm(value);
      if (form !== NOT_NUMBERS) {
        return this.writer.numbers(value as ReadonlyArray<number>, form);
      }
    }
    if (hasHole(value)) return this.keyed(value);
    const { writer } = this;
    if (length < 16) {
      writer.buffer[writer.position++] = Tag.LIST | length;
    } else {
      writer.buffer[writer.position++] = Tag.ARRAY;
      writer.varint(length);
    }
    this.enter();
    let i = 0;
    try {
      for (; i < length; i++) this.value(value[i]);
    } catch (error) {
      throw EncodeFailure.from(error).at(`[${i}]`);
    }
    this.depth--;
  }

  private keyed(value: ReadonlyArray<unknown>): void {
    const keys = Object.keys(value);
    this.writer.byte(Tag.KEYED_ARRAY);
    this.writer.varint(value.length);
    this.writer.varint(keys.length);
    this.enter();
    for (const key of keys) {
      const index = isIndex(key);
      try {
        this.value(index ? Number(key) : key);
        this.value(this.read(value, key));
      } catch (error) {
        throw EncodeFailure.from(error).at(index ? `[${key}]` : Path.property(key));
      }
    }
    this.depth--;
  }

  private record(value: Record<string, unknown>): void {
    if (this.isPolluted) return this.fields(value);
    const last = this.lastShape;
    const shape = last !== undefined && hasSameKeys(value, last.keys)
      ? this.repeat(last)
      : this.shape(Object.keys(value));
    this.enter();
    let i = 0;
    try {
      // V8 reads the keys of a `for in` by position, which takes a third of the time of a lookup by name.
      for (const key in value) {
        this.value(value[key]);
        i++;
      }
    } catch (error) {
      throw EncodeFailure.from(error).at(Path.property(shape.keys[i]));
    }
    if (i !== shape.keys.length) throw changed();
    this.depth--;
  }

  /** Writes the own enumerable properties of an object with any prototype. */
  protected fields(value: object): void {
    const { keys } = this.shape(Object.keys(value));
    this.enter();
    for (const key of keys) {
      try {
        this.value(this.read(value, key));
      } catch (error) {
        throw EncodeFailure.from(error).at(Path.property(key));
      }
    }
    this.depth--;
  }

  private repeat(shape: Shape): Shape {
    const { writer } = this;
    if (shape.id < 16) {
      writer.byte(Tag.RECORD | shape.id);
    } else {
      writer.byte(Tag.RECORD32);
      writer.varint(shape.id);
    }
    return this.lastShape = shape;
  }

  protected shape(keys: ReadonlyArray<string>): Shape {
    const first = keys.length === 0 ? "" : keys[0];
    const candidates = this.shapes?.get(first);
    let candidate = candidates;
    for (let i = 0; candidate !== undefined && i < MAX_CANDIDATES; i++) {
      if (equalKeys(candidate.keys, keys)) return this.repeat(candidate);
      candidate = candidate.next;
    }
    const { writer } = this;
    writer.reserve(16);
    writer.buffer[writer.position++] = Tag.SHAPE;
    const start = writer.position++;
    writer.varint(keys.length);
    for (const key of keys) writer.text(key);
    const length = writer.position - start - 1;
    writer.buffer[start] = length < 256 ? length : 0;
    const shape: Shape = { id: this.shapeCount++, keys, next: candidates };
    if (this.shapes === undefined) this.shapes = new Map();
    this.shapes.set(first, shape);
    return this.lastShape = shape;
  }

  map(value: Map<unknown, unknown>): void {
    const { size } = value;
    this.writer.byte(Tag.MAP);
    this.writer.varint(size);
    this.enter();
    let count = 0;
    for (const [key, item] of value) {
      try {
        this.value(key);
      } catch (error) {
        throw EncodeFailure.from(error).at(`.keys()[${count}]`);
      }
      try {
        this.value(item);
      } catch (error) {
        throw EncodeFailure.from(error).at(Path.entry(key));
      }
      count++;
    }
    if (count !== size) throw changed();
    this.depth--;
  }

  set(value: Set<unknown>): void {
    const { size } = value;
    this.writer.byte(Tag.SET);
    this.writer.varint(size);
    this.enter();
    let count = 0;
    for (const item of value) {
      try {
        this.value(item);
      } catch (error) {
        throw EncodeFailure.from(error).at(`.values()[${count}]`);
      }
      count++;
    }
    if (count !== size) throw changed();
    this.depth--;
  }

  date(value: Date): void {
    this.writer.byte(Tag.DATE);
    this.writer.float64(Date.prototype.getTime.call(value));
  }

  regexp(value: RegExp): void {
    this.writer.byte(Tag.REGEXP);
    this.writer.text(value.source);
    this.writer.text(value.flags);
  }

  boxed(value: unknown): void {
    this.writer.byte(Tag.BOXED);
    this.value(value);
  }

  error(value: Error, kind: number): void {
    const { writer } = this;
    writer.byte(Tag.ERROR);
    writer.byte(kind);
    const flagsAt = writer.position;
    writer.byte(0);
    this.enter();
    let flags = 0;
    Tag.errorParts.forEach((key, i) => {
      try {
        if (!Object.prototype.propertyIsEnumerable.call(value, key)) {
          const part: unknown = this.part(value, key);
          const isPart = i < Tag.ERROR_TEXTS
            ? typeof part === "string" &&
              part !== Reflect.get(Tag.errors[kind]?.prototype ?? {}, key)
            : part !== undefined || Object.hasOwn(value, key);
          if (isPart) {
            this.value(part);
            flags |= 1 << i;
          }
        }
      } catch (error) {
        throw EncodeFailure.from(error).at(Path.property(key));
      }
    });
    writer.buffer[flagsAt] = flags;
    this.fields(value);
    this.depth--;
  }

  buffer(value: ArrayBuffer): void {
    if (value.detached) {
      throw new EncodeError("its buffer is detached: it was transferred away");
    }
    this.note(value);
    if (value.resizable) {
      this.writer.byte(Tag.RESIZABLE);
      this.writer.varint(value.maxByteLength);
      this.reserved += value.maxByteLength - value.byteLength;
      if (this.reserved > Tag.MAX_RESERVED_BYTES) {
        throw new EncodeError(
          "the resizable buffers of a message reserve at most 1 GiB; give them a smaller maxByteLength",
        );
      }
    }
    this.contents(new Uint8Array(value, 0, value.byteLength));
  }

  private contents(bytes: Uint8Array<ArrayBuffer>): void {
    const { writer } = this;
    if (bytes.length < Tag.ATTACHMENT_BYTES) {
      writer.byte(Tag.BUFFER);
      writer.varint(bytes.length);
      writer.bytes(bytes);
    } else {
      writer.byte(Tag.ATTACHED);
      writer.varint((this.attachments ??= []).push(bytes) - 1);
    }
  }

  view(value: ArrayBufferView, kind: number): void {
    const { writer } = this;
    const { buffer, byteOffset, byteLength } = value;
    if (!(buffer instanceof ArrayBuffer)) {
      throw new EncodeError(Path.refusal(buffer));
    }
    if (buffer.detached) {
      throw new EncodeError("its buffer is detached: it was transferred away");
    }
    const isWhole = byteLength === buffer.byteLength;
    // A view of a part of a buffer is sent with its own buffer, to which no other value can refer.
    const window = isWhole ? undefined : new Uint8Array(buffer, byteOffset, byteLength);
    const id = window !== undefined && !this.isKnown(buffer) ? this.identify(window) : this.identify(buffer);
    if (id !== -1) {
      writer.byte(Tag.VIEW);
      writer.byte(kind);
      writer.varint(id);
      writer.varint(byteOffset);
      writer.varint(byteLength / Tag.views[kind].width);
    } else {
      writer.byte(Tag.TYPED);
      writer.byte(kind);
      if (window === undefined) return this.buffer(buffer);
      this.note(buffer);
      this.contents(window);
    }
  }

  private note(buffer: ArrayBuffer): void {
    if (isMarked(buffer)) (this.moving ??= new Set()).add(buffer);
  }

  private isKnown(value: object): boolean {
    return this.many !== undefined ? this.many.has(value) : this.few !== undefined && this.few.includes(value);
  }

  protected hooked(hook: Hook<Link>, value: object): void {
    const names = this.hookNames ??= [];
    let index = names.indexOf(hook.name);
    if (index === -1) index = names.push(hook.name) - 1;
    this.writer.byte(Tag.HOOK);
    this.writer.varint(index);
    const open = this.open ??= [];
    open.push(value);
    this.enter();
    const data = hook.encode(value, (action) => (this.actions ??= []).push(action));
    try {
      this.hookData(data);
    } catch (error) {
      const failure = EncodeFailure.from(error);
      // The index in the hook's own array would mean nothing to the reader of the path.
      if (Array.isArray(data)) failure.steps.pop();
      throw failure.at(`<${hook.name}>`);
    }
    this.depth--;
    open.pop();
  }

  /** Writes the data that a hook returned for a value. */
  protected hookData(data: unknown): void {
    this.value(data);
  }
}
