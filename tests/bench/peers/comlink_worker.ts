import { echo, fib, increment, nothing } from "./tasks.ts";

const specifier: string = "npm:comlink@4.4.2";

const { expose } = await import(specifier) as { expose: (value: unknown) => void };
expose({ nothing, increment, echo, fib });
