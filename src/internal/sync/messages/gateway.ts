/**
 * The host's side of the use of an object by messages; see `protocol.ts`.
 *
 * For each process that uses the object by messages, the host enters a guest into the arena of the object: a participant like others,
 * in whose name the host runs the protocol of the object. Turns, deaths and all other guarantees are therefore those of the protocol,
 * whichever way a process uses the object. When the session ends, the guest counts as dead.
 *
 * Free of Effect.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import { DecodeError } from "../../codec/errors.ts";
import type { Incoming } from "../../codec/message.ts";
import { RegionError } from "../../os/mapping.ts";
import type { Channel, Receiver } from "../../rpc/link.ts";
import { LAST } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Hosted, type Line } from "../../rpc/router.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { VarintReader } from "../../codec/varint.ts";
import type { Arena, Guest } from "../protocol/arena.ts";
import { Defect, type WaitFailure } from "../protocol/participants.ts";
import type { Owner } from "../object.ts";
import { BUSY, type Busy } from "../protocol/monitor.ts";
import { type Content, TOO_MANY, WITHDRAW } from "./protocol.ts";

/** Answers an operation, at most once. */
export interface Reply {
  /** The operation has a result. `giveBack` undoes it, if the caller withdraws before it has the result. */
  readonly result: (value: unknown, giveBack?: () => void) => void;
  /** A wait has failed. The end of the object ends the session as well. */
  readonly failed: (over: WaitFailure) => void;
}

/** Says which process a participant stands for; `undefined` for 0. */
export type Who = (participant: number) => Owner | undefined;

/**
 * Runs an operation for a guest. The arguments come from another process, and have to be checked. Returns a function that ends the wait
 * before its answer; `died` says whether the guest has died.
 */
export type Operation<P> = (object: P, args: Content, reply: Reply, who: Who) => ((died: boolean) => void) | void;

/** Operations by number. */
export type MessageOperations<P> = Readonly<Record<number, Operation<P>>>;

/** A guest, which may have sessions with several objects of an arena. */
interface Entry {
  readonly guest: Guest;
  sessions: number;
}

const entries = new WeakMap<Arena, Map<string, Entry>>();

const links = new WeakMap<object, number>();
let lastLink = 0;

/** Identifies the link of a call; 0 if the caller is this process. */
const linkOf = (line: Line): number => {
  const { link } = line as Partial<Channel>;
  if (link === undefined) return 0;
  let number = links.get(link);
  if (number === undefined) links.set(link, number = ++lastLink);
  return number;
};

/** Enters a guest, or returns the one that this process has on the link already. Throws a `RegionError`. */
const enter = (arena: Arena, line: Line, client: string, pid: number): { readonly entry: Entry; leave: () => void } => {
  let known = entries.get(arena);
  if (known === undefined) entries.set(arena, known = new Map());
  const key = `${linkOf(line)} ${client}`;
  let entry = known.get(key);
  if (entry === undefined) known.set(key, entry = { guest: arena.admit(pid), sessions: 0 });
  entry.sessions++;
  return {
    entry,
    leave: () => {
      if (--entry.sessions > 0) return;
      known.delete(key);
      entry.guest.leave();
    },
  };
};

/** Milliseconds until an operation is tried again while another participant has the guard of the object. */
const SOON = 1;

/** Runs `run` until it is not `BUSY`, and passes the result to `done`. Returns a function that gives up. */
export const settled = <A>(run: () => A | Busy, done: (result: A) => void): (() => void) | undefined => {
  const result = run();
  if (result !== BUSY) {
    done(result as A);
    return undefined;
  }
  let timer: ReturnType<typeof setTimeout>;
  const again = (): void => {
    const result = run();
    if (result === BUSY) timer = setTimeout(again, SOON);
    else done(result as A);
  };
  timer = setTimeout(again, SOON);
  return () => clearTimeout(timer);
};

const isContent = (value: unknown): value is [id: number, operation: number, acknowledged: ReadonlyArray<number>] =>
  Array.isArray(value) && Number.isSafeInteger(value[0]) && Number.isSafeInteger(value[1]) && Array.isArray(value[2]);

const decode = ({ attachments, bytes }: Incoming, at = 0): unknown => {
  try {
    return Codec.decode(bytes.subarray(at), { attachments, link: undefined });
  } catch (error) {
    if (error instanceof DecodeError) throw malformed();
    throw error;
  }
};

const malformed = (): ProtocolError => new ProtocolError("Cannot read from the peer: malformed message to an object");

