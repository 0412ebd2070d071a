/** Tasks of the tests of NatsPool. */
import * as Effect from "effect/Effect";
import { Task } from "../../mod.ts";

export const double = Task.make(import.meta, "double", (n: number) => 2 * n);

export const sum = Task.make(import.meta, "sum", (a: number, b: number) => a + b);

export const echo = Task.make(import.meta, "echo", (bytes: Uint8Array) => bytes);

export const fail = Task.make(import.meta, "fail", (reason: string) => Effect.fail(reason));

export const pid = Task.make(import.meta, "pid", () => Deno.pid);


