/**
 * One number in shared memory, without Effects.
 *
 * @module
 */
import type { RawInteger } from "../../Value.ts";
import { demandChange, pair } from "./errors.ts";
import type { Numbers } from "./numbers.ts";

/** One number, without Effects. */
export class Cell<A> implements RawInteger<A> {
  readonly #numbers: Numbers;
  readonly #at: number;

  constructor(numbers: Numbers, at: number) {
    this.#numbers = numbers;
    this.#at = at;
  }

  get value(): A {
    return this.#numbers.get(this.#at) as A;
  }

  set value(value: A) {
    this.#numbers.set(this.#at, value);
  }

  get(): A {
    return this.#numbers.get(this.#at) as A;
  }

  set(value: A): void {
    this.#numbers.set(this.#at, value);
  }

  exchange(value: A): A {
    return this.#numbers.exchange(this.#at, value) as A;
  }

  compareExchange(expected: A, value: A): A {
    return this.#numbers.compareExchange(this.#at, expected, value) as A;
  }

  update(change: (value: A) => A): A {
    demandChange(change);
    let after: A;
    this.#numbers.update(this.#at, (value) => after = change(value as A));
    return after!;
  }

  modify<B>(change: (value: A) => readonly [B, A]): B {
    demandChange(change);
    let answer: B;
    this.#numbers.update(this.#at, (value) => {
      const [given, next] = pair(change(value as A));
      answer = given;
      return next;
    });
    return answer!;
  }

  add(value: A): A {
    return this.#numbers.add(this.#at, value as number) as A;
  }

  sub(value: A): A {
    return this.#numbers.sub(this.#at, value as number) as A;
  }

  and(mask: A): A {
    return this.#numbers.and(this.#at, mask as number) as A;
  }

  or(mask: A): A {
    return this.#numbers.or(this.#at, mask as number) as A;
  }

  xor(mask: A): A {
    return this.#numbers.xor(this.#at, mask as number) as A;
  }
}
