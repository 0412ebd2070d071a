/**
 * The base class of the objects that this process uses by messages.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { Unreachable } from "../../objects/errors.ts";
import { HandleId } from "../../objects/handles.ts";
import { after } from "../../os/timer.ts";
import { inspectable } from "../../os/inspect.ts";
import { SyncError, type SyncFailure } from "../errors.ts";
import type { Carrier } from "../../../Lock.ts";
import type { Descriptor } from "../object.ts";
import { waitExactly } from "../waiting.ts";
import type { Content, Location } from "./protocol.ts";
import { type Answer, Session, type SessionEnd } from "./session.ts";

/** How long a finalizer waits until the host has confirmed a release, in milliseconds: the host may be stopped. */
const PATIENCE = 5000;

/** An object that this process uses by messages. */
export abstract class MessageClient<D extends Descriptor = Descriptor> {
  declare readonly pipe: Pipeable["pipe"];
  readonly #kind: string;
  readonly #descriptor: D;

  constructor(kind: string, descriptor: D) {
    this.#kind = kind;
    this.#descriptor = descriptor;
  }

  get [HandleId](): { readonly kind: string; readonly encode: () => D } {
    return { kind: this.#kind, encode: () => this.#descriptor };
  }

  /** Name of the process that made the object. */
  get host(): string {
    return this.#descriptor.host;
  }

  get carrier(): Carrier {
    return "messages";
  }

  toString(): string {
    return `${this.#kind}(${this.#descriptor.host})`;
  }

  protected get descriptor(): D {
    return this.#descriptor;
  }

  /** Where the object is hosted. */
  get location(): Location {
    return this.#descriptor.location!;
  }

  protected get session(): Session {
    return Session.of(this.location);
  }

  /** The failure of a request that the session did not answer. */
  protected ended(reason: SessionEnd): Unreachable | SyncError {
    return reason === "gone"
      ? new Unreachable(this.#kind, this.host)
      : new SyncError("TooMany", `Cannot use the ${this.#kind}: too many processes use objects of ${this.host}`);
  }

  /** Converts an answer. */
  protected outcome<A>(answer: Answer, convert: (value: unknown) => A): Effect.Effect<A, SyncFailure> {
    switch (answer._tag) {
      case "Result":
        return Effect.succeed(convert(answer.value));
      case "Defect":
        return Effect.dieMessage(answer.message);
      case "Ended":
        return Effect.fail(this.ended(answer.reason));
    }
  }

  /** Requests something that grants nothing. *Interruption:* a change may have been made. */
  protected ask<A>(
    operation: number,
    args: Content = [],
    convert: (value: unknown) => A = (value) => value as A,
  ): Effect.Effect<A, SyncFailure> {
    return Effect.async<A, SyncFailure>((resume) =>
      Effect.sync(
        this.session.request(operation, args, (answer) => resume(this.outcome(answer, convert))),
      )
    );
  }

  /** Requests a release. *Interruption:* the release may have been made. */
  protected askToRelease(operation: number, args: Content = []): Effect.Effect<boolean, SyncFailure> {
    return Effect.suspend(() => {
      this.session.releases++;
      return this.ask<boolean>(operation, args);
    });
  }

  /**
   * Requests a grant. `giveBack` gives it back after this process has received it; `accept` runs in the fiber that
   * receives it. *Interruption:* exact: gives back what was granted.
   */
  protected grant<A>(
    operation: number,
    args: Content,
    convert: (value: unknown, session: Session) => A,
    giveBack: (granted: A, session: Session) => void,
    accept?: (granted: A) => void,
  ): Effect.Effect<A, SyncFailure> {
    return waitExactly<A, SyncFailure>((done) => {
      const { session } = this;
      let granted: { readonly value: A; readonly since: number } | undefined;
      const withdraw = session.requestGrant(operation, args, (answer) => {
        done(this.outcome(answer, (value) => {
          granted = { value: convert(value, session), since: session.releases };
          return granted.value;
        }));
      });
      return () => {
        if (granted === undefined) withdraw();
        else if (granted.since === session.releases) giveBack(granted.value, session);
      };
    }, accept);
  }

  /** Waits until the host has confirmed all that it was told. *Interruption:* ends the wait only. */
  protected get confirmed(): Effect.Effect<void> {
    return Effect.async<void>((resume) => Effect.sync(this.session.whenConfirmed(() => resume(Effect.void))));
  }

  /** Like {@link confirmed}, for a finalizer: gives up after a time. */
  protected get confirmedSoon(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      let cancel = (): void => {};
      const stop = after(PATIENCE, () => {
        cancel();
        resume(Effect.void);
      });
      cancel = this.session.whenConfirmed(() => {
        stop();
        resume(Effect.void);
      });
    });
  }
}
inspectable(MessageClient);
