/**
 * How two programs that did not start each other prove that they have the same key, before a byte of theirs is believed.
 *
 * Both sides say hello at once. The client proves first, so that a listener tells strangers nothing that a key could be guessed
 * with; then the listener proves.
 *
 * | from | message | bytes |
 * | --- | --- | --- |
 * | both | hello | 8 magic, b = version, b = role, b = purpose, b = method, 32 nonce, f64 = largest message, f64 = room |
 * | client | proof | b = 1, 32 HMAC |
 * | listener | welcome | b = 2, 32 HMAC |
 * | listener | refusal, at any time after its hello | b = 3, b = why |
 *
 * Without authentication the HMACs are left out. Numbers are big endian. An HMAC (SHA-256) is made of a text that begins with the
 * role of whoever proves, and both hellos, the client's first. So:
 *
 * - a proof is good for one connection only: both nonces are in it
 * - it cannot be sent back to where it came from: the role is in it
 * - what the hellos say of methods and limits cannot be changed on the way
 * - the key is not on the wire, and comparing takes as long whatever was sent
 * - whatever else the other side speaks is seen at its first byte that differs; neither side waits for one that is not coming, if
 *   it does not know of a key, or uses another version
 *
 * What follows is neither encrypted nor signed: for that there is TLS.
 *
 * @module
 */
import { after } from "../os/timer.ts";
import { AuthenticationError, ConnectError, type ConnectErrorReason } from "./errors.ts";
import type { Wire } from "./tcp_transport.ts";

const MAGIC = [0xed, 0x6d, 0x70, 0x0d, 0x0a, 0x1a, 0x0a, 0x00];
export const VERSION = 1;
const HELLO = 60;
const NONCE = 12;
const LIMITS = 44;
const MAC = 32;

const PROOF = 1;
const WELCOME = 2;
const REFUSAL = 3;

/** Which side of a connection this is. */
export const LISTENER = 1;
export const CLIENT = 2;

/** What a connection is for: messages, or the calls of a link. */
export const MESSAGES = 1;
export const CALLS = 2;

/** Why a listener refuses. */
export const WRONG_KEY = 1;
export const FULL = 2;
export const CLOSING = 4;

/** What a side takes: the largest message, and how much unread. In bytes. */
export interface Limits {
  readonly maxMessageSize: number;
  readonly maxBytes: number;
}

export interface Settings {
  readonly role: typeof LISTENER | typeof CLIENT;
  readonly purpose: number;
  /** None: whoever comes is welcome. */
  readonly key: CryptoKey | undefined;
  readonly limits: Limits;
  /** Why a client that has proved itself is refused all the same: for a listener. */
  readonly refuse?: () => number | undefined;
  /** Milliseconds until a client that could not prove itself is told so: for a listener. */
  readonly delay?: () => number;
}

/** What a handshake does. */
export interface Actions {
  readonly send: (bytes: Uint8Array) => void;
  /** The system works for it until this is settled, also when it is over before. */
  readonly working: (work: Promise<unknown>) => void;
  /** Both sides have proved themselves. Nothing was sent that `rest` is not the beginning of. */
  readonly succeed: (limits: Limits, rest: Uint8Array) => void;
  /** It is over; what was sent is still to leave. */
  readonly fail: (error: AuthenticationError | ConnectError) => void;
}

