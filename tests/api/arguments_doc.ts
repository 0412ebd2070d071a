/**
 * The functions and options of the library, as reported by `deno doc`. The table of bad arguments must cover all of
 * them.
 *
 * @module
 */

/** A parameter, or an option. */
export interface Part {
  readonly name: string;
  readonly optional: boolean;
}

/** The content of the documentation. */
export interface Documented {
  /**
   * Parameters by function or method, such as `Pool.make` or `Pool.Pool.map`. Functions without parameters are absent.
   */
  readonly functions: Readonly<Record<string, ReadonlyArray<Part>>>;
  /** Fields by options type, such as `Pool.MapOptions`. */
  readonly options: Readonly<Record<string, ReadonlyArray<Part>>>;
}

// The parts of the format of `deno doc --json` in use.

interface Parameter {
  readonly kind: string;
  readonly name?: string;
  readonly optional?: boolean;
  readonly left?: Parameter;
  readonly arg?: Parameter;
}

interface Signature {
  readonly params: ReadonlyArray<Parameter>;
}

interface Type {
  readonly kind: string;
  readonly repr?: string;
  readonly value?: unknown;
}

interface Property {
  readonly name: string;
  readonly optional?: boolean;
  readonly tsType?: Type;
}

interface Method {
  readonly name: string;
  readonly def?: Signature;
  readonly params?: ReadonlyArray<Parameter>;
}

interface Definition {
  readonly params?: ReadonlyArray<Parameter>;
  readonly tsType?: Type;
  readonly properties?: ReadonlyArray<Property>;
  readonly methods?: ReadonlyArray<Method>;
  readonly callSignatures?: ReadonlyArray<Signature>;
  readonly extends?: ReadonlyArray<Type>;
}

interface Declaration {
  readonly kind: string;
  readonly jsDoc?: unknown;
  readonly def: Definition;
}

interface Module {
  readonly symbols: ReadonlyArray<{ readonly name: string; readonly declarations: ReadonlyArray<Declaration> }>;
}

const part = (parameter: Parameter): Part => {
  switch (parameter.kind) {
    case "assign":
      return { name: part(parameter.left!).name, optional: true };
    case "rest":
      return { name: part(parameter.arg!).name, optional: true };
    default:
      return { name: parameter.name ?? parameter.kind, optional: parameter.optional === true };
  }
};

const isInternal = ({ jsDoc }: Declaration): boolean => JSON.stringify(jsDoc ?? "").includes("@internal");

/** Interfaces of options whose names do not show it. */
const OPTIONS = ["KillPolicy", "Command", "Certificate", "Trust", "TcpAddress", "UnixAddress", "Initializer"];

const isOptions = (name: string): boolean => name.endsWith("Options") || OPTIONS.includes(name);

const config = new URL("../../deno.json", import.meta.url);

/** Reads the documentation of every public module. */
export const documented = async (): Promise<Documented> => {
  const { exports } = JSON.parse(await Deno.readTextFile(config)) as { exports: Record<string, string> };
  const files = Object.entries(exports).flatMap(([name, file]) => name === "." ? [] : [file]);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...files],
    cwd: new URL(".", config),
  });
  const { stdout, success } = await command.output();
  if (!success) throw new Error("deno doc has failed");
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as { nodes: Record<string, Module> };

  const functions: Record<string, ReadonlyArray<Part>> = {};
  const options: Record<string, ReadonlyArray<Part>> = {};
  const interfaces = new Map<string, Definition>();
  const all = Object.entries(nodes).flatMap(([url, { symbols }]) => {
    const module = url.slice(url.lastIndexOf("/") + 1, -".ts".length);
    return symbols.flatMap(({ declarations, name }) =>
      declarations.flatMap((declaration) => isInternal(declaration) ? [] : [{ module, name, ...declaration }])
    );
  });
  for (const { def, kind, module, name } of all) {
    if (kind !== "interface") continue;
    interfaces.set(`${module}.${name}`, def);
    interfaces.set(name, def);
  }

  const add = (key: string, { params }: Signature): void => {
    const known = functions[key] ?? [];
    const parts = params.map(part);
    // With several signatures, a parameter is optional if one signature makes it optional.
    const merged = parts.map((one, i) => ({ ...one, optional: one.optional || known[i]?.optional === true }));
    if (merged.length > 0) functions[key] = merged;
  };

  /** An interface of the same module, or of another. */
  const find = (key: string, { repr = "" }: Type): Definition | undefined =>
    interfaces.get(`${key.slice(0, key.indexOf("."))}.${repr}`) ?? interfaces.get(repr);

  const addType = (key: string, type: Type | undefined): void => {
    if (type?.kind === "fnOrConstructor" && !(type.value as { constructor: boolean }).constructor) {
      add(key, type.value as Signature);
    }
    if (type?.kind === "typeLiteral") {
      for (const signature of (type.value as Definition).callSignatures ?? []) add(key, signature);
    }
    if (type?.kind === "typeRef") {
      for (const signature of find(key, type)?.callSignatures ?? []) add(key, signature);
    }
  };

  const fields = (key: string, { extends: above = [], properties = [] }: Definition): ReadonlyArray<Part> => {
    const own = properties.map(({ name, optional }): Part => ({ name, optional: optional === true }));
    const inherited = above.flatMap((type) => {
      const def = find(key, type);
      return def === undefined ? [] : fields(key, def);
    });
    return [...inherited.filter(({ name }) => !own.some((one) => one.name === name)), ...own];
  };

  for (const { def, kind, module, name } of all) {
    const key = `${module}.${name}`;
    if (kind === "function") add(key, { params: def.params! });
    if (kind === "variable") addType(key, def.tsType);
    if (kind === "interface" && isOptions(name)) options[key] = fields(key, def);
    else if (kind === "interface") {
      for (const property of def.properties ?? []) addType(`${key}.${property.name}`, property.tsType);
      for (const { name, params } of def.methods ?? []) add(`${key}.${name}`, { params: params ?? [] });
    }
  }
  return { functions, options };
};
