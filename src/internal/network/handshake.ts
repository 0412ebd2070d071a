/**
 * Mutual authentication of two programs that did not start each other: both prove that they have the same key before either
 * side trusts a byte of the other.
 *
 * Both sides send a hello at once. The client proves first, so that a listener reveals nothing about the key to clients
 * that do not have it; then the listener proves.
 *
 * | from | message | bytes |
 * | --- | --- | --- |
 * | both | hello | 8 magic, b = version, b = role, b = purpose, b = method, 32 nonce, f64 = largest message, f64 = receive window |
 * | client | proof | b = 1, 32 HMAC |
 * | listener | welcome | b = 2, 32 HMAC |
 * | listener | refusal, at any time after its hello | b = 3, b = reason |
 *
 * Without authentication the HMACs are left out. Numbers are big endian. Each HMAC (SHA-256) covers the role of the side
 * that proves, and both hellos, the client's first. Therefore:
 *
 * - A proof is valid for one connection only, since it covers both nonces.
 * - A proof cannot be reflected to its sender, since it covers the role.
 * - Methods and limits in the hellos cannot be changed on the way.
 * - The key is never sent, and proofs are verified in constant time.
 * - A peer that speaks another protocol is detected at its first byte that differs. A side without a key, or with another
 *   version, says so in its hello, so that neither side waits for a message that will not come.
 *
 * Messages after the handshake are neither encrypted nor signed; TLS does that.
 *
 * @module
 */
import { after } from "../os/timer.ts";
import { AuthenticationError, ConnectError, type ConnectErrorReason } from "./errors.ts";

const MAGIC = [0xed, 0x6d, 0x70, 0x0d, 0x0a, 0x1a, 0x0a, 0x00];
export const VERSION = 1;

/** Size of a hello, and the offsets of its nonce and its limits, in bytes. */
const HELLO = 60;
const NONCE = 12;
const LIMITS = 44;
/** Size of an HMAC, in bytes. */
const MAC = 32;

const PROOF = 1;
const WELCOME = 2;
const REFUSAL = 3;

/** The two roles. */
export const LISTENER = 1;
export const CLIENT = 2;

/** The purpose of a connection: messages, or the calls of a link to a manager. */
export const MESSAGES = 1;
export const CALLS = 2;

/** Reasons of a refusal. */
export const WRONG_KEY = 1;
export const FULL = 2;
export const CLOSING = 4;

/** Limits of a side for what it receives: its largest message, and the bytes that may be unread. */
export interface Limits {
  readonly maxMessageSize: number;
  readonly maxBytes: number;
}

export interface HandshakeSettings {
  readonly role: typeof LISTENER | typeof CLIENT;
  readonly purpose: number;
  /** `undefined` means that no authentication takes place. */
  readonly key: CryptoKey | undefined;
  readonly limits: Limits;
  /** For a listener: the reason to refuse a client that has proved the key, or `undefined` to accept it. */
  readonly refuse?: () => number | undefined;
  /** For a listener: milliseconds until a client with a wrong key is told so. */
  readonly delay?: () => number;
}

/** Effects of a handshake on its surroundings. */
export interface Actions {
  readonly send: (bytes: Uint8Array) => void;
  /** Cryptographic work has started; it may settle after the handshake has ended. */
  readonly working: (work: Promise<unknown>) => void;
  /** Both sides have proved the key. `rest` holds the bytes received after the handshake. */
  readonly succeed: (limits: Limits, rest: Uint8Array) => void;
  /** The handshake has failed. Bytes that were sent must still leave. */
  readonly fail: (error: AuthenticationError | ConnectError) => void;
}

