/**
 * The parent's side of a child, on either backend: the link to the child, and the stages of its life.
 *
 * 1. The child was started: the first notice on the link says which process it is.
 * 2. `serves`: the child has loaded this library and answers requests. `ready`: it has loaded the modules that it was to preload.
 * 3. `exited`: the child has ended. Its link ends as well, after the last message that the child has sent.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as FiberId from "effect/FiberId";
import type { Backend, Child, Command, ExitStatus } from "../../../Backend.ts";
import { authKey, type ChildNotice, type Introduction, type Nested, type Readiness, self } from "../../rpc/identity.ts";
import { host, type Sources, sources } from "../../os/place.ts";
import { Link, type LinkClosed } from "../../rpc/link.ts";
import * as Router from "../../rpc/router.ts";
import { MAX_MESSAGE_SIZE } from "../../codec/message.ts";
import type { PortTransport, WatchedTransport } from "../../transport/transport.ts";
import { hooks } from "../call.ts";
import type { SpawnError } from "../errors.ts";
import * as Observer from "../observer.ts";
import type { Report } from "../telemetry.ts";

/** How long a child may live after its link has ended, in milliseconds. */
const UNLINKED = 1000;

/** The place of a child that another process has started, on its own host. */
export interface Place extends Required<Pick<Introduction, "guardPid" | "host">> {
  readonly sources: Sources | undefined;
}

/** The parts of a child that its backend provides. */
export interface Options {
  readonly backend: Backend["name"];
  readonly command: Command;
  readonly transport: WatchedTransport;
  /** The transport, if it is a port. */
  readonly port?: PortTransport;
  /** @default 1 GiB */
  readonly maxMessageSize: number | undefined;
  /** Options of the backend that apply to the children of this child as well. */
  readonly nested: Nested;
  /** The place of the child, if another process has started it. */
  readonly place?: Place | undefined;
  /** Ends the child: its link ended because of an error, or has ended for {@link UNLINKED} while the child lives. */
  readonly onUnlinked: (reason: LinkClosed) => void;
  /** The link has ended, whichever side closed it. */
  readonly onClosed?: () => void;
  /** The child has begun to serve its link. */
  readonly onServing?: () => void;
}

/** A child, as its parent sees it. */
export class Attachment {
  readonly link: Link;
  /** The message of an uncaught error that the child has reported. */
  crash: string | undefined;
  readonly #options: Options;
  readonly #exited = Deferred.unsafeMake<ExitStatus>(FiberId.none);
  readonly #ready = Deferred.unsafeMake<Readiness | undefined>(FiberId.none);
  readonly #serves = Deferred.unsafeMake<boolean, SpawnError>(FiberId.none);
  #serving = false;
  #status: ExitStatus | undefined;
  /** Stops the timer of {@link UNLINKED}. */
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options) {
    const { maxMessageSize = MAX_MESSAGE_SIZE, transport } = options;
    this.#options = options;
    this.link = new Link(transport, { side: "parent", onOpen: Router.receive, maxMessageSize, onClosed: this.#closed });
    this.link.hooks = hooks;
    this.link.onNotice = this.#receive;
    this.link.notify(this.#introduction(maxMessageSize));
  }

  /** How the child ended, if it has. */
  get status(): ExitStatus | undefined {
    return this.#status;
  }

  /** Whether the child has begun to serve its link. */
  get serving(): boolean {
    return this.#serving;
  }

  /** Waits for the end of the child. */
  get exited(): Effect.Effect<ExitStatus> {
    return Deferred.await(this.#exited);
  }

  /** The child has ended. Only the first call counts. */
  end(status: ExitStatus): void {
    this.keep();
    if (this.#status !== undefined) return;
    this.#status = status;
    Observer.end(this.link);
    Deferred.unsafeDone(this.#exited, Effect.succeed(status));
  }

  /** The backend ends the child in another way: its time after the end of the link is no longer limited. */
  keep(): void {
    clearTimeout(this.#deadline);
  }

  /** The child has ended before it served its link: because it was killed, or because of this error. */
  unserved(error?: SpawnError): void {
    Deferred.unsafeDone(this.#serves, error === undefined ? Effect.succeed(false) : Effect.fail(error));
  }

  /** The child as its users see it. */
  child(own: Pick<Child, "pid" | "kill" | "stdout" | "stderr">): Child {
    return {
      name: this.#options.command.name,
      link: this.link,
      exited: this.exited,
      ready: Deferred.await(this.#ready),
      serves: Deferred.await(this.#serves),
      serving: () => this.#serving,
      host: this.#options.place?.host.name,
      status: () => this.#status,
      ...own,
    };
  }

  #introduction(maxMessageSize: number): Introduction {
    const { backend, command, nested, place, port } = this.#options;
    const { daemon = false, modules, name, preload = false } = command;
    const known = place === undefined ? command.sources ?? sources() : place.sources;
    return {
      name,
      daemon,
      parent: { pid: Deno.pid, name: self().name },
      backend,
      address: Router.adopt(this.link, port),
      authKey: authKey(),
      maxMessageSize,
      nested,
      host: place?.host ?? host(),
      ...(place === undefined ? {} : { guardPid: place.guardPid }),
      ...(known === undefined ? {} : { sources: known }),
      ...(preload ? { preload: modules } : {}),
    };
  }

  readonly #receive = (notice: unknown): void => {
    const { crashed, ready, report, serving } = notice as ChildNotice;
    if (report !== undefined) Observer.receive(this.link, this.#options.command.name, report as Report);
    if (ready !== undefined) Deferred.unsafeDone(this.#ready, Effect.succeed(ready));
    if (crashed !== undefined) {
      this.crash ??= crashed;
      this.link.close();
    }
    if (serving === true) {
      this.#serving = true;
      this.#options.onServing?.();
      Deferred.unsafeDone(this.#serves, Effect.succeed(true));
    }
  };

  readonly #closed = (reason: LinkClosed): void => {
    const { onClosed, onUnlinked } = this.#options;
    Deferred.unsafeDone(this.#ready, Effect.succeed(undefined));
    // A child that has closed its link can be given no more work, and does not notice the end of its parent.
    if (!this.link.closing && this.#status === undefined) {
      this.#deadline = setTimeout(() => onUnlinked(reason), UNLINKED);
    }
    onClosed?.();
  };
}
