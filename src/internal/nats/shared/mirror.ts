/**
 * The whole content of a dict in this program, which a watch keeps up to date.
 *
 * @module
 */
import { Watchers } from "../../manager/server/watchers.ts";
import { after } from "../../os/timer.ts";
import { Closed, type Stored } from "../jetstream.ts";
import { Watch } from "../watch.ts";
import type { Connection } from "./connection.ts";
import { type Entry, isThere } from "./entries.ts";
import { type Records, type Version, versionOf } from "./record.ts";

/** How long a mirror stays after its last use, in milliseconds. */
const LINGER = 5000;

/** The pause after which a mirror asks again how far it has to be, in milliseconds. */
const AGAIN = 1000;

/** An entry. Its message is decoded by each reader: values are copies. */
export interface Mirrored {
  readonly token: string;
  readonly message: Stored;
  /** The sequence number of the message that has set the key first. */
  readonly born: number;
}

/** A change. */
export type Change =
  | { readonly _tag: "Snapshot"; readonly entries: ReadonlyArray<Mirrored> }
  | { readonly _tag: "Set"; readonly entry: Mirrored }
  | { readonly _tag: "Delete"; readonly entry: Mirrored };

interface Waiting {
  readonly check: () => void;
  readonly fail: (error: unknown) => void;
}

/** The content of a dict. */
export class Mirror {
  readonly #connection: Connection;
  readonly #records: Records;
  readonly #filter: string;
  /** Told of the mark of a key that was deleted before the watch has begun. */
  readonly #buried: (token: string, sequence: number) => void;
  readonly #entries = new Map<string, Mirrored>();
  readonly #waiting = new Set<Waiting>();
  readonly #endings = new Set<(error: unknown) => void>();
  readonly watchers: Watchers<Change> = new Watchers((): Change => ({ _tag: "Snapshot", entries: this.entries }));
  #watch: Watch | undefined;
  #users = 0;
  #stopLingering: () => void = () => {};
  /** The keys that the watch has listed since it has begun anew. */
  #listed = new Set<string>();
  #isComplete = false;
  #seen = 0;
  #isClosed = false;

  constructor(
    connection: Connection,
    records: Records,
    base: string,
    buried: (token: string, sequence: number) => void,
  ) {
    this.#connection = connection;
    this.#records = records;
    this.#filter = `${base}.*`;
    this.#buried = buried;
  }

  /** The entries, in the order in which their keys were set first. */
  get entries(): ReadonlyArray<Mirrored> {
    return [...this.#entries.values()].sort((a, b) => a.born - b.born);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Keeps the mirror until the returned function is called. */
  use(): () => void {
    // Its user will fail.
    if (this.#isClosed) return () => {};
    this.#users++;
    this.#stopLingering();
    this.#watch ??= this.#watching();
    let isUsed = true;
    return () => {
      if (!isUsed || this.#isClosed) return;
      isUsed = false;
      if (--this.#users === 0) this.#stopLingering = after(LINGER, () => this.#stop());
    };
  }

  /** Waits until the mirror shows every change that has ended by now. */
  async synced(): Promise<void> {
    while (true) {
      const last = await this.#records.lastOf(this.#filter);
      const isDone = (): boolean => this.#isComplete && this.#seen >= last;
      if (isDone()) return;
      await new Promise<void>((resolve, reject) => {
        // The last message may be gone before the watch has come to it.
        const stop = after(AGAIN, () => end(resolve));
        const waiting: Waiting = {
          check: () => {
            if (isDone()) end(resolve);
          },
          fail: (error) => end(() => reject(error)),
        };
        const end = (run: () => void): void => {
          stop();
          this.#waiting.delete(waiting);
          run();
        };
        this.#waiting.add(waiting);
      });
    }
  }

  /** Calls back when the mirror has ended, with the reason. Returns a function that stops that. */
  onEnded(run: (error: unknown) => void): () => void {
    this.#endings.add(run);
    return () => this.#endings.delete(run);
  }

  close(): void {
    this.#isClosed = true;
    this.#end(new Closed("the connection was closed"));
  }

  #end(error: unknown): void {
    this.#stop();
    for (const { fail } of [...this.#waiting]) fail(error);
    for (const run of [...this.#endings]) run(error);
  }

  #stop(): void {
    this.#stopLingering();
    this.#watch?.close();
    this.#watch = undefined;
    this.#entries.clear();
    this.#isComplete = false;
    this.#seen = 0;
  }

  #watching(): Watch {
    return new Watch(
      this.#connection.js,
      this.#connection.nextWatch(),
      this.#connection.stream("shared"),
      this.#filter,
      {
        begun: () => {
          this.#listed = new Set();
          this.#isComplete = false;
        },
        seen: (message) => this.#see(message),
        complete: () => {
          for (const token of [...this.#entries.keys()]) if (!this.#listed.has(token)) this.#delete(token);
          this.#listed = new Set();
          this.#isComplete = true;
          this.#check();
        },
        failed: (error) => this.#end(error),
      },
    );
  }

  #see(message: Stored): void {
    const { sequence, subject } = message;
    const token = subject.slice(subject.lastIndexOf(".") + 1);
    if (!this.#isComplete) this.#listed.add(token);
    this.#seen = Math.max(this.#seen, sequence);
    const before = this.#entries.get(token);
    // After a new beginning, the watch lists known messages again.
    if (before === undefined || before.message.sequence < sequence) {
      const version: Version<Entry> = versionOf(message);
      if (isThere(version)) {
        const entry: Mirrored = { token, message, born: version.state!.born || sequence };
        this.#entries.set(token, entry);
        this.watchers.publish(() => ({ _tag: "Set", entry }));
      } else {
        this.#delete(token);
        // The program that has deleted it removes a newer mark.
        if (!this.#isComplete) this.#buried(token, sequence);
      }
    }
    this.#check();
  }

  #delete(token: string): void {
    const entry = this.#entries.get(token);
    if (!this.#entries.delete(token)) return;
    this.watchers.publish(() => ({ _tag: "Delete", entry: entry! }));
  }

  #check(): void {
    for (const { check } of [...this.#waiting]) check();
  }
}
