/**
 * An empty Deno. Prints the number of processes that start and end in a second, in sequence, or of workers that start.
 *
 *     deno run -A start.ts process|worker|memory     the last prints its private memory in megabytes
 */
import { privateMemory } from "../processes.ts";
import { rate } from "./rate.ts";

const empty = "data:application/javascript,";
const waiting = "data:application/javascript,console.log(1);setInterval(()=>{},1000)";
const answering = "data:application/javascript,postMessage(1)";

const deno = (module: string): Deno.Command =>
  new Deno.Command(Deno.execPath(), { args: ["run", "--no-config", module], stdin: "null", stdout: "piped" });

const start: Readonly<Record<string, () => Promise<number>>> = {
  process: () => rate(() => deno(empty).output()),
  worker: () =>
    rate(() => {
      const worker = new Worker(answering, { type: "module" });
      return new Promise<void>((resolve) => {
        worker.onmessage = () => {
          worker.terminate();
          resolve();
        };
      });
    }),
  memory: async () => {
    const child = deno(waiting).spawn();
    await child.stdout.getReader().read();
    const megabytes = privateMemory(child.pid);
    child.kill("SIGKILL");
    return megabytes;
  },
};

console.log(await start[Deno.args[0]]());
Deno.exit();