/** Imports a key for proofs. It cannot be exported again. */
export const importKey = (bytes: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", bytes.slice(), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);

const utf8 = new TextEncoder();

/** The text that a side with this role signs. */
const statement = (role: number, client: Uint8Array, listener: Uint8Array): Uint8Array<ArrayBuffer> => {
  const label = utf8.encode(`${role === CLIENT ? "client" : "listener"} of @effect-deno/multiprocessing\0`);
  const bytes = new Uint8Array(label.length + 2 * HELLO);
  bytes.set(label, 0);
  bytes.set(client, label.length);
  bytes.set(listener, label.length + HELLO);
  return bytes;
};

/**
 * One side of a handshake, as a state machine without a socket. `push` takes the bytes of the other side, in pieces of any
 * size.
 *
 * `hello`: waits for the peer's hello. `proof`: waits for its proof. `checking`: verifies it. `done`: has succeeded or failed.
 */
export class Handshake {
  readonly #settings: HandshakeSettings;
  readonly #actions: Actions;
  readonly #hello: Uint8Array<ArrayBuffer>;
  #received = new Uint8Array(0);
  #theirs: Uint8Array<ArrayBuffer> | undefined;
  /** The proof of this side, unless there is no key. */
  #proof: Promise<ArrayBuffer> | undefined;
  #limits: Limits = { maxMessageSize: 0, maxBytes: 0 };
  #state: "hello" | "proof" | "checking" | "done" = "hello";
  /** Sends a refusal that was delayed. */
  #sendRefusal: (() => void) | undefined;

  constructor(settings: HandshakeSettings, actions: Actions) {
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

  /** Sends the hello. */
  begin(): void {
    this.#actions.send(this.#hello);
  }

  /** Refuses the client, whether or not it has proved the key. */
  refuse(reason: number): void {
    if (this.#state === "done") return this.#sendRefusal?.();
    this.#state = "done";
    this.#actions.send(new Uint8Array([REFUSAL, reason]));
    this.#actions.fail(refusalError(reason));
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

  /** The other side has closed the connection. */
  end(reason: Error | undefined): void {
    if (this.#state === "done") return this.#sendRefusal?.();
    this.#fail(
      "Closed",
      `the other side has closed the connection${reason === undefined ? "" : `: ${reason.message}`}`,
    );
  }

  /** The time limit has passed. */
  expire(): void {
    if (this.#state === "done") return;
    this.#fail("Timeout", "the other side has not answered in time");
  }

  /** Ends the handshake without an outcome. */
  abandon(): void {
    if (this.#state === "done") return this.#sendRefusal?.();
    this.#state = "done";
  }

  /** Refuses a client with a wrong key: later, if other clients at its address have failed. The handshake is done at once. */
  #refuseLater(): void {
    const millis = this.#settings.delay?.() ?? 0;
    if (millis === 0) return this.refuse(WRONG_KEY);
    this.#state = "done";
    const stop = after(millis, () => this.#sendRefusal?.());
    this.#sendRefusal = () => {
      stop();
      this.#sendRefusal = undefined;
      this.#actions.send(new Uint8Array([REFUSAL, WRONG_KEY]));
      this.#actions.fail(refusalError(WRONG_KEY));
    };
  }

  /** 0: done. 1: nothing is known of the peer yet. 2: the peer speaks the protocol. */
  get progress(): number {
    if (this.#state === "done") return 0;
    return this.#state === "hello" ? 1 : 2;
  }

  /** Whether the peer's proof is being verified. The peer has then sent its whole part of the handshake. */
  get checking(): boolean {
    return this.#state === "checking";
  }

  #fail(reason: AuthenticationError["reason"], message: string): void {
    this.#state = "done";
    this.#received = new Uint8Array(0);
    this.#actions.fail(new AuthenticationError(reason, `Cannot authenticate: ${message}`));
  }

  #readHello(): void {
    const bytes = this.#received;
    const { key, purpose, role } = this.#settings;
    for (let i = 0; i < Math.min(bytes.length, MAGIC.length); i++) {
      if (bytes[i] === MAGIC[i]) continue;
      return this.#fail("Protocol", "the other side does not speak this protocol; is it the right address?");
    }
    // The rest of the hello may differ between versions.
    if (bytes.length > 8 && bytes[8] !== VERSION) {
      return this.#fail("Version", `the other side speaks version ${bytes[8]} of the protocol, this one ${VERSION}`);
    }
    if (bytes.length < HELLO) return;
    const hello = this.#theirs = bytes.slice(0, HELLO);
    this.#received = bytes.slice(HELLO);
    if (hello[9] !== (role === LISTENER ? CLIENT : LISTENER)) {
      return this.#fail("Protocol", "both sides have the same role: a listener needs a client");
    }
    if (hello[10] !== purpose) {
      return this.#fail(
        "Protocol",
        purpose === MESSAGES
          ? "the other side belongs to a manager, and this side does not"
          : "this side belongs to a manager, and the other side does not",
      );
    }
    if (hello[11] > 1) return this.#fail("Protocol", `the other side asks for the unknown method ${hello[11]}`);
    if ((hello[11] === 1) !== (key !== undefined)) {
      return this.#fail(
        "KeyMissing",
        key === undefined
          ? "the other side requires a key, and this side has none; give both the same authKey"
          : "this side requires a key, and the other side has none; give both the same authKey",
      );
    }
    const view = new DataView(hello.buffer);
    const limits = { maxMessageSize: view.getFloat64(LIMITS), maxBytes: view.getFloat64(LIMITS + 8) };
    if (!(limits.maxMessageSize > 0 && limits.maxBytes > 0)) {
      return this.#fail("Protocol", "the limits of the other side are not positive");
    }
    this.#limits = limits;
    this.#state = "proof";
    if (key !== undefined) {
      // Both sides sign at the same time; the listener's proof is ready when the client's has been verified.
      this.#proof = crypto.subtle.sign("HMAC", key, this.#statement(role));
      this.#actions.working(this.#proof);
    }
    if (role === CLIENT) this.#prove(PROOF, () => {});
  }

  /** Sends the proof of this side. */
  #prove(tag: number, sent: () => void): void {
    if (this.#proof === undefined) {
      this.#actions.send(new Uint8Array([tag]));
      return sent();
    }
    this.#proof.then((mac) => {
      if (this.#state === "done") return;
      const bytes = new Uint8Array(1 + MAC);
      bytes[0] = tag;
      bytes.set(new Uint8Array(mac), 1);
      this.#actions.send(bytes);
      sent();
    });
  }

  #statement(role: number): Uint8Array<ArrayBuffer> {
    return this.#settings.role === CLIENT
      ? statement(role, this.#hello, this.#theirs!)
      : statement(role, this.#theirs!, this.#hello);
  }

  #readProof(): void {
    const bytes = this.#received;
    if (bytes.length === 0) return;
    const { key, role } = this.#settings;
    if (role === CLIENT && bytes[0] === REFUSAL) {
      if (bytes.length < 2) return;
      this.#state = "done";
      return this.#actions.fail(refusalError(bytes[1]));
    }
    if (bytes[0] !== (role === LISTENER ? PROOF : WELCOME)) {
      return this.#fail("Protocol", "the other side does not keep to the protocol");
    }
    const length = key === undefined ? 1 : 1 + MAC;
    if (bytes.length < length) return;
    this.#state = "checking";
    const mac = bytes.slice(1, length);
    this.#received = bytes.slice(length);
    if (key === undefined) return this.#checked(true);
    const verified = crypto.subtle.verify("HMAC", key, mac, this.#statement(role === LISTENER ? CLIENT : LISTENER));
    this.#actions.working(verified);
    verified.then((valid) => {
      if (this.#state === "checking") this.#checked(valid);
    });
  }

  #checked(valid: boolean): void {
    if (this.#settings.role === CLIENT) {
      return valid
        ? this.#succeed()
        : this.#fail("WrongKey", "the listener has accepted this side's proof, but has another key itself");
    }
    if (!valid) return this.#refuseLater();
    const reason = this.#settings.refuse?.();
    if (reason !== undefined) return this.refuse(reason);
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

const refusalError = (reason: number): AuthenticationError | ConnectError => {
  if (reason === WRONG_KEY) {
    return new AuthenticationError("WrongKey", "Cannot authenticate: the two sides have different keys");
  }
  const refusal = refusals[reason];
  return refusal === undefined
    ? new AuthenticationError("Protocol", `Cannot authenticate: the listener refuses for an unknown reason (${reason})`)
    : new ConnectError(refusal[0], `Cannot connect: ${refusal[1]}`);
};
