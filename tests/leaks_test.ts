import { assertRejects } from "./assert.ts";
import { noLeaks } from "./leaks.ts";

Deno.test("what a test leaves behind is noticed: a process, a descriptor, a worker", async () => {
  const limit = 200;
  const process = await assertRejects(async () => {
    await noLeaks(() => {
      child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
      return Promise.resolve();
    }, limit);
  }, Error);
  child!.kill("SIGKILL");
  await child!.status;
  let file: Deno.FsFile;
  const descriptor = await assertRejects(async () => {
    await noLeaks(async () => {
      file = await Deno.open("/dev/zero");
    }, limit);
  }, Error);
  file!.close();
  let worker: Worker;
  const thread = await assertRejects(async () => {
    await noLeaks(async () => {
      const code = "data:application/javascript,postMessage(1);onmessage=()=>{}";
      worker = new Worker(code, { type: "module" });
      await new Promise((resolve) => worker.onmessage = resolve);
    }, limit);
  }, Error);
  worker!.terminate();
  for (const [error, words] of [[process, "process"], [descriptor, "/dev/zero"], [thread, "thread"]] as const) {
    if (!error.message.includes(words)) throw error;
  }
});

let child: Deno.ChildProcess | undefined;
