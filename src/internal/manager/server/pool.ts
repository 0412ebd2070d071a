/**
 * The host of a managed pool. Callers name the tasks to run.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type { MapOptions, Pool } from "../../../Pool.ts";
import type { Any, StreamTask, Task } from "../../../Task.ts";
import type { Tasks } from "./tasks.ts";

/** A pool, and the tasks of the server. */
export class PoolHost {
  readonly #pool: Pool;
  readonly #tasks: Tasks;

  constructor(pool: Pool, tasks: Tasks) {
    this.#pool = pool;
    this.#tasks = tasks;
  }

  apply(reference: unknown, args: ReadonlyArray<unknown>): unknown {
    return Effect.flatMap(this.#tasks.find(reference), (task) => this.#pool.apply(task, ...args));
  }

  map(reference: unknown, items: ReadonlyArray<unknown>, options?: MapOptions): unknown {
    return Effect.flatMap(
      this.#tasks.find(reference),
      (task) => this.#pool.map(task as Task<[unknown], unknown, unknown>, items, options),
    );
  }

  starmap(reference: unknown, items: ReadonlyArray<ReadonlyArray<unknown>>, options?: MapOptions): unknown {
    return Effect.flatMap(this.#tasks.find(reference), (task) => this.#pool.starmap(task, items, options));
  }

  mapUnordered(reference: unknown, items: ReadonlyArray<unknown>, options?: MapOptions): unknown {
    const task = this.#tasks.find(reference);
    return Stream.unwrap(
      Effect.map(task, (task) => this.#pool.mapUnordered(task as Task<[unknown], unknown, unknown>, items, options)),
    );
  }

  stream(reference: unknown, args: ReadonlyArray<unknown>): unknown {
    return Stream.unwrap(Effect.map(
      this.#tasks.find(reference),
      (task: Any) => this.#pool.stream(task as StreamTask<ReadonlyArray<unknown>, unknown, unknown>, ...args),
    ));
  }

  close(): unknown {
    return this.#pool.close;
  }

  join(): unknown {
    return this.#pool.join;
  }

  terminate(): unknown {
    return this.#pool.terminate;
  }

  statistics(): unknown {
    return this.#pool.statistics;
  }
}
