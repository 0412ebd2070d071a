/**
 * The event that programs share by a server.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Event from "../../../Event.ts";
import type * as Public from "../../../NatsShared.ts";
import { HandleId } from "../../objects/handles.ts";
import { WaitId } from "../../objects/waitable.ts";
import { inspectable } from "../../os/inspect.ts";
import { after } from "../../os/timer.ts";
import type { SyncFailure } from "../../sync/errors.ts";
import { TypeId } from "../../sync/messages/event.ts";
import { Closed } from "../jetstream.ts";
import type { Watch } from "../watch.ts";
import { type Connection, unsendable } from "./connection.ts";
import { type Records, type Version, versionOf } from "./record.ts";

/** How long a watch stays after the last fiber that waited, in milliseconds. */
const LINGER = 5000;

interface State {
  readonly isSet: boolean;
  /** How often it was set. */
  readonly sets: number;
}

interface Waiting {
  /** How often it had been set when the wait began; `undefined` until this is known. */
  since: number | undefined;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

const stateOf = ({ state }: Version<State>): State => state ?? { isSet: false, sets: 0 };

/** The implementation of {@link Public.Event}. */
export class SharedEvent implements Public.Event {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly name: string;
  readonly carrier = "messages";
  readonly #connection: Connection;
  readonly #records: Records;
  readonly #subject: string;
  readonly #waiting = new Set<Waiting>();
  /** How often it was set, as the watch has seen it. */
  #sets = 0;
  #watch: Watch | undefined;
  #stopLingering: () => void = () => {};

  constructor(connection: Connection, records: Records, name: string) {
    this.#connection = connection;
    this.#records = records;
    this.name = name;
    this.#subject = `${connection.base}.event.${name}`;
  }

  get [HandleId]() {
    return unsendable("event");
  }

  get [WaitId](): Event.Event[typeof WaitId] {
    return {
      look: (answer) => {
        // An event that has ended is ready: its use fails at once.
        this.#read().then(({ isSet }) => answer(isSet), () => answer(true));
      },
      watch: (ready) => this.#await(ready, ready),
    };
  }

  get host(): string {
    return this.#connection.host;
  }

  get isSet(): Effect.Effect<boolean, SyncFailure> {
    return this.#connection.asking("event", async () => (await this.#read()).isSet);
  }

  get set(): Effect.Effect<void, SyncFailure> {
    return this.#change(true);
  }

  get clear(): Effect.Effect<void, SyncFailure> {
    return this.#change(false);
  }

  get wait(): Effect.Effect<void, SyncFailure> {
    return Effect.async<void, SyncFailure>((resume) =>
      Effect.sync(this.#await(
        () => resume(Effect.void),
        (error) => resume(Effect.suspend(() => Effect.fail(this.#connection.failure("event", error)))),
      ))
    );
  }

  get statistics(): Effect.Effect<Event.Statistics, SyncFailure> {
    return Effect.map(this.isSet, (isSet) => {
      // A wait has begun when it knows from where on it counts.
      const waiting = [...this.#waiting].filter(({ since }) => since !== undefined).length;
      return { isSet, waiting, waitingProcesses: Math.min(1, waiting) };
    });
  }

  /** Ends the waits. */
  close(): void {
    for (const waiting of [...this.#waiting]) {
      this.#end(waiting, () => waiting.failed(new Closed("the connection was closed")));
    }
    this.#stopWatching();
  }

  async #read(): Promise<State> {
    return stateOf(await this.#records.read<State>(this.#subject));
  }

  #change(isSet: boolean): Effect.Effect<void, SyncFailure> {
    return this.#connection.asking("event", () =>
      this.#records.change<State, void>(this.#subject, (version) => {
        const { isSet: was, sets } = stateOf(version);
        return {
          result: undefined,
          write: was === isSet ? undefined : { state: { isSet, sets: isSet ? sets + 1 : sets } },
        };
      }));
  }

  /** Waits until the event is set. Returns a function that ends the wait. */
  #await(done: () => void, failed: (error: unknown) => void): () => void {
    const waiting: Waiting = { since: undefined, done, failed };
    this.#waiting.add(waiting);
    this.#stopLingering();
    this.#watch ??= this.#watching();
    this.#read().then(
      ({ isSet, sets }) => {
        waiting.since = sets;
        if (isSet) this.#end(waiting, done);
        else this.#tell();
      },
      (error) => this.#end(waiting, () => failed(error)),
    );
    return () => this.#end(waiting, () => {});
  }

  /** Ends a wait, unless it has ended. */
  #end(waiting: Waiting, run: () => void): void {
    if (!this.#waiting.delete(waiting)) return;
    if (this.#waiting.size === 0) this.#stopLingering = after(LINGER, () => this.#stopWatching());
    run();
  }

  /** Ends the waits during which the event was set. */
  #tell(): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.since !== undefined && this.#sets > waiting.since) this.#end(waiting, waiting.done);
    }
  }

  #watching(): Watch {
    return this.#connection.watch(
      this.#subject,
      (message) => {
        this.#sets = stateOf(versionOf(message)).sets;
        this.#tell();
      },
      (error) => {
        this.#watch = undefined;
        for (const waiting of [...this.#waiting]) this.#end(waiting, () => waiting.failed(error));
      },
    );
  }

  #stopWatching(): void {
    this.#stopLingering();
    this.#watch?.close();
    this.#watch = undefined;
  }
}
inspectable(SharedEvent);
