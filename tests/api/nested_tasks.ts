/** Tasks that report the effect of the options of a backend, in a child and in a grandchild. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type { CallError, SpawnError } from "../../src/Backend.ts";
import type { Backend } from "../../src/Backend.ts";
import { type Nested, nested } from "../../src/internal/rpc/identity.ts";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";

/** The options as a process observes them. */
export interface Seen {
  readonly pid: number;
  readonly gc: boolean;
  readonly location: string | undefined;
  readonly cwd: string;
  readonly added: string | undefined;
  readonly inherited: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** The leader of its process group. */
  readonly group: number;
  /** Its children, while it runs no other task. */
  readonly children: ReadonlyArray<number>;
}

const here = (): Seen => {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const link = (fd: number): string => Deno.readLinkSync(`/proc/self/fd/${fd}`);
  const children = [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) =>
    Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").filter(Boolean).map(Number)
  );
  return {
    pid: Deno.pid,
    gc: typeof (globalThis as { gc?: unknown }).gc === "function",
    location: globalThis.location?.href,
    cwd: Deno.cwd(),
    added: Deno.env.get("ADDED_BY_LAYER"),
    inherited: Deno.env.has("OF_THE_PROGRAM"),
    stdin: link(0),
    stdout: link(1),
    stderr: link(2),
    group: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]),
    children,
  };
};

export const sees = Task.make(import.meta, "sees", here);

type InNested<A> = Effect.Effect<A, CallError | SpawnError, Backend>;

/** The options as a child and a grandchild observe them. */
export const both = Task.make(
  import.meta,
  "both",
  (): InNested<{ readonly child: Seen; readonly grandchild: Seen }> =>
    Effect.map(Process.run(sees), (grandchild) => ({ child: here(), grandchild })),
);

const net = (): string => Deno.permissions.querySync({ name: "net" }).state;
export const allowed = Task.make(import.meta, "allowed", net);
/** Whether a child and a grandchild may use the network. */
export const bothAllowed = Task.make(
  import.meta,
  "bothAllowed",
  (): InNested<ReadonlyArray<string>> => Effect.map(Process.run(allowed), (grandchild) => [net(), grandchild]),
);

/** The options that this process passes on to its children. */
export const passedOn = Task.make(import.meta, "passedOn", (): Nested => nested());
/** The options that a child passes on, and those that a grandchild passes on. */
export const bothPassedOn = Task.make(
  import.meta,
  "bothPassedOn",
  (): InNested<ReadonlyArray<Nested>> => Effect.map(Process.run(passedOn), (grandchild) => [nested(), grandchild]),
);

/** The environment of a process, without files of the system. */
const around = (): unknown => [
  Deno.cwd(),
  Deno.env.get("OF_THE_PROGRAM"),
  Deno.permissions.querySync({ name: "read" }).state,
  Deno.args,
];
export const surroundings = Task.make(import.meta, "surroundings", around);
/** The environment of a child and of a grandchild. */
export const bothSurroundings = Task.make(
  import.meta,
  "bothSurroundings",
  (): InNested<ReadonlyArray<unknown>> => Effect.map(Process.run(surroundings), (grandchild) => [around(), grandchild]),
);

export const says = Task.make(import.meta, "says", (text: string): void => console.log(text));
export const nestedSays = Task.make(
  import.meta,
  "nestedSays",
  (text: string): InNested<void> => Process.run(says, text),
);

export const bytes = Task.make(import.meta, "bytes", (size: number) => new Uint8Array(size));
/** The arrival of a message of this size from a child of this process. */
export const nestedBytes = Task.make(
  import.meta,
  "nestedBytes",
  (size: number): Effect.Effect<string, never, Backend> =>
    Effect.match(Process.run(bytes, size), {
      onFailure: ({ _tag }) => _tag,
      onSuccess: (all) => `${all.length} bytes`,
    }),
);

/** The output of a child of this process, which the layer pipes. */
export const nestedOutput = Task.make(
  import.meta,
  "nestedOutput",
  (): InNested<number> =>
    Effect.scoped(Effect.flatMap(Process.spawn(says, "piped"), (child) => Stream.runCount(child.stdout))),
);
