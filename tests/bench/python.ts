import { fileURLToPath } from "node:url";

type Reply = { readonly unit: string; readonly value: number } | {
  readonly error: string;
};

/** Python's column: one `peer.py` for the whole run, asked for one row at a time. */
export class Python implements AsyncDisposable {
  static readonly #program: string = fileURLToPath(
    new URL("peer.py", import.meta.url),
  );

  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #encoder: TextEncoder = new TextEncoder();
  readonly #decoder: TextDecoder = new TextDecoder();
  #pending = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#requests = process.stdin.getWriter();
    this.#replies = process.stdout.getReader();
  }

  /** Starts Python by this command, or answers `undefined` when this machine has none. */
  static start(command: string): Python | undefined {
    try {
      return new Python(
        new Deno.Command(command, {
          // -S: the start-up hooks of installed packages run in every spawned child, and are not Python's doing.
          args: ["-S", Python.#program],
          stdin: "piped",
          stdout: "piped",
          stderr: "inherit",
        }).spawn(),
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Measures the row of this name, which must have the same unit over there. */
  async measure(
    row: { readonly name: string; readonly unit: string },
  ): Promise<number> {
    await this.#requests.write(
      this.#encoder.encode(JSON.stringify({ name: row.name }) + "\n"),
    );
    const reply = JSON.parse(await this.#line()) as Reply;
    if ("error" in reply) throw new Error(reply.error);
    if (reply.unit !== row.unit) {
      throw new Error(
        `Cannot compare ${row.name}: expected Python's unit to be ${row.unit}, received ${reply.unit}`,
      );
    }
    return reply.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#replies.cancel();
    await this.#process.status;
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#pending.indexOf("\n");
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 1);
        return line;
      }
      const { done, value } = await this.#replies.read();
      if (done) {
        throw new Error(
          "Cannot measure Python: it ended without an answer, see its stderr above",
        );
      }
      this.#pending += this.#decoder.decode(value, { stream: true });
    }
  }
}
