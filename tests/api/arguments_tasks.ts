/**
 * The tasks and the class of the tests of bad arguments. Their processes load this module instead of the table with its
 * many imports.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Manager, Task } from "../../mod.ts";

class Thing {}

export const type = Manager.type(import.meta, "Thing for arguments", Thing);

export const rest = Task.make(import.meta, "rest for arguments", () => Effect.never);

export const change = Task.make(import.meta, "change of a managed value", (value: unknown) => value);
