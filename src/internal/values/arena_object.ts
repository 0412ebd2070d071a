/**
 * Objects that have a place in an arena. What one holds begins with its second word: at a multiple of 8 bytes. Free of Effect.
 *
 * @module
 */
import { allocate, type Arena, type Block, existenceProbe, type ObjectAddress, reach } from "../sync/protocol/arena.ts";
import type { Kind } from "../os/mapping.ts";
import { MemoryError } from "./errors.ts";
import { memoryError } from "./system_errors.ts";

/** Words in front of what an object holds. */
const HEAD = 1;

/** An object in an arena, whoever made it. */
export class ArenaObject {
  readonly place: ObjectAddress;
  #arena: Arena | undefined;
  #lives: (() => boolean) | undefined;

  constructor(place: ObjectAddress, arena?: Arena) {
    this.place = place;
    this.#arena = arena;
  }

  /** Its arena. Throws a `MemoryError` if the object is no more. */
  get arena(): Arena {
    const arena = this.#arena ??= this.#reach();
    if ((this.#lives ??= existenceProbe(arena, this.place))()) return arena;
    throw new MemoryError("Gone", "Cannot use the shared object: its scope has closed, or its process has ended");
  }

  /** Throws a `MemoryError` if the object is no more. */
  check(): void {
    void this.arena;
  }

  /** The first word of the object. */
  get at(): number {
    return this.place.at + 1;
  }

  /** Where what it holds begins, in bytes. */
  get data(): number {
    return (this.at + HEAD) * 4;
  }

  #reach(): Arena {
    try {
      return reach(this.place).arena;
    } catch (error) {
      throw memoryError(error);
    }
  }
}

/** Something that was object here. */
export interface Allocated {
  readonly object: ArenaObject;
  readonly free: () => void;
}

/** Places an object that holds so many bytes, all 0. Throws a `MemoryError`. */
export const allocateBytes = (bytes: number, kind?: Kind): Allocated => {
  let block: Block;
  try {
    block = allocate(HEAD + Math.ceil(bytes / 4), kind);
  } catch (error) {
    throw memoryError(error);
  }
  return { object: new ArenaObject(block.place, block.arena), free: block.free };
};