/** A key for proofs. It cannot be read again. */
export const importKey = (bytes: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", bytes.slice(), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

const utf8 = new TextEncoder();

const signed = (role: number, client: Uint8Array, listener: Uint8Array): Uint8Array<ArrayBuffer> => {
  const label = utf8.encode(`${role === CLIENT ? "client" : "listener"} of @effect-deno/multiprocessing\0`);
  const bytes = new Uint8Array(label.length + 2 * HELLO);
  bytes.set(label, 0);
  bytes.set(client, label.length);
  bytes.set(listener, label.length + HELLO);
  return bytes;
};

/** Takes the same time wherever the first difference is. */
const isEqual = (one: Uint8Array, other: Uint8Array): boolean => {
  let difference = one.length ^ other.length;
  for (let i = 0; i < other.length; i++) difference |= one[i] ^ other[i];
  return difference === 0;
};

/** One side of a handshake. Bytes come in by `push`, in any pieces. */
export class Handshake {
  readonly #settings: Settings;
  readonly #actions: Actions;
  readonly #hello: Uint8Array<ArrayBuffer>;
  #received = new Uint8Array(0);
  #theirs: Uint8Array<ArrayBuffer> | undefined;
  /** Those of the client and of the listener. */
  #proofs: Promise<readonly [Uint8Array, Uint8Array]> | undefined;
  #limits: Limits = { maxMessageSize: 0, maxBytes: 0 };
  #state: "hello" | "proof" | "checking" | "done" = "hello";
  /** Tells a client that waits for it that it has failed. */
  #answer: (() => void) | undefined;

  constructor(settings: Settings, actions: Actions) {
    this.#settings = settings;
    this.#actions = actions;
    const hello = this.#hello = new Uint8Array(HELLO);
    hello.set(MAGIC, 0);
    hello.set([VERSION, settings.role, settings.purpose, settings.key === undefined ? 0 : 1], MAGIC.length);
    crypto.getRandomValues(hello.subarray(NONCE, LIMITS));
    const view = new DataView(hello.buffer);
    view.setFloat64(LIMITS, settings.limits.maxMessageSize);
    view.setFloat64(LIMITS + 8, settings.limits.maxBytes);
  }

  /** Says hello. */
  begin(): void {
    this.#actions.send(this.#hello);
  }

  /** Turns the client away, whoever it is. */
  refuse(why: number): void {
    if (this.#state === "done") return this.#answer?.();
    this.#state = "done";
    this.#actions.send(new Uint8Array([REFUSAL, why]));
    this.#actions.fail(refused(why));
  }

  /** Takes the next bytes of the other side. */
  push(chunk: Uint8Array): void {
    if (this.#state === "done") return;
    const received = new Uint8Array(this.#received.length + chunk.length);
    received.set(this.#received, 0);
    received.set(chunk, this.#received.length);
    this.#received = received;
    if (this.#state === "hello") this.#readHello();
    if (this.#state === "proof") this.#readProof();
    if (this.#settings.role === LISTENER && this.checking && this.#received.length > 0) {
      this.#fail("Protocol", "the other side has sent more than it may before it is welcome");
    }
  }

  /** The other side has closed. */
  end(reason: Error | undefined): void {
    if (this.#state === "done") return this.#answer?.();
    this.#fail(
      "Closed",
      `the other side has closed the connection${reason === undefined ? "" : `: ${reason.message}`}`,
    );
  }

  /** The time is over. */
  expire(): void {
    if (this.#state === "done") return;
    this.#fail("Timeout", "the other side has not answered in time");
  }

  /** Nothing is to come of it any more. */
  abandon(): void {
    if (this.#state === "done") return this.#answer?.();
    this.#state = "done";
  }

  /** Refuses a client that has not proved itself: later, if others have failed from its address. It is over at once. */
  #refuseLater(): void {
    const millis = this.#settings.delay?.() ?? 0;
    if (millis === 0) return this.refuse(WRONG_KEY);
    this.#state = "done";
    const stop = after(millis, () => this.#answer?.());
    this.#answer = () => {
      stop();
      this.#answer = undefined;
      this.#actions.send(new Uint8Array([REFUSAL, WRONG_KEY]));
      this.#actions.fail(refused(WRONG_KEY));
    };
  }

  /** How far it is: over, or nothing is known of the other side yet, or at least that it speaks the protocol. */
  get progress(): number {
    if (this.#state === "done") return 0;
    return this.#state === "hello" ? 1 : 2;
  }

  /** Whether the proof of the other side is being checked: it has said all that it has to say. */
  get checking(): boolean {
    return this.#state === "checking";
  }

  #fail(reason: AuthenticationError["reason"], why: string): void {
    this.#state = "done";
    this.#received = new Uint8Array(0);
    this.#actions.fail(new AuthenticationError(reason, `Cannot authenticate: ${why}`));
  }

  #readHello(): void {
    const bytes = this.#received;
    const { key, purpose, role } = this.#settings;
    for (let i = 0; i < Math.min(bytes.length, MAGIC.length); i++) {
      if (bytes[i] === MAGIC[i]) continue;
      return this.#fail("Protocol", "the other side does not speak this protocol; is it the right address?");
    }
    // Later versions may look different behind this.
    if (bytes.length > 8 && bytes[8] !== VERSION) {
      return this.#fail("Version", `the other side speaks version ${bytes[8]} of the protocol, this one ${VERSION}`);
    }
    if (bytes.length < HELLO) return;
    const hello = this.#theirs = bytes.slice(0, HELLO);
    this.#received = bytes.slice(HELLO);
    if (hello[9] !== (role === LISTENER ? CLIENT : LISTENER)) {
      return this.#fail("Protocol", "both sides are of the same kind: a listener needs a client");
    }
    if (hello[10] !== purpose) {
      return this.#fail(
        "Protocol",
        purpose === MESSAGES
          ? "the other side is that of a manager, and this one is not"
          : "this side is that of a manager, and the other one is not",
      );
    }
    if (hello[11] > 1) return this.#fail("Protocol", `it wants the unknown method ${hello[11]}`);
    if ((hello[11] === 1) !== (key !== undefined)) {
      return this.#fail(
        "KeyMissing",
        key === undefined
          ? "the other side wants a key, and this one does without; give both the same authKey"
          : "the other side does without a key, and this one has one; give both the same authKey",
      );
    }
    const view = new DataView(hello.buffer);
    const limits = { maxMessageSize: view.getFloat64(LIMITS), maxBytes: view.getFloat64(LIMITS + 8) };
    if (!(limits.maxMessageSize > 0 && limits.maxBytes > 0)) return this.#fail("Protocol", "its limits make no sense");
    this.#limits = limits;
    this.#state = "proof";
    // Both at once, while the other side makes its own: nobody waits for a comparison.
    if (key !== undefined) {
      this.#proofs = Promise.all([this.#sign(key, CLIENT), this.#sign(key, LISTENER)]);
      this.#actions.working(this.#proofs);
    }
    if (role === CLIENT) this.#prove(PROOF, () => {});
  }

  async #sign(key: CryptoKey, role: number): Promise<Uint8Array> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", key, this.#signed(role)));
  }

  /** Sends the proof of this side. */
  #prove(tag: number, sent: () => void): void {
    if (this.#proofs === undefined) {
      this.#actions.send(new Uint8Array([tag]));
      return sent();
    }
    this.#proofs.then(([client, listener]) => {
      if (this.#state === "done") return;
      const bytes = new Uint8Array(1 + MAC);
      bytes[0] = tag;
      bytes.set(this.#settings.role === CLIENT ? client : listener, 1);
      this.#actions.send(bytes);
      sent();
    });
  }

  #signed(role: number): Uint8Array<ArrayBuffer> {
    return this.#settings.role === CLIENT
      ? signed(role, this.#hello, this.#theirs!)
      : signed(role, this.#theirs!, this.#hello);
  }

  #readProof(): void {
    const bytes = this.#received;
    if (bytes.length === 0) return;
    const { key, role } = this.#settings;
    if (role === CLIENT && bytes[0] === REFUSAL) {
      if (bytes.length < 2) return;
      this.#state = "done";
      return this.#actions.fail(refused(bytes[1]));
    }
    if (bytes[0] !== (role === LISTENER ? PROOF : WELCOME)) {
      return this.#fail("Protocol", "the other side does not keep to the protocol");
    }
    const length = key === undefined ? 1 : 1 + MAC;
    if (bytes.length < length) return;
    this.#state = "checking";
    const mac = bytes.slice(1, length);
    this.#received = bytes.slice(length);
    if (this.#proofs === undefined) return this.#checked(true);
    this.#proofs.then(([client, listener]) => {
      if (this.#state === "checking") this.#checked(isEqual(mac, role === LISTENER ? client : listener));
    });
  }

  #checked(valid: boolean): void {
    if (this.#settings.role === CLIENT) {
      return valid
        ? this.#succeed()
        : this.#fail("WrongKey", "the listener has another key than this side, and has not noticed");
    }
    if (!valid) return this.#refuseLater();
    const why = this.#settings.refuse?.();
    if (why !== undefined) return this.refuse(why);
    this.#prove(WELCOME, () => this.#succeed());
  }

  #succeed(): void {
    this.#state = "done";
    const rest = this.#received;
    this.#received = new Uint8Array(0);
    this.#actions.succeed(this.#limits, rest);
  }
}

const refusals: Readonly<Record<number, readonly [ConnectErrorReason, string]>> = {
  [FULL]: ["Full", "the listener has as many connections as its maxConnections allows; try again later"],
  [CLOSING]: ["Refused", "the listener is closing"],
};

const refused = (why: number): AuthenticationError | ConnectError => {
  if (why === WRONG_KEY) {
    return new AuthenticationError("WrongKey", "Cannot authenticate: the two sides have different keys");
  }
  const refusal = refusals[why];
  return refusal === undefined
    ? new AuthenticationError("Protocol", `Cannot authenticate: the listener refuses, for an unknown reason (${why})`)
    : new ConnectError(refusal[0], `Cannot connect: ${refusal[1]}`);
};

/** What both sides are then connected by. */
export interface Session {
  /** Nothing is delivered before it is started. */
  readonly wire: Wire;
  /** What the other side takes. */
  readonly limits: Limits;
}

/** Whether there is nobody who would hear why it has failed. */
const isHopeless = ({ reason }: AuthenticationError | ConnectError, role: number): boolean =>
  reason === "Timeout" || reason === "Closed" || (reason === "Protocol" && role === CLIENT);

/** A handshake under way. */
export interface Underway {
  /** How far it is: see `Handshake`. */
  readonly progress: () => number;
  /** Turns the client away, whoever it is. */
  readonly refuse: (why: number) => void;
  /** Ends it without an answer. */
  readonly drop: () => void;
}

/**
 * Runs a handshake over a wire, for so many milliseconds at most. `done` is called once; after a failure the wire is closed, as
 * soon as the other side knows why.
 */
export const authenticate = (
  wire: Wire,
  settings: Settings,
  millis: number,
  done: (result: Session | AuthenticationError | ConnectError) => void,
): Underway => {
  const handshake = new Handshake(settings, {
    send: (bytes) => wire.write([bytes], () => {}),
    working: (work) => wire.use(work),
    succeed: (limits, rest) => {
      stopTimer();
      wire.hold(rest);
      done({ wire, limits });
    },
    fail: (error) => {
      stopTimer();
      if (isHopeless(error, settings.role)) wire.destroy();
      else wire.close();
      done(error);
    },
  });
  const stopTimer = after(millis, () => handshake.expire());
  wire.start((chunk) => {
    handshake.push(chunk);
    // What follows is for whoever comes next.
    if (settings.role === CLIENT && handshake.checking) wire.hold(undefined);
  }, (reason) => handshake.end(reason));
  handshake.begin();
  return {
    progress: () => handshake.progress,
    refuse: (why) => handshake.refuse(why),
    drop: () => {
      stopTimer();
      handshake.abandon();
      wire.destroy();
    },
  };
};
