/**
 * The error of a group.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import { ReasonedError } from "../os/typed_error.ts";

/**
 * A group cannot give what was asked for.
 *
 * - `InvalidArgument`: an argument is of the wrong kind.
 * - `TooFew`: too few members succeeded; `causes` are the failures of the others.
 *
 * @since 0.1.0
 * @category errors
 */
export class GroupError extends ReasonedError<"InvalidArgument" | "TooFew"> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "GroupError";
  /** The failures of members, in the order of the members. */
  readonly causes: ReadonlyArray<Cause.Cause<unknown>>;
  /** Created by the library. */
  constructor(options: {
    readonly reason: GroupError["reason"];
    readonly message: string;
    readonly causes?: ReadonlyArray<Cause.Cause<unknown>>;
  }) {
    super(options.reason, options.message);
    this.causes = options.causes ?? [];
  }
}
