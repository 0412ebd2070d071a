/**
 * The dict that programs share by a server.
 *
 * A key is read from the leader of its stream, and changed by compare-and-set. Operations on the whole content use a mirror, which is
 * brought up to date first.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type * as Manager from "../../../Manager.ts";
import type * as Public from "../../../NatsShared.ts";
import { DecodeError, EncodeError } from "../../codec/errors.ts";
import { isInstance } from "../../codec/foreign.ts";
import { type Incoming, MessageTooLarge } from "../../codec/message.ts";
import { checked, type ManagerFailure } from "../../manager/calls.ts";
import { ManagerError, RemoteError } from "../../manager/errors.ts";
import { tasks as taskChecks, withPairs } from "../../manager/proxies/dict.ts";
import { isSame } from "../../manager/server/by_value.ts";
import { Thrown, toEffect } from "../../manager/server/results.ts";
import { Tasks } from "../../manager/server/tasks.ts";
import { HandleId } from "../../objects/handles.ts";
import { waitThenCommit } from "../../objects/interruption.ts";
import * as Arguments from "../../os/arguments.ts";
import { inspectable } from "../../os/inspect.ts";
import { after } from "../../os/timer.ts";
import { each } from "../each.ts";
import { Closed, Denied, JetStreamError } from "../jetstream.ts";
import { type Connection, unsendable } from "./connection.ts";
import {
  decodeKey,
  decodeValue,
  encodeValue,
  type Entry,
  gone,
  isThere,
  type Key,
  keyOf,
  setAfter,
} from "./entries.ts";
import { type Change, Mirror, type Mirrored } from "./mirror.ts";
import { nowhere, type Records, type Version, versionOf } from "./record.ts";

/** Marks a dict that programs share by a server. */
export const TypeId = "~multiprocessing/NatsShared/Dict";

/** How long the mark of a deleted key stays, in milliseconds: watches that lag behind need it. */
const MARKS_STAY = 120_000;

/** The number of keys whose versions are remembered, so that setting them again takes one message. */
const REMEMBERED = 1000;

/** The number of keys that are set at a time. */
const AT_A_TIME = 64;

/** How long an interrupted fiber waits until the value that it has taken is put back, in milliseconds. */
const PATIENCE = 5000;

/** A value that was taken out. */
interface Taken<A> {
  readonly value: A;
  readonly putBack: () => Promise<unknown>;
}

const isFailure = (error: unknown): error is ManagerFailure =>
  error instanceof EncodeError || error instanceof DecodeError || error instanceof MessageTooLarge ||
  error instanceof ManagerError;

const bodyOf = <V>(version: Version<Entry>): V | undefined =>
  isThere(version) ? decodeValue(version.body) as V : undefined;

const pairOf = <K, V>({ message, token }: Mirrored): [key: K, value: V] => {
  const version: Version<Entry> = versionOf(message);
  return [decodeKey(token, version.state!) as K, decodeValue(version.body) as V];
};

const keyIn = <K>({ message, token }: Mirrored): K => decodeKey(token, versionOf<Entry>(message).state!) as K;

