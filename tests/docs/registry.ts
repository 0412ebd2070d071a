/**
 * A JSR registry in this process that holds one package: this one, as `deno publish` would upload it.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };

const root = new URL("../../", import.meta.url);

/** A running registry. */
export interface Registry {
  /** The value of `JSR_URL`. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** A bare specifier, rewritten by the import map as publishing does. */
const mapped = (specifier: string): string => {
  for (const [key, target] of Object.entries(config.imports)) {
    if (specifier === key) return target;
    if (specifier.startsWith(`${key}/`)) return target + specifier.slice(key.length);
  }
  return specifier;
};

const rewritten = (code: string): string => {
  const put = (_: string, before: string, quote: string, specifier: string): string =>
    `${before}${quote}${mapped(specifier)}${quote}`;
  return code
    .replaceAll(/^((?:import|export)\b[^;"']*?\bfrom\s*)(["'])([^"']+)\2/gm, put)
    .replaceAll(/(\bimport\()(["'])([^"']+)\2/g, put);
};

const files = function* (path: string): Generator<string> {
  const url = new URL(path, root);
  if (Deno.statSync(url).isFile) return yield path;
  for (const { name } of Deno.readDirSync(url)) yield* files(`${path}/${name}`);
};

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();

/** Serves the package on a free port of this machine. */
export const serve = async (): Promise<Registry> => {
  const { name, version } = config;
  const base = `/${name}`;
  const answers = new Map<string, Uint8Array<ArrayBuffer>>();
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const path of config.publish.include.flatMap((path) => [...files(path)])) {
    const source = Deno.readFileSync(new URL(path, root));
    const bytes = path.endsWith(".ts") ? new TextEncoder().encode(rewritten(new TextDecoder().decode(source))) : source;
    manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${await sha256(bytes)}` };
    answers.set(`${base}/${version}/${path}`, bytes);
  }
  const json = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));
  const [scope, short] = name.slice(1).split("/");
  answers.set(`${base}/meta.json`, json({ scope, name: short, latest: version, versions: { [version]: {} } }));
  answers.set(`${base}/${version}_meta.json`, json({ manifest, exports: config.exports }));
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    const bytes = answers.get(pathname);
    if (bytes === undefined) return new Response("not here", { status: 404 });
    const type = pathname.endsWith(".ts") ? "text/typescript" : "application/json";
    return new Response(bytes, { headers: { "content-type": type } });
  });
  return { url: `http://127.0.0.1:${server.addr.port}/`, close: () => server.shutdown() };
};
