/**
 * The messages of a durable pool: their heads, and the descriptions of its streams.
 *
 * @module
 */
import type { ExitStatus, Permissions } from "../../../Backend.ts";
import type { SourceList } from "../protocol.ts";

/** A message whose body was stored in parts before it. */
interface Large {
  readonly parts?: { readonly run: string; readonly count: number } | undefined;
}

/** The head of a task. Its body is the request for a child. */
export interface Task extends Large {
  readonly id: string;
  /** The program that is told the result. */
  readonly caller: string;
  /** Hash of the {@link Program}. */
  readonly program: string;
  readonly url: string;
  readonly name: string;
  /** How often the task is run again after its process was killed. */
  readonly retries: number;
  /** How long it may run, in milliseconds. */
  readonly timeout?: number | undefined;
  /** Whether there may be a result of this id already. */
  readonly check?: true | undefined;
}

/** How a child died while it ran a task. */
export interface Death {
  readonly process: string;
  readonly pid: number;
  readonly host: string;
  readonly status: ExitStatus;
  readonly started: "yes" | "no" | "unknown";
}

/**
 * The head of a result. The body of an `exit` is the answer of a child.
 *
 * - `cancelled`: its caller has taken the task back.
 * - `timeout`: it ran for longer than its time limit.
 * - `failed`: it could not be run, for the reason in `message`.
 * - `dead`: its process was killed too often. Not a result, but a dead letter, whose body is the task.
 */
export interface Outcome extends Large {
  readonly id: string;
  readonly kind: "exit" | "cancelled" | "timeout" | "failed" | "dead";
  readonly host: string;
  /** The child that has answered. */
  readonly process?: string | undefined;
  readonly pid?: number | undefined;
  readonly message?: string | undefined;
  readonly deaths?: ReadonlyArray<Death> | undefined;
  /** How often the task was given to an agent. */
  readonly deliveries?: number | undefined;
}

/** What the children that run a task are started with. */
export interface Program {
  readonly library: string;
  readonly main: string;
  readonly modules: ReadonlyArray<string>;
  readonly sources: SourceList | undefined;
  /** Permissions that a child must get. */
  readonly permissions: Permissions | undefined;
  /** Without `permissions`: those that it gets if the agent has them. */
  readonly inherited: Permissions;
  readonly env: Readonly<Record<string, string>>;
  readonly v8Flags: ReadonlyArray<string>;
}

/** A pool, as the description of its stream says. */
export interface Description {
  readonly protocol: number;
  /** Labels that an agent of the pool must have. */
  readonly labels: ReadonlyArray<string>;
}

/** The version of the messages. Agents leave pools of other versions alone. */
export const PROTOCOL = 1;
