/**
 * Plain tasks about the life of a process. Their module does not load Effect, so that a child which runs them starts fast.
 *
 * @module
 */
import * as Task from "../../src/Task.ts";

/** Writes its progress to a file. */
const tell = (path: string, text: string = String(Deno.pid)): void => Deno.writeTextFileSync(path, text);

const forever = (): Promise<never> => new Promise(() => {});

const identity = crypto.randomUUID();
let calls = 0;

export const echo = Task.make(import.meta, "echo", (n: number): number => n);
export const pid = Task.make(import.meta, "pid", (): number => Deno.pid);
/** The heap in which it runs, and the number of its runs there. */
export const visit = Task.make(import.meta, "visit", (_: number) => ({ identity, calls: ++calls }));
export const exit = Task.make(import.meta, "exit", (code: number): number => Deno.exit(code));
export const explode = Task.make(import.meta, "explode", (text: string): number => {
  throw new RangeError(text);
});
/** Runs for ever without blocking its event loop. */
export const linger = Task.make(import.meta, "linger", (): Promise<number> => forever());
/** Reports its begin, then runs for ever. */
export const wait = Task.make(import.meta, "wait", (begun: string): Promise<number> => {
  tell(begun);
  return forever();
});
/** Reports its begin, then blocks its event loop for ever. */
export const spin = Task.make(import.meta, "spin", (begun: string): number => {
  tell(begun);
  for (;;);
});
/** Ignores SIGTERM, reports its begin, then runs for ever. */
export const deaf = Task.make(import.meta, "deaf", (begun: string): Promise<number> => {
  Deno.addSignalListener("SIGTERM", () => {});
  tell(begun);
  return forever();
});
/** Starts a program that outlives it, reports its pid, then ends or waits to be ended. */
export const litter = Task.make(import.meta, "litter", (path: string, ends: boolean): Promise<void> => {
  const sleep = new Deno.Command("sleep", { args: ["1000"], stdin: "null", stdout: "null", stderr: "null" }).spawn();
  sleep.unref();
  tell(path, String(sleep.pid));
  return ends ? Promise.resolve() : forever();
});
/** The data of this process that an observer can read: its command line and its environment. */
export const exposed = Task.make(
  import.meta,
  "exposed",
  () => [Deno.readFileSync("/proc/self/cmdline"), Deno.readFileSync("/proc/self/environ")],
);
export const surroundings = Task.make(
  import.meta,
  "surroundings",
  (name: string) => ({ value: Deno.env.get(name), cwd: Deno.cwd() }),
);
/** Settles as soon as the file tells it how. */
export const initialize = Task.make(import.meta, "initialize", (path: string): Promise<void> | void => {
  const how = Deno.readTextFileSync(path);
  if (how === "raise") throw new RangeError("not today");
  if (how === "exit") Deno.exit(9);
  if (how === "hang") return forever();
  if (how === "spin") { for (;;); }
  // One line for each initialized worker.
  Deno.writeTextFileSync(path, "initialized\n", { append: true });
  initialized++;
});
let initialized = 0;
/** The number of initializations of this process. */
export const initializations = Task.make(import.meta, "initializations", (_: number): number => initialized);
export const large = Task.make(
  import.meta,
  "large",
  (bytes: Uint8Array, code: number): number => code === 0 ? bytes.length : Deno.exit(code),
);
/** Returns, and ends its process afterwards. */
export const succumb = Task.make(import.meta, "succumb", (): void => {
  setTimeout(() => Deno.exit(3));
});
/** Returns at once without a path, otherwise when the file has content. */
export const patient = Task.make(import.meta, "patient", async (path: string): Promise<string> => {
  while (path !== "" && Deno.readTextFileSync(path) === "") await new Promise((resolve) => setTimeout(resolve, 1));
  return path;
});

// Classes.

export class Greeter {
  readonly #secret: string;
  readonly words = new Map([["hello", "goodbye"]]);
  constructor(readonly greeting: string, readonly name: string, secret = "") {
    this.#secret = secret;
  }
  get text(): string {
    return `${this.greeting}, ${this.name}`;
  }
  run(): { text: string; pid: number; answer: string | undefined } {
    return { text: this.text, pid: Deno.pid, answer: this.words.get("hello") };
  }
  reveal(): string {
    return this.#secret;
  }
}
export class Loud extends Greeter {
  readonly marks = "!";
  override get text(): string {
    return super.text.toUpperCase() + this.marks;
  }
}
/** Its `run` needs a private field, which is not sent. */
export class Private {
  readonly #n: number;
  constructor(n: number) {
    this.#n = n;
  }
  run(): number {
    return this.#n;
  }
}
export class Holder {
  constructor(readonly inner: { readonly value: unknown }) {}
  run(): unknown {
    return this.inner.value;
  }
}
export const greeter = Task.fromClass(import.meta, Greeter);
export const loud = Task.fromClass(import.meta, Loud);
export const secretive = Task.fromClass(import.meta, Private);
export const holder = Task.fromClass(import.meta, Holder);
