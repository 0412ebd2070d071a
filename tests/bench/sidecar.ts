type Reply =
  | { readonly unit: string; readonly value: number }
  | { readonly error: string }
  | { readonly missing: string };

/** A column's program on a machine that cannot run it. */
export class Missing extends Error {
  override readonly name = "Missing";
}

/** Far above what any row takes, and a sign that the peer has lost a task. */
const PATIENCE = 60_000;

/** A column's program: one process for the whole run, asked for one row at a time, in lines of JSON. */
export class Sidecar implements AsyncDisposable {
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

  /** Starts a program, or answers `undefined` when this machine has none of that name. */
  static start(command: string, args: Array<string>): Sidecar | undefined {
    try {
      return new Sidecar(
        new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn(),
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Measures the row of this name, which must have the same unit over there. Fails with {@link Missing} if it can measure none. */
  async measure(row: { readonly name: string; readonly unit: string }): Promise<number> {
    await this.#requests.write(this.#encoder.encode(JSON.stringify({ name: row.name }) + "\n"));
    const reply = JSON.parse(await this.#line()) as Reply;
    if ("missing" in reply) throw new Missing(reply.missing);
    if ("error" in reply) throw new Error(reply.error);
    if (reply.unit !== row.unit) {
      throw new Error(`Cannot compare ${row.name}: expected the peer's unit to be ${row.unit}, received ${reply.unit}`);
    }
    return reply.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#replies.cancel();
    await this.#process.status;
  }

  async #line(): Promise<string> {
    // It ends, and so does the wait for its answer.
    const impatience = setTimeout(() => this.#process.kill("SIGKILL"), PATIENCE);
    try {
      for (;;) {
        const end = this.#pending.indexOf("\n");
        if (end >= 0) {
          const line = this.#pending.slice(0, end);
          this.#pending = this.#pending.slice(end + 1);
          return line;
        }
        const { done, value } = await this.#replies.read();
        if (done) throw new Error(`Cannot measure: the peer ended without an answer, or gave none for ${PATIENCE} ms`);
        this.#pending += this.#decoder.decode(value, { stream: true });
      }
    } finally {
      clearTimeout(impatience);
    }
  }
}
