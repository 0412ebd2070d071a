import * as tasks from "./tasks.ts";

const specifier: string = "npm:workerpool@10.0.3";

const { worker } = await import(specifier) as { worker: (methods: unknown) => void };
worker({ ...tasks });
