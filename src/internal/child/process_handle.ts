/**
 * Handles by which other processes use a process.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type { ExitStatus, Signal, Unsupported } from "../../Backend.ts";
import { address, host, retire } from "../rpc/router.ts";
import type { Handle, Outcome, Process } from "../../Process.ts";
import { HandleId, register } from "../objects/handles.ts";
import { ask, service, type ServiceError, type ServiceHandle } from "../objects/service.ts";
import { WaitId } from "../objects/waitable.ts";
import { inspectable } from "../os/inspect.ts";

export const TypeId = "~multiprocessing/ProcessHandle";

const JOIN = 1;
const EXIT = 2;
const STATUS = 3;
const EXIT_CODE = 4;
const POLL = 5;
const IS_ALIVE = 6;
const INTERRUPT = 7;
const TERMINATE = 8;
const KILL = 9;
const SIGNAL = 10;

interface HandleData extends ServiceHandle {
  readonly name: string;
  readonly daemon: boolean;
  readonly pid: number;
}

/** The handle in the process that has started the other one. Its service is made when the handle is first sent. */
export class LocalHandle<A, E> implements Handle<A, E> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly host: string;
  readonly #process: Process<A, E>;
  #object: number | undefined;

  constructor(process: Process<A, E>, host: string) {
    this.host = host;
    this.#process = process;
  }

  get [HandleId]() {
    return { kind: "process", encode: () => this.#describe() };
  }

  get [WaitId]() {
    return this.#process[WaitId];
  }

  get name(): string {
    return this.#process.name;
  }

  get daemon(): boolean {
    return this.#process.daemon;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get join() {
    return this.#process.join;
  }

  get exit() {
    return this.#process.exit;
  }

  get status() {
    return this.#process.status;
  }

  get exitCode() {
    return this.#process.exitCode;
  }

  get poll() {
    return this.#process.poll;
  }

  get isAlive() {
    return this.#process.isAlive;
  }

  get interrupt() {
    return this.#process.interrupt;
  }

  get terminate() {
    return this.#process.terminate;
  }

  get kill() {
    return this.#process.kill;
  }

  get signal() {
    return this.#process.signal;
  }

  /** Ends the service: the scope of the process has closed. */
  release(): void {
    if (this.#object !== undefined) retire(this.#object);
  }

  #describe(): HandleData {
    const { daemon, name, pid } = this;
    this.#object ??= host(this.#answers());
    return { address: address(), object: this.#object, host: this.host, name, daemon, pid };
  }

  #answers() {
    const process = this.#process;
    return service({
      [JOIN]: () => process.join,
      [EXIT]: () => process.exit,
      [STATUS]: () => process.status,
      [EXIT_CODE]: () => process.exitCode,
      [POLL]: () => process.poll,
      [IS_ALIVE]: () => process.isAlive,
      [INTERRUPT]: () => process.interrupt,
      [TERMINATE]: () => process.terminate,
      [KILL]: () => process.kill,
      [SIGNAL]: (signal) => process.signal(signal as Signal),
    }, [EXIT]);
  }
}
inspectable(LocalHandle);

/** The handle in any other process. */
class RemoteHandle<A, E> implements Handle<A, E> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #from: HandleData;

  constructor(from: HandleData) {
    this.#from = from;
  }

  get [HandleId]() {
    return { kind: "process", encode: () => ({ ...this.#from }) };
  }

  get [WaitId]() {
    return {
      look: (answer: (ready: boolean) => void): void =>
        void Effect.runCallback(this.isAlive, { onExit: (exit) => answer(!Exit.isSuccess(exit) || !exit.value) }),
      watch: (ready: () => void): () => void => {
        let over = false;
        const cancel = Effect.runCallback(this.status, { onExit: () => over || ready() });
        return () => {
          over = true;
          cancel();
        };
      },
    };
  }

  get name(): string {
    return this.#from.name;
  }

  get daemon(): boolean {
    return this.#from.daemon;
  }

  get pid(): number {
    return this.#from.pid;
  }

  get host(): string {
    return this.#from.host;
  }

  get join(): Effect.Effect<A, E | ServiceError> {
    return this.#ask(JOIN);
  }

  get exit(): Effect.Effect<Outcome<A, E>, ServiceError> {
    return this.#ask(EXIT);
  }

  get status(): Effect.Effect<ExitStatus, ServiceError> {
    return this.#ask(STATUS);
  }

  get exitCode(): Effect.Effect<number, ServiceError> {
    return this.#ask(EXIT_CODE);
  }

  get poll(): Effect.Effect<Option.Option<ExitStatus>, ServiceError> {
    return this.#ask(POLL);
  }

  get isAlive(): Effect.Effect<boolean, ServiceError> {
    return this.#ask(IS_ALIVE);
  }

  get interrupt(): Effect.Effect<void, ServiceError> {
    return this.#ask(INTERRUPT);
  }

  get terminate(): Effect.Effect<void, ServiceError> {
    return this.#ask(TERMINATE);
  }

  get kill(): Effect.Effect<void, ServiceError> {
    return this.#ask(KILL);
  }

  readonly signal = (signal: Signal): Effect.Effect<boolean, Unsupported | ServiceError> => this.#ask(SIGNAL, signal);

  /** Calls the service. The types of an operation are those of the process. */
  #ask<B, E2>(operation: number, argument?: unknown): Effect.Effect<B, E2> {
    return ask(this.#from, "process", operation, argument) as Effect.Effect<B, E2>;
  }
}
inspectable(RemoteHandle);

register("process", (from) => new RemoteHandle(from as HandleData));
