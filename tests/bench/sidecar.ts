type Reply =
  | { readonly unit: string; readonly value: number }
  | { readonly error: string }
  | { readonly missing: string };

/** A column whose program cannot run on this machine. */
export class Missing extends Error {
  override readonly name = "Missing";
}

/** Far more time than any row needs. A sample that exceeds it indicates that the peer has lost a task. */
const PATIENCE = 60_000;

/**
 * The program of a column: one process for the whole run, which takes requests for one row at a time, in lines of JSON.
 */
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

  /** Starts a program. Returns `undefined` if this machine does not have it. */
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

  /**
   * Measures the row of this name, which must have the same unit in the peer. Fails with {@link Missing} if the peer
   * cannot measure any row.
   */
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
    // The peer ends, and with it the wait for its answer.
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
