/**
 * The work of the demo on one file. A module of plain functions that imports only `Task` starts quickly in a child,
 * because the child does not load Effect for it.
 *
 * @module
 */
import * as Task from "@effect-deno/multiprocessing/Task";

/** The result for a source file. */
export interface Fingerprint {
  readonly _tag: "Fingerprint";
  readonly path: string;
  readonly lines: number;
  readonly tokens: number;
  /**
   * A sample of the passages, of the same size for every file. The share of equal elements estimates the similarity of
   * two files.
   */
  readonly sample: Uint32Array;
}

/** A file or folder that could not be read. */
export interface Unreadable {
  readonly _tag: "Unreadable";
  readonly path: string;
  readonly reason: string;
}

/** The reason why a path could not be read, without the path that the message of Deno includes. */
export const unreadable = (path: string, error: unknown): Unreadable => ({
  _tag: "Unreadable",
  path,
  reason: error instanceof Error ? error.name : String(error),
});

/** Matches comments, strings, words with digits, and single characters of TypeScript or JavaScript. */
const tokens = /\/\*[^]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[\p{L}\p{N}_$]+|\S/gu;

/** Number of tokens of a passage. */
const PASSAGE = 8;

/** Elements of a sample. */
const SIZE = 2048;

/** Spreads the bits of a number. */
const mix = (n: number): number => {
  n = Math.imul(n ^ n >>> 16, 0x85eb_ca6b);
  n = Math.imul(n ^ n >>> 13, 0xc2b2_ae35);
  return (n ^ n >>> 16) >>> 0;
};

const seeds = Uint32Array.from({ length: SIZE }, (_, n) => mix(n + 1));

const hash = (token: string): number => {
  let sum = 0;
  for (let at = 0; at < token.length; at++) sum = Math.imul(sum, 31) + token.charCodeAt(at) | 0;
  return mix(sum);
};

/** MinHash: puts all passages into {@link SIZE} random orders, the same for all files, and keeps the first passage of each. */
const takeSample = (hashes: ReadonlyArray<number>): Uint32Array => {
  const sample = new Uint32Array(SIZE).fill(2 ** 32 - 1);
  for (let end = PASSAGE; end <= hashes.length; end++) {
    let passage = 0;
    for (let at = end - PASSAGE; at < end; at++) passage = mix(Math.imul(passage, 31) + hashes[at]);
    for (let order = 0; order < SIZE; order++) {
      const place = mix(passage ^ seeds[order]);
      if (place < sample[order]) sample[order] = place;
    }
  }
  return sample;
};

/**
 * Reads a source file, parses it into tokens without comments, and samples its passages. Returns a file that cannot be
 * read as a result too.
 */
export const fingerprint = async (path: string): Promise<Fingerprint | Unreadable> => {
  try {
    const text = await Deno.readTextFile(path);
    const code = (text.match(tokens) ?? []).filter((token) => !token.startsWith("//") && !token.startsWith("/*"));
    return {
      _tag: "Fingerprint",
      path,
      lines: text.split("\n").length - 1,
      tokens: code.length,
      sample: takeSample(code.map(hash)),
    };
  } catch (error) {
    return unreadable(path, error);
  }
};

/** {@link fingerprint} as a task. */
export const fingerprintTask = Task.make(import.meta, "fingerprint", fingerprint);
