/**
 * The behaviour of Deno that the library works around. If a test fails here, Deno has changed: remove or adapt the
 * workaround of the same name.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { locks } from "../../src/internal/child/locks.ts";
import {
  type ContextVariable,
  contextVariable,
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
  /** All that an event shows after a number of calls. */
  const shown = (calls: number): string => {
    const event = new Event("error", { cancelable: true });
    for (let i = 0; i < calls; i++) event.preventDefault();
    const fields = Reflect.ownKeys(event).map((key) => [key, Reflect.get(event, key)]);
    return Deno.inspect([fields, event.defaultPrevented, event.returnValue], { depth: 8 });
  };
  assert(shown(1) !== shown(0));
  assertEquals(shown(2), shown(1), "Deno shows the second call: the replacement of preventDefault is not needed");

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

Deno.test("a socket whose write has failed drops what it has not read; keepReadable keeps it", async () => {
  /** What a socket reads after its write has failed, because its peer has sent something and ended. */
  const readAfterFailure = async (prepare: (socket: Socket, failed: () => void) => void): Promise<string> => {
    const folder = Deno.makeTempDirSync();
    try {
      using listener = Deno.listen({ transport: "unix", path: `${folder}/socket` });
      const socket = connect({ path: `${folder}/socket`, allowHalfOpen: true });
      using peer = await listener.accept();
      await peer.write(new TextEncoder().encode("unread"));
      peer.close();
      await new Promise<void>((resolve) => {
        socket.on("error", () => resolve());
        prepare(socket, resolve);
        socket.write("too late");
      });
      let read = "";
      socket.on("data", (chunk) => read += chunk);
      await new Promise((resolve) => {
        socket.once("end", resolve);
        socket.once("close", resolve);
        if (socket.closed) resolve(undefined);
      });
      socket.destroy();
      return read;
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
  assertEquals(await readAfterFailure(() => {}), "", "Deno keeps the data: the replacement of _write is not needed");
  const failures: Array<Error> = [];
  const kept = await readAfterFailure((socket, failed) =>
    keepReadable(socket as Writing, (error) => {
      failures.push(error);
      failed();
    })
  );
  assertEquals([kept, failures.map(message)], ["unread", ["write EPIPE"]]);
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

Deno.test("a value that code has in common with everything that begins there, as in Node", async () => {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  const variable = contextVariable();
  if (variable === undefined) throw new Error("Deno has no such part any more: Node's is loaded in its place");
  const module = `data:application/javascript,${
    encodeURIComponent(`
    export const atOnce = globalThis.look();
    await undefined;
    export const later = globalThis.look();
    export const timer = new Promise((resolve) => setTimeout(() => resolve(globalThis.look()), 1));
    export const fetched = fetch("data:,").then((answer) => answer.text()).then(() => globalThis.look());`)
  }`;
  const scope = globalThis as { look?: () => unknown };
  const seen = async (context: ContextVariable, number: number): Promise<ReadonlyArray<unknown>> => {
    scope.look = () => context.getStore();
    const { port1, port2 } = new MessageChannel();
    const received = Promise.withResolvers<unknown>();
    const [loaded, inner, microtask] = context.run("inside", () => {
      port1.onmessage = () => received.resolve(context.getStore());
      return [
        import(`${module}//${number}`),
        context.run("deeper", () => context.getStore()),
        new Promise((resolve) => queueMicrotask(() => resolve(context.getStore()))),
      ];
    });
    port2.postMessage(undefined);
    const message = await received.promise;
    port1.close();
    port2.close();
    const { atOnce, fetched, later, timer } = await loaded;
    return [inner, context.getStore(), await microtask, message, atOnce, later, await timer, await fetched];
  };
  const [ours, nodes] = [await seen(variable, 1), await seen(new AsyncLocalStorage(), 2)];
  delete scope.look;
  assertEquals(ours, nodes);
  assertEquals([ours[0], ours[1], ...ours.slice(4)], ["deeper", undefined, "inside", "inside", "inside", "inside"]);
});

Deno.test("a time ends without a timer of Node, unless it is stopped, and keeps the process alive until then", async () => {
  const module = import.meta.resolve("../../src/internal/os/deno_workarounds.ts");
  const program = `
    import { afterWithoutNode } from ${JSON.stringify(module)};
    const stop = afterWithoutNode(1, () => console.log("stopped"));
    stop();
    afterWithoutNode(20, () => console.log("over"));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", "--no-check", `data:application/javascript,${encodeURIComponent(program)}`],
    stderr: "null",
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "over\n");
});
