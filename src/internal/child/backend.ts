/**
 * The tag of the backend service.
 *
 * @module
 */
import * as Context from "effect/Context";
import type { Backend, TypeId as BackendTypeId } from "../../Backend.ts";

/** Marks every backend. */
export const TypeId: BackendTypeId = "~multiprocessing/Backend";

/** Identifies the service in a Context. */
export const Tag: Context.Tag<Backend, Backend> = Context.GenericTag<Backend>(TypeId);
