/**
 * The tasks of processes that are killed while they use pipes. They write each completed step to a file at once.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import * as Pipe from "../../src/Pipe.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { scribe } from "./queue_fault_tasks.ts";

/** A connection of any type. */
// deno-lint-ignore no-explicit-any
export type Any = Pipe.Connection<any>;

/** The ways to send and to receive numbers. */
export const sendings = ["send", "sendBytes", "toSink"] as const;
export const receivings = ["recv", "recvBytes", "recvBytesInto", "toStream"] as const;
export type Sending = typeof sendings[number];
export type Receiving = typeof receivings[number];

/** The ways to receive that match each way to send. */
export const waysToReceive: Readonly<Record<Sending, ReadonlyArray<Receiving>>> = {
  send: ["recv", "toStream"],
  sendBytes: ["recvBytes", "recvBytesInto"],
  toSink: ["recv", "toStream"],
};

/** Number of elements that a Sink receives at once. */
export const BATCH = 5;

/** The message of a number. Some messages are long. */
const sizeOf = (n: number): number => n % 64 === 63 ? 70_000 : 8 + n % 5;

const toBytes = (n: number): Uint8Array => {
  const bytes = new Uint8Array(sizeOf(n)).fill(n);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

/** Throws if the message differs from the one that was sent. */
const fromBytes = (bytes: Uint8Array): number => {
  const n = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const last = bytes[bytes.length - 1];
  if (bytes.length !== sizeOf(n) || last !== (n & 255)) {
    throw new Error(`no message: ${bytes.length} bytes, ${n}, ${last}`);
  }
  return n;
};

const toValue = (n: number): unknown => n % 64 === 63 ? { n, bytes: toBytes(n) } : n;

const fromValue = (value: unknown): number => {
  if (typeof value === "number") return value;
  const { bytes, n } = value as { readonly n: number; readonly bytes: Uint8Array };
  if (fromBytes(bytes) !== n) throw new Error(`no message: ${n}`);
  return n;
};

/** Sends a number. */
export const sendOne = (end: Any, n: number): Effect.Effect<void, unknown> => end.send(toValue(n));

/** Receives a number. */
export const recvOne = (end: Any): Effect.Effect<number, unknown> => Effect.map(end.recv, fromValue);

/** Sends the numbers from 0 on, and reports the number of completed sends. */
export const sendNumbers = (end: Any, how: Sending, sent: (count: number) => void): Effect.Effect<never, unknown> => {
  let n = 0;
  const next = (): Effect.Effect<void, unknown> => {
    if (how === "send") return end.send(toValue(n));
    if (how === "sendBytes") return n % 2 === 0 ? end.sendBytes(toBytes(n)) : inside(end, toBytes(n));
    return Stream.run(Stream.range(n, n + BATCH - 1).pipe(Stream.map(toValue)), end.toSink);
  };
  const step = how === "toSink" ? BATCH : 1;
  return Effect.forever(Effect.map(Effect.suspend(next), () => sent(n += step)));
};

/** Sends the end as a part of a larger value. */
const inside = (end: Any, bytes: Uint8Array): Effect.Effect<void, unknown> => {
  const more = new Uint8Array(bytes.length + 7).fill(255);
  more.set(bytes, 3);
  return end.sendBytes(more, 3, bytes.length);
};

/** Receives numbers until the end, and reports each. */
export const receiveNumbers = (end: Any, how: Receiving, got: (n: number) => void): Effect.Effect<never, unknown> => {
  const value = (value: unknown): void => got(fromValue(value));
  const bytes = (bytes: Uint8Array): void => got(fromBytes(bytes));
  switch (how) {
    case "recv":
      return Effect.forever(Effect.map(end.recv, value));
    case "recvBytes":
      return Effect.forever(Effect.map(end.recvBytes(), bytes));
    case "recvBytesInto": {
      const buffer = new Uint8Array(70_010);
      return Effect.forever(Effect.map(end.recvBytesInto(buffer, 3), (size) => bytes(buffer.subarray(3, 3 + size))));
    }
    case "toStream":
      // The end of the stream is the end of file.
      return Effect.zipRight(
        Stream.runForEach(end.toStream, (next) => Effect.sync(() => value(next))),
        Effect.fail(new Pipe.EndOfFile()),
      );
  }
};

/** A moving end, and the next number that it sends or receives. */
export type Bounced = readonly [end: Any, next: number];

/** The use of one end, until the process is killed. */
export interface Job {
  /** Marks the lines that the process writes. */
  readonly id: number;
  /** The end; absent if it moves between processes. */
  readonly end?: Any;
  readonly send?: Sending;
  readonly receive?: Receiving;
  /** The queues between which the end moves. */
  readonly bounce?: {
    readonly from: Queue.Queue<Bounced>;
    readonly to: Queue.Queue<Bounced>;
    readonly does: "sends" | "receives";
  };
}

/** Observer of a process that repeatedly passes an end on. */
export interface Bouncer {
  /** Reports that the end was used for this number. */
  readonly did: (n: number) => void;
  /** Reports the end that the process holds now. */
  readonly has?: (bounced: Bounced | undefined) => void;
}

/** Takes an end, uses it a few times, and passes it on, for ever. *Interruption:* after the end was passed on. */
export const bounce = (
  { does, from, to }: NonNullable<Job["bounce"]>,
  { did, has }: Bouncer,
): Effect.Effect<never, unknown> =>
  Effect.forever(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      let taken: Bounced | undefined;
      yield* restore(Effect.map(from.get, (bounced) => {
        taken = bounced;
        has?.(bounced);
      }));
      const [end, first] = taken!;
      let next = first;
      for (let uses = 1 + first % 3; uses > 0; uses--) {
        if (does === "sends") yield* sendOne(end, next);
        else {
          const n = yield* recvOne(end);
          if (n !== next) return yield* Effect.die(new Error(`received ${n} instead of ${next}`));
        }
        did(next++);
      }
      has?.([end, next]);
      yield* to.put([end, next]);
      has?.(undefined);
    })
  ));

