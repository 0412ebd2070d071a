/**
 * The assertions of the tests. The npm build of `@std/assert` has no declarations; `assert.d.ts` declares the parts in
 * use.
 *
 * @module
 */
// @ts-types="./assert.d.ts"
export * from "@std/assert";
