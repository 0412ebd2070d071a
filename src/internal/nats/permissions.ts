/**
 * The permissions of children that a program on another machine has asked for.
 *
 * @module
 */
import type { Permissions } from "../../Backend.ts";
import { inherited } from "../child/permissions.ts";

/** The permissions that a child inherits: those of its program that this agent has as well. */
export const shared = (theirs: Permissions): Permissions => {
  const own = inherited();
  return Object.fromEntries(
    Object.entries(theirs).map(([name, grant]) => [name, grant === true && own[name as keyof Permissions] === true]),
  );
};
