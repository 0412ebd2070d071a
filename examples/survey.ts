/**
 * What the demo does with one file. A module of plain functions that imports only `Task` starts quickly in a child, since
 * it does not load Effect there.
 *
 * @module
 */
import * as Task from "@effect-deno/multiprocessing/Task";

/** What is known of a file that was read. */
export interface Surveyed {
  readonly _tag: "Surveyed";
  readonly path: string;
  readonly bytes: number;
  /** Line feeds. */
  readonly lines: number;
  /** Runs of letters and digits. */
  readonly words: number;
  /** Words that differ, whatever their case. */
  readonly distinct: number;
  readonly sha256: string;
}

/** A file or folder that could not be read. */
export interface Unreadable {
  readonly _tag: "Unreadable";
  readonly path: string;
  readonly reason: string;
}

/** Says why something could not be read, without the path that Deno has in its message. */
export const unreadable = (path: string, error: unknown): Unreadable => ({
  _tag: "Unreadable",
  path,
  reason: error instanceof Error ? error.name : String(error),
});

/** Reads a file, counts its lines, words and distinct words, and takes its SHA-256. What it cannot read is a result too. */
export const survey = async (path: string): Promise<Surveyed | Unreadable> => {
  try {
    const bytes = await Deno.readFile(path);
    const text = new TextDecoder().decode(bytes);
    const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return {
      _tag: "Surveyed",
      path,
      bytes: bytes.length,
      lines: text.split("\n").length - 1,
      words: words.length,
      distinct: new Set(words).size,
      sha256: new Uint8Array(digest).toHex(),
    };
  } catch (error) {
    return unreadable(path, error);
  }
};

/** The same as a task. */
export const surveyTask = Task.make(import.meta, "survey", survey);
