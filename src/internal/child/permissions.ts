/**
 * Deno's permissions as data. A child never gets more than this program has.
 *
 * @module
 */
import type { PermissionName, Permissions } from "../../Backend.ts";
import { SpawnError } from "./errors.ts";

const names: ReadonlyArray<PermissionName> = ["read", "write", "net", "env", "run", "ffi", "sys", "import"];

const query = (descriptor: Deno.PermissionDescriptor): boolean => {
  const status = Deno.permissions.querySync(descriptor);
  return status.state === "granted" && !status.partial;
};

const descriptor = (name: PermissionName, value: string): Deno.PermissionDescriptor => {
  switch (name) {
    case "read":
    case "write":
    case "ffi":
      return { name, path: value };
    case "net":
    case "import":
      return { name, host: value };
    case "env":
      return { name, variable: value };
    case "run":
      return { name, command: value };
    case "sys":
      return { name, kind: value as "loadavg" };
  }
};

/**
 * The permissions that this program is known to have: the kinds that were granted whole. Deno does not tell which parts of a kind
 * were granted, so a partial grant counts as none; name its parts to pass them on.
 */
export const inherited = (): Permissions => Object.fromEntries(names.map((name) => [name, query({ name })]));

/** The first permission that this program does not have itself. */
const excess = (permissions: Permissions): string | undefined => {
  for (const name of names) {
    const grant = permissions[name] ?? false;
    if (grant === false) continue;
    if (grant === true) {
      if (!query({ name })) return name;
      continue;
    }
    const beyond = grant.find((value) => !query(descriptor(name, value)));
    if (beyond !== undefined) return `${name}=${beyond}`;
  }
  return undefined;
};

/** Throws if this program does not have one of these permissions. */
export const demand = (permissions: Permissions): void => {
  const beyond = excess(permissions);
  if (beyond === undefined) return;
  throw new SpawnError({
    reason: "PermissionExceeded",
    message:
      `Cannot start a child with the permission ${beyond}: this program is not known to have it; run it with --allow-${beyond}`,
  });
};

/**
 * The command line flags. Each kind is allowed or denied explicitly, because `node:child_process` adds `-A` to a Deno command line
 * without permission flags.
 */
export const flags = (permissions: Permissions): Array<string> => {
  const result: Array<string> = [];
  for (const name of names) {
    const grant = permissions[name] ?? false;
    if (grant === true) result.push(`--allow-${name}`);
    else if (grant !== false && grant.length > 0) {
      const split = grant.find((value) => value.includes(","));
      if (split !== undefined) {
        throw new SpawnError({
          reason: "Unsupported",
          message:
            `Cannot start a child with the permission ${name}=${split}: Deno's command line separates values by commas; grant the folder that contains it`,
        });
      }
      result.push(`--allow-${name}=${grant.join(",")}`);
    } // Without a flag, a child imports from well-known hosts only. With `--deny-import` it could not load this library.
    else if (name !== "import") result.push(`--deny-${name}`);
  }
  return result;
};
