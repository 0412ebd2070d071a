/**
 * The behaviour of Deno that the library works around. If a test fails here, Deno has changed: remove or adapt the
 * workaround of the same name.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { locks } from "../../src/internal/child/locks.ts";
import {
  isMissingModule,
  isPermissionMessage,
  isUnknownHost,
  isUnreadableModule,
  keepReadable,
  preventUnlessHandled,
  signalTo,
  type Writing,
} from "../../src/internal/os/deno_workarounds.ts";

const message = (error: unknown): string => (error as Error).message;

Deno.test("a process of node:child_process takes the first signal for its end; signalTo sends the second one as well", async () => {
  const process = spawn("cat", [], { stdio: ["pipe", "ignore", "ignore"] });
  const exited = new Promise<void>((resolve) => process.once("exit", () => resolve()));
  assert(process.kill("SIGCONT"));
  assertEquals(process.signalCode as string | null, "SIGCONT");
  assert(!process.kill("SIGKILL"));
  assert(signalTo(process, "SIGKILL"));
  await exited;
  process.stdin?.destroy();
});

Deno.test("the host of a worker is told nothing of its Deno.exit, neither its end nor its code", async () => {
  const lock = `~test/${crypto.randomUUID()}`;
  const code = `
    onmessage = () => Deno.exit(3);
    navigator.locks.request(${JSON.stringify(lock)}, () => {
      postMessage("holds the lock");
      return new Promise(() => {});
    });`;
  const worker = new Worker(`data:application/javascript,${encodeURIComponent(code)}`, { type: "module" });
  const messages: Array<unknown> = [];
  await new Promise<void>((resolve) => {
    worker.onmessage = ({ data }) => {
      messages.push(data);
      resolve();
    };
  });
  worker.onerror = (event) => messages.push(event.message);
  for (const name of ["close", "exit"]) worker.addEventListener(name, () => messages.push(name));
  worker.postMessage("leave");
  // The worker has ended when its lock is free.
  await locks.request(lock, () => {});
  assertEquals(messages, ["holds the lock"]);
  worker.terminate();
});

Deno.test("an event does not tell that a second listener has prevented its default; preventUnlessHandled does", async () => {
  const outcome = async (listeners: ReadonlyArray<(event: Event) => void>): Promise<boolean> => {
    const target = new EventTarget();
    let unhandled = false;
    target.addEventListener("error", (event) => preventUnlessHandled(event, () => unhandled = true));
    for (const listener of listeners) target.addEventListener("error", listener);
    const event = new Event("error", { cancelable: true });
    target.dispatchEvent(event);
    assert(event.defaultPrevented);
    await Promise.resolve();
    return unhandled;
  };
  assertEquals(await outcome([]), true);
  assertEquals(await outcome([(event) => event.preventDefault()]), false);
});

Deno.test("a socket whose write has failed is not told: it would drop what it has not read", () => {
  const failures: Array<Error> = [];
  const answers: Array<unknown> = [];
  const failure = new Error("EPIPE");
  const socket: Writing = { _write: (_chunk, _encoding, done) => (done as (error: Error) => void)(failure) };
  keepReadable(socket, (error) => failures.push(error));
  socket._write?.(new Uint8Array(1), "buffer", (error: unknown) => answers.push(error));
  assertEquals([failures, answers], [[failure], []]);
});

Deno.test("failures that only a message tells: modules, permissions, host names", async () => {
  assert(isMissingModule(message(await import(`file:///nowhere/${crypto.randomUUID()}.ts`).catch((error) => error))));
  const program = `
    import { spawn } from "node:child_process";
    const text = (error) => String(error.message).split("\\n")[0];
    console.log(text(await import("file:///" + "nowhere.ts").catch((error) => error)));
    try { spawn("cat").on("error", (error) => console.log(text(error))); } catch (error) { console.log(text(error)); }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-config", `data:application/javascript,${encodeURIComponent(program)}`],
    stderr: "null",
  }).output();
  const [unreadable, refused] = new TextDecoder().decode(stdout).split("\n");
  assert(isUnreadableModule(unreadable), unreadable);
  assert(isPermissionMessage(refused), refused);
  const unknown = await Deno.connect({ hostname: "unknown.invalid", port: 1 }).catch((error: unknown) => error);
  assertEquals((unknown as Error).constructor, Error);
  assert(isUnknownHost(message(unknown)), message(unknown));
});