/** An operation that is not answered, or whose grant is not acknowledged. */
interface Open {
  /** Ends the wait; `undefined` once it was answered. */
  leave: ((died: boolean) => void) | undefined;
  giveBack: (() => void) | undefined;
}

/** The sessions of one object with other processes. `P` is the protocol of the object. */
export class Gateway<P> implements Hosted {
  readonly #arena: Arena;
  readonly #make: (guest: number) => P;
  readonly #operations: MessageOperations<P>;
  readonly #objects = new WeakMap<Entry, P>();
  readonly #ends = new Set<() => void>();
  #closed = false;

  /** `make` gives the protocol of the object for a guest. */
  constructor(arena: Arena, make: (guest: number) => P, operations: MessageOperations<P>) {
    this.#arena = arena;
    this.#make = make;
    this.#operations = operations;
  }

  /** Opens a session of a process of this family. */
  readonly open = (_: number, line: Line, message: Incoming): Receiver => {
    const numbers = new VarintReader(message.bytes, 0);
    numbers.next();
    return this.attach(line, message, numbers);
  };

  /** Opens a session. `numbers` is behind the number of the object. */
  attach(line: Line, message: Incoming, numbers: Pick<VarintReader, "at">): Receiver {
    if (this.#closed) {
      line.exit((writer) => void writer.byte(GONE));
      return { closed: () => {} };
    }
    const greeting = decode(message, numbers.at);
    if (!Array.isArray(greeting) || typeof greeting[0] !== "string" || !Number.isInteger(greeting[1])) {
      throw malformed();
    }
    const [client, pid] = greeting as [string, number];
    let entered: ReturnType<typeof enter>;
    try {
      entered = enter(this.#arena, line, client, pid);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      line.exit((writer) => void writer.byte(TOO_MANY));
      return { closed: () => {} };
    }
    const { entry, leave } = entered;
    let object = this.#objects.get(entry);
    if (object === undefined) this.#objects.set(entry, object = this.#make(entry.guest.participant));
    const who: Who = (participant) =>
      participant === 0
        ? undefined
        : { pid: this.#arena.pid(participant), here: participant === entry.guest.participant };
    const open = new Map<number, Open>();
    const end = (): void => {
      if (!this.#ends.delete(gone)) return;
      // The process holds its shares until another participant finds it dead.
      for (const { leave } of open.values()) leave?.(true);
      open.clear();
      leave();
    };
    const gone = (): void => {
      end();
      line.exit((writer) => void writer.byte(GONE));
    };
    this.#ends.add(gone);
    return {
      data: (message) => {
        if (this.#ends.has(gone)) this.#receive(object, line, open, message, who);
      },
      credit: (count) => {
        if (count === LAST) end();
      },
      cancel: () => {
        end();
        line.exit((writer) => void writer.byte(CANCELLED));
      },
      closed: end,
    };
  }

  /** The object has ended. */
  close(): void {
    this.#closed = true;
    for (const gone of [...this.#ends]) gone();
  }

  #receive(object: P, line: Line, open: Map<number, Open>, message: Incoming, who: Who): void {
    const content = decode(message);
    if (!isContent(content)) throw malformed();
    const [id, operation, acknowledged, ...args] = content;
    for (const id of acknowledged) open.delete(id);
    if (operation === WITHDRAW) {
      const withdrawn = open.get(id);
      open.delete(id);
      if (withdrawn?.leave !== undefined) withdrawn.leave(false);
      else withdrawn?.giveBack?.();
      return;
    }
    if (!Object.hasOwn(this.#operations, operation) || open.has(id)) throw malformed();
    const entry: Open = { leave: undefined, giveBack: undefined };
    open.set(id, entry);
    let answered = false;
    const send = (...content: Content): void => line.data((writer) => Codec.encodeInto(writer, [id, ...content]));
    const reply: Reply = {
      result: (value, giveBack) => {
        answered = true;
        entry.leave = undefined;
        if (open.get(id) !== entry) return;
        // Throws if the message is too large; the operation is then still to be answered.
        send(value);
        entry.giveBack = giveBack;
        if (giveBack === undefined) open.delete(id);
      },
      failed: (over) => {
        if (over instanceof Defect && open.delete(id)) send(undefined, String(over.error));
      },
    };
    try {
      const leave = this.#operations[operation](object, args, reply, who);
      if (!answered) entry.leave = leave ?? undefined;
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      reply.failed(new Defect(error));
    }
  }
}
