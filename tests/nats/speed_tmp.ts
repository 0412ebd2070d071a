import * as Effect from "effect/Effect";
import { Backend, Pool, SubprocessBackend, Task } from "../../mod.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import { agentProgram, natsServer } from "../support/nats.ts";
import * as Tasks from "./tasks.ts";
import { add, echo as echoBytes } from "../support/plain_tasks.ts";
const cpu = (pid: number) => {
  const f = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return (Number(f[11]) + Number(f[12])) * 10;
};
const tree = (root: number): number[] => {
  const all: number[] = [root];
  for (const e of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(e.name)) continue;
    try {
      const f = Deno.readTextFileSync(`/proc/${e.name}/stat`).split(") ")[1].split(" ");
      if (Number(f[1]) === root) all.push(...tree(Number(e.name)));
    } catch { /**/ }
  }
  return all;
};
const total = () =>
  tree(Deno.pid).reduce((s, p) => {
    try {
      return s + cpu(p);
    } catch {
      return s;
    }
  }, 0);
const measure = <A, E, R>(name: string, n: number, e: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const a = total(), own = cpu(Deno.pid), t = performance.now();
    yield* e;
    console.log(
      name,
      `wall ${((performance.now() - t) / n).toFixed(3)} ms, cpu all ${((total() - a) / n).toFixed(3)} ms, caller ${
        ((cpu(Deno.pid) - own) / n).toFixed(3)
      } ms`,
    );
  });
const suite = (label: string, backend: Backend.Backend) =>
  Effect.scoped(Effect.gen(function* () {
    const pool = yield* Pool.make({ size: 2 });
    yield* pool.map(add as never, []);
    for (let i = 0; i < 200; i++) yield* pool.apply(add, 1, 2);
    yield* measure(
      `${label} apply`,
      2000,
      Effect.forEach(Array.from({ length: 2000 }), () => pool.apply(add, 1, 2), { discard: true }),
    );
    const items = Array.from({ length: 100_000 }, (_, i) => i);
    yield* pool.map(Tasks.square, items);
    yield* measure(`${label} map of 100000`, 1, pool.map(Tasks.square, items));
    const mib = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 5; i++) yield* pool.apply(echoBytes as never, mib as never);
    yield* measure(
      `${label} echo 1 MiB`,
      100,
      Effect.forEach(Array.from({ length: 100 }), () => pool.apply(echoBytes as never, mib as never), {
        discard: true,
      }),
    );
  })).pipe(Effect.provideService(Backend.Backend, backend));
await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  yield* suite("local", yield* SubprocessBackend.make());
  const { url } = yield* natsServer();
  yield* agentProgram(url, ["--slots=4"]);
  yield* suite("nats", yield* NatsBackend.make({ servers: url }));
})));