/** The implementation of {@link Public.Dict}. */
export class SharedDict<K, V> implements Public.Dict<K, V> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly name: string;
  readonly #connection: Connection;
  readonly #records: Records;
  readonly #base: string;
  readonly #mirror: Mirror;
  /** The scope of the layers of tasks. */
  readonly #scope: Scope.Scope;
  readonly #tasks = new Map<string, Tasks>();
  /** Versions of keys, without their values. */
  readonly #remembered = new Map<string, Version<Entry>>();
  /** How long the mark of a deleted key stays. */
  readonly #markStays: number;
  /** The last mark of each deleted key, and when it was seen. */
  readonly #marks = new Map<string, { readonly sequence: number; readonly at: number }>();
  #stopSweeping: (() => void) | undefined;
  #isClosed = false;

  constructor(
    connection: Connection,
    records: Records,
    name: string,
    scope: Scope.Scope,
    markStays: number = MARKS_STAY,
  ) {
    this.#markStays = markStays;
    this.#connection = connection;
    this.#records = records;
    this.name = name;
    this.#scope = scope;
    this.#base = `${connection.base}.dict.${name}`;
    this.#mirror = new Mirror(connection, records, this.#base, (token, sequence) => this.#marked(token, sequence));
  }

  get [HandleId]() {
    return unsendable("dict");
  }

  get size(): Effect.Effect<number, ManagerFailure> {
    return this.#whole(({ size }) => size);
  }

  readonly get = (key: K): Effect.Effect<V | undefined, ManagerFailure> =>
    this.#ask(async () => bodyOf<V>(await this.#read(await keyOf(key))));

  readonly getOrElse = <B>(key: K, otherwise: B): Effect.Effect<V | B, ManagerFailure> =>
    this.#ask(async () => {
      const version = await this.#read(await keyOf(key));
      return isThere(version) ? bodyOf<V>(version) as V : otherwise;
    });

  readonly getMany = (keys: Iterable<K>): Effect.Effect<Array<V | undefined>, ManagerFailure> =>
    checked("dict.getMany", { keys }, { keys: Arguments.iterable }, () =>
      this.#ask(async () => {
        const all = await Promise.all(Array.from(keys, keyOf));
        const values = new Array<V | undefined>(all.length);
        await each(all.length, async (i) => {
          values[i] = bodyOf<V>(await this.#read(all[i]));
        });
        return values;
      }));

  readonly has = (key: K): Effect.Effect<boolean, ManagerFailure> =>
    this.#ask(async () => isThere(await this.#read(await keyOf(key))));

  readonly set = (key: K, value: V): Effect.Effect<void, ManagerFailure> =>
    this.#ask(() => this.#set(keyOf(key), encodeValue(value)));

  readonly setDefault = (key: K, value: V): Effect.Effect<V, ManagerFailure> =>
    this.#change(
      key,
      (present) => present === undefined ? { result: value, body: encodeValue(value) } : { result: present.value },
    );

  readonly update = (entries: Iterable<readonly [K, V]>): Effect.Effect<void, ManagerFailure> =>
    withPairs("dict.update", entries, (list) =>
      this.#ask(() => {
        const encoded = (list as ReadonlyArray<readonly [K, V]>).map(([key, value]) =>
          [keyOf(key), encodeValue(value)] as const
        );
        return this.#setAll(encoded);
      }));

  readonly delete = (key: K): Effect.Effect<boolean, ManagerFailure> =>
    this.#ask(async () => await this.#take(await keyOf(key)) !== undefined);

  readonly pop = (key: K): Effect.Effect<V | undefined, ManagerFailure> =>
    this.#taking(async () => {
      const taken = await this.#take(await keyOf(key));
      return taken && { value: decodeValue(taken.value) as V, putBack: taken.putBack };
    });

  get popItem(): Effect.Effect<[key: K, value: V] | undefined, ManagerFailure> {
    return this.#taking(() => this.#mirrored(() => this.#takeNewest()));
  }

  get clear(): Effect.Effect<void, ManagerFailure> {
    return this.#ask(() =>
      this.#mirrored(async ({ entries }) => {
        await each(entries.length, async (i) => {
          const version = versionOf<Entry>(entries[i].message);
          await this.#take({ token: entries[i].token, text: version.state!.key }, version);
        });
      })
    );
  }

  readonly compareAndSet = (key: K, expected: V | undefined, value: V): Effect.Effect<boolean, ManagerFailure> =>
    this.#change(
      key,
      (present) => isSame(present?.value, expected) ? { result: true, body: encodeValue(value) } : { result: false },
    );

  readonly change = (key: K, change: (value: V | undefined) => V): Effect.Effect<V, ManagerFailure> =>
    checked("dict.change", { change }, { change: Arguments.func }, () =>
      this.#change(key, (present) => {
        const value = change(present?.value);
        return { result: value, body: encodeValue(value) };
      }));

  readonly modify = <Args extends ReadonlyArray<unknown>, E>(
    key: K,
    task: Manager.Change<V | undefined, Args, V, E>,
    ...args: Args
  ): Effect.Effect<V, E | RemoteError | ManagerFailure> =>
    checked("dict.modify", { task }, taskChecks, () => {
      const run = (value: V | undefined): Effect.Effect<V, E | RemoteError> =>
        Effect.mapError(
          toEffect(() => this.#tasksOf(task.url).run([task.url, task.name], value, ...args)),
          (error) => isInstance(error, Thrown) ? new RemoteError(error.method, error.error) : error,
        ) as Effect.Effect<V, E | RemoteError>;
      return Effect.flatMap(this.#ask(async () => await keyOf(key)), (place) => {
        const attempt: Effect.Effect<V, E | RemoteError | ManagerFailure> = Effect.gen(this, function* () {
          const before = yield* this.#ask(() => this.#read(place));
          const value = yield* run(bodyOf<V>(before));
          const written = yield* this.#ask(() => this.#replace(place, before, encodeValue(value)));
          return written ? value : yield* attempt;
        });
        return attempt;
      });
    });

  get keys(): Effect.Effect<Array<K>, ManagerFailure> {
    return this.#whole(({ entries }) => entries.map((entry) => keyIn<K>(entry)));
  }

  get values(): Effect.Effect<Array<V>, ManagerFailure> {
    return this.#whole(({ entries }) => entries.map((entry) => pairOf<K, V>(entry)[1]));
  }

  get entries(): Effect.Effect<Array<[key: K, value: V]>, ManagerFailure> {
    return this.#whole(({ entries }) => entries.map((entry) => pairOf<K, V>(entry)));
  }

  get toMap(): Effect.Effect<Map<K, V>, ManagerFailure> {
    return Effect.map(this.entries, (entries) => new Map(entries));
  }

  get toStream(): Stream.Stream<[key: K, value: V], ManagerFailure> {
    return Stream.unwrap(Effect.map(
      this.#whole(({ entries }) => entries),
      (entries) => Stream.mapEffect(Stream.fromIterable(entries), (entry) => this.#attempt(() => pairOf<K, V>(entry))),
    ));
  }

  get toSink(): Sink.Sink<void, readonly [key: K, value: V], never, ManagerFailure> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<readonly [key: K, value: V]>) => this.update(chunk));
  }

  get watch(): Stream.Stream<Manager.DictChange<K, V>, ManagerFailure> {
    return Stream.unwrapScoped(Effect.gen(this, function* () {
      yield* Effect.acquireRelease(Effect.sync(() => this.#mirror.use()), (leave) => Effect.sync(leave));
      yield* this.#ask(() => this.#mirror.synced());
      const ended = Effect.async<never, ManagerFailure>((resume) =>
        Effect.sync(this.#mirror.onEnded((error) => resume(this.#failed(error))))
      );
      return Stream.mapEffect(
        Stream.interruptWhen(this.#mirror.watchers.stream, ended),
        (change) => this.#attempt(() => this.#decoded(change)),
      );
    }));
  }

  /** Ends the watches. */
  close(): void {
    this.#isClosed = true;
    this.#mirror.close();
    this.#stopSweeping?.();
  }

  #decoded(change: Change): Manager.DictChange<K, V> {
    switch (change._tag) {
      case "Snapshot":
        return { _tag: "Snapshot", value: new Map(change.entries.map((entry) => pairOf<K, V>(entry))) };
      case "Set": {
        const [key, value] = pairOf<K, V>(change.entry);
        return { _tag: "Set", key, value };
      }
      case "Delete":
        return { _tag: "Delete", key: keyIn<K>(change.entry) };
    }
  }

  #tasksOf(url: string): Tasks {
    let tasks = this.#tasks.get(url);
    if (tasks === undefined) this.#tasks.set(url, tasks = new Tasks(new Set([url]), this.#scope));
    return tasks;
  }

  #failed(error: unknown): Effect.Effect<never, ManagerFailure> {
    return Effect.suspend(() => Effect.fail(isFailure(error) ? error : this.#connection.failure("dict", error)));
  }

  #attempt<A>(run: () => A): Effect.Effect<A, ManagerFailure> {
    return Effect.suspend(() => {
      try {
        return Effect.succeed(run());
      } catch (error) {
        return this.#failed(error);
      }
    });
  }

  /** Asks the server. *Interruption:* a change may be made. */
  #ask<A>(ask: () => Promise<A>): Effect.Effect<A, ManagerFailure> {
    return Effect.async((resume) => {
      const fail = (error: unknown): void => resume(this.#failed(error));
      try {
        ask().then((answer) => resume(Effect.succeed(answer)), fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  /** Takes something out. *Interruption:* puts it back, unless the key was set again. */
  #taking<A>(take: () => Promise<Taken<A> | undefined>): Effect.Effect<A | undefined, ManagerFailure> {
    return waitThenCommit<A | undefined, ManagerFailure, A | undefined>((answer) => {
      let taking: Promise<Taken<A> | undefined>;
      try {
        taking = take();
      } catch (error) {
        taking = Promise.reject(error);
      }
      taking.then((taken) => answer(Effect.succeed(taken?.value)), (error) => answer(this.#failed(error)));
      return () =>
        Effect.promise(() =>
          Promise.race([
            taking.then((taken) => taken?.putBack()),
            this.#connection.js.pause(PATIENCE),
            // The failure of the call is that of the interrupted fiber, and the end of the connection that of the dict.
          ]).then(() => {}, () => {})
        );
    }, Effect.succeed);
  }

  /** Uses the content of the dict, which shows every change that has ended. */
  async #mirrored<A>(use: (mirror: Mirror) => A | Promise<A>): Promise<A> {
    const leave = this.#mirror.use();
    try {
      await this.#mirror.synced();
      return await use(this.#mirror);
    } finally {
      leave();
    }
  }

  #whole<A>(see: (mirror: Mirror) => A): Effect.Effect<A, ManagerFailure> {
    return this.#ask(() => this.#mirrored(see));
  }

  #subject({ token }: Key): string {
    return `${this.#base}.${token}`;
  }

  #read(key: Key): Promise<Version<Entry>> {
    return this.#records.read<Entry>(this.#subject(key));
  }

  #remember(key: Key, version: Version<Entry> | undefined): void {
    this.#remembered.delete(key.token);
    if (version === undefined || version.sequence === 0) return;
    this.#remembered.set(key.token, { ...version, body: nowhere.body });
    if (this.#remembered.size > REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      this.#remembered.delete(oldest);
    }
  }

  /** Sets a key after a version. Returns whether no other program has changed it since. */
  async #replace(key: Key, before: Version<Entry>, body: Incoming): Promise<boolean> {
    const written = await this.#records.replace(this.#subject(key), before, setAfter(before, key), body);
    this.#remember(key, written);
    return written !== undefined;
  }

  async #set(place: Key | Promise<Key>, body: Incoming): Promise<void> {
    const key = await place;
    let before = this.#remembered.get(key.token);
    while (!await this.#replace(key, before ?? await this.#read(key), body)) before = undefined;
  }

  /** Sets keys, new ones in this order. Of several values of a key, the last one counts. */
  async #setAll(entries: ReadonlyArray<readonly [Key | Promise<Key>, Incoming]>): Promise<void> {
    const last = new Map<string, { readonly key: Key; body: Incoming }>();
    for (const [place, body] of entries) {
      const key = await place;
      const known = last.get(key.token);
      if (known === undefined) last.set(key.token, { key, body });
      else known.body = body;
    }
    const all = [...last.values()];
    for (let from = 0; from < all.length; from += AT_A_TIME) {
      const some = all.slice(from, from + AT_A_TIME);
      const versions = await Promise.all(some.map(({ key }) => this.#remembered.get(key.token) ?? this.#read(key)));
      // The server receives them in the order in which they are sent here.
      await Promise.all(some.map(async ({ body, key }, i) => {
        if (!await this.#replace(key, versions[i], body)) await this.#set(key, body);
      }));
    }
  }

  /** Changes a key by a function of its value, which is called again if another program has changed the key meanwhile. */
  #change<A>(
    key: K,
    decide: (present: { readonly value: V } | undefined) => { readonly result: A; readonly body?: Incoming },
  ): Effect.Effect<A, ManagerFailure> {
    return this.#ask(async () => {
      const place = await keyOf(key);
      while (true) {
        const before = await this.#read(place);
        const { body, result } = decide(isThere(before) ? { value: bodyOf<V>(before)! } : undefined);
        if (body === undefined || await this.#replace(place, before, body)) return result;
      }
    });
  }

  /** Deletes a key. */
  async #take(key: Key, known?: Version<Entry>): Promise<Taken<Incoming> | undefined> {
    const subject = this.#subject(key);
    for (let before = known ?? await this.#read(key);; before = await this.#read(key)) {
      if (!isThere(before)) return undefined;
      const mark = await this.#records.replace(subject, before, gone(key));
      this.#remember(key, mark);
      if (mark === undefined) continue;
      if (mark.sequence > 0) this.#marked(key.token, mark.sequence);
      return { value: before.body, putBack: () => this.#putBack(key, mark, before) };
    }
  }

  /** Sets a key again that was deleted, in its old place, unless another program has set it since. */
  async #putBack(key: Key, mark: Version<Entry>, { body, sequence, state }: Version<Entry>): Promise<void> {
    if (mark.sequence === 0) return;
    const old: Entry = { ...state!, born: state!.born || sequence };
    this.#remember(key, await this.#records.replace(this.#subject(key), mark, old, body));
  }

  async #takeNewest(): Promise<Taken<[key: K, value: V]> | undefined> {
    while (true) {
      const newest = this.#mirror.entries.at(-1);
      if (newest === undefined) return undefined;
      const version = versionOf<Entry>(newest.message);
      const key: Key = { token: newest.token, text: version.state!.key };
      const mark = await this.#records.replace(this.#subject(key), version, gone(key));
      this.#remember(key, mark);
      if (mark === undefined) {
        await this.#mirror.synced();
        continue;
      }
      if (mark.sequence > 0) this.#marked(key.token, mark.sequence);
      return { value: pairOf<K, V>(newest), putBack: () => this.#putBack(key, mark, version) };
    }
  }

  /** The mark of a deleted key is removed after a while. */
  #marked(token: string, sequence: number): void {
    if (this.#isClosed) return;
    this.#marks.delete(token);
    this.#marks.set(token, { sequence, at: performance.now() });
    this.#stopSweeping ??= after(this.#markStays, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    const { js } = this.#connection;
    const limit = performance.now() - this.#markStays / 2;
    const old = [...this.#marks].filter(([, { at }]) => at <= limit);
    for (const [token] of old) this.#marks.delete(token);
    try {
      await each(old.length, (i) => {
        const [token, { sequence }] = old[i];
        return js.persist(() => js.purge(this.#connection.stream("shared"), `${this.#base}.${token}`, sequence + 1));
      });
    } catch (error) {
      // The marks stay: the connection was closed, or the server refuses it. They are small, and another program will remove them.
      if (!(error instanceof Closed || error instanceof Denied || error instanceof JetStreamError)) throw error;
    }
    this.#stopSweeping = this.#isClosed || this.#marks.size === 0
      ? undefined
      : after(this.#markStays, () => void this.#sweep());
  }
}
inspectable(SharedDict);
