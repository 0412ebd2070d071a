/**
 * Makes a process that was started a child of this process: the one that holds its link. Another process may have started it,
 * on another machine, and relay its bytes.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Child, ExitStatus, Signal } from "../../../Backend.ts";
import { lateStream } from "../../os/late_stream.ts";
import { after } from "../../os/timer.ts";
import type { WatchedTransport } from "../../transport/transport.ts";
import { Attachment, type Options as AttachmentOptions } from "./attachment.ts";
import { SpawnError } from "../errors.ts";
import { wrongSignal } from "../options.ts";
import { UNKNOWN } from "../status.ts";
import type { ProcessEnd } from "./launch.ts";

/** How long a child may take to serve its link, in milliseconds. */
const START = 30_000;

/** A process that was started and that no process has adopted: the bytes of its link, its end, its signals and its output. */
export interface RawChild {
  readonly pid: number;
  readonly transport: WatchedTransport;
  /** Never rejects. */
  readonly ended: Promise<ProcessEnd | ExitStatus & { readonly _tag: "Lost" }>;
  /** Sends a signal. The result is `false` if the process has ended. */
  readonly signal: (name: Signal) => Effect.Effect<boolean>;
  readonly stdout: AsyncIterable<Uint8Array> | null;
  readonly stderr: AsyncIterable<Uint8Array> | null;
  /** Finds out why the process exited with this code before it served its link. */
  readonly explain: (code: number) => Promise<SpawnError | undefined>;
  /** Closes the streams, once the process has ended. */
  readonly release: () => Promise<void>;
}

/** Options of {@link adopt}. */
export interface Options
  extends Pick<AttachmentOptions, "backend" | "command" | "maxMessageSize" | "nested" | "place"> {
  /** How long the child may take to serve its link, in milliseconds. @default 30 seconds */
  readonly startTimeout?: number;
}

const output = (readable: AsyncIterable<Uint8Array> | null): Stream.Stream<Uint8Array> =>
  lateStream(({ empty, fromAsyncIterable, orDie }) =>
    readable === null ? empty : orDie(fromAsyncIterable(readable, (error) => error))
  );

const isLost = (end: ProcessEnd | ExitStatus): end is ExitStatus & { readonly _tag: "Lost" } => "_tag" in end;

/** An adopted process. */
class Adopted {
  readonly child: Child;
  readonly #attachment: Attachment;
  readonly #raw: RawChild;
  readonly #subject: string;
  /** Whether the reason of an early end is looked for, or is known. */
  #judged = false;
  #released = false;
  /** Set if the child was killed because it did not serve its link in time. */
  #late: SpawnError | undefined;
  readonly #stopDeadline: () => void;

  constructor(raw: RawChild, { startTimeout = START, ...options }: Options) {
    this.#raw = raw;
    this.#subject = options.backend;
    this.#attachment = new Attachment({
      ...options,
      transport: raw.transport,
      onUnlinked: () =>
        Effect.runFork(Effect.map(raw.signal("SIGKILL"), (sent) => {
          if (!sent) this.#end({ _tag: "Exited", code: UNKNOWN });
        })),
      onClosed: () => this.#judge(),
      onServing: () => this.#stopDeadline(),
    });
    this.#stopDeadline = after(startTimeout, () => this.#giveUp(startTimeout));
    raw.ended.then(this.#ended);
    this.child = this.#attachment.child({
      pid: raw.pid,
      kill: (name: Signal) =>
        Effect.suspend(() => {
          const wrong = wrongSignal(name);
          if (wrong !== undefined) return Effect.fail(wrong);
          return this.#attachment.status === undefined ? raw.signal(name) : Effect.succeed(false);
        }),
      stdout: output(raw.stdout),
      stderr: output(raw.stderr),
    });
  }

  /** Kills the process, waits for its end, and closes its descriptors. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    this.#released = true;
    const killed = this.#attachment.status === undefined ? this.#raw.signal("SIGKILL") : Effect.void;
    return Effect.zipRight(
      Effect.zipRight(killed, this.#attachment.exited),
      Effect.promise(async () => {
        await this.#raw.release();
        this.#attachment.link.destroy();
      }),
    );
  });

  /** Kills a child that does not serve its link. */
  #giveUp(millis: number): void {
    if (this.#attachment.status !== undefined) return;
    this.#late = new SpawnError({
      reason: "Failed",
      message: `Cannot start a ${this.#subject}: it was killed because it did not serve its link within ${millis} ms`,
    });
    Effect.runFork(this.#raw.signal("SIGKILL"));
  }

  readonly #ended = (end: Awaited<RawChild["ended"]>): void => {
    const { crash } = this.#attachment;
    if (isLost(end)) this.#end(end);
    else if (end.signal !== null) this.#end({ _tag: "Signaled", signal: end.signal });
    else if (crash !== undefined) this.#end({ _tag: "Crashed", message: crash });
    else this.#end({ _tag: "Exited", code: end.code ?? UNKNOWN });
  };

  #end(status: ExitStatus): void {
    if (this.#attachment.status !== undefined) return;
    this.#stopDeadline();
    this.#attachment.end(status);
    const { transport } = this.#raw;
    if (status._tag === "Lost") transport.lost();
    // Data that the process has sent outlives it.
    else transport.drained(() => transport.lost());
    this.#judge();
  }

  /** Finds out whether the child ever served its link, once it has ended and its last message was received. */
  #judge(): void {
    const { link, serving, status } = this.#attachment;
    if (status === undefined || link.closed === undefined || serving || this.#judged) return;
    this.#judged = true;
    if (this.#late !== undefined || status._tag !== "Exited" || this.#released) {
      return this.#attachment.unserved(this.#late);
    }
    this.#raw.explain(status.code).then((error) => this.#attachment.unserved(error));
  }
}

/** Starts a process and adopts it. The child is killed with the scope. */
export const adopt = (
  launch: Effect.Effect<RawChild, SpawnError>,
  options: Options,
): Effect.Effect<Child, SpawnError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.map(launch, (raw) => new Adopted(raw, options)), (adopted) => adopted.release),
    ({ child }) => child,
  );
