import { fileURLToPath } from "node:url";
import { assertRejects } from "../support/assert.ts";
import { mark, noLeaks, until } from "../support/leaks.ts";
import { gone, script } from "../support/scripts.ts";

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

/** Time limit for an expected leak to settle. */
const SHORT = 200;

const block = fileURLToPath(new URL("../programs/block.ts", import.meta.url));

Deno.test("a block of shared memory that a child leaves, alive or dead, is noticed", async () => {
  const child = script("block.ts", [`${mark}alive`]);
  try {
    const alive = await assertRejects(() => noLeaks(() => child.line("made"), SHORT), Error);
    if (!alive.message.includes(`/dev/shm/${mark}alive`)) throw alive;
  } finally {
    child.kill("SIGKILL");
    await child.ended;
  }
  const other = script("block.ts", [`${mark}dead`]);
  const dead = await assertRejects(
    () =>
      noLeaks(async () => {
        await other.line("made");
        other.kill("SIGKILL");
        await other.ended;
      }, SHORT),
    Error,
  );
  Deno.removeSync(`/dev/shm/${await other.line("made")}`);
  if (!dead.message.includes(`/dev/shm/${mark}dead`)) throw dead;
});

Deno.test("a block of shared memory of a process that is no descendant is left alone", async () => {
  const output = await Deno.makeTempFile();
  try {
    let pid = 0;
    await noLeaks(async () => {
      // The shell ends first, so the program that it starts loses its parent.
      const { stdout } = await new Deno.Command("sh", {
        args: [
          "-c",
          '"$0" run -A --no-check "$1" "$3" < /dev/null > "$2" 2>&1 & echo $!',
          Deno.execPath(),
          block,
          output,
          `${mark}other`,
        ],
      }).output();
      pid = Number(new TextDecoder().decode(stdout));
      await until("the block is made", () => Deno.readTextFileSync(output).startsWith("made "));
    });
    Deno.kill(pid, "SIGTERM");
    await gone([pid]);
  } finally {
    await Deno.remove(output);
  }
});
