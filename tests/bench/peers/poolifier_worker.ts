import { echo, fib, increment, nothing } from "./tasks.ts";

const specifier: string = "npm:poolifier-web-worker@0.5.15";

const { ThreadWorker } = await import(specifier) as { ThreadWorker: new (functions: unknown) => unknown };

export default new ThreadWorker({ nothing, increment, echo, fib });
