/**
 * Loads all kinds of objects that live in shared memory.
 *
 * @module
 */
import "./array.ts";
import "./bytes.ts";
import "./list.ts";
import "./manager.ts";
import "./memory.ts";
import "./struct.ts";
import "./value.ts";
