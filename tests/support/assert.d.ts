/** Declarations of the parts of `@std/assert` that the tests use. */

type Constructor<A> = abstract new (...args: never) => A;

export class AssertionError extends Error {}

export function assert(expr: unknown, msg?: string): asserts expr;
export function assertFalse(expr: unknown, msg?: string): asserts expr is false;
export function assertExists<A>(actual: A, msg?: string): asserts actual is NonNullable<A>;
export function assertEquals<A>(actual: A, expected: A, msg?: string): void;
export function assertNotEquals<A>(actual: A, expected: A, msg?: string): void;
export function assertStrictEquals<A>(actual: unknown, expected: A, msg?: string): asserts actual is A;
export function assertNotStrictEquals<A>(actual: A, expected: A, msg?: string): void;
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void;
export function assertGreater<A>(actual: A, expected: A, msg?: string): void;
export function assertGreaterOrEqual<A>(actual: A, expected: A, msg?: string): void;
export function assertLess<A>(actual: A, expected: A, msg?: string): void;
export function assertLessOrEqual<A>(actual: A, expected: A, msg?: string): void;
export function assertInstanceOf<A>(actual: unknown, expected: Constructor<A>, msg?: string): asserts actual is A;
export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
export function assertArrayIncludes<A>(actual: ArrayLike<A>, expected: ArrayLike<A>, msg?: string): void;
export function assertObjectMatch(
  actual: Record<PropertyKey, unknown>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void;
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: Constructor<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E;
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export function equal(a: unknown, b: unknown): boolean;
export function fail(msg?: string): never;
export function unreachable(msg?: string): never;
