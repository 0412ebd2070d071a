/**
 * All kinds of objects that live in shared memory.
 *
 * @module
 */
import "./array.ts";
import "./list.ts";
import "./manager.ts";
import "./memory.ts";
import "./value.ts";
