/**
 * The tags and constants of the codec's format. The table in `codec.ts` describes the layouts.
 *
 * @module
 */

/** First byte of a message. */
export const PLAIN = 0x00;
export const HOOKED = 0x01;

/** First tags of the ranges that contain a small number in the tag itself. */
export const TEXT = 0x80;
export const LIST = 0xa0;
export const RECORD = 0xb0;
export const NEGATIVE = 0xf0;

export const UNDEFINED = 0xc0;
export const NULL = 0xc1;
export const FALSE = 0xc2;
export const TRUE = 0xc3;
export const INT16 = 0xc4;
export const INT32 = 0xc5;
export const FLOAT64 = 0xc6;
export const BIGINT64 = 0xc7;
export const BIGINT = 0xc8;
export const LATIN1 = 0xc9;
export const UTF8 = 0xca;
export const UTF16 = 0xcb;
export const ARRAY = 0xcc;
export const KEYED_ARRAY = 0xcd;
export const NUMBERS = 0xce;
export const SHAPE = 0xcf;
export const RECORD32 = 0xd0;
export const REFERENCE = 0xd1;
export const MAP = 0xd2;
export const SET = 0xd3;
export const DATE = 0xd4;
export const REGEXP = 0xd5;
export const BOXED = 0xd6;
export const ERROR = 0xd7;
export const BUFFER = 0xd8;
export const ATTACHED = 0xd9;
export const RESIZABLE = 0xda;
export const TYPED = 0xdb;
export const VIEW = 0xdc;
export const HOOK = 0xdd;
export const PARTS = 0xde;

/** Strings with fewer units are encoded as Latin-1 or UTF-16, which need no call into the runtime. */
export const SHORT_TEXT = 64;

/**
 * The parts of an error besides its enumerable fields. The index of a part is its bit. The strings come first, because a
 * `DOMException` is created from them.
 */
export const errorParts: ReadonlyArray<string> = ["name", "message", "stack", "_tag", "cause", "errors"];

export const ERROR_TEXTS = 4;

/** Binary content of at least this number of bytes is sent beside the body, without a copy. */
export const ATTACHMENT_BYTES: number = 64 * 1024;

/** Maximum number of levels, equal on both sides. They take at most two thirds of V8's default stack. */
export const MAX_DEPTH = 1000;

/** Maximum address space that the resizable buffers of one message may reserve, in bytes. */
export const MAX_RESERVED_BYTES: number = 1024 * 1024 * 1024;

type View = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => ArrayBufferView<ArrayBuffer>;

/** The index of a constructor is its number in a message. */
export const views: ReadonlyArray<
  { readonly View: View; readonly width: number }
> = [
  { View: Uint8Array, width: 1 },
  { View: Int8Array, width: 1 },
  { View: Uint8ClampedArray, width: 1 },
  { View: Int16Array, width: 2 },
  { View: Uint16Array, width: 2 },
  { View: Int32Array, width: 4 },
  { View: Uint32Array, width: 4 },
  { View: Float32Array, width: 4 },
  { View: Float64Array, width: 8 },
  { View: BigInt64Array, width: 8 },
  { View: BigUint64Array, width: 8 },
  { View: DataView, width: 1 },
  ...(typeof Float16Array === "undefined" ? [] : [{ View: Float16Array, width: 2 }]),
];

/** The packed forms of an array of numbers, as indices of {@linkcode views}. */
export const INT8_FORM = 1;
export const INT16_FORM = 3;
export const INT32_FORM = 5;
export const FLOAT64_FORM = 8;

/** The index of an error is its number in a message. `DOMException` has the next number. */
export const errors: ReadonlyArray<
  { readonly prototype: Error; readonly make: () => Error }
> = [
  { prototype: Error.prototype, make: () => new Error() },
  { prototype: EvalError.prototype, make: () => new EvalError() },
  { prototype: RangeError.prototype, make: () => new RangeError() },
  { prototype: ReferenceError.prototype, make: () => new ReferenceError() },
  { prototype: SyntaxError.prototype, make: () => new SyntaxError() },
  { prototype: TypeError.prototype, make: () => new TypeError() },
  { prototype: URIError.prototype, make: () => new URIError() },
  { prototype: AggregateError.prototype, make: () => new AggregateError([]) },
];

export const DOM_EXCEPTION: number = errors.length;
