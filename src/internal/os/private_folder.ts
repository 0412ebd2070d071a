/**
 * Folders that only this user can enter, for what processes of this machine share.
 *
 * @module
 */

/** Whether this process has a permission, without asking the user for it. */
export const granted = (descriptor: Deno.PermissionDescriptor): boolean =>
  Deno.permissions.querySync(descriptor).state === "granted";

/** The result of an action; `undefined` if it throws. */
export const attempt = <A>(action: () => A): A | undefined => {
  try {
    return action();
  } catch {
    return undefined;
  }
};

const VARIABLE = Deno.build.os === "windows" ? "TEMP" : "TMPDIR";

/** Folders for temporary files, in order of preference. */
const parents = (): ReadonlyArray<string> => {
  const own = granted({ name: "env", variable: VARIABLE }) ? Deno.env.get(VARIABLE) : undefined;
  const common = Deno.build.os === "windows" ? [] : ["/tmp"];
  return own === undefined || own === "" ? common : [own, ...common];
};

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

const random = (): string => Array.from(crypto.getRandomValues(new Uint8Array(8)), hex).join("");

/** Something in a folder of its own. */
export interface Private<out A> {
  readonly value: A;
  readonly path: string;
  /** Removes the folder. */
  readonly remove: () => void;
}

/**
 * Makes something at the path `name` in a new folder that only this user can enter. `undefined` if that is not possible, or not
 * `allowed`.
 */
export const inPrivateFolder = <A>(
  name: string,
  allowed: (path: string) => boolean,
  make: (path: string) => A,
): Private<A> | undefined => {
  for (const parent of parents()) {
    const folder = `${parent.replace(/\/+$/, "")}/mp-${random()}`;
    const path = `${folder}/${name}`;
    if (!granted({ name: "write", path: folder }) || !allowed(path)) continue;
    if (attempt(() => [Deno.mkdirSync(folder, { mode: 0o700 })]) === undefined) continue;
    const remove = (): void => void attempt(() => Deno.removeSync(folder, { recursive: true }));
    const value = attempt(() => make(path));
    if (value !== undefined) return { value, path, remove };
    remove();
  }
  return undefined;
};
