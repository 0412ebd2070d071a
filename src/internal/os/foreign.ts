/**
 * Functions of system libraries, through FFI, and their errors. Needs `--allow-ffi`.
 *
 * @module
 */

/** Functions to look up, each by its key, or by `name`. */
export type Definitions = Readonly<Record<string, Deno.ForeignFunction & { readonly name?: string }>>;

/** The functions that were found. */
export type Found<D extends Definitions> = { readonly [Name in keyof D]: Deno.UnsafeFnPointer<D[Name]>["call"] };

/**
 * Looks up the functions, and closes the library at once, because every process has it loaded anyway. Deno's tests would
 * report an open library as a leak, and opening it with typed functions takes some milliseconds. Throws if the library or a
 * function is missing.
 */
const load = <D extends Definitions>(path: string, definitions: D): Found<D> => {
  const entries = Object.entries<Definitions[string]>(definitions);
  const names = new Set(entries.map(([key, { name = key }]) => name));
  const library = Deno.dlopen(path, Object.fromEntries([...names].map((name) => [name, { type: "pointer" } as const])));
  try {
    return Object.fromEntries(entries.map(([key, { name = key, ...definition }]) => {
      const pointer = library.symbols[name] as Deno.PointerObject<typeof definition>;
      const callable = new Deno.UnsafeFnPointer(pointer, definition);
      return [key, callable.call.bind(callable)];
    })) as Found<D>;
  } finally {
    library.close();
  }
};

/** The functions of the first library that has all of them; `undefined` if there is none. */
export const find = <D extends Definitions>(libraries: ReadonlyArray<string>, definitions: D): Found<D> | undefined => {
  for (const path of libraries) {
    try {
      return load(path, definitions);
    } catch {
      // Try the next library.
    }
  }
  return undefined;
};

/** Why this process may not call foreign functions; `undefined` if it may. */
export const denied = (): string | undefined =>
  Deno.permissions.querySync({ name: "ffi" }).state === "granted" ? undefined : "it needs --allow-ffi in this process";

/** A system call failed. */
export class OsError extends Error {
  /** The name under which the error is printed. */
  override readonly name = "OsError";
  /** The code of the error, such as `"ENOSPC"`; `"E<number>"` if its name is not in the table below. */
  readonly code: string;

  constructor(call: string, error: number | string) {
    const code = typeof error === "string" ? error : codeOf(error);
    super(`${call}: ${code}`);
    this.code = code;
  }
}

const codes = new Map([
  [1, "EPERM"],
  [2, "ENOENT"],
  [4, "EINTR"],
  [9, "EBADF"],
  [11, "EAGAIN"],
  [12, "ENOMEM"],
  [13, "EACCES"],
  [17, "EEXIST"],
  [20, "ENOTDIR"],
  [21, "EISDIR"],
  [22, "EINVAL"],
  [23, "ENFILE"],
  [24, "EMFILE"],
  [27, "EFBIG"],
  [28, "ENOSPC"],
  [36, "ENAMETOOLONG"],
  [39, "ENOTEMPTY"],
  [40, "ELOOP"],
  [95, "EOPNOTSUPP"],
]);

/** The code of an error number. The numbers up to 34 are the same on Linux and macOS, except for 11. */
export const codeOf = (errno: number): string => codes.get(errno) ?? `E${errno}`;
