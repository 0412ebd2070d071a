/**
 * A lease (see `lease.ts`) between processes that share no memory, in a file that both have open. It costs a few system calls, where a
 * message and its answer would cost turns of the event loop in both processes.
 *
 * | bytes | content | writer |
 * | --- | --- | --- |
 * | 0-3 | limit | queue |
 * | 4-7 | the stream's word: bits 0-15 items taken, bits 16-31 number of changes of the word | stream |
 * | 8-11 | limit, written before the one at 0 | queue |
 * | 12-27 | the token of the file | queue, once |
 *
 * Each side writes its own field, and then reads the other's:
 *
 * - The stream writes what it takes, and then reads the limit. If the limit was lowered meanwhile, it undoes the write, and has taken
 *   nothing.
 * - The queue writes the lower limit, and then reads the word. If it finds items taken beyond the limit, they are in doubt: the stream
 *   may have read the limit before or after. They wait for a message of the stream, in which it says at which word it was. Nothing
 *   later is given to anyone else until then.
 *
 * Of two such writes at the same time, at least one side sees the other's. The stream takes items in one synchronous step, and sends
 * the message in the same turn, so the doubt is short. If the stream dies, what it has written in the file counts.
 *
 * The queue removes the file's name as soon as the stream has opened it. Free of Effect.
 *
 * @module
 */
import { attempt, granted, inPrivateFolder } from "../os/private_folder.ts";
import type { Borrower, Lender } from "./lease.ts";

/** The data that a stream needs to open a file. */
export interface FileAddress {
  readonly path: string;
  readonly token: Uint8Array;
}

const MASK = 0xffff;

/** Distances from here on are negative ones. */
const NEGATIVE = 0x8000;

const WORD = 4;
const LIMIT = 8;
const TOKEN = 12;
const TOKEN_LENGTH = 16;

/** A file of numbers. Reads and writes go on where the last one has ended. */
class Numbers {
  readonly #file: Deno.FsFile;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  at(position: number): this {
    this.#file.seekSync(position, Deno.SeekMode.Start);
    return this;
  }

  read(): number {
    if (this.#file.readSync(this.#bytes) !== 4) throw new Error("The file of a queue's stream was changed");
    return this.#view.getUint32(0, true);
  }

  write(value: number): this {
    this.#view.setUint32(0, value, true);
    this.#file.writeSync(this.#bytes);
    return this;
  }

  close(): void {
    this.#file.close();
  }
}

const mayUse = (path: string): boolean => granted({ name: "read", path }) && granted({ name: "write", path });

/** The queue's side. */
export class FileLender implements Lender {
  readonly address: FileAddress;
  readonly #numbers: Numbers;
  /** Removes the name of the file. */
  #remove: (() => void) | undefined;
  #limit = 0;
  /** The word in which items were found that are in doubt. */
  #doubt: number | undefined;

  private constructor(numbers: Numbers, address: FileAddress, remove: () => void) {
    this.#numbers = numbers;
    this.address = address;
    this.#remove = remove;
  }

  /** `undefined` if this process cannot make a file. */
  static make(): FileLender | undefined {
    const token = crypto.getRandomValues(new Uint8Array(TOKEN_LENGTH));
    const made = inPrivateFolder("lease", mayUse, (path) => {
      const file = Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 });
      const content = new Uint8Array(TOKEN + TOKEN_LENGTH);
      content.set(token, TOKEN);
      file.writeSync(content);
      return file;
    });
    return made && new FileLender(new Numbers(made.value), { path: made.path, token }, made.remove);
  }

  readonly takenSince = (before: number): number =>
    // What is in doubt is beyond the limit.
    Math.min(this.#numbers.at(WORD).read() - before & MASK, this.#limit - before & MASK);

  readonly lend = (count: number): void => this.#publish(this.#limit + count);

  readonly revoke = (before: number, keep: number): void => {
    const kept = Math.max(keep, this.takenSince(before));
    if ((this.#limit - before & MASK) <= kept) return;
    this.#publish(before + kept);
    const word = this.#numbers.read();
    if ((word - before & MASK) > kept) this.#doubt = word;
  };

  readonly inDoubt = (before: number): number => this.#doubt === undefined ? 0 : this.#doubt - before & MASK;

  readonly heard = (word?: number): void => {
    // It has the file open.
    this.#remove?.();
    this.#remove = undefined;
    const doubt = this.#doubt;
    if (doubt === undefined) return;
    const now = word ?? this.#numbers.at(WORD).read();
    // A message that was sent before the claim tells nothing of it.
    if (((now >>> 16) - (doubt >>> 16) & MASK) >= NEGATIVE) return;
    this.#doubt = undefined;
    // The items in doubt are taken, or else the stream has undone its claim.
    if ((now - this.#limit & MASK) < NEGATIVE) this.#publish(now);
  };

  readonly close = (): void => {
    this.#remove?.();
    this.#numbers.close();
  };

  readonly abandon = (): void => this.close();

  /** Writes the limit, and leaves the position at the word. */
  #publish(limit: number): void {
    this.#limit = limit & MASK;
    this.#numbers.at(LIMIT).write(this.#limit).at(0).write(this.#limit);
  }
}

/** The stream's side. */
export class FileBorrower implements Borrower {
  readonly #numbers: Numbers;
  #word = 0;

  private constructor(numbers: Numbers) {
    this.#numbers = numbers;
  }

  /** `undefined` if this process cannot open the file. */
  static open({ path, token }: FileAddress): FileBorrower | undefined {
    if (!mayUse(path)) return undefined;
    const file = attempt(() => Deno.openSync(path, { read: true, write: true }));
    if (file === undefined) return undefined;
    const content = new Uint8Array(TOKEN + TOKEN_LENGTH);
    // On another machine, the path may name another file.
    if (file.readSync(content) === content.length && content.subarray(TOKEN).every((byte, i) => byte === token[i])) {
      return new FileBorrower(new Numbers(file));
    }
    file.close();
    return undefined;
  }

  get word(): number {
    return this.#word;
  }

  readonly claim = (most: number): number => {
    const left = this.#numbers.at(0).read() - this.#word & MASK;
    const count = Math.min(most, left < NEGATIVE ? left : 0);
    if (count === 0) return 0;
    const limit = this.#numbers.write(this.#changed(count)).read();
    if ((limit - this.#word & MASK) < NEGATIVE) return count;
    this.#numbers.at(WORD).write(this.#changed(-count));
    return 0;
  };

  readonly close = (): void => this.#numbers.close();

  /** The word after another change, with `count` more items taken. */
  #changed(count: number): number {
    return this.#word = ((this.#word >>> 16) + 1 << 16 | this.#word + count & MASK) >>> 0;
  }
}
