/** What runs in our children. Imports nothing but `Task`: no child of these rows has to load Effect. */

import * as Task from "../../src/Task.ts";

export const nothing = Task.make(import.meta, "nothing", () => {});

export const increment = Task.make(import.meta, "increment", (n: number) => n + 1);