/** Runs all jobs for ever. `+ id n`: n of its sends have returned; `- id n`: it has received n. */
export const victim = Task.make(import.meta, "victim", (jobs: ReadonlyArray<Job>, path: string) => {
  const write = scribe(path);
  write("begun");
  const run = ({ bounce: bounced, end, id, receive, send }: Job): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
    ...(send === undefined ? [] : [sendNumbers(end!, send, (n) => write(`+ ${id} ${n}`))]),
    ...(receive === undefined ? [] : [receiveNumbers(end!, receive, (n) => write(`- ${id} ${n}`))]),
    ...(bounced === undefined
      ? []
      : [bounce(bounced, { did: (n) => write(bounced.does === "sends" ? `+ ${id} ${n + 1}` : `- ${id} ${n}`) })]),
  ];
  const all = [...jobs.flatMap(run), Effect.never];
  const heard = Effect.tapErrorCause(
    Effect.all(all, { concurrency: "unbounded", discard: true }),
    (cause) => Effect.sync(() => write(`! ${String(cause).replaceAll("\n", " ")}`)),
  );
  // Keeps the received ends until then.
  return Effect.ensuring(heard, Effect.sync(() => void jobs.length));
});

/**
 * Sends a message; then, in one turn, reports its begin, keeps its thread busy, sends another message and reports it.
 */
export const lastTurn = Task.make(import.meta, "last turn", (end: Any, path: string) => {
  const write = scribe(path);
  const busy = Effect.sync(() => {
    write("begun");
    for (const start = performance.now(); performance.now() - start < 200;);
  });
  const sent = Effect.zipRight(busy, Effect.map(end.send("last"), () => write("sent")));
  return end.send("first").pipe(
    // The first message leaves before the busy turn.
    Effect.zipRight(Effect.sleep("1 millis")),
    Effect.zipRight(sent),
    Effect.zipRight(Effect.never),
  );
});
