/**
 * An object in an arena that holds data. Its data begin with the second word, at a multiple of 8 bytes. Free of Effect.
 *
 * @module
 */
import { allocate, type Arena, type Block, existenceProbe, type ObjectAddress, reach } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import { MemoryError } from "./errors.ts";
import { memoryError } from "./system_errors.ts";

/** Words before the data. */
const HEAD = 1;

const REMEDY = 'without it, a process can use, by messages, an object that was made without `carrier: "memory"`';

/** An object in an arena of this or another process. */
export class ArenaObject {
  readonly address: ObjectAddress;
  #arena: Arena | undefined;
  #exists: (() => boolean) | undefined;

  constructor(address: ObjectAddress, arena?: Arena) {
    this.address = address;
    this.#arena = arena;
  }

  /** The arena of the object. Throws the `MemoryError` `Gone` if the object has ended. */
  get arena(): Arena {
    const arena = this.#arena ??= this.#find();
    if ((this.#exists ??= existenceProbe(arena, this.address))()) return arena;
    throw new MemoryError("Gone", "Cannot use the shared object: its scope has closed, or its process has ended");
  }

  /** Throws the `MemoryError` `Gone` if the object has ended. */
  check(): void {
    void this.arena;
  }

  /** The first word of the object. */
  get at(): number {
    return this.address.at + 1;
  }

  /** Offset of the data in the arena, in bytes. */
  get data(): number {
    return (this.at + HEAD) * 4;
  }

  #find(): Arena {
    try {
      return reach(this.address).arena;
    } catch (error) {
      const failure = memoryError(error);
      if (failure.reason !== "Unsupported") throw failure;
      throw new MemoryError("Unsupported", `${failure.message}; ${REMEDY}`, failure.cause);
    }
  }
}

/** An object that this process has allocated. */
export interface Allocated {
  readonly object: ArenaObject;
  readonly free: () => void;
}

/** Allocates an object for `bytes` bytes of data, all 0. Throws a `MemoryError`. */
export const allocateBytes = (bytes: number, kind?: RegionKind): Allocated => {
  let block: Block;
  try {
    block = allocate(HEAD + Math.ceil(bytes / 4), kind);
  } catch (error) {
    throw memoryError(error);
  }
  return { object: new ArenaObject(block.address, block.arena), free: block.free };
};
