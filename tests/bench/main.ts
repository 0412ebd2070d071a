// One import for each module of rows, lowest layer first; the table has the same order.
import "./codec.ts";
import "./link.ts";
import "./process.ts";
import "./pool.ts";
import "./queue.ts";
import "./pipe.ts";
import "./wait.ts";
import "./sync.ts";
import "./client.ts";
import "./manager.ts";
import "./shared_memory.ts";
import "./cost.ts";
import { main } from "./harness.ts";

if (import.meta.main) await main(Deno.args);
