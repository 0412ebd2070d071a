/** The limit of each row: a raw program that does the work of the row on this machine without this library. */

import { fileURLToPath } from "node:url";
import type { Unit } from "./harness.ts";

/** The physical limit of a row. */
export interface Limit {
  readonly name: string;
  /** Takes one sample, in the row's unit. */
  readonly measure: (unit: Unit) => Promise<number>;
}

const MB = 1024 * 1024;

/** Far more time than any raw program needs. */
const PATIENCE = 30_000;

/** The number that a program in `raw/` prints. */
const run = async (program: string, args: ReadonlyArray<string | number>): Promise<number> => {
  const path = fileURLToPath(new URL(`raw/${program}.ts`, import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", path, ...args.map(String)],
    signal: AbortSignal.timeout(PATIENCE),
  }).output();
  const printed = Number(new TextDecoder().decode(stdout).trim());
  if (code === 0 && printed > 0) return printed;
  throw new Error(
    `Cannot measure the limit: raw/${program}.ts ended with ${code}\n${new TextDecoder().decode(stderr)}`,
  );
};

/** Converts a rate per second to the time of one operation. */
const per = (rate: number, unit: Unit): number => unit === "us" ? 1e6 / rate : unit === "ms" ? 1e3 / rate : rate;

/** A program that prints a rate per second; the work of a row is done `times` times as often. */
const raw = (name: string, times: number, program: string, ...args: ReadonlyArray<string | number>): Limit => ({
  name,
  measure: async (unit) => per(times * await run(program, args), unit),
});

const roundTrip = {
  unix: raw("round trip of a bare Unix socket", 1, "conn", "unix", 1, 1),
  tcp: raw("round trip of a bare TCP socket", 1, "conn", "tcp", 1, 1),
  port: raw("round trip of a bare MessagePort", 1, "port", 1, "number"),
};

const socket = (family: string): string => `bare ${family === "tcp" ? "TCP" : "Unix"} socket`;

const bytes = (family: string, size: number): Limit => raw(socket(family), 128, "conn", family, 128 * MB, size * MB);

const freshBytes = (family: string, size: number): Limit =>
  raw(`${socket(family)}, into fresh memory`, 128, "conn", family, 128 * MB, size * MB, "fresh");

const portBytes = (size: number): Limit => raw("bare MessagePort", 128, "port", 128 / size, size * MB);

/** Converts megabytes per second to nanoseconds per byte. */
const each = ({ measure, name }: Limit): Limit => ({
  name: `1 MB at a time, ${name}`,
  measure: async () => 1e9 / (await measure("MB/s") * MB),
});

/** Messages of one size in sequence, 64 KB per write. */
const messages = (family: string, size: number): Limit =>
  raw("bytes through a bare socket, 64 KB a write", 16 * MB / size, "conn", family, 16 * MB, 65_536);

const portMessages = raw("lists of 1024 through a bare MessagePort", 16 * 1024, "port", 16, "list");

const memory = (name: string, what: string, times = 1): Limit => raw(name, times, "memory", what);

const effect = {
  step: raw("an empty step of an Effect fiber", 2, "effect", "steps"),
  steps: raw("two empty steps of an Effect fiber", 1, "effect", "steps"),
  stream: raw("Effect's Stream alone, an item at a time", 1, "effect", "stream"),
};

const start = (what: "process" | "worker"): Limit => raw(`start of an empty ${what}`, 1, "start", what);

/** By row name or prefix of it; the first match counts. */
const limits: ReadonlyArray<readonly [RegExp, Limit]> = [
  [/^lock\.uncontended\.effect$|^lock\.contended$/, effect.steps],
  [/^queue\.throughput\.int\.stream/, effect.stream],
  [/^queue\.(get|put\.unconfirmed|throughput\.(int|object|1KB))(\.worker)?$/, effect.step],
  [/^queue\.put\.worker$/, roundTrip.port],
  [/^queue\.put$/, roundTrip.unix],
  [/^codec\.bytes1MB$/, memory("copy of the bytes", "copy")],
  [/^(pipe|queue|manager)\.(rtt|rtt\.first|siblings|siblings\.own|dict\.[sg]et|call)\.worker$/, roundTrip.port],
  [/^pool\.apply\.worker$/, roundTrip.port],
  [/^(queue|manager)\..*\.worker$|^pool\.(map|imap|burst).*\.worker$/, portMessages],
  [/^pool\.recover\.worker$|^process\.start\.cold\.worker$/, start("worker")],
  [/^process\.start\.cold$|^pool\.recover$/, start("process")],
  [/^process\.start\.standby$|^pool\.recover\.standby$/, roundTrip.unix],
  [/^pool\.memory$/, { name: "memory of an empty Deno", measure: () => run("start", ["memory"]) }],
  [/^pipe\.bytes\.(into\.)?1MB\.worker$/, portBytes(1)],
  [/^pipe\.bytes\.(into\.)?16MB\.worker$/, portBytes(16)],
  [/\.bytes\.1MB\.tcp$/, freshBytes("tcp", 1)],
  [/\.bytes\.16MB\.tcp$/, freshBytes("tcp", 16)],
  [/^(link|pipe|client)\.bytes\.1MB/, freshBytes("unix", 1)],
  [/^(link|pipe|client)\.bytes\.16MB/, freshBytes("unix", 16)],
  [/^pipe\.bytes\.into\.1MB/, bytes("unix", 1)],
  [/^pipe\.bytes\.into\.16MB/, bytes("unix", 16)],
  [/^client\.rtt\.tcp$/, roundTrip.tcp],
  [/^client\.connect\.unix$/, raw("a bare Unix connection, and a round trip", 1, "conn", "unix", 0, 1)],
  [/^client\.connect\.tcp$/, raw("a bare TCP connection, and a round trip", 1, "conn", "tcp", 0, 1)],
  [/^client\.throughput\..*tcp$/, messages("tcp", 8)],
  [/\.throughput\.object$/, messages("unix", 40)],
  [/\.throughput\.1KB$/, messages("unix", 1032)],
  [
    /\.throughput|^pool\.(map|imap|burst)|\.(pipelined|streamed)$/,
    messages("unix", 8),
  ],
  [/^(link|pipe|queue|client)\.(rtt|siblings)|^manager\.|^pool\.apply$/, roundTrip.unix],
  [/^lock\.uncontended/, memory("two swaps of a word", "swap")],
  [/^value\.contended$/, memory("two threads that add to one word", "add")],
  [/^value\.atomicAdd$/, memory("two swaps of a word", "swap")],
  [/^event\.wakeup$/, memory("two threads that wake each other", "wakeup")],
  [/^shm\.create(\.named)?$/, raw("five system calls by FFI", 1, "map")],
  [/^shm\.create\.filled$/, memory("16 MB of fresh memory, filled", "fill")],
  [/^shm\.bandwidth$/, memory("copy of the bytes", "copy")],
  [/^cost\.payload\..*\.worker$/, each(portBytes(1))],
  [/^cost\.payload\./, each(bytes("unix", 1))],
  [/^cost\.workers\..*\.worker$/, start("worker")],
  [/^cost\.workers\./, start("process")],
  [/^cost\.map\..*\.worker$/, portMessages],
  [/^cost\.map\./, messages("unix", 8)],
  [/^array\.sum$/, memory("half of the sum in one thread", "sum")],
];

/** The limit of the row with this name. `undefined` if computing in one thread is the limit. */
export const limitOf = (name: string): Limit | undefined => limits.find(([pattern]) => pattern.test(name))?.[1];
